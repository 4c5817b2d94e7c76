"""`qdiff sweep`: figures of merit on a grid of parameters, into a NetCDF or CSV file; `qdiff rerun`: such a file again."""

from __future__ import annotations

import contextlib
import math
import pathlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import MODEL_HELP, Debug, Json, ModelName, Sets, checked_names, configured, dump, load_model, pairs, path_of
from .errors import BadInput

if TYPE_CHECKING:
    from ..models.base import Model
    from ..studies.rerun import Comparison

Grids = Annotated[
    list[str],
    typer.Option("--grid", metavar="NAME=START:STOP:COUNT", help="Or NAME=v1,v2,..., or J[1]=...; repeat for the product of several."),
]
Together = Annotated[
    list[str] | None, typer.Option("--together", metavar="NAME,NAME", help="These grids run along one axis; repeat for more groups.")
]
Merits = Annotated[
    list[str], typer.Option("--merit", metavar="NAME", help="A figure of merit that `qdiff show MODEL` lists; repeat for more.")
]
Out = Annotated[pathlib.Path, typer.Option("--out", metavar="FILE.nc|FILE.csv", parser=path_of, help="The file to write, a new one.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the unfinished sweep of this file.")]
Gradient = Annotated[bool, typer.Option("--gradient", help="Also the derivatives with respect to every parameter.")]
Chunk = Annotated[int | None, typer.Option("--chunk", help="Points computed at once. Default: what memory allows.")]


def sweep_command(
    model: ModelName,
    grids: Grids,
    merits: Merits,
    out: Out,
    sets: Sets = None,
    together: Together = None,
    gradient: Gradient = False,
    resume: Resume = False,
    chunk: Chunk = None,
    as_json: Json = False,
    debug: Debug = False,
):
    """Figures of merit on a grid of parameters, written as they come; --resume goes on after an interruption."""
    with contextlib.redirect_stdout(sys.stderr):  # what a user's model prints is not the result
        cls = load_model(model)
        checked_names(merits, cls.merits(), "figure of merit", cls)
        values = _values(grids, cls)

        from ..models.parameters import split_names
        from ..studies.sweep import sweep

        groups = [split_names(group) for group in together or []]
        device = configured(cls, sets)
        with sweep(device, merits, together=groups, gradient=gradient, out=out, resume=resume, chunk=chunk, **values) as data:
            failed = int((data.failure != 0).sum())
            found = {"out": str(out), "points": int(data.failure.size), "failed": failed, "shape": dict(data.failure.sizes)}
            reasons = [text for key, text in data.failure.attrs.items() if key.startswith("reason_")]
            found |= {"warning": data.attrs["warning"]} if "warning" in data.attrs else {}
    if as_json:
        typer.echo(dump({**found, "reasons": reasons}))
        return
    typer.echo(f"{found['points']} points in {out}, {failed} of them without a value")
    for reason in reasons:
        typer.echo(f"  {reason}")
    if "warning" in found:
        typer.echo(f"warning: {found['warning']}")


def rerun_command(
    file: Annotated[pathlib.Path, typer.Argument(metavar="FILE.nc", parser=path_of, help="A file that `qdiff sweep` wrote.")],
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help=f"For a model of your own. {MODEL_HELP}")] = None,
    as_json: Json = False,
    debug: Debug = False,
):
    """Repeat the study of an output file and compare. Nothing in the file is executed: --model names a model of your own."""
    with contextlib.redirect_stdout(sys.stderr):
        from ..studies.rerun import rerun
        from ..studies.store.netcdf import study_of

        study = study_of(file)
        if model is None and ":" in (name := str(study.get("model"))):
            raise BadInput(f"{file} is of a model of your own, {name}: --model must name it, which runs its file")
        found = rerun(file, None if model is None else load_model(model))
    if as_json:
        typer.echo(dump({"same": found.same, "differences": found.differences, "versions": found.versions}))
    else:
        _table(found)
    if not found.same:
        raise typer.Exit(3)


def _table(found: Comparison):
    from .tables import console, shown, table

    rows = [(name, shown(value)) for name, value in found.differences.items()]
    out = console()
    out.print(table("The same" if found.same else "Different", ["variable", "largest difference, of the largest value"], rows))
    for name, version in found.versions.items():
        out.print(f"made with {name.replace('_', ' ')} {version}", markup=False)


_MOST = 10_000_000


def _values(grids: list[str], cls: type[Model]) -> dict[str, Any]:
    """The numbers of NAME=START:STOP:COUNT and NAME=v1,v2,... strings."""
    import numpy as np

    def values(text: str, entry: str) -> list[float]:
        if ":" not in text:
            return [float(v) for v in text.split(",")]
        first, last, number = text.split(":")
        start, stop, count = float(first), float(last), int(number)
        if not math.isfinite(stop - start) or count > _MOST:
            what = f"--grid must have finite ends and at most {_MOST} values"
            raise BadInput(f"{what}, but was {entry!r}")
        return np.linspace(start, stop, count).tolist()

    form = "NAME=START:STOP:COUNT or NAME=v1,v2,..., such as --grid x=0:1:11"
    return pairs("--grid", form, grids, cls, values, "{} must have one grid, but --grid gives it two")
