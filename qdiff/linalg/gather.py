"""Moves between static places: values taken from them, and values summed into them.

Indices are static; gather and segment-sum are each other's transposes. Plain indexing gives the same numbers, but leaves half a
dozen instructions to wrap negative indices, and its derivative is a scatter, which a compiled program takes term by term.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Inexact, Int, Shaped

from .places import Places


def take(values: Shaped[Array, "size *r"] | Shaped[np.ndarray, "size *r"], at: np.ndarray) -> Any:
    """values[at], for integers `at` (terms,) that are not negative; NumPy in, NumPy out."""
    if isinstance(values, np.ndarray):
        return values[at]
    return _take.bind(values, places=_Places(at, values.shape[0]), axis=0)


def sum_into(
    values: Shaped[Array, "terms *r"] | Shaped[np.ndarray, "terms *r"], at: Int[np.ndarray, "terms"], size: int
) -> Inexact[Array, "size *r"] | Inexact[np.ndarray, "size *r"]:
    """out (size,) with out[at[t]] += values[t]; NumPy in, NumPy out."""
    if isinstance(values, np.ndarray):
        return _numpy_sum(values, at, size)
    return _sum.bind(values.astype(jnp.result_type(float, values.dtype)), places=_Places(at, size), axis=0)


def product(places: Places, values: Any, x: Any, transposed: bool = False) -> Any:
    """A x, or A^T x, for a sparse A with these values (nnz, ...); further axes of x are a batch."""
    into, out = (places.source, places.target) if transposed else (places.target, places.source)
    return sum_into(values * take(x, out), into, places.size)


def padded(values: Any) -> Any:
    """One more entry, zero: what the index `size` in a static table stands for."""
    return jnp.concatenate([values, jnp.zeros((1, *values.shape[1:]), values.dtype)])


class _Places:
    """`at` (terms,), numbers below `size`: a static parameter."""

    def __init__(self, at: np.ndarray, size: int):
        self.at, self.size = np.ascontiguousarray(at, np.int64), size
        self._digest = hashlib.blake2b(self.at.tobytes(), digest_size=16).digest()

    def __hash__(self):
        return hash((self._digest, self.size))

    def __eq__(self, other):
        return type(other) is _Places and (self._digest, self.size) == (other._digest, other.size)

    @functools.cached_property
    def groups(self) -> tuple[list[np.ndarray], np.ndarray]:
        """The places sorted by their number of terms, padded to powers of two: for each such number a table
        (places, terms) of the terms to be added, where at.size stands for a zero; and where each place comes after that.
        """
        # Sums of equal length are one reduction of a table, without the scatter of a segment sum.
        # Powers of two bound both the number of tables and the zeros that are added, to less than
        # one for each term.
        count = np.bincount(self.at, minlength=self.size)
        start = np.cumsum(count) - count
        order = np.append(np.argsort(self.at, kind="stable"), self.at.size)
        length = np.where(count == 0, 1, 2 ** np.ceil(np.log2(np.maximum(count, 1))).astype(int))
        tables, places = [], []
        for n in np.unique(length):
            where = np.flatnonzero(length == n)
            step = np.arange(n)
            tables.append(order[np.where(step < count[where, None], start[where, None] + step, self.at.size)])
            places.append(where)
        return tables, np.argsort(np.concatenate(places)) if places else np.zeros(0, int)


def _numpy_sum(values, at, size):
    out = np.zeros((size, *values.shape[1:]), np.result_type(float, values.dtype))
    np.add.at(out, at, values)
    return out


def _taken(x, at, axis):
    if at.size == 0:
        return jnp.zeros((*x.shape[:axis], 0, *x.shape[axis + 1 :]), x.dtype)
    step = at[1] - at[0] if at.size > 1 else 1
    if step > 0 and np.array_equal(at, at[0] + step * np.arange(at.size)):
        # Evenly spaced places need no list of indices in the program.
        return lax.slice_in_dim(x, int(at[0]), int(at[-1]) + 1, int(step), axis)
    others = tuple(i for i in range(x.ndim) if i != axis)
    numbers = lax.GatherDimensionNumbers(offset_dims=others, collapsed_slice_dims=(axis,), start_index_map=(axis,))
    sizes = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    return lax.gather(x, at[:, None].astype(np.int32), numbers, sizes, mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS)


def _take_impl(x, *, places, axis):
    return _taken(x, places.at, axis)


def _sum_impl(x, *, places, axis):
    if not places.size:
        return jnp.zeros((*x.shape[:axis], 0, *x.shape[axis + 1 :]), x.dtype)
    tables, back = places.groups
    if any(np.any(table == places.at.size) for table in tables):
        x = lax.pad(x, np.zeros((), x.dtype), [(0, int(i == axis), 0) for i in range(x.ndim)])
    parts = []
    for table in tables:
        terms = _taken(x, table.ravel(), axis)
        if table.shape[1] > 1:
            terms = terms.reshape(*x.shape[:axis], *table.shape, *x.shape[axis + 1 :])
            terms = lax.reduce(terms, np.zeros((), x.dtype), lax.add, [axis + 1])
        parts.append(terms)
    out = lax.concatenate(parts, axis) if len(parts) > 1 else parts[0]
    return out if np.array_equal(back, np.arange(back.size)) else _taken(out, back, axis)


def _primitive(name, implementation, in_numpy, length):
    primitive = Primitive(name)
    compiled = jax.jit(implementation, static_argnames=("places", "axis"))

    def eager(x, *, places, axis):
        x = jnp.asarray(x)
        if [device.platform for device in x.devices()] != ["cpu"]:
            return compiled(x, places=places, axis=axis)
        # Outside of compiled programs a program for each set of places would take longer than all that it does.
        out = np.moveaxis(in_numpy(np.moveaxis(np.asarray(x), axis, 0), places), 0, axis)
        return jnp.asarray(out, device=next(iter(x.devices())) if x.committed else None)

    primitive.def_impl(eager)
    primitive.def_abstract_eval(
        lambda x, *, places, axis: x.update(shape=(*x.shape[:axis], length(places), *x.shape[axis + 1 :]), weak_type=False)
    )

    def batched(operands, dims, *, places, axis):
        (x,), (dim,) = operands, dims
        return primitive.bind(x, places=places, axis=axis + (dim <= axis)), dim

    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(implementation, multiple_results=False))
    return primitive


_take = _primitive("take_static", _take_impl, lambda x, places: x[places.at], lambda places: places.at.size)
_sum = _primitive("sum_static", _sum_impl, lambda x, places: _numpy_sum(x, places.at, places.size), lambda places: places.size)
ad.deflinear2(_take, lambda ct, _, **static: [_sum.bind(ct, **static)])
ad.deflinear2(_sum, lambda ct, _, **static: [_take.bind(ct, **static)])
