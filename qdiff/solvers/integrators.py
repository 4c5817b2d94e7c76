"""The ways to follow a state in time: the exact propagator, its action for large sectors, and diffrax."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..generators.sector import Sector
from ..operators.checks import choice, count, real_number, truth
from . import action, propagator
from .oneway import no_forward, no_reverse
from .progress import meter

# Above this size the n^3 of squaring costs more than most users wait: 35 squarings take ten seconds on a core.
_DENSE = 1200

# Below this size a dense product is faster than the gathers of a sparse one.
_SMALL = 100

GRADIENTS = ("reverse", "forward", "both")


class Flow(eqx.Module):
    """The equation of motion dx/dt = G(t) x in a sector.

    Attributes:
        numbers: what the entries of G follow from (differentiable); the entries (nnz,) themselves for a constant G.
        entries: the function of (t, numbers) that returns the entries, or None for a constant G.
    """

    numbers: Any
    sector: Sector = eqx.field(static=True)
    entries: Callable | None = eqx.field(static=True, default=None)

    def dense(self, t=0.0):
        sector, values = self.sector, self.values(t)
        return jnp.zeros((sector.size,) * 2).at[sector.target, sector.source].set(values, unique_indices=True)

    def values(self, t=0.0):
        """The entries of G(t) (nnz,) [rate]."""
        return self.numbers if self.entries is None else self.entries(t, self.numbers)


class Solution(eqx.Module):
    """What an integrator returns: what was read at each time, the last state, statistics, and whether it failed."""

    saved: Any
    final: jax.Array
    statistics: dict
    failed: jax.Array
    dense: Any = None


class Integrator(eqx.Module):
    """How dx/dt = G(t) x is followed; `Propagator`, `Action`, `Explicit` and `Stiff` are those there are."""

    varying: ClassVar[bool] = False  # whether G may depend on time
    reason: ClassVar[str] = ""  # what a failure means

    @abc.abstractmethod
    def solve(self, flow: Flow, x, start, times, read: Callable, shown: bool | None) -> Solution:
        """Follow x (n,) from `start`; `read` makes of a state what is saved at each of the sorted times (k,)."""


class Propagator(Integrator):
    """The exact propagator: exp(G t) by scaling and squaring of the sector's dense matrix, for constant generators.

    One chain of squarings serves all times, in any spacing: O(n^3 log t) for n coordinates, whatever the stiffness.

    Differentiable forward, reverse and to any order, in the generator, the state and the times, by the rule of the
    squarings themselves at three times their cost; memory for 45 matrices (n, n).

    Accuracy: populations to 1e-14 of themselves each, down to 1e-58 and at 3e7 times the fastest rate's inverse
    (measured against 90-digit arithmetic); the phase of a coherence to 1e-16 of its angle.
    """

    reason = "the time is too long for a propagator (above 9e12 over the fastest rate), or a rate is infinite or NaN: use steady_state"

    def solve(self, flow, x, start, times, read, shown):
        sector, G = flow.sector, flow.dense()
        states, squarings = propagator.propagate(G, x, times - start, sector.trace_weights, len(sector.bands))
        failed = lax.stop_gradient(times[-1] - start) > propagator.longest(G)
        return Solution(jax.vmap(read, in_axes=1)(states), states[:, -1], {"squarings": squarings}, failed)


def _checked_gradient(name: str, gradient: str):
    if not isinstance(gradient, str) or gradient not in GRADIENTS:
        raise ValueError(f"gradient of {name} must be one of {GRADIENTS}, but was {gradient!r}")


def _guarded(name: str, gradient: str, solve: Callable, flow: Flow, x, start, times):
    """solve(flow, x, start, times), refusing the direction of differentiation that `gradient` leaves out."""
    ask = f'{name}(gradient="{gradient}") cannot be differentiated in {{}} mode ({{}}): use {name}(gradient="{{}}") or Propagator()'
    if gradient == "reverse":
        reason = ask.format("forward", "jax.jvp, jax.jacfwd, jax.hessian", "forward")
        flow, x, start, times = no_forward((flow, x, start, times), reason)
    out = solve(flow, x, start, times)
    if gradient == "forward":
        out = no_reverse(out, ask.format("reverse", "jax.grad, jax.vjp, jax.jacrev", "reverse"))
    return out


class Action(Integrator):
    """The action of exp(G t) on the state by short Taylor steps, for constant generators of large sectors.

    30 sparse products for each step of length 4 over the norm of G: O(nnz t), and so not for long times of stiff
    generators.

    Args:
        gradient: "reverse" (checkpointed: memory grows as the square root of the steps) or "forward". Each refuses
            the other.
        max_steps: bound on the number of steps between two saved times.

    Accuracy: 1e-13 of the largest population.
    """

    gradient: str = eqx.field(static=True, default="reverse")
    max_steps: int = eqx.field(static=True, default=100_000)
    reason = "Action took more than max_steps steps between two times, or a rate is infinite or NaN: use Propagator() or Stiff()"

    def __check_init__(self):
        choice("gradient of Action", self.gradient, ("reverse", "forward"))
        count("max_steps", self.max_steps, 1)

    def solve(self, flow, x, start, times, read, shown):
        bar = meter(shown)

        def whole(flow, x, start, times):
            values, kind = flow.values(), "checkpointed" if self.gradient == "reverse" else "lax"
            waits = jnp.diff(times, prepend=start)
            counts = action.steps_of(flow.sector, values, waits)
            total = jnp.maximum(jnp.sum(counts), 1.0)

            def advance(state):
                done, shown = state
                return done + 1, bar.step(shown, (done + 1) / total)

            def step(carry, wait):
                x, state = carry
                x, state = action.act(flow.sector, values, x, wait, kind, self.max_steps, (state, advance))
                return (x, state), read(x)

            (x, (_, shown)), saved = lax.scan(step, (x, (jnp.zeros(()), bar.init())), waits)
            bar.close(shown)  # pyright: ignore[reportArgumentType]
            # No number of steps is too many, too: a generator that is not a number would leave the state as it was.
            return Solution(saved, x, {"steps": total}, ~jnp.all(counts <= self.max_steps))

        return _guarded("Action", self.gradient, whole, flow, x, start, times)


class _Diffrax(Integrator):
    rtol: float = 1e-8
    atol: float = 1e-10
    gradient: str = eqx.field(static=True, default="reverse")
    max_steps: int = eqx.field(static=True, default=100_000)
    dense: bool = eqx.field(static=True, default=False)
    varying = True
    reason = "the integration did not reach the last time within max_steps steps, or a rate is infinite or NaN"

    def __check_init__(self):
        _checked_gradient(type(self).__name__, self.gradient)
        real_number("rtol", self.rtol, low=0)
        real_number("atol", self.atol, low=0)
        count("max_steps", self.max_steps, 1)
        truth("dense", self.dense)

    @abc.abstractmethod
    def method(self):
        """Diffrax's solver."""

    def solve(self, flow, x, start, times, read, shown):
        import diffrax

        adjoint = {
            "reverse": diffrax.RecursiveCheckpointAdjoint,
            "forward": diffrax.ForwardMode,
            "both": diffrax.DirectAdjoint,
        }[self.gradient]()

        def whole(flow, x, start, times):
            constant = flow.entries is None
            small = flow.sector.size <= _SMALL
            fixed = flow.dense() if constant and small else None

            def field(t, x, given):
                flow, fixed = given
                if fixed is not None:
                    return fixed @ x
                return flow.dense(t) @ x if small else action.moved(flow.sector, flow.values(t), x)

            done = diffrax.diffeqsolve(
                diffrax.ODETerm(field),
                self.method(),  # pyright: ignore[reportArgumentType]
                start,
                times[-1],
                None,
                x,
                args=(flow, fixed),
                saveat=diffrax.SaveAt(
                    subs=[diffrax.SubSaveAt(ts=times, fn=lambda t, x, args: read(x)), diffrax.SubSaveAt(t1=True)], dense=self.dense
                ),
                stepsize_controller=diffrax.PIDController(rtol=self.rtol, atol=self.atol, norm=lambda x: jnp.max(jnp.abs(x))),
                adjoint=adjoint,
                max_steps=self.max_steps,
                throw=False,
                progress_meter=meter(shown),
            )
            saved, last = done.ys  # pyright: ignore[reportGeneralTypeIssues]
            names = {"num_steps": "steps", "num_accepted_steps": "accepted", "num_rejected_steps": "rejected"}
            statistics = {ours: done.stats[theirs] for theirs, ours in names.items()}
            return Solution(saved, last[0], statistics, done.result != diffrax.RESULTS.successful, done.interpolation)

        return _guarded(type(self).__name__, self.gradient, whole, flow, x, start, times)


