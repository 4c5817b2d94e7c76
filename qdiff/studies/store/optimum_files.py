"""An optimum, and its files: result.json, trace.csv and picture.png."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
from typing import Any

import numpy as np

from ...models.base import Merit, Model
from ...models.parameters import entries
from .results import figure, panels, saving, symbol, unit_text, write_json

FILES = ("result.json", "trace.csv", "picture.png")


@dataclasses.dataclass(frozen=True)
class Optimum:
    """What a search found.

    Attributes:
        merit: what was optimized: its name, symbol and unit. minimize: whether the least value was sought.
        value: the best value [the merit's unit].
        parameters: the searched parameters there, by name [their units]; of an array, a list.
        ties: parameters that were kept equal to a searched one, name -> that one.
        model: the model with these parameters.
        at_bound: which of them are on a bound of the search, name -> "low" or "high"; of an array, "name[k]".
        active: which constraints hold the optimum.
        converged: whether this is a local optimum within the bounds, to rounding. message: if not, why.
        curvature: what the second derivatives say of the directions that no bound holds: "verdict", such as "maximum" or
            "saddle point"; "eigenvalues" of the Hessian with respect to parameters that run from 0 to 1, the most curved
            first [the merit's unit]; "flat", the directions in which it does not curve, each label -> share.
        gradient_norm: largest derivative of the figure of merit, in the directions that no bound holds, with respect to
            parameters that run from 0 to 1 between their bounds [the merit's unit].
        evaluations: how many times the figure of merit was computed.
        starts: where the starts began and ended: "begin" and "end", each name (or "name[k]") -> (starts,), and the values
            there, "first" and "best", (starts,); NaN for a start that met no finite value.
        trace: "values" (steps, starts) and "best" (steps,), the best value so far.
        bounds: of the search, name -> (low, high).
        notes: what the model says of the neighbourhood of the optimum, such as between which kinks it lies.
    """

    merit: Merit
    minimize: bool
    value: float
    parameters: dict[str, Any]
    ties: dict[str, str]
    model: Model
    at_bound: dict[str, str]
    active: list[str]
    converged: bool
    message: str
    curvature: dict[str, Any]
    gradient_norm: float
    evaluations: int
    starts: dict[str, Any] = dataclasses.field(repr=False)
    trace: dict[str, np.ndarray] = dataclasses.field(repr=False)
    bounds: dict[str, tuple[float, float]]
    notes: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """The result without its history, as plain numbers, words and dictionaries."""
        names = "value parameters ties at_bound active converged message curvature gradient_norm evaluations minimize bounds notes"
        return {"merit": self.merit.name, **{name: getattr(self, name) for name in names.split()}}

    def save(self, folder: str | os.PathLike):
        """Write result.json, trace.csv and picture.png into a folder, which is made if need be.

        Files of the same names are replaced. result.json: `record` and the starts. trace.csv: a row for
        each step, its columns step, best and the value of each start (empty where it is NaN).
        picture.png: the same, and where each start ended.
        """
        with saving(folder, FILES) as (result, trace, drawing):
            values = self.trace["values"]
            with open(trace, "w", newline="") as file:
                write = csv.writer(file)
                write.writerow(["step", "best", *(f"start_{k}" for k in range(values.shape[1]))])
                for step, (best, row) in enumerate(zip(self.trace["best"].tolist(), values.tolist(), strict=True), start=1):
                    write.writerow([step, *(repr(x) if math.isfinite(x) else "" for x in [best, *row])])
            picture(self, drawing)
            write_json({**self.record(), "starts": self.starts}, result)


def picture(optimum: Optimum, path: str | os.PathLike):
    """Draw value against step for every start, and, for each parameter, where the starts ended."""
    from matplotlib.ticker import MaxNLocator

    about, trace = optimum.merit, optimum.trace
    label = symbol(about) + unit_text(about.unit, "  ")
    best = by_label(optimum.parameters)
    rows = max(2, math.ceil(len(best) / 2))
    fig, grid = figure(1.6 + 1.5 * rows, 1.25)
    left = fig.add_subplot(grid[0])
    steps = np.arange(1, len(trace["best"]) + 1)
    left.plot(steps, trace["values"], color="0.72", lw=0.8)
    left.plot([], [], color="0.72", lw=0.8, label="starts")
    left.plot(steps, trace["best"], color="C0", lw=1.8, label="best so far")
    limits = _range(optimum, trace["values"])
    _star(left, steps[-1], np.clip(optimum.value, *limits), 13, _legend(optimum))
    left.set(xlabel="step", ylabel=label, title=f"{'least' if optimum.minimize else 'largest'} {about.name.replace('_', ' ')}")
    left.set_xlim(1, max(2, steps[-1]) * 1.03)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylim(limits)
    left.legend(loc="best", fontsize=9)

    final = optimum.starts["best"]
    order = np.argsort(final if not optimum.minimize else -final)  # the best are drawn last; NaN is not drawn
    title = "where each start ended (line: from where it began)"
    axis = None
    for name, axis in panels(fig, grid[1], type(optimum.model), optimum.bounds, best, 0.06, title):
        begin, end = optimum.starts["begin"][name][order], optimum.starts["end"][name][order]
        axis.scatter(final[order], end, s=16, color="C0", alpha=0.7, linewidths=0, zorder=3)
        axis.vlines(final[order], begin, end, color="0.8", lw=0.8)
        _star(axis, np.clip(optimum.value, *_range(optimum, final, wildest=0)), best[name], 10, "best")
    if axis is not None:
        axis.set_xlim(_range(optimum, final, wildest=0))
        axis.set_xlabel(f"{label} of each start")
        axis.xaxis.set_major_locator(MaxNLocator(5))
    fig.savefig(path, dpi=130, format="png")


def by_label(parameters) -> dict[str, Any]:
    """Every number by its label, which for an entry of an array is "name[k]"."""
    out = {}
    for name, value in parameters.items():
        array = np.asarray(value, object)
        out |= dict(zip(entries(name, array.shape), array.ravel().tolist(), strict=True)) if isinstance(value, list) else {name: value}
    return out


def _star(axis, x, y, size, label):
    (star,) = axis.plot(x, y, "*", color="C3", ms=size, zorder=5, clip_on=False, label=label)
    star.set_in_layout(False)  # it may hang over the edge


def _legend(optimum: Optimum) -> str:
    return f"{optimum.value:.8g}" + ("" if optimum.converged else " (not converged)")


def _range(optimum: Optimum, values, wildest: float = 2) -> tuple[float, float]:
    """Limits that show the best value and all others but the `wildest` at either end [percent].

    Where the others would vanish beside the best value, as near a pole, it is left outside.
    """
    known = values[np.isfinite(values)]
    low, high = (float(x) for x in np.percentile(known, [wildest, 100 - wildest])) if known.size else (optimum.value, optimum.value)
    if low == high or abs(optimum.value - np.median(known)) < 20 * (high - low):
        low, high = min(low, optimum.value), max(high, optimum.value)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
