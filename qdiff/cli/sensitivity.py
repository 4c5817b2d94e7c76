"""`qdiff sensitivity`: how a figure of merit answers to its parameters."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Debug, Json, ModelName, Preset, Sets, bad_values, checked_names, configured, dump, load_model, pairs

if TYPE_CHECKING:
    from ..models.base import Model
    from ..studies.sensitivity import Sensitivity

MeritName = Annotated[str, typer.Argument(metavar="MERIT", help="A figure of merit that `qdiff show MODEL` lists.")]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="NAME", help="Only this parameter; repeat for more. Default: all.")
]
Uncertain = Annotated[
    list[str] | None, typer.Option("--uncertainty", metavar="NAME=SIGMA", help="A parameter's standard deviation; repeat for more.")
]
Samples = Annotated[int, typer.Option("--samples", help="Draws for the sampled error bar.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the draws.")]


def sensitivity_command(
    model: ModelName,
    merit: MeritName,
    sets: Sets = None,
    preset: Preset = None,
    parameters: Parameters = None,
    uncertainty: Uncertain = None,
    samples: Samples = 1024,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
):
    """Derivatives, elasticities, interactions and error bars of a figure of merit, most important parameter first."""
    with contextlib.redirect_stdout(sys.stderr):  # what a user's model prints is not the result
        cls = load_model(model)
        checked_names([merit], cls.merits(), "figure of merit", cls)
        form, twice = "NAME=SIGMA, such as --uncertainty x=0.1", "{} must have one uncertainty, but --uncertainty gives it two"
        sigma = pairs("--uncertainty", form, uncertainty, cls, lambda text, _: float(text), twice)
        device = configured(cls, sets, preset)

        from ..studies.sensitivity import sensitivity

        with bad_values():
            found = sensitivity(device, merit, parameters, uncertainty=sigma, samples=samples, seed=seed)
    if as_json:
        typer.echo(dump({"model": model, **found.record()}))
    else:
        _tables(cls, found)


def _tables(cls: type[Model], found: Sensitivity):
    from .tables import console, shown, table

    out, order = console(), [found.labels.index(label) for label in found.ranking]
    uncertain = bool(found.sigma.any())
    columns = ["parameter", "value", "derivative", "elasticity", "second derivative", *(["sigma", "share"] if uncertain else [])]
    arrays = [found.at, found.derivative, found.elasticity, found.second, *([found.sigma, found.share] if uncertain else [])]
    rows = [(found.labels[k], *(shown(float(a[k])) for a in arrays)) for k in order]
    out.print(table(f"{found.merit.name} = {found.value:.12g} {found.merit.unit}", columns, rows))
    labels = [found.labels[k] for k in order]
    for some in (order[k : k + 8] for k in range(0, len(order), 8)):
        rows = [(found.labels[a], *(f"{found.interaction[a, b]:.5g}" for b in some)) for a in order]
        out.print(table("Second derivatives", ["", *(found.labels[b] for b in some)], rows))
    if found.error_sampled is not None:
        out.print(f"error bar {found.error_linear:.6g} (linear), {found.error_sampled:.6g} ({found.samples} samples)", markup=False)
        if found.lost:
            out.print(f"{found.lost} samples were not physical or had no solution, and do not count", markup=False)
    for label in labels:
        if label in found.remarks:
            out.print(f"{label}: {found.remarks[label]}", markup=False)
    if found.warning:
        out.print(f"warning: {found.warning}", markup=False)
