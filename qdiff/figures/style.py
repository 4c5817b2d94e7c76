"""One look for all figures: the style sheet, labels from declared symbols and units, panel letters, captions."""

from __future__ import annotations

import contextlib
import pathlib
import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHEET = pathlib.Path(__file__).with_name("style.mplstyle")

# Okabe and Ito's colours by name, in the order of the style sheet's cycle.
BLUE, RED, GREEN, PINK, SKY, ORANGE, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"
GREY = "0.55"

_CAPTION_SIZE = 7.5  # points
_LINE = 1.35  # of the caption's size


@contextlib.contextmanager
def style():
    """Within this context matplotlib draws and saves in the package's style."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rc_file(str(_SHEET), use_default_template=False)
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty picture [inches] that draws without a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    out = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(out)
    return out


def panels(width: float, height: float, rows: int = 1, columns: int = 1, **how) -> tuple[Figure, Any]:
    """An empty picture [inches] and its axes, made by `subplots` with the rest."""
    out = canvas(width, height)
    return out, out.subplots(rows, columns, **how)


def shades(name: str, low: float, high: float, count: int):
    """Colours (count, 4) of a part of a colour map."""
    import matplotlib

    return matplotlib.colormaps[name](np.linspace(low, high, count))


def label(variable: xarray.DataArray) -> str:
    """A variable's symbol as mathematics, or else its name, with its unit in brackets."""
    symbol = variable.attrs.get("symbol")
    return (f"${symbol}$" if symbol else str(variable.name).replace("_", " ")) + unit(variable.attrs.get("units", "1"))


def unit(text: str) -> str:
    """ "energy^2" as it stands behind a symbol; nothing for a number."""
    return "" if text == "1" else " [" + re.sub(r"\^(-?[0-9]+)", r"$^{\1}$", text) + "]"


def letter(axes: Axes, text: str, title: str = ""):
    """A panel's letter, and its title."""
    axes.set_title(f"({text}) {title}".rstrip())


def captioned(figure: Figure, text: str) -> Figure:
    """The picture, made taller, with the text beneath."""
    width, height = figure.get_size_inches()
    per_line = int(width * 72 / (_CAPTION_SIZE * 0.555))
    lines = textwrap.wrap(text, per_line, break_on_hyphens=False)
    below = (len(lines) + 1) * _CAPTION_SIZE * _LINE / 72
    total = height + below
    figure.set_size_inches(width, total)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, below / total, 1, height / total))  # pyright: ignore[reportCallIssue]
    figure.text(0.012, (below - 0.35 * _CAPTION_SIZE / 72) / total, "\n".join(lines), size=_CAPTION_SIZE, va="top", linespacing=_LINE)
    return figure
