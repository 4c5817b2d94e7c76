"""Linear algebra for sparse real generators: dense, and block tridiagonal by cyclic reduction."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Float


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
        out = jnp.concatenate([values, jnp.zeros(1)])[self.entry].reshape(self.shape)
        eye = np.eye(self.width)
        # A padded unknown is its own equation, -x = 0; the others are shifted.
        return out[0], out[1] - (self.padding[:, :, None] + shift * (1 - self.padding[:, :, None])) * eye, out[2]

    def pack(self, x):
        return jnp.concatenate([x, jnp.zeros(1)])[self.origin].reshape(self.count, self.width)

    def unpack(self, x):
        return x.reshape(-1)[self.flat]


def _apply(A: Float[Array, "m b c"], x: Float[Array, "m c"]) -> Float[Array, "m b"]:
    """Batched matrix times vector, as one multiply and sum, which the compiler fuses."""
    return jnp.sum(A * x[..., None, :], axis=-1)


def _apply_T(A: Float[Array, "m b c"], x: Float[Array, "m b"]) -> Float[Array, "m c"]:
    return jnp.sum(A * x[..., :, None], axis=-2)


def _left(x, n: int):
    """For each of the n even blocks, what belongs to the odd block on its left (zero for the first)."""
    return jnp.concatenate([jnp.zeros((1, *x.shape[1:])), x])[:n]


def _right(x, n: int):
    return jnp.concatenate([x, jnp.zeros((1, *x.shape[1:]))])[:n]


# Below this many unknowns the rest of a cyclic reduction is inverted as one matrix: fewer steps to run and compile.
_ROOT = 24


def factor(lower: Float[Array, "m b b"], diag: Float[Array, "m b b"], upper: Float[Array, "m b b"]):
    """Cyclic reduction of a block tridiagonal matrix: every second block is eliminated, until few are left.

    The blocks (m, b, b) are eliminated in about log2(m) rounds of batched operations, with pivoting inside
    each block: cost O(m b^3). Returns the levels that `solve` and `solve_T` go through.
    """
    levels = []
    while diag.shape[0] > 1 and diag.shape[0] * diag.shape[1] > _ROOT:
        n = (diag.shape[0] + 1) // 2
        width = diag.shape[-1]
        inverse = jnp.linalg.inv(diag[1::2])
        side = inverse @ jnp.concatenate([lower[1::2], upper[1::2]], axis=-1)
        lo, up = lower[0::2], upper[0::2]
        levels.append((inverse, side[..., :width], side[..., width:], lo, up))
        from_left, from_right = lo @ _left(side, n), up @ _right(side, n)
        diag = diag[0::2] - from_left[..., width:] - from_right[..., :width]
        lower, upper = -from_left[..., :width], -from_right[..., width:]
    m, width = diag.shape[:2]
    whole = jnp.zeros((m, m, width, width)).at[np.arange(m), np.arange(m)].set(diag)
    whole = whole.at[np.arange(1, m), np.arange(m - 1)].set(lower[1:]).at[np.arange(m - 1), np.arange(1, m)].set(upper[:-1])
    # The last block holds the null vector. An explicit inverse of it would spread rounding errors in all directions,
    # a solve leaves them along the null vector, where they are removed.
    return levels, lu_factor(whole.transpose(0, 2, 1, 3).reshape(m * width, m * width))


def solve(factors, r: Float[Array, "m b"]) -> Float[Array, "m b"]:
    """x with M x = r, for r and x of shape (m, b)."""
    levels, root = factors
    stack = []
    for inverse, _, _, lo, up in levels:
        n = lo.shape[0]
        odd = _apply(inverse, r[1::2])
        stack.append(odd)
        r = r[0::2] - _apply(lo, _left(odd, n)) - _apply(up, _right(odd, n))
    x = lu_solve(root, r.reshape(-1)).reshape(r.shape)
    for (_, P, Q, _, _), odd in zip(reversed(levels), reversed(stack), strict=True):
        k = odd.shape[0]
        x = _interleave(x, odd - _apply(P, x[:k]) - _apply(Q, _right(x[1:], k)))
    return x


def solve_T(factors, r: Float[Array, "m b"]) -> Float[Array, "m b"]:
    """x with M^T x = r."""
    levels, root = factors
    stack = []
    for _, P, Q, lo, _ in levels:
        n, odd = lo.shape[0], r[1::2]
        stack.append(odd)
        r = r[0::2] - _left(_apply_T(Q, odd), n) - _right(_apply_T(P, odd), n)
    x = lu_solve(root, r.reshape(-1), trans=1).reshape(r.shape)
    for (inverse, _, _, lo, up), odd in zip(reversed(levels), reversed(stack), strict=True):
        k = odd.shape[0]
        x = _interleave(x, _apply_T(inverse, odd - _apply_T(up[:k], x[:k]) - _right(_apply_T(lo, x)[1:], k)))
    return x


def _interleave(even: Float[Array, "m b"], odd: Float[Array, "k b"]) -> Float[Array, "m+k b"]:
    n = even.shape[0] + odd.shape[0]
    odd = _right(odd, even.shape[0])
    return jnp.stack([even, odd], axis=1).reshape(-1, even.shape[-1])[:n]


@functools.lru_cache(maxsize=256)
def block_plan(sector) -> BlockPlan:
    return BlockPlan(sector.bands, sector.target, sector.source)
