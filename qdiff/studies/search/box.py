"""The box that a search stays in: which parameters vary, and between which bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...models.base import Model
from ...models.parameters import Parameter, entries, place_in, place_of, value_at
from .parameters import Coordinates


@dataclasses.dataclass(frozen=True)
class Box(Coordinates):
    """Bounds of some parameters of a model, and the coordinates u in [0, 1]^n that they are searched in.

    x = low (1 - s) + high s, which is exact at both ends, with s = u, or for a parameter of scale "log"
    s = (e^{ku} - 1)/(e^k - 1). An array has a coordinate for each of its entries.

    Attributes:
        low, high: the coordinates' bounds, float (n,), each in its parameter's unit.
        bend: k of each coordinate, float (n,), zero where s = u.
    """

    low: np.ndarray
    high: np.ndarray
    bend: np.ndarray

    @classmethod
    def of(cls, model: Model, over: Mapping[str, Any] | None) -> Box:
        """The box of a search; with over=None the model's own default.

        Args:
            model: the device, `prepared` for this search. over: name -> (low, high), of an array for every entry.

        Raises:
            ValueError: an unknown name or a static setting; bounds that are not two finite numbers in order, or
                that reach beyond what is physical; a parameter that another one has replaced; an entry named twice.
        """
        kind = type(model)
        known = kind.parameters()
        over = _given(kind, over)
        places = [place_in(model, name) for name in over]
        bounds = [_checked(known[place.parameter], place.name, pair) for place, pair in zip(places, over.values(), strict=True)]
        names = tuple(place.name for place in places)
        shapes: list[tuple[int, ...]] = []
        for place in places:
            value = value_at(model, place.name)
            if value is None:
                raise ValueError(f"over[{place.name!r}] must be a parameter in use, but another one has taken the place of {place.name}")
            if np.ndim(value) and not known[place.parameter].is_array:
                raise ValueError(f"over[{place.name!r}] must be a single number in the model, but has shape {np.shape(value)}")
            shapes.append(np.shape(value))
        repeat = [math.prod(shape) for shape in shapes]
        low, high = (np.repeat(column, repeat) for column in np.array(bounds).T)
        bend = np.repeat([_bend(known[place.parameter], *pair) for place, pair in zip(places, bounds, strict=True)], repeat)
        box = cls(names, tuple(shapes), low, high, bend)
        if box.twice:
            raise ValueError(f"over must name each entry once, but has {box.twice} twice")
        return box

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """name -> (low, high)."""
        starts = np.cumsum([0, *map(math.prod, self.shapes)])[:-1]
        return {name: (float(self.low[at]), float(self.high[at])) for name, at in zip(self.names, starts, strict=True)}

    def values(self, u, xp: Any = np) -> Any:
        """The coordinates' values at normalised coordinates u (..., n), by NumPy or by jax.numpy."""
        whole = np.expm1(np.where(self.bend == 0, 1.0, self.bend))
        s = xp.where(self.bend == 0, u, xp.expm1(self.bend * u) / whole)
        return self.low * (1 - s) + self.high * s

    def named(self, u) -> dict[str, Any]:
        """The parameters at one point u (n,), by name: numbers, and lists of them."""
        return {name: value.tolist() for name, value in zip(self.names, self.split(self.values(np.asarray(u))), strict=True)}

    def touched(self, u) -> dict[str, str]:
        """Which bounds the point u (n,) is on: label -> "low" or "high"."""
        return {name: "low" if x <= 0 else "high" for name, x in zip(self.labels, u, strict=True) if x <= 0 or x >= 1}


def _bend(about: Parameter, low: float, high: float) -> float:
    """k of a parameter: ln(high/low) for a logarithmic scale from above zero, ln 1001 for one from elsewhere."""
    if about.scale != "log":
        return 0.0
    return math.log(high / low) if low > 0 else math.log1p(1000)


