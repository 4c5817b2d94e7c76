"""Thermal occupation factors, exact at zero and without overflow, with finite derivatives of every order."""

from __future__ import annotations

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ..operators.checks import real_array


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
    return _thermal(jnp.asarray(x, float))


@jax.custom_jvp
def _thermal(x):
    small, inner, size = _parts(x)
    series = _horner(_EVEN, inner**2) - inner / 2
    # |x| in the exponential, so that neither sign overflows; x < 0 follows from f(-x) = f(x) + x.
    # Beyond 800, where x e^-x underflows, only the latter is left, also at an infinite x.
    large = size * jnp.exp(-size) / -jnp.expm1(-size) + jnp.maximum(-x, 0.0)
    return jnp.where(small, series, large)


@_thermal.defjvp
def _(primals, tangents):
    return _thermal(primals[0]), _slope(primals[0]) * tangents[0]


def _slope(x):
    """The derivative, which differentiating the series and the closed form would find with twice the operations."""
    small, inner, size = _parts(x)
    series = inner * _horner([2 * k * c for k, c in enumerate(_EVEN)][1:], inner**2) - 0.5
    rest = -jnp.expm1(-size)
    large = jnp.exp(-size) / rest * (1 - size / rest)
    return jnp.where(small, series, jnp.where(x < 0, -1 - large, large))


def _parts(x):
    """Whether the series is used, its argument, and the argument of the closed form."""
    small = jnp.abs(x) < _SWITCH
    return small, jnp.where(small, x, 0.0), jnp.where(small, 1.0, jnp.minimum(jnp.abs(x), 800.0))


def _horner(coefficients, x):
    total = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def bose(x: ArrayLike) -> Float[Array, "..."]:
    """The Bose factor 1/(e^x - 1), x = beta (omega - mu) [1].

    It has a pole at x = 0, where it is infinite: rates that stay finite there are `thermal(x)` times a
    spectral density over frequency (`Bath.absorption`). Negative x: bose(-x) = -1 - bose(x).
    """
    y = real_array("x", x)
    # From n(|x|), which is finite at an infinite x of either sign: n(-x) = -1 - n(x).
    n = thermal(jnp.abs(y)) / jnp.abs(y)
    return jnp.where(y < 0, -1 - n, n)


def omega_bose(omega: ArrayLike, beta: ArrayLike) -> Float[Array, "..."]:
    """omega / (e^{beta omega} - 1), a frequency times its Bose factor [energy].

    It is 1/beta at omega = 0, and the number max(-omega, 0) at zero temperature, beta = inf.

    Args:
        omega: any shape [energy]. beta: inverse temperature, scalar [1/energy].

    Differentiable to any order in omega (at zero temperature except at omega = 0) and in beta; at beta = inf the
    derivative in beta is zero.
    """
    frozen = beta == jnp.inf
    warm = jnp.where(frozen, 1.0, beta)
    return jnp.where(frozen, jnp.maximum(-jnp.asarray(omega, float), 0.0), thermal(warm * omega) / warm)


def fermi(x: ArrayLike) -> Float[Array, "..."]:
    """The Fermi factor 1/(e^x + 1), x = beta (epsilon - mu) [1]; to relative rounding, no overflow, differentiable everywhere."""
    return jax.nn.sigmoid(-real_array("x", x))


def x_coth(x: ArrayLike) -> Float[Array, "..."]:
    """x coth(x): one at x = 0, |x| far from it [1]."""
    x = jnp.asarray(x, float)
    return thermal(2 * x) + x
