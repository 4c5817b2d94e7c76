"""Block tridiagonal systems with small blocks, one in each lane: elimination from the first level to the last.

The batch is the last axis of every array, so that one instruction works on several systems; a single system is a
batch of one, and several right-hand sides of each are axes before it. Sums inside the blocks are written out, entry by
entry. Along the levels the elimination is sequential.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Pairs = tuple[tuple[int, int], ...]


def factor(
    lower: Float[Array, "m k lanes"],
    diag: Float[Array, "m b b lanes"],
    upper: Float[Array, "m b b lanes"],
    pattern: Pairs,
):
    """The block LU factors of M, no rows exchanged: O(m b^3) for each lane.

    Weakly damped fast rotations cost digits: the factors serve for refinement as long as those are fewer than sixteen.

    Args:
        pattern: the k places (row, column) of the entries `lower` of the blocks below the diagonal.
    """
    return eliminate(lower, diag, upper, pattern)[0]


def eliminate(lower, diag, upper, pattern: Pairs):
    """The factors, and the last diagonal block's inverse times the last upper block, which leads on to a next level."""
    b, lanes = diag.shape[1], diag.shape[3]

    # No rows are exchanged: which ones would differ from lane to lane, so that every exchange would
    # be a gather. Where that costs digits the residual shows it, and `refinement.Refined` takes
    # another inverse. Chosen together with lanes, this made solves several times as fast.
    def reduced(W, level):
        lo, d, up = level
        rows = _once(_eliminated(_once(jnp.concatenate([d - sparse(pattern, lo, W), up], axis=1))))
        inverse = [1 / rows[i, i] for i in range(b)]
        solved: list = [None] * b
        for i in reversed(range(b)):
            rest = rows[i, b:]
            for j in range(i + 1, b):
                rest = rest - rows[i, j] * solved[j]
            solved[i] = _once(rest * inverse[i])
        W = jnp.stack(solved)
        return W, (inverse_pivots(rows[:, :b]), W)

    last, factors = lax.scan(reduced, jnp.zeros((b, b, lanes)), (lower, diag, upper))
    return (lower, *factors), last


def _eliminated(rows: Float[Array, "b c lanes"]):
    """Gaussian elimination of [A | B], A = L U: [L\\U | L^-1 B] in one array."""
    b = rows.shape[0]
    done: list = []
    ratios: list = []
    for _ in range(b - 1):
        top, ratio = rows[0], rows[1:, 0] / rows[0, 0]
        done.append(top)
        ratios.append(ratio)
        rows = _once(rows[1:, 1:] - ratio[:, None] * top[1:])
    done.append(rows[0])
    left = [[ratios[k][p - k - 1][None] for k in range(p)] for p in range(b)]
    return jnp.stack([jnp.concatenate([*left[p], done[p]]) for p in range(b)])


def solve(factors, pattern: Pairs, r: Float[Array, "m b *c lanes"]) -> Float[Array, "m b *c lanes"]:
    """x with M x = r."""
    return up(factors, jnp.zeros(r.shape[1:]), down(factors, pattern, r)[0])


def down(factors, pattern: Pairs, r):
    """What is left of r on the way from the first level to the last, and its last level."""
    lower, packed, _ = factors

    def step(y, level):
        lo, lu, r = level
        y = triangles(lu, r - sparse(pattern, lo, y))
        return y, y

    last, y = lax.scan(step, jnp.zeros(r.shape[1:]), (lower, packed, r))
    return y, last


def up(factors, x: Float[Array, "b *c lanes"], y):
    """The solution on the way back, if that beyond the last level is x."""

    def step(x, level):
        W, y = level
        x = y - _full(W, x)
        return x, x

    return lax.scan(step, x, (factors[-1], y), reverse=True)[1]


def solve_T(factors, pattern: Pairs, r: Float[Array, "m b *c lanes"]) -> Float[Array, "m b *c lanes"]:
    """x with M^T x = r."""
    return up_T(factors, pattern, jnp.zeros(r.shape[1:]), down_T(factors, r)[0])


def down_T(factors, r):
    """What is left of r on the way from the first level to the last, and what the last one takes from a next one."""

    def step(pulled, level):
        W, r = level
        z = r - pulled
        return _full(W.swapaxes(0, 1), z), z

    pulled, z = lax.scan(step, jnp.zeros(r.shape[1:]), (factors[-1], r))
    return z, pulled


def up_T(factors, pattern: Pairs, pulled: Float[Array, "b *c lanes"], z):
    """The solution on the way back, if the level beyond the last takes `pulled` from it."""
    lower, packed, _ = factors

    def step(pulled, level):
        lo, lu, z = level
        x = triangles_T(lu, z - pulled)
        return sparse([(j, i) for i, j in pattern], lo, x), x

    return lax.scan(step, pulled, (lower, packed, z), reverse=True)[1]


def sparse(pattern, values: Float[Array, "k lanes"], x: Float[Array, "b *c lanes"]) -> Float[Array, "b *c lanes"]:
    """A x for a block with entries at `pattern`. The sums are written out: a reduction would not use vector instructions."""
    rows = [jnp.zeros(x.shape[1:])] * x.shape[0]
    for (i, j), value in zip(pattern, values, strict=True):
        rows[i] = rows[i] + value * x[j]
    return jnp.stack(rows)


def _full(W: Float[Array, "b b lanes"], x: Float[Array, "b *c lanes"]) -> Float[Array, "b *c lanes"]:
    """W x, the sum written out."""
    W = W.reshape(*W.shape[:2], *(1,) * (x.ndim - 2), W.shape[2])
    out = W[:, 0] * x[0]
    for j in range(1, x.shape[0]):
        out = out + W[:, j] * x[j]
    return out


def inverse_pivots(rows):
    """[L\\U] with one over the diagonal in its place."""
    return jnp.where(np.eye(rows.shape[0], dtype=bool)[:, :, None], 1 / rows, rows)


def triangle(entry: Callable, r: Any, *, lower: bool, unit: bool) -> list:
    """x with T x = r for a triangle T of entry(i, j), whose diagonal is one or given inverted."""
    x, b = [*r], len(r)
    for i in range(b) if lower else reversed(range(b)):
        for j in range(i) if lower else range(i + 1, b):
            x[i] = x[i] - entry(i, j) * x[j]
        if not unit:
            x[i] = x[i] * entry(i, i)
    return x


Columns = Float[Array, "b *c lanes"]


def triangles(packed: Float[Array, "b b lanes"], r: Columns) -> Columns:
    """(L U)^-1 r."""

    def entry(i, j):
        return packed[i, j]

    y = triangle(entry, _once(r), lower=True, unit=True)
    return jnp.stack(triangle(entry, _once(jnp.stack(y)), lower=False, unit=False))


def triangles_T(packed: Float[Array, "b b lanes"], r: Columns) -> Columns:
    """(L U)^-T r."""

    def entry(i, j):
        return packed[j, i]

    y = triangle(entry, _once(r), lower=True, unit=False)
    return jnp.stack(triangle(entry, _once(jnp.stack(y)), lower=False, unit=True))


# Barriers suit these few arrays, which are wanted in memory anyway. Where one value is to be kept
# without tearing apart the loop that it is in, `trig.kept` divides instead.
def _once(x):
    """x, computed once: the compiler would otherwise do it again for every entry that depends on it."""
    return lax.optimization_barrier(x)
