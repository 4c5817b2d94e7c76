"""The ways to follow a state in time: the exact propagator, its action for large sectors, and Runge-Kutta steps."""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import expm, expm_multiply
from ...linalg.autodiff_direction import no_forward, no_reverse
from ...operators.checks import Checked, Real, choice, count
from ...progress_bar import meter
from ...results import Failure
from . import pieces, stepping
from .sector import Sector
from .switches import STEPS, Program

# Above this size the n^3 of squaring costs more than most users wait: 35 squarings take ten seconds on a core.
_DENSE = 1200

# Below this size a dense product is faster than the gathers of a sparse one.
_SMALL = 100

GRADIENTS = ("reverse", "forward", "both")

NONE = np.zeros(0)  # no times


class Flow(eqx.Module):
    """The equation dx/dt = G(t) x in a sector.

    Attributes:
        numbers: what the entries of G follow from (differentiable), the `Inputs` of the program; for a constant G the
            entries (nnz,) themselves.
        program: of (t, *numbers), the entries of G(t) and why its rates are refused; None for a constant G.
        room: as `corners.rooms` gives it.
        reasons: the failures that these are, (n_reasons,).
    """

    numbers: Any
    sector: Sector = eqx.field(static=True)
    program: Program | None = eqx.field(static=True, default=None)
    room: tuple[int | None, ...] = eqx.field(static=True, default=())
    reasons: tuple[Failure, ...] = eqx.field(static=True, default=())

    @property
    def settled(self) -> bool:
        """Whether G stands still but for jumps."""
        return self.program is None or self.program.level <= STEPS

    def prepared(self) -> Flow:
        """The same, with what does not depend on time computed once."""
        if self.program is None:
            return self
        return Flow(self.program.prepared(self.numbers.numbers), self.sector, self.program, self.room, self.reasons)

    def values(self, t=0.0, numbers=None, answers=None):
        """The entries of G(t) (nnz,) [rate]."""
        numbers = self.numbers if numbers is None else numbers
        return numbers if self.program is None else self.program(t, numbers, answers)[0]

    def faults(self, t, answers=None):
        """For which of the reasons rates are refused at a time (n_reasons,)."""
        if self.program is None:
            return jnp.zeros(0, bool)
        return self.program(t, self.numbers, answers)[1]

    def dense(self, values=None):
        """G as a matrix, from its entries."""
        sector = self.sector
        values = self.values() if values is None else values
        return jnp.zeros((sector.size,) * 2).at[sector.target, sector.source].set(values, unique_indices=True)


class Solution(eqx.Module):
    """What an integrator returns: what was read at each time, the last state, statistics, and whether it failed.

    `faults` holds the first time at which rates were refused for each of the reasons, infinite if never. `missed` is whether
    there were more jumps than fit; `rough` whether the generator is not resolved, at the time `where`.
    """

    saved: Any
    final: jax.Array
    statistics: dict
    failed: jax.Array
    faults: jax.Array
    missed: jax.Array
    rough: jax.Array
    where: jax.Array


class AbstractIntegrator(eqx.Module):
    """How dx/dt = G(t) x is followed; `Propagator`, `Action`, `Explicit` and `Stiff` are those there are."""

    curved: ClassVar[bool] = False  # whether G may depend on time otherwise than by jumps
    failure: ClassVar[Failure]  # what it means that a solution is not finite or has failed

    @abc.abstractmethod
    def solve(self, flow: Flow, x, start, times, read: Callable, shown: bool | None, jumps=NONE) -> Solution:
        """Follow x (n,) from `start`; `read` makes of a state what is saved at each of the sorted times (k,).

        `jumps` are times, in any order, at which G may jump beside those that its program shows.
        """


