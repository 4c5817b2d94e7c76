"""Occupations in time under channels, by diffrax."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax import lax

from ...linalg.autodiff_direction import no_forward, no_reverse
from ...operators.checks import checked_times, finite_array, known
from ...results import Failure, check, require_float64
from ..lindblad.integrators import Explicit, Stiff
from .mean_field import AbstractChannels, balanced

# An explicit step is about five over the fastest rate: from here on that is more steps than implicit ones are worth.
_STIFF = 2e4


def evolve(channels: AbstractChannels, initial, times, solver: Explicit | Stiff | None):
    """The occupations (k, *bands, sites) at given times, as `Channels.evolve` describes them."""
    require_float64()
    shape = channels.shape
    n, times = finite_array("initial", initial, *shape), checked_times(times)
    if known(n) and not np.all(((v := np.asarray(n)) >= 0) & (v <= 1)):
        raise ValueError(f"{_OUTSIDE.sentence}, but has {v.min():g} and {v.max():g}")
    if known(times) and np.any(np.diff(np.asarray(times, float)) < 0):
        raise ValueError("times must be sorted in ascending order")
    if solver is None:
        fast = jnp.max(channels.decay(n)) * times[-1] if times.size else 0.0
        # Chosen from numbers, which is only possible where they are known; compiled, it is the
        # explicit method, which says so where its steps do not suffice.
        stiff = known(fast) and float(fast) > _STIFF
        solver = Stiff(rtol=1e-8, atol=1e-12) if stiff else Explicit(rtol=1e-15, atol=1e-20)
    if not isinstance(solver, (Explicit, Stiff)):
        raise TypeError(f"solver must be Explicit() or Stiff(), but was {solver!r}")
    if times.size == 0:
        return jnp.zeros((0, *shape))
    found, failed = _solve(channels, n, times, solver)
    outside = ~jnp.all((n >= 0) & (n <= 1))
    unordered = jnp.any(jnp.diff(times, prepend=0.0) < 0)
    return check(found, (outside, _OUTSIDE), (unordered, _UNORDERED), (failed, solver.failure))


_OUTSIDE = Failure("initial must hold occupations between 0 and 1", ValueError)
_UNORDERED = Failure("times must be sorted in ascending order, from zero up", ValueError)


@eqx.filter_jit
def _solve(channels: AbstractChannels, n, times, solver: Explicit | Stiff):
    """Explicit steps are planned first, not differentiated, and then followed, as `stepping` does for linear equations.

    Implicit ones adapt as they go.
    """
    import diffrax

    name = type(solver).__name__
    adjoint = {"reverse": diffrax.RecursiveCheckpointAdjoint, "forward": diffrax.ForwardMode, "both": diffrax.DirectAdjoint}
    if solver.gradient == "reverse":
        reason = f'{name}(gradient="reverse") cannot be differentiated forward: use {name}(gradient="forward")'
        channels, n = no_forward((channels, n), reason)

    def solve(states, controller, **settings):
        """From `states`, a list of pairs (channels, n), side by side."""
        given, start = zip(*states, strict=True)

        def flow(t, y, given):
            del t
            pairs = zip(given, jnp.split(y, len(given)), strict=True)
            return jnp.concatenate([c.right_hand_side(part.reshape(n.shape)).ravel() for c, part in pairs])

        return diffrax.diffeqsolve(
            diffrax.ODETerm(flow),
            _method(solver, channels, n),
            0.0,
            times[-1],
            None,
            jnp.concatenate([y.ravel() for y in start]),
            args=given,
            stepsize_controller=controller,
            max_steps=solver.max_steps,
            throw=False,
            **settings,
        )

    controller: Any = diffrax.PIDController(rtol=solver.rtol, atol=solver.atol, dtmax=solver.max_step, norm=lambda x: jnp.max(jnp.abs(x)))
    failed = jnp.zeros((), bool)
    if isinstance(solver, Stiff):
        fastest = jnp.max(lax.stop_gradient(channels.decay(n)))
        controller = diffrax.ClipStepSizeController(controller, step_ts=_waypoints(fastest, lax.stop_gradient(times[-1])))
    else:
        alone = lax.stop_gradient((channels, n))
        steps = diffrax.SaveAt(subs=diffrax.SubSaveAt(steps=True, fn=lambda t, y, args: None))
        planned = solve([alone, _neighbour(*alone)], controller, saveat=steps, adjoint=diffrax.ForwardMode())
        controller, failed = _planned(planned.ts), planned.result != diffrax.RESULTS.successful
    done = solve([(channels, n)], controller, saveat=diffrax.SaveAt(ts=times), adjoint=adjoint[solver.gradient]())
    found, failed = jnp.asarray(done.ys).reshape(-1, *n.shape), failed | (done.result != diffrax.RESULTS.successful)
    if solver.gradient == "forward":
        found = no_reverse(found, f'{name}(gradient="forward") cannot be differentiated in reverse: use {name}(gradient="reverse")')
    return found, failed


# Points of time that implicit steps do not reach over.
_WAYPOINTS = 400


def _waypoints(fastest, last):
    """From a tenth of the fastest rate's time to the last one, evenly in the logarithm.

    Derivatives relax as occupations do, but from the start on, also where these are at rest and would let steps grow: what
    relaxes at a rate r needs steps short of 1/r at times about 1/r, whatever r is.
    """
    first = jnp.minimum(0.1 / jnp.maximum(fastest, 1e-300), 0.1 * last)
    return first * (last / first) ** jnp.linspace(0, 1, _WAYPOINTS)


# How far the neighbour is: at rtol = 1e-14 its distance is known to 1e-11.
# (Beside implicit steps, whose errors are those of Newton's method, it made eight times as many steps; those have waypoints.)
_APART = 1e-3


def _neighbour(channels: AbstractChannels, n):
    """Other numbers close by. Occupations at rest would let steps grow past what a derivative can bear, which these do not."""
    rng = np.random.default_rng(7)

    def nearly(x):
        return x * (1 + _APART * rng.uniform(-1, 1, np.shape(x))) if eqx.is_inexact_array(x) else x

    toward = _APART * rng.uniform(0.5, 1, n.shape)
    return jax.tree.map(nearly, channels), n + toward * (rng.uniform(0.2, 0.8, n.shape) - n)  # still between 0 and 1


def _method(solver: Explicit | Stiff, channels: AbstractChannels, n) -> Any:
    import diffrax

    if isinstance(solver, Explicit) or n.size <= _SMALL:
        return solver.method()
    rows = [part for gain, loss in map(balanced, channels.named().values()) for part in (gain, loss)]
    rows = jnp.stack([jnp.broadcast_to(r, n.shape).reshape(-1) / jnp.max(jnp.abs(r)) for r in rows])
    linear = DiagonalPlusProducts(lax.stop_gradient(rows))
    # Steps are Newton's with one Jacobian; it need not be solved for better than the steps themselves are.
    # Dense Newton steps would take O(n^3): the Jacobian of a mean field is a diagonal plus a
    # product of two thin matrices, one column for each channel's moment.
    return diffrax.Kvaerno5(root_finder=diffrax.VeryChord(rtol=solver.rtol, atol=solver.atol, linear_solver=linear))


def _planned(ends):
    """Steps that end at these times, one after the other (infinity after the last)."""
    import diffrax

    class Planned(diffrax.AbstractStepSizeController):
        ends: Any

        def wrap(self, direction):
            return self

        def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
            return self.ends[0], 1

        def adapt_step_size(self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state):
            following = self.ends[controller_state]
            return True, t1, following, False, controller_state + 1, diffrax.RESULTS.successful

    return Planned(ends)


# Below this many modes a dense factorisation is as quick.
_SMALL = 48


class DiagonalPlusProducts(lx.AbstractLinearSolver):
    """Solves (diag(a) + W Q) x = b in O(n), where the rows that Q is made of are known and a and W are not.

    Q has orthonormal rows. a is seen from what the operator does to a vector that Q takes to zero, W from what it does
    to Q's rows; the rest is Woodbury's formula.

    Args:
        rows: (r, n), r much smaller than n.
    """

    rows: jax.Array

    def init(self, operator, options):
        del options
        Q = jnp.linalg.qr(self.rows.T)[0]
        n = Q.shape[0]
        # Random signs without what Q sees of them, each mode looked at where it is best seen.
        probes = np.where(np.random.default_rng(1).random((4, n)) < 0.5, 1.0, -1.0)
        for _ in range(2):
            probes = probes - (probes @ Q) @ Q.T
        best = jnp.argmax(jnp.abs(probes), axis=0)[None]
        seen, probe = (jnp.take_along_axis(x, best, axis=0)[0] for x in (jax.vmap(operator.mv)(probes), probes))
        # A mode that Q has all to itself needs no diagonal: W holds it.
        alone = jnp.sum(Q**2, axis=1) > 1 - 1e-9
        a = jnp.where(alone, 1.0, seen / jnp.where(alone, 1.0, probe))
        W = jax.vmap(operator.mv, in_axes=1, out_axes=1)(Q) - a[:, None] * Q
        return a, W, Q

    def compute(self, state, vector, options):
        del options
        a, W, Q = state
        # Woodbury's formula: a dense solve only as large as the number of rows.
        y, Z = vector / a, W / a[:, None]
        x = y - Z @ jnp.linalg.solve(jnp.eye(Q.shape[1]) + Q.T @ Z, Q.T @ y)
        return x, lx.RESULTS.successful, {}

    def transpose(self, state, options):
        a, W, Q = state
        return (a, Q, W), options

    def conj(self, state, options):
        return state, options

    def assume_full_rank(self):
        return True
