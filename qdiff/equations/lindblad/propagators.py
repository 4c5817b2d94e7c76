"""Propagators, of generators that are constant or stand still but for jumps: exact, and by their action on the state."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...linalg import expm, expm_multiply
from ...operators.checks import choice, count
from ...progress_bar import meter
from ...results import Failure
from . import pieces
from .flow import NONE, AbstractIntegrator, guarded, solution


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
            return solution(flow, jax.vmap(read, in_axes=1)(states), states[:, -1], {"squarings": squarings}, failed)

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
        return solution(flow, cut.asked(kept), x, {"squarings": squarings}, failed, faults, cut.missed)


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
            return solution(flow, cut.asked(kept), x, {"steps": steps}, failed, faults, cut.missed)

        return guarded("Action", self.gradient, whole, flow, x, start, times, jumps)