class Propagator(AbstractIntegrator):
    """The exact propagator: exp(G t) by scaling and squaring of the sector's dense matrix.

    For constant generators, where one chain of squarings serves all times, in any spacing: O(n^3 log t) for n
    coordinates, whatever the stiffness. And for generators that stand still but for jumps, such as a drive given by
    `PiecewiseConstant`: one such propagator for each piece.

    Differentiable forward, reverse and to any order, in the generator, the state, the times and the times of the
    jumps, by the rule of the squarings themselves at three times their cost; memory for 45 matrices (n, n).

    Accuracy: populations to 1e-14 of themselves each, down to 1e-58 and at 3e7 times the fastest rate's inverse
    (measured against 90-digit arithmetic); the phase of a coherence to 1e-16 of its angle.
    """

    failure = Failure(
        "the time is too long for a propagator (above 9e12 over the fastest rate), or a rate is infinite or NaN: use steady_state"
    )

    def solve(self, flow, x, start, times, read, shown, jumps=NONE):
        sector = flow.sector
        trace, bands = sector.trace_weights, len(sector.bands)
        if flow.program is None:
            G = flow.dense()
            states, squarings = expm.propagate(G, x, times - start, trace, bands)
            failed = lax.stop_gradient(times[-1] - start) > expm.longest(G)
            return _solution(flow, jax.vmap(read, in_axes=1)(states), states[:, -1], {"squarings": squarings}, failed)

        flow = flow.prepared()
        cut = pieces.Cut.of(flow, start, times, jumps)

        def piece(state, first, last, answers, _):
            x, squarings, failed = state
            G = flow.dense(flow.values((first + last) / 2, answers=answers))
            x, more = expm.propagate(G, x, (last - first)[None], trace, bands)
            failed |= lax.stop_gradient(last - first) > expm.longest(G)
            return x[:, 0], squarings + more, failed

        begin = (x, jnp.zeros((), int), jnp.zeros((), bool))
        out, kept, faults = pieces.over_pieces(flow, cut, begin, lambda s: read(s[0]), piece)
        x, squarings, failed = out
        return _solution(flow, _asked(kept, cut), x, {"squarings": squarings}, failed, faults, cut.missed)


def _asked(kept, cut: pieces.Cut):
    """What was kept at the times that are asked for."""
    return jax.tree.map(lambda a: a[cut.at], kept)


def _solution(
    flow: Flow, saved, final, statistics, failed, faults=None, missed: Any = False, rough: Any = False, where: Any = jnp.inf
) -> Solution:
    if faults is None:
        faults = jnp.full(len(flow.reasons), jnp.inf)
    return Solution(saved, final, statistics, failed, faults, jnp.asarray(missed), jnp.asarray(rough), jnp.asarray(where))


def _guarded(name: str, gradient: str, solve: Callable, *given):
    """solve(*given), refusing the direction of differentiation that `gradient` leaves out."""
    ask = f'{name}(gradient="{gradient}") cannot be differentiated in {{}} mode ({{}}): use {name}(gradient="{{}}") or Propagator()'
    if gradient == "reverse":
        reason = ask.format("forward", "jax.jvp, jax.jacfwd, jax.hessian", "forward")
        given = no_forward(given, reason)
    out = solve(*given)
    if gradient == "forward":
        out = no_reverse(out, ask.format("reverse", "jax.grad, jax.vjp, jax.jacrev", "reverse"))
    return out


