"""Grids of parameters: the product of axes, along each of which one parameter runs or several run together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..models.base import Model
from ..models.parameters import Place, entries, place_in, value_at

_MOST = 10**12


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid, its points numbered in C order (the last axis runs fastest).

    Attributes:
        axes: the parameters of each axis, or entries of arrays such as "J[1]". values: of each (length of its axis,), in its unit.
    """

    axes: tuple[tuple[str, ...], ...]
    values: dict[str, np.ndarray]

    @classmethod
    def of(cls, model: Model, grids: Mapping[str, Any], together: Iterable[Iterable[str]] = ()) -> Grid:
        """The product of `grids`, name -> values, in which the names of each group in `together` share an axis.

        Raises:
            ValueError: an unknown name, a setting, values that are not numbers or not physical, no values, groups of
                different lengths.
        """
        if not grids:
            raise ValueError("grids must name at least one parameter, but were empty")
        places = [place_in(model, name) for name in grids]
        if len(set(places)) < len(places):
            raise ValueError(f"grids must name each parameter once, but are of {', '.join(grids)}")
        values = {place.name: _checked(model, place, given) for place, given in zip(places, grids.values(), strict=True)}
        named = {name: place.name for name, place in zip(grids, places, strict=True)}
        group_of: dict[str, tuple[str, ...]] = {}
        for group in together:
            names = tuple(named.get(name, name) for name in group)
            for name in names:
                if name not in values or name in group_of:
                    raise ValueError(f"together must group parameters that have a grid, each once, but has {name!r}")
                group_of[name] = names
            if len({len(values[name]) for name in names}) > 1:
                lengths = ", ".join(f"{name} {len(values[name])}" for name in names)
                raise ValueError(f"together must group grids of one length, but has {lengths}")
        axes = tuple(dict.fromkeys(group_of.get(name, (name,)) for name in values))
        grid = cls(axes, {name: values[name] for axis in axes for name in axis})
        if grid.size > _MOST:
            raise ValueError(f"grids must have at most {_MOST:.0e} points in all, but have {' x '.join(map(str, grid.shape))}")
        return grid

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the axes: that of the parameter, or those of several joined by an underscore."""
        return tuple("_".join(axis) for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(self.values[axis[0]]) for axis in self.axes)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def points(self, start: int, stop: int) -> np.ndarray:
        """The parameters (stop - start, names) of these points."""
        at = np.unravel_index(np.arange(start, stop), self.shape)
        return np.stack([self.values[name][i] for axis, i in zip(self.axes, at, strict=True) for name in axis], axis=1)


def _checked(model: Model, place: Place, given) -> np.ndarray:
    about, name = type(model).parameters()[place.parameter], place.name
    if about.static or about.choices:
        raise ValueError(f"{name} is a setting, which a grid cannot vary: make one sweep for each of its values")
    value = value_at(model, name)
    if about.is_array and np.ndim(value):
        raise ValueError(f"{name} is an array: give grids of its entries, such as {entries(name, np.shape(value))[0]}")
    if value is None or np.ndim(value) != 0:
        raise ValueError(f"{name} must be a single number in the model to have a grid, but was {value!r}")
    try:
        array = np.asarray(given, float)
    except (TypeError, ValueError):
        raise ValueError(f"the grid of {name} must be numbers, but was {given!r}") from None
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"the grid of {name} must be a sequence of at least one number, but has shape {array.shape}")
    wrong = array[~np.isfinite(array) | about.outside(array)]
    if wrong.size:
        raise ValueError(f"the grid of {name} must stay where it is physical, {about.bounds}, but has {wrong[0]:g}")
    return array


def boxes(start: int, stop: int, shape: tuple[int, ...]) -> Iterator[tuple[tuple, int]]:
    """The range [start, stop) of the points of an array of this shape, as (index, number of points), in order."""
    if start >= stop:
        return
    if len(shape) == 1:
        yield (slice(start, stop),), stop - start
        return
    row = math.prod(shape[1:])
    first, end = -(-start // row), stop // row  # the whole rows
    if first > end:  # inside one row
        for index, count in boxes(start - end * row, stop - end * row, shape[1:]):
            yield (end, *index), count
        return
    for index, count in boxes(start - (first - 1) * row, row, shape[1:]) if start < first * row else ():
        yield (first - 1, *index), count
    if first < end:
        yield (slice(first, end),), (end - first) * row
    for index, count in boxes(0, stop - end * row, shape[1:]):
        yield (end, *index), count
