"""Thermal occupation factors, exact at zero and without overflow, with finite derivatives of every order."""

from __future__ import annotations

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


def _even(terms: int) -> list[float]:
    """B_2k / (2k)! for k < terms, exactly and then rounded (SciPy's Bernoulli numbers have errors of 1e-12)."""
    b = [Fraction(1)]
    for m in range(1, 2 * terms - 1):
        b.append(-sum((Fraction(math.comb(m + 1, k)) * b[k] for k in range(m)), Fraction(0)) / (m + 1))
    return [float(b[2 * k] / math.factorial(2 * k)) for k in range(terms)]


# Below |x| = 0.75 the Taylor series of x/(e^x - 1) replaces the closed form, whose derivatives lose about
# eps/x^(order + 1) there. Its radius of convergence is 2 pi: twelve even terms leave (0.75/2 pi)^26 < 1e-23.
_SWITCH = 0.75
_EVEN = _even(13)


@jax.jit
def thermal(x: ArrayLike) -> Float[Array, "..."]:
    """x / (e^x - 1): one at x = 0, -x for x -> -inf, x e^-x for x -> inf.

    Args:
        x: real array, any shape [1].

    Returns:
        Array of the same shape [1]. Relative error below 1e-15; the first two derivatives below 1e-14 of
        their largest value. Differentiable to any order, everywhere.

    Example:
        >>> float(thermal(0.0)), float(thermal(-800.0)), float(thermal(800.0))
        (1.0, 800.0, 0.0)
    """
    x = jnp.asarray(x, float)
    small = jnp.abs(x) < _SWITCH
    series = jnp.polyval(jnp.asarray(_EVEN[::-1]), jnp.where(small, x, 0.0) ** 2) - jnp.where(small, x, 0.0) / 2
    # |x| in the exponential, so that neither sign overflows; x < 0 follows from f(-x) = f(x) + x.
    size = jnp.where(small, 1.0, jnp.abs(x))
    decay = jnp.exp(-size)
    large = size * decay / -jnp.expm1(-size) + jnp.where(x < 0, size, 0.0)
    return jnp.where(small, series, large)


def bose(x: ArrayLike) -> Float[Array, "..."]:
    """The Bose factor 1/(e^x - 1), x = beta (omega - mu) [1].

    It has a pole at x = 0, where it is infinite: rates that stay finite there are `thermal(x)` times a
    spectral density over frequency (`Bath.absorption`). Negative x: bose(-x) = -1 - bose(x).
    """
    x = jnp.asarray(x, float)
    return thermal(x) / x


def fermi(x: ArrayLike) -> Float[Array, "..."]:
    """The Fermi factor 1/(e^x + 1), x = beta (epsilon - mu) [1]; no overflow, differentiable everywhere."""
    return 0.5 * (1 - jnp.tanh(jnp.asarray(x, float) / 2))


def x_coth(x: ArrayLike) -> Float[Array, "..."]:
    """x coth(x): one at x = 0, |x| far from it [1]."""
    x = jnp.asarray(x, float)
    return thermal(2 * x) + x
