"""A curve of best compromises on disk: result.json, curve.csv and picture.png."""

from __future__ import annotations

import csv
import os
import pathlib
from typing import Any

import numpy as np

from ...models.parameters import entries, place_of
from .journal import kept_evaluations
from .optimum_files import symbol, unit_text, write_json
from .paths import disk, made, results_folder, whole

FILES = ("result.json", "curve.csv", "picture.png")


def save(curve: Any, folder: str | os.PathLike):
    """Write the three files into a folder, which is made if need be; files of the same names are replaced.

    result.json: `Tradeoff.record`. curve.csv: a row for each alpha: alpha, the two figures of merit, every parameter, converged.
    picture.png: one figure of merit against the other, and the parameters along the curve.
    """
    folder = results_folder("folder", folder)
    with disk("folder", folder, lambda: kept_evaluations(folder)), made(folder), whole(folder, FILES) as paths:
        _write(curve, *paths)


def _write(curve: Any, result: pathlib.Path, table: pathlib.Path, drawing: pathlib.Path):
    columns = columns_of(curve)
    with open(table, "w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["alpha", *(about.name for about in curve.merits), *columns, "converged"])
        rows = zip(
            curve.weights.tolist(), curve.values.tolist(), zip(*columns.values(), strict=True), curve.converged.tolist(), strict=True
        )
        write.writerows([[repr(alpha), *map(repr, values), *map(float, x), done] for alpha, values, x, done in rows])
    picture(curve, columns, drawing)
    write_json(curve.record(), result)


def columns_of(curve: Any) -> dict[str, np.ndarray]:
    """Every searched number along the curve, (weights,), by its name, which for an entry of an array is such as "J[1]"."""
    out: dict[str, np.ndarray] = {}
    for name, values in curve.parameters.items():
        out |= dict(zip(entries(name, values.shape[1:]), values.reshape(len(values), -1).T, strict=True))
    return out


def picture(curve: Any, columns: dict[str, np.ndarray], path: str | os.PathLike):
    """Draw the curve, coloured by alpha, and below one another the parameters against alpha."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    fig = Figure(figsize=(11, max(4.2, 1.3 + 1.2 * len(columns))), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    FigureCanvasAgg(fig)
    grid = fig.add_gridspec(1, 2, width_ratios=(1.2, 1))
    left = fig.add_subplot(grid[0])
    labels = [symbol(about) + unit_text(about.unit, "  ") for about in curve.merits]
    x, y = curve.values.T
    left.plot(x, y, color="0.8", lw=1.2, zorder=1)
    shown = left.scatter(x, y, c=curve.weights, cmap="cividis", vmin=0, vmax=1, s=34, zorder=3)
    lost = ~curve.converged
    if lost.any():
        left.plot(x[lost], y[lost], "o", mfc="none", mec="C3", ms=10, zorder=4, label="not converged")
        left.legend(loc="best", fontsize=9)
    left.set(xlabel=labels[0], ylabel=labels[1], title="best compromises")
    left.margins(0.07)
    fig.colorbar(shown, ax=left, label=r"$\alpha$, the weight of " + symbol(curve.merits[0]), location="top", shrink=0.8)
    right = grid[1].subgridspec(len(columns), 1)
    units, axis = type(curve.model).parameters(), None
    for k, (name, values) in enumerate(columns.items()):
        axis = fig.add_subplot(right[k], sharex=axis)
        axis.plot(curve.weights, values, ".-", color="C0", lw=1)
        parameter = place_of(type(curve.model), name).parameter
        low, high = curve.bounds.get(name) or curve.bounds[parameter]
        axis.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
        for bound in (low, high):
            axis.axhline(bound, color="0.5", lw=0.6, ls=":")
        axis.set_ylabel(name + unit_text(units[parameter].unit, "\n"), fontsize=9)
        axis.tick_params(labelsize=8, labelbottom=k == len(columns) - 1)
        if k == 0:
            axis.set_title("where they lie (dotted: bounds of the search)", fontsize=10)
    if axis is not None:
        axis.set_xlabel(r"$\alpha$")
    fig.savefig(path, dpi=130, format="png")
