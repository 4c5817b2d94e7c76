"""The box that a search stays in: which parameters vary, and between which bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..models.base import Model, Parameter, known_name


@dataclasses.dataclass(frozen=True)
class Box:
    """Bounds of some parameters of a model, and the coordinates u in [0, 1]^n that they are searched in.

    x = low (1 - s) + high s, which is exact at both ends, with s = u, or for a parameter of scale "log"
    s = (e^{ku} - 1)/(e^k - 1). An array has a coordinate for each of its entries.

    Attributes:
        names: the parameters. lengths: of each, None for a number. labels: of the coordinates, such as "T[3]".
        low, high: the coordinates' bounds, float (n,), each in its parameter's unit.
        bend: k of each coordinate, float (n,), zero where s = u.
    """

    names: tuple[str, ...]
    lengths: tuple[int | None, ...]
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
                that reach beyond what is physical; a parameter that another one has replaced.
        """
        kind = type(model)
        over = _given(kind, over)
        known = kind.parameters()
        bounds = [_checked(known[name], over[name]) for name in over]
        lengths: list[int | None] = []
        for name in over:
            value = getattr(model, name)
            if value is None:
                raise ValueError(f"over[{name!r}] must be a parameter in use, but another one has taken the place of {name}")
            if np.ndim(value) != (1 if known[name].array else 0):
                raise ValueError(f"over[{name!r}] must be a single number in the model, but has shape {np.shape(value)}")
            lengths.append(np.size(value) if np.ndim(value) else None)
        repeat = [1 if n is None else n for n in lengths]
        low, high = (np.repeat(column, repeat) for column in np.array(bounds).T)
        bend = np.repeat([_bend(known[name], *pair) for name, pair in zip(over, bounds, strict=True)], repeat)
        return cls(tuple(over), tuple(lengths), low, high, bend)

    @property
    def labels(self) -> tuple[str, ...]:
        out = []
        for name, n in zip(self.names, self.lengths, strict=True):
            out += [name] if n is None else [f"{name}[{k}]" for k in range(n)]
        return tuple(out)

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """name -> (low, high)."""
        return {name: (float(self.low[at]), float(self.high[at])) for name, at in zip(self.names, self._starts(), strict=True)}

    def _starts(self):
        return np.cumsum([0, *(1 if n is None else n for n in self.lengths)])[:-1]

    def split(self, x) -> list:
        """The values of the parameters, one entry or one array for each name, from those of the coordinates x (n,)."""
        return [x[at] if n is None else x[at : at + n] for at, n in zip(self._starts(), self.lengths, strict=True)]

    def values(self, u) -> np.ndarray:
        """The coordinates' values at normalised coordinates u (..., n)."""
        s = np.where(self.bend == 0, u, np.expm1(self.bend * u) / np.expm1(np.where(self.bend == 0, 1.0, self.bend)))
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
    missing = [name for name in _given(kind, over) if kind.parameters()[name].array and getattr(model, name) is None]
    return model.replace(**{name: getattr(model, kind.parameters()[name].array or "")() for name in missing}) if missing else model


def tied(model: Model, box: Box, ties: Mapping[str, str] | None) -> dict[str, str]:
    """The ties, checked: each name a parameter that is not searched, kept equal to one that is.

    Raises:
        ValueError: an unknown name or a setting, a parameter that is searched itself, a leader that is not searched, of
            another shape, or with bounds that are not physical for its follower.
    """
    if ties is not None and not isinstance(ties, Mapping):
        raise ValueError(f"ties must be a dictionary, name -> searched parameter, but was {ties!r}")
    kind, out = type(model), dict(ties or {})
    known = kind.parameters()
    for name, leader in out.items():
        known_name(name, known, "parameter", kind.__name__)
        known_name(leader, known, "parameter", kind.__name__)
        what = f"ties[{name!r}]"
        if known[name].static or known[name].choices:
            raise ValueError(f"{what} must be a parameter that varies continuously, but {name} is a setting")
        if name in box.names:
            raise ValueError(f"{what} must be a parameter that is not searched itself, but `over` has {name}")
        if leader not in box.names:
            raise ValueError(f"{what} must be one of the searched parameters, {', '.join(box.names)}, but was {leader!r}")
        if np.shape(getattr(model, name)) != np.shape(getattr(model, leader)) or getattr(model, name) is None:
            raise ValueError(f"{what} must be of the shape of {leader}, {np.shape(getattr(model, leader))}, but {name} is not")
        for bound in box.bounds[leader]:
            if known[name].outside(bound):
                raise ValueError(f"{what} must stay where {name} is physical, {known[name].bounds}, but {leader} runs to {bound:g}")
    return out


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
        known_name(name, kind.parameters(), "parameter", kind.__name__)
    return over


def _checked(about: Parameter, bounds) -> tuple[float, float]:
    """The bounds of one parameter as two floats."""
    what = f"over[{about.name!r}]"
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
