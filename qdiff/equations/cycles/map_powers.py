"""Powers of a map of states, up to the 2^31st: the state after n cycles at the cost of log n, and functionals after all of them."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg.expm import conserving

MOST = 31


@partial(jax.jit, static_argnums=3)
def decaying(N, x, trace: np.ndarray, count: int = MOST):
    """M^(2^k) - x trace^T for k = 0 .. count - 1, stacked (count, n, n): what the powers do to deviations from the fixed point x.

    While a power is close to one it is squared as its distance from one, so that slow decays keep their relative accuracy
    through any number of cycles; once it contracts, itself, so that what is left of a deviation keeps its own.
    """
    one = jnp.eye(len(N)) - x[:, None] * trace

    # Two forms of each power, F = M^(2^k) - 1 and the deviation D: which one keeps the digits
    # changes once and for all when the map contracts. Both are computed, so that this is a
    # selection and no branch.
    def step(carry, _):
        F, D, contracts = carry
        F_next = conserving(2 * F + F @ F, trace, 0.0)
        D_next = jnp.where(contracts, D @ D, F_next + one)
        return (F_next, D_next, contracts | (_norm(D_next) < 0.5)), D

    start = N + one
    return lax.scan(step, (conserving(N, trace, 0.0), start, _norm(start) < 0.5), length=count)[1]


def _norm(D):
    return lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(D), axis=0)))


@jax.jit
def after(powers, deviation, counts):
    """M^n applied to a deviation (n_coordinates,), for all counts n (k,) below 2^31: (k, n_coordinates)."""

    def step(X, item):
        k, D = item
        return jnp.where((counts >> k) & 1 == 1, D @ X, X), None

    start = jnp.broadcast_to(deviation[:, None], (deviation.size, counts.size))
    return lax.scan(step, start, (jnp.arange(len(powers)), powers))[0].T


@partial(jax.jit, static_argnums=3)
def all_until(powers, covectors, deviation, count: int):
    """covectors (q, n) applied to M^k deviation for k = 0 .. count - 1: (q, count), as one product of two thin matrices."""
    # Half of the binary digits of k go to the rows, half to the columns: 2 sqrt(count) products of
    # a matrix and a vector, where stepping takes count of them. A series of 1e6 cycles takes a
    # 370th of the time of stepping in NumPy (benchmarks/cycle.py).
    inner = max((max(count - 1, 1).bit_length() + 1) // 2, 1)
    outer = max(max(count - 1, 1).bit_length() - inner, 0)
    rows, columns = covectors[:, None, :], deviation[:, None]
    for k in range(inner):
        rows = jnp.concatenate([rows, rows @ powers[k]], axis=1)
    for k in range(inner, inner + outer):
        columns = jnp.concatenate([columns, powers[k] @ columns], axis=1)
    # The number k = a + 2^inner b of entry [a, b]: b runs slowest.
    table = jnp.einsum("qan,nb->qba", rows, columns)
    return table.reshape(len(covectors), -1)[:, :count]
