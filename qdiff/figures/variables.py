"""Variables that say what they are, and what is read off curves: crossings and extrema."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models.base import Model


def quantity(dims, values, symbol: str, unit: str, text: str) -> tuple[Any, np.ndarray, dict[str, str]]:
    """A variable or coordinate with its symbol, unit and meaning, as xarray takes it."""
    return dims, np.asarray(values), {"symbol": symbol, "units": unit, "long_name": text}


def declared(dims, values, model: type[Model] | Model, name: str) -> tuple[Any, np.ndarray, dict[str, str]]:
    """A variable that is a model's figure of merit, with the symbol, unit and source declared there."""
    kind = model if isinstance(model, type) else type(model)
    about = kind.merits()[name]
    attributes = {"symbol": about.symbol, "units": about.unit, "long_name": about.text, "source": about.source}
    return dims, np.asarray(values), attributes


def crossings(x, y, level: float = 0.0) -> np.ndarray:
    """Where a smooth curve crosses a level, by its cubic spline."""
    from scipy.interpolate import CubicSpline

    found = np.asarray(CubicSpline(x, np.asarray(y) - level).roots(extrapolate=False))
    return np.unique(found[np.isfinite(found)])


def crossing(x, y, level: float = 0.0) -> float:
    """The first of them; NaN if there is none."""
    found = crossings(x, y, level)
    return float(found[0]) if found.size else float("nan")


def peaks(x, y) -> list[tuple[float, float]]:
    """The local maxima inside, (x, y) each, by the cubic spline."""
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(x, y)
    at = np.unique(np.asarray(curve.derivative().roots(extrapolate=False)))
    return [(float(a), float(curve(a))) for a in at if curve(a, 2) < 0]


def largest(x, y) -> tuple[float, float]:
    """The largest value of a smooth curve, edges included: (x, y)."""
    x, y = np.asarray(x), np.asarray(y)
    return max([*peaks(x, y), (float(x[0]), float(y[0])), (float(x[-1]), float(y[-1]))], key=lambda p: p[1])
