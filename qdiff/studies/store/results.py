"""What results share: files that are all whole in their folder, or not there, and pictures."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from ...models.base import Merit, Model
from ...models.parameters import place_of
from .journal import Journal
from .paths import disk, made, results_folder, whole


@contextlib.contextmanager
def saving(folder: str | os.PathLike, names: tuple[str, ...]) -> Iterator[list[pathlib.Path]]:
    """Paths to write the files `names` of a result to: all of them appear in the folder, or none does."""
    path = results_folder("folder", folder)
    with disk("folder", path, Journal(path).kept), made(path), whole(path, names) as fresh:
        yield fresh


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


def figure(height: float, ratio: float) -> tuple[Any, Any]:
    """A figure that no window shows, and its grid of two columns, the left one `ratio` times as wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    fig = Figure(figsize=(11, height), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    FigureCanvasAgg(fig)
    return fig, fig.add_gridspec(1, 2, width_ratios=(ratio, 1))


def panels(
    fig: Any,
    column: Any,
    kind: type[Model],
    bounds: Mapping[str, tuple[float, float]],
    names: Collection[str],
    margin: float,
    title: str,
) -> Iterator[tuple[str, Any]]:
    """(name, axis) of each searched number, below one another, with its bounds dotted and its unit."""
    rows, axis = column.subgridspec(len(names), 1), None
    for k, name in enumerate(names):
        axis = fig.add_subplot(rows[k], sharex=axis)
        yield name, axis
        parameter = place_of(kind, name).parameter
        low, high = bounds.get(name) or bounds[parameter]
        axis.set_ylim(low - margin * (high - low), high + margin * (high - low))
        for bound in (low, high):
            axis.axhline(bound, color="0.5", lw=0.6, ls=":")
        unit = kind.parameters()[parameter].unit
        axis.set_ylabel(name + unit_text(unit, "\n"), fontsize=9)
        axis.tick_params(labelsize=8, labelbottom=k == len(names) - 1)
        if k == 0:
            axis.set_title(title, fontsize=10)


def symbol(about: Merit) -> str:
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
