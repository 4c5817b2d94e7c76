"""Sums and products in twice the working precision, for residuals.

A generator's rates span many decades, and its slowest decay is what the state depends on. Rounding a diagonal
entry alone leaks eps * (fastest rate), which against the slowest decay is an error of 1e-10. Residuals are
therefore summed in doubled precision, and the diagonal is taken as what the other entries of its column say:
probability is conserved exactly.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_SPLIT = 2.0**27 + 1


def _two_sum(a, b):
    """a + b as a rounded sum and its rounding error (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _two_product(a, b):
    """a * b as a rounded product and its rounding error (Dekker, Veltkamp)."""
    p = a * b
    x, y = _SPLIT * a, _SPLIT * b
    ah, bh = x - (x - a), y - (y - b)
    al, bl = a - ah, b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def _total(high: Float[Array, "*n k"], low: Float[Array, "*n k"]) -> Float[Array, "*n"]:
    """Sum over the last axis, pairwise."""
    while high.shape[-1] > 1:
        if high.shape[-1] % 2:
            high, low = (jnp.concatenate([v, jnp.zeros((*v.shape[:-1], 1))], axis=-1) for v in (high, low))
        s, e = _two_sum(high[..., ::2], high[..., 1::2])
        high, low = s, e + low[..., ::2] + low[..., 1::2]
    return high[..., 0] + low[..., 0]


def _rows(index: Int[np.ndarray, "nnz"], size: int) -> Int[np.ndarray, "size longest"]:
    """For each of `size` rows the positions in `index` that hold it, padded with -1: (size, longest)."""
    order = np.argsort(index, kind="stable")
    count = np.bincount(index, minlength=size)
    start = np.cumsum(count) - count
    table = np.full((size, max(int(count.max(initial=0)), 1)), -1)
    table[index[order], np.arange(index.size) - start[index[order]]] = order
    return table


class Conserving:
    """The sector's generator G with the diagonal that conserves probability exactly, applied in doubled precision.

    Args:
        sector: the sector. values: G's entries (nnz,) [rate].
    """

    def __init__(self, sector, values: Float[Array, "nnz"]):
        self.sector, self.values = sector, values
        on = np.flatnonzero(sector.is_population[sector.target])
        table = _rows(sector.source[on], sector.size)
        column = jnp.where(table >= 0, values[on][table], 0.0)
        defect = _total(column, jnp.zeros_like(column))
        self.correction = jnp.where(sector.is_population, -defect, 0.0)

    def __call__(self, x: Float[Array, "n"]) -> Float[Array, "n"]:
        """G x (size,), rounded once at the end."""
        return self._apply(self.sector.target, self.sector.source, x)

    def transposed(self, y: Float[Array, "n"]) -> Float[Array, "n"]:
        """G^T y (size,), rounded once at the end."""
        return self._apply(self.sector.source, self.sector.target, y)

    def _apply(self, out, into, x):
        table = _rows(out, self.sector.size)
        entries = jnp.where(table >= 0, self.values[table], 0.0)
        entries = jnp.concatenate([entries, self.correction[:, None]], axis=-1)
        factors = jnp.concatenate([x[into[table]], x[:, None]], axis=-1)
        return _total(*_two_product(entries, factors))
