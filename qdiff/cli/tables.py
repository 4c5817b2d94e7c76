"""Tables for people. Import this late: rich takes a moment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text


def console(*, stderr: bool = False) -> Console:
    """Where tables are written: as wide as the terminal, and wide enough for every column if it is none."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=180)


def bar() -> Progress:
    """A bar of progress on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of text, whose first column is never cut and in which brackets mean nothing."""
    out = Table(title=title, title_justify="left", title_style="bold")
    for k, name in enumerate(columns):
        out.add_column(name, no_wrap=k == 0, overflow="fold")
    for row in rows:
        out.add_row(*(Text(cell) for cell in row))
    return out


def shown(value) -> str:
    """A number in ten digits, an array as its first and last few entries, words as they are, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, (str, bool, np.bool_)):
        return str(value)
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():.10g}"
    text = np.array2string(array, precision=4, threshold=6, edgeitems=2, separator=", ", max_line_width=10_000)
    return re.sub(r"(?<=\[) | (?=[,\]])", "", " ".join(text.split()))  # in one line, columns not aligned


def flat(tree: dict, prefix: str = "") -> list[tuple[str, str]]:
    """Nested dictionaries as rows, with names such as forward.rcond."""
    rows = []
    for name, value in tree.items():
        rows += flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + str(name), shown(value))]
    return rows