class Action(AbstractIntegrator):
    """The action of exp(G t) on the state by short Taylor steps, for large sectors.

    30 sparse products for each step of length 4 over the norm of G: O(nnz t), and so not for long times of stiff
    generators. For generators that are constant, or stand still but for jumps.

    Args:
        gradient: "reverse" (checkpointed: memory grows as the square root of the steps) or "forward". Each refuses
            the other.
        max_steps: bound on the number of steps between two saved times.

    Accuracy: 1e-13 of the largest population.
    """

    gradient: str = eqx.field(static=True, default="reverse")
    max_steps: int = eqx.field(static=True, default=100_000)
    failure = Failure(
        "Action took more than max_steps steps between two times, or a rate is infinite or NaN: use Propagator() or Stiff()"
    )

    def __check_init__(self):
        choice("gradient of Action", self.gradient, ("reverse", "forward"))
        count("max_steps", self.max_steps, 1)

    def solve(self, flow, x, start, times, read, shown, jumps=NONE):
        bar = meter(shown)

        def whole(flow, x, start, times, jumps):
            flow = flow.prepared()
            sector, kind = flow.sector, "checkpointed" if self.gradient == "reverse" else "lax"
            cut = pieces.Cut.of(flow, start, times, jumps)
            length = jnp.maximum(lax.stop_gradient(times[-1] - start), 1e-300)

            def piece(state, first, last, answers, _):
                x, steps, failed, shown = state
                values = flow.values((first + last) / 2, answers=answers)
                count = expm_multiply.steps_of(sector, values, last - first)

                def advance(state):
                    done, shown = state
                    part = (first + (last - first) * (done + 1) / jnp.maximum(count, 1.0) - start) / length
                    return done + 1, bar.step(shown, lax.stop_gradient(part))

                tick = (jnp.zeros(()), shown), advance
                x, (_, shown) = expm_multiply.act(sector, values, x, last - first, kind, self.max_steps, tick)
                # No number of steps is too many, too: a generator that is not a number would leave the state as it was.
                return x, steps + count, failed | ~(count <= self.max_steps), shown

            begin = (x, jnp.zeros(()), jnp.zeros((), bool), bar.init())
            out, kept, faults = pieces.over_pieces(flow, cut, begin, lambda s: read(s[0]), piece)
            x, steps, failed, shown = out
            bar.close(shown)  # pyright: ignore[reportArgumentType]
            return _solution(flow, _asked(kept, cut), x, {"steps": steps}, failed, faults, cut.missed)

        return _guarded("Action", self.gradient, whole, flow, x, start, times, jumps)


class _RungeKutta(Checked, AbstractIntegrator):
    rtol: float = 1e-8
    atol: float = 1e-10
    gradient: str = eqx.field(static=True, default="reverse")
    max_steps: int = eqx.field(static=True, default=100_000)
    max_step: float = jnp.inf
    curved = True
    arguments = {"rtol": Real("rtol", 0), "atol": Real("atol", 0), "max_step": Real("max_step", 0, open=True, finite=False)}
    failure = Failure("the integration did not reach the last time within max_steps steps, or a rate is infinite or NaN")

    def __check_init__(self):
        choice(f"gradient of {type(self).__name__}", self.gradient, GRADIENTS)
        count("max_steps", self.max_steps, 1)

    @abc.abstractmethod
    def tableau(self) -> stepping.Tableau:
        """The method, from diffrax."""

    def solve(self, flow, x, start, times, read, shown, jumps=NONE):
        bar = meter(shown)
        sector, program = flow.sector, flow.program
        small = sector.size <= _SMALL
        kind: Any = {"reverse": "checkpointed", "forward": "lax", "both": "bounded"}[self.gradient]
        loop = partial(eqxi.while_loop, kind=kind, max_steps=self.max_steps)

        def prepared(values):
            return flow.dense(values) if small else values

        def act(G, y):
            return G @ y if small else expm_multiply.moved(sector, G, y)

        def solve(G, c, y):
            matrix = G if small else flow.dense(G)
            return jnp.linalg.solve(jnp.eye(sector.size) - c * matrix, y)

        method = {"tableau": self.tableau(), "act": act, "solve": solve}

        def planned(flow, x, cut, bounds, direction, start, times):
            """The steps of all pieces: a plan, how far it is at every edge, and when rates were refused."""
            length = jnp.maximum(times[-1] - start, 1e-300)

            def piece(state, first, last, answers, _):
                def faults(nodes):
                    if program is None:
                        return jnp.full(len(flow.reasons), jnp.inf)
                    return jnp.min(jnp.where(jax.vmap(flow.faults)(nodes), nodes[:, None], jnp.inf), axis=0)

                return stepping.plan(
                    state,
                    first,
                    last,
                    generator=lambda t, numbers: prepared(flow.values(t, numbers, answers)),
                    direction=direction,
                    numbers=flow.numbers,
                    longest=lambda t: jnp.minimum(self.max_step, bounds.longest_step((first + last) / 2, t)),
                    faults=faults,
                    rtol=self.rtol,
                    atol=self.atol,
                    max_steps=self.max_steps,
                    tick=lambda shown, t: bar.step(shown, (t - start) / length),
                    **method,
                )

            tangent = jnp.asarray(np.random.default_rng(7).uniform(-1, 1, x.shape))
            none = jnp.zeros((), int)
            begin = stepping.Plan(
                codes=jnp.zeros(self.max_steps, jnp.int8),
                used=none,
                x=x,
                tangent=tangent,
                largest=jnp.max(jnp.abs(tangent)),
                step=0.5 / jnp.maximum(expm_multiply.norm(sector, flow.values(start)), 1e-300),
                rejected=none,
                stuck=jnp.zeros((), bool),
                faults=jnp.full(len(flow.reasons), jnp.inf),
                shown=bar.init(),
            )
            return pieces.over_pieces(flow, cut, begin, lambda s: s.used, piece)

        def whole(flow, x, start, times, jumps):
            flow, direction = pieces.with_direction(flow)
            cut = pieces.Cut.of(flow, start, times, jumps)
            bounds = pieces.Bounds.of(flow, start, times, jumps, direction)
            found, used, faults = planned(*lax.stop_gradient((flow, x, cut)), bounds, direction, *lax.stop_gradient((start, times)))
            bar.close(found.shown)  # pyright: ignore[reportArgumentType]

            def piece(x, first, last, answers, between):
                def generator(t):
                    return prepared(flow.values(t, answers=answers))

                return stepping.follow(x, first, last, found.codes, between, generator=generator, loop=loop, **method)

            x, kept, _ = pieces.over_pieces(flow, cut, x, read, piece, (used[:-1], used[1:]))
            statistics = {"steps": found.used + found.rejected, "accepted": found.used, "rejected": found.rejected}
            faults = jnp.minimum(faults, found.faults)
            rough = bounds.rough & jnp.isinf(self.max_step)
            return _solution(flow, _asked(kept, cut), x, statistics, found.stuck, faults, cut.missed, rough, bounds.where)

        return _guarded(type(self).__name__, self.gradient, whole, flow, x, start, times, jumps)


