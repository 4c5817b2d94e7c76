"""A number or an array at many parameters of a model at once, in one compiled program: for colour maps of what is no figure of merit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..models.base import Model
from ..results import failures


def mapped(function: Callable[[Model], jax.Array], model: Model, *, chunk: int = 1024, **values) -> np.ndarray:
    """function(model) with parameters replaced, for values that broadcast against each other; NaN where it failed.

    The shape is theirs, then that of the function.

    Args:
        function: of a model, defined at the top of a module, so that its program is compiled once. chunk: points in one call; every
            call has this many, so that maps of different sizes share a program. values: arrays by parameter.
    """
    shape = np.broadcast_shapes(*(np.shape(v) for v in values.values()))
    names = tuple(values)
    points = np.stack([np.broadcast_to(np.asarray(v, float), shape).ravel() for v in values.values()], axis=1)
    count = len(points)
    # The last call is filled up with copies of the last point.
    points = np.concatenate([points, np.repeat(points[-1:], -count % chunk, axis=0)])
    with failures("nan"):
        parts = [np.asarray(_program(function, model, names, jnp.asarray(x))) for x in points.reshape(-1, chunk, len(names))]
    every = np.concatenate(parts)[:count]
    return every.reshape(shape + every.shape[1:])


@eqx.filter_jit
def _program(function, model, names, points):
    def one(point):
        return function(dataclasses.replace(model, **dict(zip(names, point, strict=True))))

    return jax.vmap(one)(points)
