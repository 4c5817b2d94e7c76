"""Sums into static places: out[at[t]] += values[t], with `at` known while tracing."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Int, Shaped


def sum_into(
    values: Shaped[Array, "terms"] | Shaped[np.ndarray, "terms"], at: Int[np.ndarray, "terms"], size: int
) -> Inexact[Array, "size"] | Inexact[np.ndarray, "size"]:
    """out (size,) with out[at[t]] += values[t]; NumPy in, NumPy out.

    In a compiled program a scatter walks through its terms one by one. Here the places are sorted by how many
    terms they have, padded to powers of two, and each group is one gather and one short sum.
    """
    if isinstance(values, np.ndarray):
        out = np.zeros(size, np.result_type(float, values.dtype))
        np.add.at(out, at, values)
        return out
    values = values.astype(jnp.result_type(float, values.dtype))
    if size == 0:
        return values
    count = np.bincount(at, minlength=size)
    start = np.cumsum(count) - count
    order = np.argsort(at, kind="stable")
    length = np.where(count == 0, 0, 2 ** np.ceil(np.log2(np.maximum(count, 1))).astype(int))
    groups, places = [], []
    padded = jnp.concatenate([values, jnp.zeros(1, values.dtype)]) if np.any(length != count) else values
    for n in np.unique(length):
        where = np.flatnonzero(length == n)
        places.append(where)
        if n == 0:
            groups.append(jnp.zeros(where.size, values.dtype))
            continue
        step = np.arange(n)
        table = np.where(step < count[where, None], order[np.minimum(start[where, None] + step, at.size - 1)], values.shape[0])
        groups.append(padded[table[:, 0]] if n == 1 else jnp.sum(padded[table], axis=-1))
    place = np.concatenate(places)
    out = jnp.concatenate(groups) if len(groups) > 1 else groups[0]
    if np.array_equal(place, np.arange(size)):
        return out
    back = np.empty(size, int)
    back[place] = np.arange(size)
    return out[back]
