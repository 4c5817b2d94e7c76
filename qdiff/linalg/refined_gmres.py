"""GMRES refined with its own residuals until it gains nothing more, on an equation with a preconditioner from the right.

What is left of the right-hand side is computed in double precision, GMRES finds a correction of a few digits, and so on. It may
do that in single precision, in half the time, where the preconditioner is good enough for that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from .gmres import gmres

# A residual over the right-hand side that is accepted of derivatives, whose right-hand sides are known to rounding times
# the condition.
_ACCEPTED = 1e-9

# What GMRES is asked for in one go, in double and in single precision.
_GAIN, _GAIN_SINGLE = 1e-6, 1e-3


class Maps(NamedTuple):
    """Linear maps of vectors (n,): an equation's, about its inverse, and one after which residuals are measured."""

    apply: Callable
    inverse: Callable
    forth: Callable = lambda u: u

    def around(self, z):
        """What GMRES solves."""
        return self.forth(self.apply(self.inverse(z)))


class Refined(NamedTuple):
    """A solution as far as it came, what is left of the right-hand side, the steps, whether it is accepted, the right-hand side's norm."""

    u: Float[Array, "n"]
    left: Float[Array, "n"]
    steps: Int[Array, ""]
    good: Bool[Array, ""]
    size: Float[Array, ""]


def refined_gmres(
    r: Float[Array, "n"],
    exact: Maps,
    scale: Float[Array, ""],
    *,
    restart: int,
    most: int | Int[Array, ""],
    single: tuple[Maps, Bool[Array, ""]] | None = None,
    tolerance=0.0,
) -> Refined:
    """The u with apply(u) = r.

    Args:
        r: the right-hand side.
        exact: the maps; `inverse` is from what is measured after `forth`.
        scale: about the norm of `apply`, to know what rounding leaves.
        restart, most: as of `gmres`.
        single: the maps in single precision, and whether to begin with these.
        tolerance: of the right-hand side, where to end; by default where rounding is felt.
    """
    size = jnp.linalg.norm(exact.forth(r))

    def corrected(maps: Maps, real, goal, left):
        found = gmres(maps.around, maps.forth(left.astype(real)), goal, restart=min(restart, r.size), most=most)
        return maps.inverse(found.x).astype(r.dtype), found.iterations

    def target(u):
        rounding = 4e-16 * (size + scale * jnp.linalg.norm(exact.forth(u)))
        return jnp.maximum(tolerance * size, rounding)

    def correct(state):
        u, left, _, steps, quick = state
        now = jnp.linalg.norm(exact.forth(left))
        goal = jnp.maximum(target(u) / now, _GAIN)
        if single is None:
            step, more = corrected(exact, jnp.float64, goal, left / now)
        else:
            # In a batch both are run: one that is not asked for takes no steps.
            fast = partial(corrected, single[0], jnp.float32, jnp.where(quick, jnp.maximum(goal, _GAIN_SINGLE), jnp.inf))
            safe = partial(corrected, exact, jnp.float64, jnp.where(quick, jnp.inf, goal))
            step, more = lax.cond(quick, fast, safe, left / now)
        better = u + now * step
        rest = r - exact.apply(better)
        then = jnp.linalg.norm(exact.forth(rest))
        # Single precision has done what it can where it gains little.
        still = quick & (then < 0.1 * now)
        before = jnp.where(still == quick, now, jnp.inf)
        gained = then < now
        return jnp.where(gained, better, u), jnp.where(gained, rest, left), before, steps + more, still

    def unfinished(state):
        u, left, before, steps, _ = state
        now = jnp.linalg.norm(exact.forth(left))
        return (now > target(u)) & (now < 0.5 * before) & (steps < most)

    quick = jnp.zeros((), bool) if single is None else single[1]
    start = (jnp.zeros_like(r), r, jnp.inf, jnp.zeros((), jnp.int64), quick)
    u, left, _, steps, _ = lax.while_loop(unfinished, correct, start)
    good = (jnp.linalg.norm(exact.forth(left)) <= _ACCEPTED * size) & jnp.isfinite(scale)
    return Refined(u, left, steps, good, size)
