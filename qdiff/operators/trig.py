"""Values that are computed once, sines and cosines above all.

XLA's compiler for CPUs takes a sine for cheap and computes it anew in every loop that needs it, fifty times over in the
gradient of a function of the momentum. It does not do so with a division.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def kept(x):
    """x, as the result of a division (by one) that the compiler cannot see through; NaN stays NaN."""
    return x / jax.lax.stop_gradient(jnp.where(x == x, 1.0, 2.0))


@jax.custom_jvp
def sincos(k):
    """sin k and cos k, of any shape; differentiable to any order."""
    return kept(jnp.sin(k)), kept(jnp.cos(k))


@sincos.defjvp
def _(primals, tangents):
    s, c = sincos(primals[0])
    return (s, c), (c * tangents[0], -s * tangents[0])
