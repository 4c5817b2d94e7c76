"""What the commands that search share: their options, and how they are read."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import bad_values, checked_place, configured, load_model, new_folder, pairs, path_of, without
from .errors import BadInput

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


def asked(name: str, merits: list[str], over, ties, constraints, sets, preset) -> tuple[Model, dict[str, Any]]:
    """The device of a search, and its bounds, ties and constraints, as these options give them; BadInput where one makes no sense."""
    cls = load_model(name)

    def ends(text: str, _) -> tuple[float, float]:
        low, high = (float(x) for x in text.split(":"))
        return low, high

    def leader(text: str, _) -> str:
        if not text:
            raise ValueError
        return checked_place(text, cls)

    with bad_values():
        from ..studies.search.constraints import constraints_of
        from ..studies.search.objective import objective

        for merit in merits:
            objective(cls, merit)
        device = configured(cls, sets, preset)
        twice = "{} must be searched between one pair of bounds, but --over gives it two"
        bounds = pairs("--over", "NAME=LOW:HIGH, such as --over x=0:1", over, cls, ends, twice, True)
        twice = "{} must be tied to one parameter, but --tie gives it two"
        equal = pairs("--tie", "NAME=OTHER, such as --tie x=y", ties, cls, leader, twice, True)
        constraints_of(cls, constraints)
    return device, {"over": bounds or None, "ties": equal, "constraints": constraints}


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
        without(out, [] if resume else [out / name for name in files])
        return out
    kind = model.rpartition(":")[2] if ":" in model else model
    return new_folder(f"qdiff-out-{kind}-{re.sub('[^A-Za-z0-9_]+', '-', merit).strip('-')[:60]}")


@contextlib.contextmanager
def progress(merit: str, steps: int) -> Iterator:
    """A bar on standard error with the best value; yields what to call after each step."""
    from .tables import bar as shown

    with shown() as bar:
        task = bar.add_task("compiling", total=max(steps, 1))

        def report(step: int, value: float, what: str | None = None):
            what = what or ("refining" if step == steps else "searching")
            bar.update(task, completed=step, description=f"{what}: {merit} = {value:.10g}")

        yield report
