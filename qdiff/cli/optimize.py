"""`qdiff optimize`: the parameters that make a figure of merit best."""

from __future__ import annotations

import contextlib
import pathlib
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .common import BadInput, Debug, Json, ModelName, Preset, Sets, bad_values, checked_names, configured, dump, load_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..models.base import Model
    from ..studies.optimize import Optimum

FigureName = Annotated[
    str,
    typer.Argument(
        metavar="FIGURE", help='A figure of merit that `qdiff show MODEL` lists, or a formula, such as "0.3*rectification + 0.7*heat_flow".'
    ),
]
Over = Annotated[
    list[str] | None,
    typer.Option("--over", metavar="NAME=LOW:HIGH", help="Search this parameter between bounds; repeat for more. Default: the model's."),
]
Tie = Annotated[
    list[str] | None, typer.Option("--tie", metavar="NAME=OTHER", help="Keep a parameter equal to a searched one; repeat for more.")
]
Constraint = Annotated[
    list[str] | None,
    typer.Option("--constraint", metavar="INEQUALITY", help='Of the parameters, such as "x**2 + y**2 <= 1"; repeat for more.'),
]
Minimize = Annotated[bool, typer.Option("--minimize", help="Seek the least value instead of the largest.")]
Starts = Annotated[int, typer.Option("--starts", help="How many points the search starts from.")]
Seed = Annotated[int, typer.Option("--seed", help="Changes where it starts.")]
Steps = Annotated[int, typer.Option("--steps", help="Steps along the gradient before Newton's method.")]
Optimizer = Annotated[
    str, typer.Option("--optimizer", metavar="NAME", help="The optax rule of the starts, such as nadam or sgd.")
]
Polish = Annotated[str, typer.Option("--polish", metavar="newton|quasi-newton", help="With the exact Hessian, or with gradients alone.")]
Out = Annotated[
    pathlib.Path | None,
    typer.Option("--out", metavar="DIR", help="Where result.json, trace.csv and picture.png go. Default: a new folder here."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the search in the folder --out, after a kill or Ctrl-C.")]


def optimize_command(
    model: ModelName,
    figure: FigureName,
    over: Over = None,
    ties: Tie = None,
    constraints: Constraint = None,
    sets: Sets = None,
    preset: Preset = None,
    minimize: Minimize = False,
    starts: Starts = 16,
    seed: Seed = 0,
    steps: Steps = 60,
    optimizer: Optimizer = "adam",
    polish: Polish = "newton",
    out: Out = None,
    resume: Resume = False,
    as_json: Json = False,
    debug: Debug = False,
):
    """Find the parameters, within bounds, at which a figure of merit is largest (or least). Ctrl-C keeps the best so far."""
    with contextlib.redirect_stdout(sys.stderr):  # what a user's model prints is not the result
        cls = load_model(model)
        with bad_values():
            from ..studies.objective import objective

            objective(cls, figure)
        device = configured(cls, sets, preset)
        bounds = _bounds(over, cls)
        equal = _ties(ties, cls)
        with bad_values():
            from ..studies.constraints import constraints_of

            constraints_of(cls, constraints)
        folder = _folder(out, model, figure, resume)

        from ..studies.optimize import optimize

        with _progress(figure, steps) as report:
            options = {"minimize": minimize, "starts": starts, "seed": seed, "steps": steps, "optimizer": optimizer, "polish": polish}
            files = {"out": folder, "resume": resume}
            best = optimize(device, figure, bounds, ties=equal, constraints=constraints, callback=report, **options, **files)
            report(len(best.trace["best"]), best.value, "done" if best.converged else "stopped")
    if as_json:
        typer.echo(dump({**best.record(), "out": str(folder)}))
    else:
        _tables(device, best, folder)


def _bounds(over: list[str] | None, cls: type[Model]) -> dict[str, tuple[float, float]] | None:
    """The bounds of NAME=LOW:HIGH strings; None without any."""
    bounds: dict[str, tuple[float, float]] = {}
    for entry in over or []:
        name, _, text = (part.strip() for part in entry.partition("="))
        try:
            low, high = (float(x) for x in text.split(":"))
        except ValueError:
            raise BadInput(f"--over must be followed by NAME=LOW:HIGH, such as --over x=0:1, but was {entry!r}") from None
        checked_names([name], cls.parameters(), "parameter", cls)
        if bounds.get(name, (low, high)) != (low, high):
            raise BadInput(f"{name} must be searched between one pair of bounds, but --over gives it two")
        bounds[name] = (low, high)
    return bounds or None


def _ties(entries: list[str] | None, cls: type[Model]) -> dict[str, str]:
    """The pairs of NAME=OTHER strings."""
    ties: dict[str, str] = {}
    for entry in entries or []:
        name, equals, other = (part.strip() for part in entry.partition("="))
        if not (equals and name and other):
            raise BadInput(f"--tie must be followed by NAME=OTHER, such as --tie x=y, but was {entry!r}")
        checked_names([name, other], cls.parameters(), "parameter", cls)
        if ties.get(name, other) != other:
            raise BadInput(f"{name} must be tied to one parameter, but --tie gives it two")
        ties[name] = other
    return ties


def _folder(out: pathlib.Path | None, model: str, figure: str, resume: bool) -> pathlib.Path:
    """The folder to write into: the given one, unless it has files of another run, or a new one here."""
    from ..studies.journal import Journal
    from ..studies.optimum_files import FILES

    if out is None and resume:
        raise BadInput("--resume needs --out, the folder of the search to go on with")
    if out is not None:
        if out.exists() and not out.is_dir():
            raise BadInput(f"--out must be a folder, but {out} is a file")
        if resume and not (out / Journal.NAME).exists():
            raise BadInput(f"--resume needs a search to go on with, but {out} has no {Journal.NAME}")
        there = [name for name in FILES if (out / name).exists()]
        if there and not resume:
            raise BadInput(f"--out must be a folder without the files of another run, but {out} has {', '.join(there)}")
        return out
    kind = model.rpartition(":")[2] if ":" in model else model
    name, k = f"qdiff-out-{kind}-{re.sub('[^A-Za-z0-9_]+', '-', figure).strip('-')[:60]}", 1
    while (folder := pathlib.Path(name if k == 1 else f"{name}-{k}")).exists() and (not folder.is_dir() or any(folder.iterdir())):
        k += 1
    return folder


@contextlib.contextmanager
def _progress(figure: str, steps: int) -> Iterator:
    """A bar on standard error with the best value; yields what to call after each step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("compiling", total=max(steps, 1))

        def report(step: int, value: float, what: str | None = None):
            what = what or ("refining" if step == steps else "searching")
            bar.update(task, completed=step, description=f"{what}: {figure} = {value:.10g}")

        yield report


def _tables(device: Model, best: Optimum, folder: pathlib.Path):
    from .tables import console, shown, table

    out, about = console(), type(device).parameters()
    rows = []
    for name, value in best.parameters.items():
        before, unit = getattr(device, name), about[name].unit
        if isinstance(value, list):
            before = getattr(device, about[name].array or "")() if before is None else before
            labels = [f"{name}[{k}]" for k in range(len(value))]
            rows += [(k, shown(a), shown(b), unit, _bound(best, k)) for k, a, b in zip(labels, before, value, strict=True)]
        else:
            rows.append((name, shown(before), shown(value), unit, _bound(best, name)))
    for name, leader in best.ties.items():
        rows.append((name, shown(getattr(device, name)), shown(best.parameters[leader]), about[name].unit, f"as {leader}"))
    unit = "" if best.figure.unit == "1" else f" {best.figure.unit}"
    sought = "Least" if best.minimize else "Largest"
    out.print(table(f"{sought} {best.figure.name}: {best.value:.12g}{unit}", ["parameter", "before", "best", "unit", "on bound"], rows))
    lines = [
        best.message,
        *(f"held by the constraint {text}" for text in best.active),
        f"second derivatives: {best.curvature['verdict']}",
        *(f"{name.replace('_', ' ')}: {note}" for name, note in best.notes.items()),
        f"gradient norm {best.gradient_norm:.2g} in the free directions (parameters scaled to run from 0 to 1)",
        f"{best.evaluations} evaluations; result.json, trace.csv and picture.png in {folder}",
    ]
    for line in lines:
        out.print(line, markup=False)


def _bound(best: Optimum, name: str) -> str:
    side = best.at_bound.get(name)
    return f"{side} ({best.bounds[name.partition('[')[0]][side == 'high']:g})" if side else ""
