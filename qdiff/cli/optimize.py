"""`qdiff optimize`: the parameters that make a figure of merit best."""

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

    from ..models.base import Model
    from ..models.parameters import Place
    from ..studies.optimize import Optimum

Minimize = Annotated[bool, typer.Option("--minimize", help="Seek the least value instead of the largest.")]
Polish = Annotated[str, typer.Option("--polish", metavar="newton|quasi-newton", help="With the exact Hessian, or with gradients alone.")]


def optimize_command(
    model: ModelName,
    merit: given.MeritName,
    over: given.Over = None,
    ties: given.Tie = None,
    constraints: given.Constraint = None,
    sets: Sets = None,
    preset: Preset = None,
    minimize: Minimize = False,
    starts: given.Starts = 16,
    seed: given.Seed = 0,
    steps: given.Steps = 60,
    optimizer: given.Optimizer = "adam",
    polish: Polish = "newton",
    out: given.Out = None,
    resume: given.Resume = False,
    as_json: Json = False,
    debug: Debug = False,
):
    """Find the parameters, within bounds, at which a figure of merit is largest (or least). Ctrl-C keeps the best so far."""
    with contextlib.redirect_stdout(sys.stderr):  # what a user's model prints is not the result
        device, problem = asked(model, [merit], over, ties, constraints, sets, preset)
        from ..studies.optimize import optimize
        from ..studies.store.optimum_files import FILES

        folder = folder_of(out, FILES, model, merit, resume)
        with progress(merit, steps) as report:
            how = {"starts": starts, "seed": seed, "steps": steps, "optimizer": optimizer, "polish": polish}
            files = {"out": folder, "resume": resume}
            best = optimize(device, merit, minimize=minimize, callback=report, **problem, **how, **files)
            report(len(best.trace["best"]), best.value, "done" if best.converged else "stopped")
    if as_json:
        typer.echo(dump({**best.record(), "out": str(folder)}))
    else:
        _tables(device, best, folder)


def _tables(device: Model, best: Optimum, folder: pathlib.Path):
    from ..models.parameters import place_in, value_at
    from ..studies.search.box import prepared
    from ..studies.store.optimum_files import by_label
    from .tables import console, shown, table

    out, about = console(), type(device).parameters()
    rows, device = [], prepared(device, best.bounds)
    for label, value in by_label(best.parameters).items():
        place = place_in(device, label)
        rows.append((label, shown(value_at(device, label)), shown(value), about[place.parameter].unit, _bound(best, place)))
    for name, leader in best.ties.items():
        unit = about[place_in(device, name).parameter].unit
        rows.append((name, shown(value_at(device, name)), shown(value_at(best.model, leader)), unit, f"as {leader}"))
    unit = "" if best.merit.unit == "1" else f" {best.merit.unit}"
    sought = "Least" if best.minimize else "Largest"
    out.print(table(f"{sought} {best.merit.name}: {best.value:.12g}{unit}", ["parameter", "before", "best", "unit", "on bound"], rows))
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


def _bound(best: Optimum, place: Place) -> str:
    side = best.at_bound.get(place.name)
    bounds = best.bounds.get(place.name) or best.bounds.get(place.parameter)
    return f"{side} ({bounds[side == 'high']:g})" if side and bounds else ""
