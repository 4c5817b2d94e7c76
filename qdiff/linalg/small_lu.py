"""LU factorisation of small full matrices with rows exchanged, of many at once: each entry is an array over the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from .batched_blocks import inverse_pivots, triangle, triangles, triangles_T

# Up to so many unknowns the elimination is written out, entry by entry: its exchanges are selections that a CPU fuses with
# the arithmetic, where those of the loop are gathers. Three unknowns at 200,000 points took 2.6 ms, and 149 ms in the loop.
# Eight written out took three times as long to compile as in the loop (22 s and 7 s), and were not faster.
_WRITTEN_OUT = 4

Rows = Sequence[Sequence[Any]]


def solvers(A: Rows) -> tuple[Callable, Callable]:
    """r -> x with A x = r, and r -> x with A^T x = r, from one factorisation with the largest pivot of each column.

    Args:
        A: rows of entries, arrays of one shape. r and x are tuples of such arrays.
    """
    if len(A) > _WRITTEN_OUT:
        return _in_a_loop(A)
    rows, swaps = _written_out(A)

    def solve(r):
        y = triangle(lambda i, j: rows[i][j], _exchanged(r, swaps), lower=True, unit=True)
        return tuple(triangle(lambda i, j: rows[i][j], y, lower=False, unit=False))

    def solve_T(r):
        y = triangle(lambda i, j: rows[j][i], r, lower=True, unit=False)
        return tuple(_exchanged(triangle(lambda i, j: rows[j][i], y, lower=False, unit=True), swaps[::-1]))

    return solve, solve_T


def _written_out(A: Rows):
    """In place of A its factors, with inverse pivots, and the exchanges (p, i, where) in their order."""
    rows, m = [list(row) for row in A], len(A)
    swaps: list[tuple[int, int, Any]] = []
    for p in range(m):
        for i in range(p + 1, m):
            # The larger of two in turn, which ends with the largest: no index is computed, so that nothing is gathered.
            swaps.append((p, i, jnp.abs(rows[i][p]) > jnp.abs(rows[p][p])))
            for column in range(m):
                upper, lower = rows[p][column], rows[i][column]
                rows[p][column], rows[i][column] = _swapped(swaps[-1][2], upper, lower)
        rows[p][p] = 1 / rows[p][p]
        for i in range(p + 1, m):
            rows[i][p] = rows[i][p] * rows[p][p]
            for column in range(p + 1, m):
                rows[i][column] = rows[i][column] - rows[i][p] * rows[p][column]
    return rows, swaps


def _swapped(swap, a, b):
    return jnp.where(swap, b, a), jnp.where(swap, a, b)


def _exchanged(r, swaps):
    r = list(r)
    for p, i, swap in swaps:
        r[p], r[i] = _swapped(swap, r[p], r[i])
    return r


def _in_a_loop(A: Rows) -> tuple[Callable, Callable]:
    packed, order = _lu(jnp.stack([_flat(row) for row in A]))
    back = jnp.argsort(order, axis=0)

    def solve(r):
        return _like(r, triangles(packed, jnp.take_along_axis(_flat(r), order, axis=0)))

    def solve_T(r):
        return _like(r, jnp.take_along_axis(triangles_T(packed, _flat(r)), back, axis=0))

    return solve, solve_T


def _flat(entries):
    return jnp.stack([jnp.ravel(e) for e in entries])


def _like(r, x):
    return tuple(x[i].reshape(e.shape) for i, e in enumerate(r))


def _lu(A: Float[Array, "b b lanes"]):
    """[L\\U], with one over the pivots, and the order of the rows (b, lanes)."""
    b = A.shape[0]
    i = np.arange(b)[:, None]

    def step(p, carry):
        order, rows = carry
        best = jnp.argmax(jnp.where(i >= p, jnp.abs(rows[:, p]), -1.0), axis=0)
        swap = jnp.where(i == p, best, jnp.where(i == best, p, i))
        order, rows = jnp.take_along_axis(order, swap, axis=0), jnp.take_along_axis(rows, swap[:, None], axis=0)
        ratio = jnp.where(i > p, rows[:, p] / rows[p, p], 0.0)
        rest = rows - ratio[:, None] * jnp.where(i > p, rows[p], 0.0)
        return order, jnp.where((i > p)[:, None] & (i == p), ratio[:, None], rest)

    order, rows = lax.fori_loop(0, b - 1, step, (jnp.broadcast_to(i, (b, A.shape[2])), A))
    return inverse_pivots(rows), order
