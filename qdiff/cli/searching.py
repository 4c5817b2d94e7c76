"""What the commands that search share: their options, and how they are read."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
from typing import TYPE_CHECKING, Annotated

import typer

from .common import BadInput, bad_values, checked_place, new_folder, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..models.base import Model

MeritName = Annotated[
    str,
    typer.Argument(
        metavar="MERIT", help='A figure of merit that `qdiff show MODEL` lists, or a formula, such as "0.3*rectification + 0.7*heat_flow".'
    ),
]
Over = Annotated[
    list[str] | None,
    typer.Option(
        "--over", metavar="NAME=LOW:HIGH", help="Search this parameter (or entry J[1]) between bounds; repeat. By default the model's."
    ),
]
Tie = Annotated[
    list[str] | None, typer.Option("--tie", metavar="NAME=OTHER", help="Keep a parameter equal to a searched one; repeat for more.")
]
Constraint = Annotated[
    list[str] | None,
    typer.Option("--constraint", metavar="INEQUALITY", help='Of the parameters, such as "x**2 + y**2 <= 1"; repeat for more.'),
]
Starts = Annotated[int, typer.Option("--starts", help="How many points the search starts from.")]
Seed = Annotated[int, typer.Option("--seed", help="Changes where it starts.")]
Steps = Annotated[int, typer.Option("--steps", help="Steps along the gradient before Newton's method.")]
Optimizer = Annotated[str, typer.Option("--optimizer", metavar="NAME", help="The optax rule of the starts, such as nadam or sgd.")]
Out = Annotated[
    pathlib.Path | None,
    typer.Option("--out", metavar="DIR", parser=path_of, help="Where the files go. Default: a new folder here."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the search in the folder --out, after a kill or Ctrl-C.")]


def objective_checked(cls: type[Model], merit: str):
    """Raises BadInput unless the text is a figure of merit of the model or a formula of several."""
    with bad_values():
        from ..studies.search.objective import objective

        objective(cls, merit)


def bounds_of(over: list[str] | None, cls: type[Model]) -> dict[str, tuple[float, float]] | None:
    """The bounds of NAME=LOW:HIGH strings; None without any."""
    bounds: dict[str, tuple[float, float]] = {}
    for entry in over or []:
        name, _, text = (part.strip() for part in entry.partition("="))
        try:
            low, high = (float(x) for x in text.split(":"))
        except ValueError:
            raise BadInput(f"--over must be followed by NAME=LOW:HIGH, such as --over x=0:1, but was {entry!r}") from None
        name = checked_place(name, cls)
        if bounds.get(name, (low, high)) != (low, high):
            raise BadInput(f"{name} must be searched between one pair of bounds, but --over gives it two")
        bounds[name] = (low, high)
    return bounds or None


def ties_of(entries: list[str] | None, cls: type[Model]) -> dict[str, str]:
    """The pairs of NAME=OTHER strings."""
    ties: dict[str, str] = {}
    for entry in entries or []:
        name, equals, other = (part.strip() for part in entry.partition("="))
        if not (equals and name and other):
            raise BadInput(f"--tie must be followed by NAME=OTHER, such as --tie x=y, but was {entry!r}")
        name, other = checked_place(name, cls), checked_place(other, cls)
        if ties.get(name, other) != other:
            raise BadInput(f"{name} must be tied to one parameter, but --tie gives it two")
        ties[name] = other
    return ties


def folder_of(out: pathlib.Path | None, files: tuple[str, ...], model: str, merit: str, resume: bool) -> pathlib.Path:
    """The folder to write into: the given one, unless it has files of another run, or a new one here."""
    from ..studies.store.journal import Journal
    from ..studies.store.paths import results_folder

    if out is None and resume:
        raise BadInput("--resume needs --out, the folder of the search to go on with")
    if out is not None:
        with bad_values():
            results_folder("--out", out)
        if resume and not os.path.lexists(out / Journal.NAME):
            raise BadInput(f"--resume needs a search to go on with, but {out} has no {Journal.NAME}")
        there = [name for name in files if os.path.lexists(out / name)]
        if there and not resume:
            raise BadInput(f"--out must be a folder without the files of another run, but {out} has {', '.join(there)}")
        return out
    kind = model.rpartition(":")[2] if ":" in model else model
    return new_folder(f"qdiff-out-{kind}-{re.sub('[^A-Za-z0-9_]+', '-', merit).strip('-')[:60]}")


@contextlib.contextmanager
def progress(merit: str, steps: int) -> Iterator:
    """A bar on standard error with the best value; yields what to call after each step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("compiling", total=max(steps, 1))

        def report(step: int, value: float, what: str | None = None):
            what = what or ("refining" if step == steps else "searching")
            bar.update(task, completed=step, description=f"{what}: {merit} = {value:.10g}")

        yield report
