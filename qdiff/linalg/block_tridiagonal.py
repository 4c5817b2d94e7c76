"""Sparse real generators as block tridiagonal matrices, and their elimination with blocks of any size."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from .gather import padded, take
from .places import Places
from .split_lu import lu, solve_triangular


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
        out = take(padded(values), self.entry).reshape(self.shape)
        # A padded unknown is its own equation, -x = 0; the others are shifted.
        padding, eye = self.padding[:, :, None], np.eye(self.width)
        return out[0], out[1] - (padding + shift * (1 - padding)) * eye, out[2]

    def pack(self, x):
        """Columns (size, columns) level by level, (count, width, columns)."""
        return take(padded(x), self.origin).reshape(self.count, self.width, -1)

    def unpack(self, x):
        return take(x.reshape(self.count * self.width, -1), self.flat)


class Factors(NamedTuple):
    """P M = L U, level by level: what `factor` keeps.

    panel: the first columns of L below those of U (m, 2b, b). order: the rows that are left of the levels before, then those
    of the next, as they were exchanged (m, 2b). right: the rest of the rows of U, in the next two levels (m, b, 2b).
    """

    panel: Float[Array, "m b2 b"]
    order: Int[Array, "m b2"]
    right: Float[Array, "m b b2"]


def factor(lower: Float[Array, "m b b"], diag: Float[Array, "m b b"], upper: Float[Array, "m b b"]) -> Factors:
    """LU factors from the first level to the last, with rows exchanged wherever the band allows it: O(m b^3).

    As stable as that of the whole matrix: the pivots of a level are sought in its own rows and in those of the next one,
    which are all that have entries there.
    """
    b = diag.shape[1]
    # After the last level comes one of padding, the identity, so that all steps of the scan are
    # alike: a last step of its own would be compiled beside the loop.
    none = jnp.zeros_like(diag[:1])
    following = tuple(jnp.concatenate([x[1:], end]) for x, end in ((lower, none), (diag, none + jnp.eye(b)), (upper, none)))

    def reduced(left, level):
        lo, d, up = level
        # Rows are exchanged across two levels: with weak damping a diagonal block alone can be as
        # good as singular although the matrix is not, and no pivot inside it helps.
        panel, order = lu(jnp.concatenate([left[:, :b], lo]))
        rows = jnp.block([[left[:, b:], jnp.zeros((b, b))], [d, up]])[order]
        right = _unit_lower(panel[:b], rows[:b])
        return rows[b:] - panel[b:] @ right, Factors(panel, order, right)

    return lax.scan(reduced, jnp.concatenate([diag[0], upper[0]], axis=1), following)[1]


def solve(factors: Factors, r: Float[Array, "m b c"]) -> Float[Array, "m b c"]:
    """x with M x = r."""
    b = r.shape[1]
    none = jnp.zeros_like(r[0])

    def down(left, level):
        (panel, order, _), following = level
        both = jnp.concatenate([left, following])[order]
        y = _unit_lower(panel[:b], both[:b])
        return both[b:] - panel[b:] @ y, y

    def up(beyond, level):
        (panel, _, right), y = level
        x = solve_triangular(panel[:b], y - right @ jnp.concatenate(beyond))
        return (x, beyond[0]), x

    _, y = lax.scan(down, r[0], (factors, jnp.concatenate([r[1:], none[None]])))
    return lax.scan(up, (none, none), (factors, y), reverse=True)[1]


def solve_T(factors: Factors, r: Float[Array, "m b c"]) -> Float[Array, "m b c"]:
    """x with M^T x = r."""
    b = r.shape[1]
    none = jnp.zeros_like(r[0])

    def down(pulled, level):
        (panel, _, right), r = level
        z = solve_triangular(panel[:b], r - pulled[:b], trans=True)
        return jnp.concatenate([pulled[b:], none]) + right.T @ z, z

    def up(left, level):
        (panel, order, _), z = level
        y = solve_triangular(panel[:b], z - panel[b:].T @ left, lower=True, trans=True, unit=True)
        both = jnp.zeros((2 * b, r.shape[2])).at[order].set(jnp.concatenate([y, left]), unique_indices=True)
        return both[:b], both[b:]

    _, z = lax.scan(down, jnp.concatenate([none, none]), (factors, r))
    first, x = lax.scan(up, none, (factors, z), reverse=True)
    return jnp.concatenate([first[None], x[:-1]])


def _unit_lower(L, r):
    return solve_triangular(L, r, lower=True, unit=True)


@functools.lru_cache(maxsize=256)
def block_plan(places: Places) -> BlockPlan:
    return BlockPlan(places.bands, places.target, places.source)
