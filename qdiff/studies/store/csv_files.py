"""A sweep as a CSV file: a header of names, then a row for each point, for whatever reads tables of numbers."""

from __future__ import annotations

import csv
import math
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from ...models.parameters import entries
from .netcdf import FAILURE, Layout, coded

if TYPE_CHECKING:
    import xarray


def is_csv(path: pathlib.Path) -> bool:
    return path.suffix.lower() == ".csv"


def write(layout: Layout, path: pathlib.Path, parts: Callable[[], Iterable]):
    """The file from `parts()`, as of `Layout.write`.

    Columns: what varies, every number of every variable (of arrays by entry, "populations[0]"), and why a point has no
    value. Every number has the digits that give it back exactly; a value that is NaN is left empty.
    """
    names, shapes = layout.grid.names, layout.shapes
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*names, *(label for name in layout.variables for label in entries(name, shapes[name])), FAILURE])
        for start, stop, arrays, why in parts():
            values = [arrays[name].reshape(stop - start, -1) for name in layout.variables]
            table = np.concatenate([layout.grid.points(start, stop), *values], axis=1).tolist()
            rows.writerows([*map(_text, row), why.get(start + k, "")] for k, row in enumerate(table))
        file.flush()
        os.fsync(file.fileno())  # what it was made of is deleted next


def _text(x: float) -> str:
    return "" if math.isnan(x) else repr(x)


def read(path: pathlib.Path, layout: Layout) -> xarray.Dataset:
    """The data of such a file, of a sweep of this layout."""
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        table = list(rows)
    first, reasons = len(layout.grid.names), list[str]()
    numbers = np.array([[float(x) if x else np.nan for x in row[first:-1]] for row in table]).reshape(len(table), -1)
    codes = coded(len(table), 0, {k: row[-1] for k, row in enumerate(table) if row[-1]}, reasons)
    sizes = [math.prod(layout.shapes[name]) for name in layout.variables]
    columns = np.split(numbers, np.cumsum(sizes)[:-1], axis=1)
    return layout.dataset(dict(zip(layout.variables, columns, strict=True)), codes, reasons)
