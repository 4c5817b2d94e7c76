"""A curve of best compromises, and its files: result.json, curve.csv and picture.png."""

from __future__ import annotations

import csv
import dataclasses
import os
from typing import Any

import numpy as np

from ...models.base import Merit, Model
from ...models.parameters import entries
from .results import figure, panels, saving, symbol, unit_text, write_json

FILES = ("result.json", "curve.csv", "picture.png")


@dataclasses.dataclass(frozen=True)
class Tradeoff:
    """The curve of best compromises between two figures of merit.

    Attributes:
        merits: the two. weights: alpha (n,), rising. values: of both where alpha F + (1 - alpha) G is largest, (n, 2).
        parameters: there, name -> (n,), of an array (n, entries). converged: whether each is a local optimum to rounding, (n,).
        messages: what each polish says. efficient: which no other point of the curve surpasses in both figures of merit, (n,).
        at_bound: of each, name -> "low" or "high". ties, bounds: of the search. model: whose other parameters stayed.
        evaluations: how many times the figures of merit were computed.
    """

    merits: tuple[Merit, Merit]
    weights: np.ndarray
    values: np.ndarray
    parameters: dict[str, np.ndarray]
    converged: np.ndarray
    messages: list[str]
    efficient: np.ndarray
    at_bound: list[dict[str, str]]
    ties: dict[str, str]
    bounds: dict[str, tuple[float, float]]
    model: Model = dataclasses.field(repr=False)
    evaluations: int

    def record(self) -> dict[str, Any]:
        """The curve as plain numbers, words and dictionaries."""
        names = "weights values parameters converged messages efficient at_bound ties bounds evaluations"
        return {"merits": [about.name for about in self.merits], **{name: getattr(self, name) for name in names.split()}}

    def save(self, folder: str | os.PathLike):
        """Write result.json, curve.csv and picture.png into a folder, which is made if need be.

        Files of the same names are replaced. result.json: `record`. curve.csv: a row for each alpha: alpha,
        the two figures of merit, every parameter, converged. picture.png: one figure of merit against the
        other, and the parameters along the curve.
        """
        columns = columns_of(self)
        with saving(folder, FILES) as (result, table, drawing):
            with open(table, "w", newline="") as file:
                write = csv.writer(file)
                write.writerow(["alpha", *(about.name for about in self.merits), *columns, "converged"])
                rows = zip(
                    self.weights.tolist(), self.values.tolist(), zip(*columns.values(), strict=True), self.converged.tolist(), strict=True
                )
                write.writerows([[repr(alpha), *map(repr, values), *map(float, x), done] for alpha, values, x, done in rows])
            picture(self, columns, drawing)
            write_json(self.record(), result)


def columns_of(curve: Tradeoff) -> dict[str, np.ndarray]:
    """Every searched number along the curve, (weights,), by its name, which for an entry of an array is such as "J[1]"."""
    out: dict[str, np.ndarray] = {}
    for name, values in curve.parameters.items():
        out |= dict(zip(entries(name, values.shape[1:]), values.reshape(len(values), -1).T, strict=True))
    return out


def picture(curve: Tradeoff, columns: dict[str, np.ndarray], path: str | os.PathLike):
    """Draw the curve, coloured by alpha, and below one another the parameters against alpha."""
    fig, grid = figure(max(4.2, 1.3 + 1.2 * len(columns)), 1.2)
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
    title = "where they lie (dotted: bounds of the search)"
    axis = None
    for name, axis in panels(fig, grid[1], type(curve.model), curve.bounds, columns, 0.08, title):
        axis.plot(curve.weights, columns[name], ".-", color="C0", lw=1)
    if axis is not None:
        axis.set_xlabel(r"$\alpha$")
    fig.savefig(path, dpi=130, format="png")
