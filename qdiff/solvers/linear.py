"""Sparse real generators as block tridiagonal matrices, and their elimination with blocks of any size."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Float

from ..operators.sums import take


class BlockPlan:
    """Where the entries of a sparse matrix stand once it is cut into consecutive levels of equal size.

    Args:
        bands: the coordinates level by level; entries join only neighbouring levels.
        row, col: the positions of the entries.

    Shorter levels are padded with unknowns of their own, which stay zero.
    """

    def __init__(self, bands: list[np.ndarray], row: np.ndarray, col: np.ndarray):
        self.width, self.count = max(map(len, bands)), len(bands)
        size = sum(map(len, bands))
        self.size, self.nnz = size, row.size
        self.level, self.slot = np.empty(size, int), np.empty(size, int)
        for k, band in enumerate(bands):
            self.level[band], self.slot[band] = k, np.arange(len(band))
        self.flat = self.level * self.width + self.slot  # where a coordinate stands in the padded vector
        step = self.level[col] - self.level[row] + 1  # 0: lower, 1: diagonal, 2: upper
        shape = (3, self.count, self.width, self.width)
        at = np.ravel_multi_index((step, self.level[row], self.slot[row], self.slot[col]), shape)
        self.shape = shape
        # Where each entry of the padded blocks, and of a padded vector, comes from; the last index is a zero.
        self.entry = np.full(int(np.prod(shape)), row.size)
        self.entry[at] = np.arange(row.size)
        self.origin = np.full(self.count * self.width, size)
        self.origin[self.flat] = np.arange(size)
        padded = np.ones(self.count * self.width)
        padded[self.flat] = 0
        self.padding = padded.reshape(self.count, self.width)

    def blocks(self, values, shift):
        """Lower, diagonal and upper blocks (count, width, width) of the matrix minus `shift` times the identity."""
        out = take(_padded(values), self.entry).reshape(self.shape)
        # A padded unknown is its own equation, -x = 0; the others are shifted.
        padding, eye = self.padding[:, :, None], np.eye(self.width)
        return out[0], out[1] - (padding + shift * (1 - padding)) * eye, out[2]

    def pack(self, x):
        return take(_padded(x), self.origin).reshape(self.count, self.width)

    def unpack(self, x):
        return take(x.ravel(), self.flat)


def _padded(values):
    """One more entry, zero."""
    return jnp.concatenate([values, jnp.zeros_like(values[:1])])


def factor(lower: Float[Array, "m b b"], diag: Float[Array, "m b b"], upper: Float[Array, "m b b"]):
    """Block LU factors from the first level to the last, with pivoting inside each diagonal block: O(m b^3)."""

    def reduced(W, level):
        lo, d, up = level
        lu, pivots = lu_factor(d - lo @ W)
        W = lu_solve((lu, pivots), up)
        return W, (lo, lu, pivots, W)

    return lax.scan(reduced, jnp.zeros(diag.shape[1:]), (lower, diag, upper))[1]


def solve(factors, r: Float[Array, "m b"]) -> Float[Array, "m b"]:
    """x with M x = r."""
    *_, W = factors

    def down(y, level):
        (lo, lu, pivots, _), r = level
        y = lu_solve((lu, pivots), r - lo @ y)
        return y, y

    def up(x, level):
        W, y = level
        x = y - W @ x
        return x, x

    _, y = lax.scan(down, jnp.zeros(r.shape[1]), (factors, r))
    return lax.scan(up, jnp.zeros(r.shape[1]), (W, y), reverse=True)[1]


def solve_T(factors, r: Float[Array, "m b"]) -> Float[Array, "m b"]:
    """x with M^T x = r."""
    *_, W = factors

    def down(pulled, level):
        W, r = level
        return W.T @ (r - pulled), r - pulled

    def up(pulled, level):
        (lo, lu, pivots, _), z = level
        x = lu_solve((lu, pivots), z - pulled, trans=1)
        return lo.T @ x, x

    _, z = lax.scan(down, jnp.zeros(r.shape[1]), (W, r))
    return lax.scan(up, jnp.zeros(r.shape[1]), (factors, z), reverse=True)[1]


@functools.lru_cache(maxsize=256)
def block_plan(sector) -> BlockPlan:
    return BlockPlan(sector.bands, sector.target, sector.source)
