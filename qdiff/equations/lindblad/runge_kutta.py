"""Runge-Kutta methods, explicit and implicit, for generators that depend on time in whatever way."""

from __future__ import annotations

import abc
from functools import partial
from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import expm_multiply
from ...linalg.gather import product
from ...operators.checks import Checked, Real, choice, count
from ...progress_bar import meter
from ...results import Failure
from . import pieces, stepping
from .flow import NONE, AbstractIntegrator, guarded, solution

# Below this size a dense product is faster than the gathers of a sparse one.
_SMALL = 100

GRADIENTS = ("reverse", "forward", "both")


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
            return G @ y if small else product(sector, G, y)

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
            return solution(flow, cut.asked(kept), x, statistics, found.stuck, faults, cut.missed, rough, bounds.where)

        return guarded(type(self).__name__, self.gradient, whole, flow, x, start, times, jumps)


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
