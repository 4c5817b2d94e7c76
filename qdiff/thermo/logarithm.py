"""The logarithm of a density matrix, differentiable also where populations are equal.

The derivatives of a function f of a Hermitian matrix are sums over its divided differences (Daleckii, Krein), which have no
poles where eigenvalues meet; those of the eigenvectors, of which automatic derivatives would be made, have.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..equations.lindblad.eigenbasis import blocks_of
from ..operators.operator import Operator, accumulate
from ..operators.pattern import Pattern

# Eigenvalues closer than this, relative to the largest of three, are taken together in a series, of so many terms.
_CLOSE, _TERMS = 0.02, 12

# An eigenvalue below this, relative to the largest of its block, is known to four digits or fewer.
_LOST = 1e-12

EMPTY = (
    "must have no empty level, nor one below 1e-12 of another that it is mixed with: its logarithm is infinite, or lost in rounding; "
    "give the inverse temperature, or a pair (inverse temperature, Hamiltonian)"
)


def logarithm(rho: Operator) -> Operator:
    """ln(rho) of a positive operator on its support, zero beside it, block by block of its pattern [1].

    Differentiable to second order, forward and reverse; what leaves an eigenvalue of zero is left out.
    """
    rows, cols, parts = [], [], []
    for row, col, local in blocks_of(rho, rho.values):
        rows.append(row)
        cols.append(col)
        parts.append(
            (_safe(jnp.real(local))[1] if local.shape[-1] == 1 else jax.vmap(_log)(local)).ravel()
        )
    row, col = np.concatenate(rows), np.concatenate(cols)
    pattern = Pattern(rho.size, row, col)
    return Operator(
        pattern,
        accumulate([(jnp.concatenate(parts), pattern.find(row, col))], pattern.nnz),
        rho.space,
    )


def full(rho: Operator):
    """Whether every eigenvalue is positive, and above rounding where it belongs to a block of several levels."""
    good = jnp.ones((), bool)
    for _, _, local in blocks_of(rho, rho.values):
        e = (
            jnp.real(local[..., 0])
            if local.shape[-1] == 1
            else jnp.linalg.eigvalsh(lax.stop_gradient(local))
        )
        good &= jnp.all(
            e > (0.0 if local.shape[-1] == 1 else _LOST * jnp.max(e, axis=-1, keepdims=True))
        )
    return good


@jax.custom_jvp
def _log(A):
    e, V = jnp.linalg.eigh(A)
    return (V * _safe(e)[1]) @ V.conj().T


def _safe(e):
    """Positive numbers and their logarithms: one, and zero, for those that are not."""
    e = jnp.where(e <= 0, 1.0, e)
    return e, jnp.log(e)


@_log.defjvp
def _log_jvp(primals, tangents):
    (A,), (E,) = primals, tangents
    # Around the A of here and now, to first order in what A differs from it by, which is zero: that is the second derivative.
    now = lax.stop_gradient(A)
    e, V = jnp.linalg.eigh(now)
    E, change = (V.conj().T @ X @ V for X in (E, A - now))
    on, (e, _) = jnp.where(e <= 0, 0.0, 1.0), _safe(e)
    curve = (
        on[:, None, None] * on[:, None] * on * _curvature(e[:, None, None], e[:, None], e)
    )  # of the levels i, k, j
    first = on[:, None] * on * _slope(e[:, None], e) * E
    second = jnp.einsum("ikj,ik,kj->ij", curve, E, change) + jnp.einsum(
        "ikj,ik,kj->ij", curve, change, E
    )
    return _log(A), V @ (first + second) @ V.conj().T


def _slope(a, b):
    """(ln a - ln b)/(a - b), and 1/a where they are equal."""
    x = (a - b) / b
    flat = x == 0
    return jnp.where(flat, 1.0, jnp.log1p(x) / jnp.where(flat, 1.0, x)) / b


def _curvature(a, b, c):
    """The second divided difference of the logarithm; -1/(2 a^2) where all three are equal."""
    low, high = jnp.minimum(jnp.minimum(a, b), c), jnp.maximum(jnp.maximum(a, b), c)
    middle = jnp.maximum(jnp.minimum(a, b), jnp.minimum(jnp.maximum(a, b), c))
    close = high - low <= _CLOSE * high
    # Far from each other: from the first differences, over the longest distance, which costs two digits at most.
    far = (_slope(high, middle) - _slope(middle, low)) / jnp.where(close, 1.0, high - low)
    # Close to each other: the divided differences of x^k at distances from the largest, sum_k (-1)^(k-1)/k h_(k-2)/high^k.
    x, y = (middle - high) / high, (low - high) / high
    power, total, series = jnp.ones_like(x), jnp.ones_like(x), jnp.zeros_like(x)
    for k in range(
        2, 2 + _TERMS
    ):  # total is h_(k-2)(x, y), the sum of all products x^i y^j with i + j = k - 2
        series = series + (-1) ** (k - 1) / k * total
        power = power * y
        total = x * total + power
    return jnp.where(close, series / high**2, far)
