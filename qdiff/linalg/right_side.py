"""Right-hand sides of linear equations, of any size: what there is to solve for, and what is rounding."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

# A rest below this part of the right-hand side is rounding: of its entries, and of the sum that was
# taken off.
_ROUNDING = 16 * np.finfo(float).eps

# Powers of two that are neither infinite nor flushed to zero, and whose inverses are not.
_FURTHEST = 1020


def sized(r, axis: int | None = 0):
    """r over a power of two that brings its largest entry along `axis` close to one, and that power.

    A solution's size and its changes are compared, squared and multiplied by roundings: of numbers of 1e-160 nothing is left.
    """
    size = jnp.max(jnp.abs(r), axis=axis, keepdims=True)
    # A power of two, so that scaling there and back rounds nothing.
    exponent = jnp.frexp(jnp.where(jnp.isfinite(size), size, 1.0))[1]
    power = jnp.ldexp(1.0, jnp.clip(exponent, -_FURTHEST, _FURTHEST))
    return r / power, power


def solvable(r, left, inside):
    """r (n, ...) without its part along `inside`, left^T r, of a `left` with left^T inside = 1; zero where only rounding is left.

    An equation whose matrix takes nothing to `inside` has no other solution, and for a right-hand side that is all rounding no
    correction would ever be small beside what is corrected. What is taken off has rounding of its own, taken off once more. Each
    time the result is a number in memory: the compiler may otherwise compute r twice, rounded differently.
    """
    size = jnp.max(jnp.abs(r), axis=0)
    for _ in range(2):
        r = lax.optimization_barrier(r - jnp.sum(left * r, axis=0) * inside)
    return jnp.where(jnp.max(jnp.abs(r), axis=0) > _ROUNDING * size, r, jnp.where(jnp.isnan(r), r, 0.0))
