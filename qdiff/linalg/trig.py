"""Values that are computed once, sines and cosines above all.

XLA's compiler for CPUs takes a sine for cheap and computes it anew in every loop that needs it, ten times over in the
gradient of a function of the momentum, although it is the one elementary function that it does not vectorise. It does
not so with a division.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


@jax.custom_jvp
def kept(x):
    """x, as the result of a division (by one) that the compiler cannot see through; NaN stays NaN. So are its derivatives."""
    return x / (x == x).astype(float)


@kept.defjvp
def _(primals, tangents):
    y = kept(primals[0])
    return y, tangents[0] / (y == y).astype(float)


@jax.custom_jvp
def sincos(k):
    """sin k and cos k of an array of any shape; differentiable to any order.

    Accuracy: two units in the last place for |k| < 1e9, beyond that of sines of numbers within four units of k.
    """
    k = jnp.asarray(k, float)
    s, c = _polynomials(k)
    return kept(s), kept(c)


@sincos.defjvp
def _(primals, tangents):
    s, c = sincos(primals[0])
    return (s, c), (c * tangents[0], -s * tangents[0])


# pi/2 in parts of 23 bits: the first multiples of each, up to 2^30, are exact.
_PARTS = (
    1.570796251296997,
    7.549789415861596e-08,
    5.390302529957765e-15,
    3.2820031633724233e-22,
    3.7950107727212256e-29,
)
# Minimax polynomials on |r| < pi/4 (fdlibm, Sun Microsystems 1993): sin r = r + r^3 P(r^2), cos r = 1 - r^2/2 + r^4 Q(r^2).
_SINE = (
    1.58969099521155010221e-10,
    -2.50507602534068634195e-08,
    2.75573137070700676789e-06,
    -1.98412698298579493134e-04,
    8.33333333332248946124e-03,
    -1.66666666666666324348e-01,
)
_COSINE = (
    -1.13596475577881948265e-11,
    2.08757232129817482790e-09,
    -2.75573143513906633035e-07,
    2.48015872894767294178e-05,
    -1.38888888888741095749e-03,
    4.16666666666666019037e-02,
)


def _polynomials(k):
    """By reduction to |r| < pi/4 (Cody and Waite)."""
    turns = jnp.round(k * (2 / jnp.pi))
    r = k
    for part in _PARTS:
        r = r - turns * part
    r = jnp.clip(r, -1, 1)  # where a float holds no angle any more
    square = r * r
    s = r + r * square * _horner(_SINE, square)
    half = square / 2
    # One minus a half of the square loses digits that the last term brings back.
    c = 1 - half
    c = c + ((1 - c - half) + square * square * _horner(_COSINE, square))
    quadrant = turns.astype(int)
    swap = quadrant % 2 != 0
    a, b = jnp.where(swap, c, s), jnp.where(swap, s, c)
    return jnp.where(quadrant & 2 != 0, -a, a), jnp.where((quadrant + 1) & 2 != 0, -b, b)


def _horner(coefficients, x):
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total