class Explicit(_Diffrax):
    """An explicit Runge-Kutta method with adaptive steps (Dormand-Prince 8(7)), by diffrax; also for G(t).

    Args:
        rtol, atol: tolerances of the error of one step, relative and absolute (populations are of order one).
        gradient: "reverse" (checkpointed), "forward", or "both" (any order; slower, its cost grows with max_steps).
            Each of the first two refuses the other.
        max_steps: bound on the number of steps.
        dense: keep what `Evolution.at` needs to interpolate between the steps.

    Steps are limited by the fastest rate or frequency. Accuracy: about ten times `rtol` of the largest population;
    derivatives are those of the steps taken, to about the same.
    """

    def method(self):
        import diffrax

        return diffrax.Dopri8()


class Stiff(_Diffrax):
    """An implicit Runge-Kutta method with adaptive steps (Kvaerno 5(4)), by diffrax; also for G(t).

    Arguments as for `Explicit`. Each step factorises the sector's dense matrix: for times much longer than the
    fastest rate's inverse, in small sectors.
    """

    def method(self):
        import diffrax

        return diffrax.Kvaerno5()


def choose(sector: Sector, varying: bool) -> Integrator:
    """`Explicit` for a generator that depends on time; else `Propagator`, or `Action` for more than 1200 coordinates."""
    if varying:
        return Explicit()
    return Propagator() if sector.size <= _DENSE else Action()