class Explicit(_RungeKutta):
    """An explicit Runge-Kutta method with adaptive steps (Dormand-Prince 8(7), from diffrax); also for G(t).

    Args:
        rtol, atol: tolerances of the error of one step, relative and absolute (populations are of order one).
        gradient: "reverse" (checkpointed), "forward", or "both" (any order; slower, its cost grows with max_steps).
            Each of the first two refuses the other.
        max_steps: bound on the number of steps.
        max_step: the longest step [1/rate]; with it nothing is refused as unresolved (see `evolve`).

    Steps are limited by the fastest rate or frequency, and by a tangent's error as by the state's. Accuracy: about ten
    times `rtol` of the largest population; derivatives to about ten times `rtol` of the largest of them.
    """

    def tableau(self):
        import diffrax

        return stepping.Tableau.of(diffrax.Dopri8.tableau, 8)

    def method(self):
        """Diffrax's solver, for equations that are not linear."""
        import diffrax

        return diffrax.Dopri8()


class Stiff(_RungeKutta):
    """An implicit Runge-Kutta method with adaptive steps (Kvaerno 5(4), from diffrax); also for G(t).

    Arguments as for `Explicit`. Each step factorises the sector's dense matrix six times: for times much longer than
    the fastest rate's inverse, in small sectors.
    """

    def tableau(self):
        import diffrax

        return stepping.Tableau.of(diffrax.Kvaerno5.tableau, 5)

    def method(self):
        """Diffrax's solver, for equations that are not linear."""
        import diffrax

        return diffrax.Kvaerno5()


def choose(sector: Sector, curved: bool) -> AbstractIntegrator:
    """`Explicit` for a generator that depends on time but by jumps; else `Propagator`, or `Action` for more than 1200 coordinates."""
    if curved:
        return Explicit()
    return Propagator() if sector.size <= _DENSE else Action()
