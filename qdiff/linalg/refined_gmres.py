"""GMRES with a preconditioner from the right, refined until it gains nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from .gmres import gmres

# A residual over the right-hand side: what GMRES is asked for at once, what a refinement gains at
# least, and what is accepted: that of a derivative is known to rounding times the condition.
_TOLERANCE, _GAIN, _ACCEPTED = 1e-13, 1e-3, 1e-9


class Refined(NamedTuple):
    """The solution as far as it came, the steps, and whether it is accepted."""

    x: Float[Array, "n"]
    iterations: Int[Array, ""]
    good: Bool[Array, ""]


def refined_gmres(
    apply: Callable,
    precondition: Callable,
    r: Float[Array, "n"],
    scale: Float[Array, ""],
    *,
    restart: int,
    most: int,
    between: tuple[Callable, Callable] = (lambda u: u, lambda u: u),
) -> Refined:
    """The x with apply(x) = r.

    Args:
        apply, precondition: a linear map of vectors (n,), and about its inverse.
        r: the right-hand side.
        scale: about the norm of `apply`, to know what rounding leaves.
        restart, most: as of `gmres`.
        between: a linear map and its inverse, that the equation is put between; residuals are
            measured after the first.
    """
    forth, back = between
    size = jnp.linalg.norm(forth(r))

    def correct(state):
        x, left, _, steps = state
        before = jnp.linalg.norm(forth(left))
        goal = jnp.maximum(_TOLERANCE * size / before, _GAIN)
        found = gmres(
            lambda z: forth(apply(precondition(back(z)))),
            forth(left),
            goal,
            restart=min(restart, r.size),
            most=most,
        )
        better = x + precondition(back(found.x))
        rest = r - apply(better)
        gained = jnp.linalg.norm(forth(rest)) < before
        better, rest = jnp.where(gained, better, x), jnp.where(gained, rest, left)
        return better, rest, before, steps + found.iterations

    def unfinished(state):
        x, left, before, steps = state
        now = jnp.linalg.norm(forth(left))
        rounding = 4e-16 * (size + scale * jnp.linalg.norm(forth(x)))
        return (now > rounding) & (now < 0.5 * before) & (steps < most)

    start = (jnp.zeros_like(r), r, jnp.inf, jnp.zeros((), int))
    x, left, _, steps = lax.while_loop(unfinished, correct, start)
    good = (jnp.linalg.norm(forth(left)) <= _ACCEPTED * size) & jnp.isfinite(scale)
    return Refined(x, steps, good)
