"""The derivative of the exponential of Hermitian matrices, also where eigenvalues are equal.

It is a sum over divided differences of e^x at the eigenvalues (Daleckii, Krein), which have no poles where these meet;
derivatives of the eigenvectors, of which automatic ones would be made, have.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

# Numbers within this distance are taken together in a series of so many terms: 1/20! is below rounding.
_CLOSE, _TERMS = 1.0, 20


def exponential_slope(A, E):
    """The derivative of e^A along E, both Hermitian (n, n).

    Differentiable once more, forward and reverse. Takes n^2 numbers and n^3 operations.
    """
    # Around the A of here and now, to first order in what A differs from it by, which is zero: its derivative is the
    # second one of e^A.
    now = lax.stop_gradient(A)
    e, V = jnp.linalg.eigh(now)
    E, change = (V.conj().T @ X @ V for X in (E, A - now))
    first = _divided([e[:, None], e]) * E

    def row(k):
        shares = _divided([e[k], e[:, None], e])  # of the levels k, m, n
        return jnp.einsum("mn,m,mn->n", shares, E[k], change) + jnp.einsum("mn,m,mn->n", shares, change[k], E)

    second = lax.map(row, jnp.arange(len(e)), batch_size=16)
    return V @ (first + second) @ V.conj().T


def _divided(points):
    """The divided difference of e^x at several points, arrays that broadcast; e^x/k! where all k + 1 of them are equal."""
    if len(points) == 1:
        return jnp.exp(points[0])
    points = jnp.sort(jnp.stack(jnp.broadcast_arrays(*points)), axis=0)
    top, spread = points[-1], points[-1] - points[0]
    close = spread <= _CLOSE
    # Apart: from those of all but one, over the longest distance.
    apart = (_divided([*points[1:]]) - _divided([*points[:-1]])) / jnp.where(close, 1.0, spread)
    # Close: e^top sum_n h_n/(n + k)!, with h_n the sum of all products of n distances from the top.
    order, products = len(points) - 1, [jnp.ones_like(top)] + [jnp.zeros_like(top)] * _TERMS
    for x in jnp.where(close, points[:-1] - top, 0.0):
        for n in range(1, _TERMS + 1):
            products[n] = products[n] + x * products[n - 1]
    series, factorial = 0.0, 1.0
    for n in range(order + _TERMS + 1):
        factorial = factorial * max(n, 1)
        if n >= order:
            series = series + products[n - order] / factorial
    return jnp.where(close, jnp.exp(top) * series, apart)
