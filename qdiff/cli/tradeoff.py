"""`qdiff tradeoff`: the best compromises between two figures of merit."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import searching as given
from .common import Debug, Json, ModelName, Preset, Sets, dump
from .searching import asked, folder_of, progress

if TYPE_CHECKING:
    import pathlib

    from ..studies.tradeoff import Tradeoff

Other = Annotated[str, typer.Argument(metavar="OTHER", help='The figure of merit to give up for it, or a formula, such as "-heat_flow".')]
Weights = Annotated[int, typer.Option("--weights", help="How many values of alpha, evenly from 0 to 1.")]
Starts = Annotated[int, typer.Option("--starts", help="How many points the search of each alpha starts from.")]


def tradeoff_command(
    model: ModelName,
    merit: given.MeritName,
    other: Other,
    over: given.Over = None,
    weights: Weights = 21,
    ties: given.Tie = None,
    constraints: given.Constraint = None,
    sets: Sets = None,
    preset: Preset = None,
    starts: Starts = 4,
    seed: given.Seed = 0,
    steps: given.Steps = 60,
    optimizer: given.Optimizer = "adam",
    out: given.Out = None,
    resume: given.Resume = False,
    as_json: Json = False,
    debug: Debug = False,
):
    """Find the parameters at which alpha MERIT + (1 - alpha) OTHER is largest, for all alpha at once."""
    with contextlib.redirect_stdout(sys.stderr):  # what a user's model prints is not the result
        device, problem = asked(model, [merit, other], over, ties, constraints, sets, preset)
        from ..studies.store.tradeoff_files import FILES
        from ..studies.tradeoff import tradeoff

        folder = folder_of(out, FILES, model, f"{merit}-{other}", resume)
        with progress("the best sum", steps) as report:
            how = {"weights": weights, "starts": starts, "seed": seed, "steps": steps, "optimizer": optimizer}
            files = {"out": folder, "resume": resume}
            curve = tradeoff(device, merit, other, callback=report, **problem, **how, **files)
    if as_json:
        typer.echo(dump({**curve.record(), "out": str(folder)}))
    else:
        _table(curve, folder)


def _table(curve: Tradeoff, folder: pathlib.Path):
    from ..studies.store.tradeoff_files import columns_of
    from .tables import console, shown, table

    columns = columns_of(curve)
    names = ["alpha", *(about.name for about in curve.merits), *columns, "remark"]
    rows = []
    for k, alpha in enumerate(curve.weights):
        remark = "" if curve.converged[k] else curve.messages[k]
        if not curve.efficient[k]:
            remark = "surpassed by another row" + (f"; {remark}" if remark else "")
        rows.append([shown(x) for x in (alpha, *curve.values[k], *(values[k] for values in columns.values()))] + [remark])
    out = console()
    out.print(table("Largest alpha F + (1 - alpha) G", names, rows))
    out.print(f"{curve.evaluations} evaluations; result.json, curve.csv and picture.png in {folder}", markup=False)
