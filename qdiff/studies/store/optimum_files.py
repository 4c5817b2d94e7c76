"""An optimum on disk: result.json, trace.csv and picture.png."""

from __future__ import annotations

import csv
import json
import math
import os
import pathlib
import re
from typing import Any

import numpy as np

from ...models.parameters import entries, place_of
from .journal import kept_evaluations
from .paths import disk, made, results_folder, whole

FILES = ("result.json", "trace.csv", "picture.png")


def save(optimum: Any, folder: str | os.PathLike):
    """Write the three files into a folder, which is made if need be; files of the same names are replaced.

    result.json: `Optimum.record` and the starts. trace.csv: a row for each step, its columns step, best and the value
    of each start (empty where it is NaN). picture.png: the same, and where each start ended.
    """
    folder = results_folder("folder", folder)
    with disk("folder", folder, lambda: kept_evaluations(folder)), made(folder), whole(folder, FILES) as paths:
        _write(optimum, *paths)


def _write(optimum: Any, result: pathlib.Path, trace: pathlib.Path, drawing: pathlib.Path):
    values = optimum.trace["values"]
    with open(trace, "w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["step", "best", *(f"start_{k}" for k in range(values.shape[1]))])
        for step, (best, row) in enumerate(zip(optimum.trace["best"].tolist(), values.tolist(), strict=True), start=1):
            write.writerow([step, *(repr(x) if math.isfinite(x) else "" for x in [best, *row])])
    picture(optimum, drawing)
    write_json({**optimum.record(), "starts": optimum.starts}, result)


def write_json(record: dict, path: pathlib.Path):
    path.write_text(json.dumps(_plain(record), indent=1) + "\n")


def _plain(x) -> Any:
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    if isinstance(x, np.ndarray):
        x = x.tolist()
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x


def picture(optimum: Any, path: str | os.PathLike):
    """Draw value against step for every start, and, for each parameter, where the starts ended."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    about, trace, units = optimum.merit, optimum.trace, type(optimum.model).parameters()
    label = symbol(about) + unit_text(about.unit, "  ")
    best = by_label(optimum.parameters)
    rows = max(2, math.ceil(len(best) / 2))
    fig = Figure(figsize=(11, 1.6 + 1.5 * rows), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    FigureCanvasAgg(fig)
    grid = fig.add_gridspec(1, 2, width_ratios=(1.25, 1))
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

    names = list(best)
    right = grid[1].subgridspec(len(names), 1)
    final = optimum.starts["best"]
    order = np.argsort(final if not optimum.minimize else -final)  # the best are drawn last; NaN is not drawn
    axis = None
    for k, name in enumerate(names):
        axis = fig.add_subplot(right[k], sharex=axis)
        begin, end = optimum.starts["begin"][name][order], optimum.starts["end"][name][order]
        parameter = place_of(type(optimum.model), name).parameter
        low, high = optimum.bounds.get(name) or optimum.bounds[parameter]
        axis.scatter(final[order], end, s=16, color="C0", alpha=0.7, linewidths=0, zorder=3)
        axis.vlines(final[order], begin, end, color="0.8", lw=0.8)
        _star(axis, np.clip(optimum.value, *_range(optimum, final, wildest=0)), best[name], 10, "best")
        axis.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        for bound in (low, high):
            axis.axhline(bound, color="0.5", lw=0.6, ls=":")
        axis.set_ylabel(name + unit_text(units[parameter].unit, "\n"), fontsize=9)
        axis.tick_params(labelsize=8, labelbottom=k == len(names) - 1)
        if k == 0:
            axis.set_title("where each start ended (line: from where it began)", fontsize=10)
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


def symbol(about) -> str:
    """The merit's symbol as mathematics; its name, if matplotlib cannot draw the symbol."""
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(f"${about.symbol}$")
    except ValueError:
        return about.name
    return f"${about.symbol}$"


def unit_text(unit: str, before: str) -> str:
    powers = re.sub(r"\^(-?[0-9]+)", r"$^{\1}$", unit)
    return "" if unit == "1" else f"{before}[{powers}]"


def _star(axis, x, y, size, label):
    (star,) = axis.plot(x, y, "*", color="C3", ms=size, zorder=5, clip_on=False, label=label)
    star.set_in_layout(False)  # it may hang over the edge


def _legend(optimum: Any) -> str:
    return f"{optimum.value:.8g}" + ("" if optimum.converged else " (not converged)")


def _range(optimum: Any, values, wildest: float = 2) -> tuple[float, float]:
    """Limits that show the best value and all others but the `wildest` at either end [percent].

    Where the others would vanish beside the best value, as near a pole, it is left outside.
    """
    known = values[np.isfinite(values)]
    low, high = (float(x) for x in np.percentile(known, [wildest, 100 - wildest])) if known.size else (optimum.value, optimum.value)
    if low == high or abs(optimum.value - np.median(known)) < 20 * (high - low):
        low, high = min(low, optimum.value), max(high, optimum.value)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
