"""Some of a model's parameters as one vector, arrays entry by entry."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...models.base import Model, as_number, sharing
from ...models.parameters import assigned, entries, names_of, place_in, value_at
from ...results import failures


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """Some parameters as the coordinates of one vector, arrays entry by entry.

    Attributes:
        names: of the parameters, and of single entries such as "J[1]". shapes: of each, () of a number.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each coordinate, such as "T[3]"."""
        both = zip(self.names, self.shapes, strict=True)
        return tuple(label for name, shape in both for label in entries(name, shape))

    @property
    def twice(self) -> str | None:
        """A label that stands for two coordinates, if there is one."""
        return next((label for k, label in enumerate(self.labels) if label in self.labels[:k]), None)

    def split(self, x) -> list:
        """The values of the parameters, a number or an array for each name, from those of the coordinates x (n,)."""
        ends = np.cumsum([0, *map(math.prod, self.shapes)])
        pairs = zip(ends[:-1], ends[1:], self.shapes, strict=True)
        return [x[a:b].reshape(shape) if shape else x[a] for a, b, shape in pairs]


@dataclasses.dataclass(frozen=True)
class Flat(Coordinates):
    """Coordinates x (n,) of a model.

    Attributes:
        model: the device that x0 stands for. x0: the values of its coordinates (n,).
    """

    model: Model
    x0: np.ndarray

    @classmethod
    def of(cls, model: Model, names: Iterable[str] | None) -> Flat:
        """Of these parameters; by default of all that can be differentiated.

        Raises:
            ValueError: an unknown name, a setting, a parameter that another one has replaced, no name, one entry twice.
        """
        kind = type(model)
        known = kind.parameters()
        if names is None:
            names = [name for name, about in known.items() if not about.static and getattr(model, name) is not None]
        names = names_of("parameters", names)
        if not names:
            raise ValueError("parameters must name at least one parameter, but were empty")
        names = tuple(place_in(model, name).name for name in names)
        for name in names:
            if known[place_in(model, name).parameter].static:
                raise ValueError(f"parameters must be ones that vary continuously, but {name} is a setting")
            if value_at(model, name) is None:
                raise ValueError(f"parameters must be in use, but another one has taken the place of {name}")
        values = [np.asarray(value_at(model, name), float) for name in names]
        flat = cls(names, tuple(v.shape for v in values), model, np.concatenate([v.ravel() for v in values]))
        if flat.twice:
            raise ValueError(f"parameters must name each entry once, but have {flat.twice} twice")
        return flat

    def at(self, x) -> Model:
        """The model at x (n,), which may be traced."""
        return assigned(self.model, dict(zip(self.names, self.split(x), strict=True)))

    def merit(self, name: str):
        """The function x -> figure of merit, NaN where it cannot be solved for.

        Raises (while tracing):
            ValueError: the figure of merit is not a real number.
        """

        def of(x):
            with failures("nan"), sharing():
                value = as_number(name, getattr(self.at(x), name)())
            if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
                raise ValueError(f"merit must be a real number, but {name} has shape {value.shape} and type {value.dtype}")
            return value

        return of

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Of which points x (..., n) a coordinate is not physical, (...,)."""
        known = type(self.model).parameters()
        out = np.zeros(x.shape[:-1], bool)
        for k, label in enumerate(self.labels):
            out |= known[place_in(self.model, label).parameter].outside(x[..., k])
        return out


def by_label(flat: Flat, given, what: str) -> np.ndarray:
    """Positive numbers (n,) from name -> number or array, zero where nothing is given.

    Raises:
        ValueError: a name that is none of the parameters, a number that is not finite and positive, another shape.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"{what} must be a dictionary, name -> number, but was {given!r}")
    out = np.zeros(len(flat.x0))
    for name, value in dict(given or {}).items():
        place = place_in(flat.model, name)
        shape = np.shape(value_at(flat.model, name)) if place.index is None else ()
        labels = entries(place.name, shape)
        if not set(labels) <= set(flat.labels):
            raise ValueError(f"{what} must be given for parameters that are looked at, but {name} is none of {', '.join(flat.names)}")
        array = _numbers(value)
        if array is None or array.shape not in ((), shape) or not np.all(np.isfinite(array)) or np.any(array <= 0):
            raise ValueError(f"{what} of {name} must be a positive number (for an array, also one for each entry), but was {value!r}")
        out[[flat.labels.index(label) for label in labels]] = array.ravel()
    return out


def _numbers(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return None
