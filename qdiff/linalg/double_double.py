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

from .gather import padded, take
from .places import ConservingPlaces

# Halves of 26 bits, whose products are exact (Veltkamp). A fused multiply-add would give the error
# of a product in one instruction, but XLA has no way to ask for one, and may or may not form one by
# itself.
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


def total(high: Float[Array, "n k *lanes"], low: Float[Array, "n k *lanes"]) -> Float[Array, "n *lanes"]:
    """Sum over the second axis, pairwise."""
    # In pairs: log2(k) rounds on whole arrays, instead of k steps that wait for one another.
    while high.shape[1] > 1:
        if high.shape[1] % 2:
            high, low = (jnp.concatenate([v, jnp.zeros_like(v[:, :1])], axis=1) for v in (high, low))
        s, e = _two_sum(high[:, ::2], high[:, 1::2])
        high, low = s, e + low[:, ::2] + low[:, 1::2]
    return high[:, 0] + low[:, 0]


def _rows(index: Int[np.ndarray, "nnz"], size: int) -> Int[np.ndarray, "size longest"]:
    """For each of `size` rows the positions in `index` that hold it, padded with nnz: (size, longest)."""
    order = np.argsort(index, kind="stable")
    count = np.bincount(index, minlength=size)
    start = np.cumsum(count) - count
    table = np.full((size, max(int(count.max(initial=0)), 1)), index.size)
    table[index[order], np.arange(index.size) - start[index[order]]] = order
    return table


class Conserving:
    """A generator G with the diagonal that conserves probability exactly, applied in doubled precision.

    Args:
        places: where its entries stand. values: G's entries (nnz,) [rate], or (nnz, lanes) for one generator in each lane.
        transposed: whether it is G^T that is applied.
    """

    def __init__(self, places: ConservingPlaces, values: Float[Array, "nnz *lanes"], transposed: bool = False):
        on = np.flatnonzero(places.is_population[places.target])
        column = _gathered(padded(take(values, on)), _rows(places.source[on], places.size))
        defect = total(column, jnp.zeros_like(column))
        self.correction = jnp.where(_along(places.is_population, defect), -defect, 0.0)
        out, into = (places.source, places.target) if transposed else (places.target, places.source)
        # Rows padded to the longest, not a segment sum: that adds in working precision.
        table = _rows(out, places.size)
        self._into = np.append(into, 0)[table]
        # The correction is an entry of its own in each row: added to the diagonal it would be
        # rounded to the last place of the fastest rate, and this rounding is what it corrects.
        self._entries = jnp.concatenate([_gathered(padded(values), table), self.correction[:, None]], axis=1)

    def __call__(self, x: Float[Array, "n *lanes"]) -> Float[Array, "n *lanes"]:
        """G x (size,), rounded once at the end."""
        return total(*_two_product(self._entries, jnp.concatenate([_gathered(x, self._into), x[:, None]], axis=1)))


def _gathered(x, table):
    return take(x, table.ravel()).reshape(*table.shape, *x.shape[1:])


def _along(flags: np.ndarray, x):
    """One flag for each entry of the first axis of x."""
    return flags.reshape(-1, *(1,) * (x.ndim - 1))
