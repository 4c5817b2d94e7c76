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

    x = low (1 - u) + high u, which is exact at both ends.

    Attributes:
        names: the parameters. low, high: their bounds, float (n,), each in its parameter's unit.
    """

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, model: Model, over: Mapping[str, Any] | None) -> Box:
        """The box of a search; with over=None the model's own default.

        Args:
            model: the device. over: name -> (low, high).

        Raises:
            ValueError: an unknown name or a static setting; bounds that are not two finite numbers in order, or
                that reach beyond what is physical.
        """
        kind = type(model)
        if over is None:
            over = kind.default_search()
            if not over:
                raise ValueError(f"over must be given, name -> (low, high), because {kind.__name__} has no default search")
        if not isinstance(over, Mapping):
            raise ValueError(f"over must be a dictionary, name -> (low, high), but was {over!r}")
        if not over:
            raise ValueError("over must name at least one parameter, but was empty")
        known = kind.parameters()
        bounds = [_checked(known[known_name(name, known, "parameter", kind.__name__)], over[name]) for name in over]
        for name in over:
            if np.ndim(getattr(model, name)) != 0:
                raise ValueError(f"over[{name!r}] must be a single number in the model, but has shape {np.shape(getattr(model, name))}")
        low, high = np.array(bounds).T
        return cls(tuple(over), low, high)

    def values(self, u) -> np.ndarray:
        """The parameters at normalised coordinates u (..., n)."""
        return self.low * (1 - u) + self.high * u

    def named(self, u) -> dict[str, float]:
        """The parameters at one point u (n,), by name."""
        return dict(zip(self.names, self.values(np.asarray(u)).tolist(), strict=True))

    def touched(self, u) -> dict[str, str]:
        """Which bounds the point u (n,) is on: name -> "low" or "high"."""
        return {name: "low" if x <= 0 else "high" for name, x in zip(self.names, u, strict=True) if x <= 0 or x >= 1}


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
        below = about.low is not None and (bound <= about.low if about.open else bound < about.low)
        if below or (about.high is not None and bound > about.high):
            raise ValueError(f"{what} must stay where {about.name} is physical, {about.bounds}, but was ({low:g}, {high:g})")
    return low, high
