"""Sums and products in twice the working precision, for residuals.

A generator's rates span many decades, and its slowest decay is what the state depends on. Rounding a diagonal
entry alone leaks eps * (fastest rate), which against the slowest decay is an error of 1e-10. Residuals are
therefore summed in doubled precision, and the diagonal is taken as what the other entries of its column say:
probability is conserved exactly.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

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


def _total(high, low):
    """Sum over the last axis, pairwise."""
    while high.shape[-1] > 1:
        if high.shape[-1] % 2:
            high, low = (jnp.concatenate([v, jnp.zeros((*v.shape[:-1], 1))], axis=-1) for v in (high, low))
        s, e = _two_sum(high[..., ::2], high[..., 1::2])
        high, low = s, e + low[..., ::2] + low[..., 1::2]
    return high[..., 0] + low[..., 0]


def _rows(index: np.ndarray, size: int) -> np.ndarray:
    """For each of `size` rows the positions in `index` that hold it, padded with -1: (size, longest)."""
    order = np.argsort(index, kind="stable")
    count = np.bincount(index, minlength=size)
    start = np.cumsum(count) - count
    table = np.full((size, max(int(count.max(initial=0)), 1)), -1)
    table[index[order], np.arange(index.size) - start[index[order]]] = order
    return table


def defects(sector, values):
    """What the entries of each column leave of probability conservation (size,), exactly zero in exact arithmetic."""
    on = np.flatnonzero(sector.is_population[sector.target])
    table = _rows(sector.source[on], sector.size)
    column = jnp.where(table >= 0, values[on][table], 0.0)
    return _total(column, jnp.zeros_like(column))


def residual(sector, values, x):
    """G x (size,) with the diagonal that conserves probability exactly, rounded only once at the end."""
    table = _rows(sector.target, sector.size)
    G = jnp.where(table >= 0, values[table], 0.0)
    high, low = _two_product(G, x[sector.source[table]])
    on = sector.is_population
    leak_high, leak_low = _two_product(jnp.where(on, -defects(sector, values), 0.0), x)
    high = jnp.concatenate([high, leak_high[:, None]], axis=-1)
    low = jnp.concatenate([low, leak_low[:, None]], axis=-1)
    return _total(high, low)
