"""Twisted elimination of block tridiagonal systems: from both ends to the middle, as twice as many systems of half the length.

Along the levels an elimination is sequential, and for one small system most of its time is that of its many short steps.
The two halves have nothing to do with each other until they meet, so that each step works on both of them.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np

from . import batched_blocks
from .block_tridiagonal import BlockPlan, block_plan
from .gather import padded, take
from .places import Places


class Twisted:
    """Where the entries of a block tridiagonal matrix stand once its levels are halved; static.

    The levels 0, 1, .. and the levels m - 1, m - 2, .. are two lanes, the level in the middle stands apart. If m is even
    a level of padding comes before level m - 1.
    """

    def __init__(self, plan: BlockPlan):
        m, b = plan.count, plan.width
        entry, origin = plan.entry.reshape(3, m, b, b), plan.origin.reshape(m, b)
        zero, none, self.width, self.middle = plan.nnz, plan.size, b, m // 2
        first, last = np.arange(self.middle), np.arange(self.middle + 1, m)[::-1]
        more = first.size - last.size

        def halves(a, b, filling):
            """a of the first levels and b of the last ones, stacked along a last axis."""
            return np.stack([a, np.concatenate([np.full((more, *b.shape[1:]), filling), b])], axis=-1)

        into = halves(entry[0, first], entry[2, last], zero)
        centre = np.stack([entry[0, self.middle], entry[2, self.middle]], axis=-1)
        used = np.any(into != zero, axis=(0, 3)) | np.any(centre != zero, axis=2)
        self.pattern = tuple((int(i), int(j)) for i, j in np.argwhere(used))
        i, j = np.nonzero(used)
        self.into = into[:, i, j], centre[i, j]  # entries at `pattern` of the blocks that join a level to the one before
        self.diag = halves(entry[1, first], entry[1, last], zero), entry[1, self.middle][None]
        self.out = halves(entry[2, first], entry[0, last], zero)  # blocks that join a level to the next
        self.padding = halves(plan.padding[first], plan.padding[last], 1.0), plan.padding[self.middle][None]
        # A packed vector is that of the halves, and that of the middle after it.
        self.origin = np.append(halves(origin[first], origin[last], none), origin[self.middle])
        self.flat = np.empty(none, int)
        self.flat[self.origin[self.origin < none]] = np.flatnonzero(self.origin < none)

    def factor(self, values, shift):
        """The factors of the matrix with entries values (nnz, lanes) minus shift (lanes,) times the identity."""
        entries = padded(values)
        eye = np.eye(self.width)[None]

        def at(table):
            return take(entries, table.ravel()).reshape(*table.shape, values.shape[1])

        def diagonal(k):
            # A padded unknown is its own equation, -x = 0; the others are shifted.
            mine = self.padding[k][:, :, None] * (eye[..., None] if k == 0 else eye)
            others = (1 - self.padding[k][:, :, None]) * (eye[..., None] if k == 0 else eye)
            return at(self.diag[k]) - (mine[..., None] + shift * others[..., None])

        # Two halves as one batch of twice as many lanes: one program for both directions.
        ends, W = batched_blocks.eliminate(_merged(at(self.into[0])), _merged(diagonal(0)), _merged(at(self.out)), self.pattern)
        into = _merged(at(self.into[1]))
        centre = diagonal(1) - _added(batched_blocks.sparse(self.pattern, into, W))
        return ends, into, batched_blocks.factor(centre[:, 0, :0], centre, jnp.zeros_like(centre), ())

    def solve(self, factors, r):
        """x with M x = r, both (size, columns, lanes)."""
        ends, into, centre = factors
        r, middle = self._packed(r)
        y, last = batched_blocks.down(ends, self.pattern, r)
        rest = middle - _added(batched_blocks.sparse(self.pattern, into, last))
        x = batched_blocks.solve(centre, (), rest[None])[0]
        return self._unpacked(batched_blocks.up(ends, _twice(x), y), x)

    def solve_T(self, factors, r):
        """x with M^T x = r, both (size, columns, lanes)."""
        ends, into, centre = factors
        r, middle = self._packed(r)
        z, pulled = batched_blocks.down_T(ends, r)
        x = batched_blocks.solve_T(centre, (), (middle - _added(pulled))[None])[0]
        pulled = batched_blocks.sparse([(j, i) for i, j in self.pattern], into, _twice(x))
        return self._unpacked(batched_blocks.up_T(ends, self.pattern, pulled, z), x)

    def _packed(self, r):
        packed = take(padded(r), self.origin)
        ends = packed[: -self.width].reshape(self.middle, self.width, 2, *r.shape[1:])
        return _merged(ends.swapaxes(2, 3)), packed[-self.width :]

    def _unpacked(self, ends, middle):
        columns, lanes = middle.shape[1:]
        ends = ends.reshape(self.middle, self.width, columns, 2, lanes).swapaxes(2, 3)
        return take(jnp.concatenate([ends.reshape(-1, columns, lanes), middle]), self.flat)


def _merged(x):
    """The two halves' axis and that of the lanes as one."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def _twice(x):
    return jnp.concatenate([x, x], axis=-1)


def _added(x):
    half = x.shape[-1] // 2
    return x[..., :half] + x[..., half:]


@functools.lru_cache(maxsize=256)
def twisted(places: Places) -> Twisted:
    return Twisted(block_plan(places))