def prepared(model: Model, over: Mapping[str, Any] | None) -> Model:
    """The model with every searched array in it, where None stood for one."""
    kind = type(model)
    known = kind.parameters()
    asked = {place_of(kind, name).parameter for name in _given(kind, over)}
    missing = [name for name in known if name in asked and known[name].array and getattr(model, name) is None]
    return model.replace(**{name: getattr(model, known[name].array or "")() for name in missing}) if missing else model


def tied(model: Model, box: Box, ties: Mapping[str, str] | None) -> dict[str, str]:
    """The ties, checked: each name a parameter that is not searched, kept equal to one that is.

    Raises:
        ValueError: an unknown name or a setting, a parameter that is searched itself, a leader that is not searched, of
            another shape, or with bounds that are not physical for its follower.
    """
    if ties is not None and not isinstance(ties, Mapping):
        raise ValueError(f"ties must be a dictionary, name -> searched parameter, but was {ties!r}")
    known = type(model).parameters()
    out: dict[str, str] = {}
    for follower, leader in dict(ties or {}).items():
        place, what = place_in(model, follower), f"ties[{follower!r}]"
        name, leader, about = place.name, place_in(model, leader).name, known[place.parameter]
        if about.static or about.choices:
            raise ValueError(f"{what} must be a parameter that varies continuously, but {name} is a setting")
        there, wanted = _labels(model, name), _labels(model, leader)
        if set(there) & set(box.labels):
            raise ValueError(f"{what} must be a parameter that is not searched itself, but `over` has {name}")
        if not set(wanted) <= set(box.labels):
            raise ValueError(f"{what} must be one of the searched parameters, {', '.join(box.names)}, but was {leader!r}")
        if np.shape(value_at(model, name)) != np.shape(value_at(model, leader)) or value_at(model, name) is None:
            raise ValueError(f"{what} must be of the shape of {leader}, {np.shape(value_at(model, leader))}, but {name} is not")
        if twice := [label for other in out for label in _labels(model, other) if label in there]:
            raise ValueError(f"ties must have each parameter once, but have {twice[0]} twice")
        on = [box.labels.index(label) for label in wanted]
        for bound in (*box.low[on], *box.high[on]):
            if about.outside(bound):
                raise ValueError(f"{what} must stay where {name} is physical, {about.bounds}, but {leader} runs to {bound:g}")
        out[name] = leader
    return out


def followed(model: Model, ties: Mapping[str, str]) -> dict[str, Any]:
    """The values of what is tied, by name, in a model in which the searched parameters have theirs."""
    return {name: value_at(model, leader) for name, leader in ties.items()}


def _labels(model: Model, name: str) -> list[str]:
    return entries(name, np.shape(value_at(model, name)))


def _given(kind: type[Model], over) -> Mapping[str, Any]:
    """name -> bounds of a search, with the names checked."""
    if over is None:
        over = kind.default_search()
        if not over:
            raise ValueError(f"over must be given, name -> (low, high), because {kind.__name__} has no default search")
    if not isinstance(over, Mapping):
        raise ValueError(f"over must be a dictionary, name -> (low, high), but was {over!r}")
    if not over:
        raise ValueError("over must name at least one parameter, but was empty")
    for name in over:
        place_of(kind, name)
    return over


def _checked(about: Parameter, name: str, bounds) -> tuple[float, float]:
    """The bounds of one parameter, or of an entry, as two floats."""
    what = f"over[{name!r}]"
    if about.static or about.choices:
        raise ValueError(f"{what} must be a parameter that varies continuously, but {about.name} is a setting")
    try:
        low, high = (float(b) for b in bounds)
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be two numbers (low, high), but was {bounds!r}") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{what} must be finite, but was ({low:g}, {high:g})")
    if not low < high:
        raise ValueError(f"{what} must have low < high, but was ({low:g}, {high:g})")
    for bound in (low, high):
        if about.outside(bound):
            raise ValueError(f"{what} must stay where {about.name} is physical, {about.bounds}, but was ({low:g}, {high:g})")
    return low, high
