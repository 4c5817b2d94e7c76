"""`qdiff evaluate`: the figures of merit of one device."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Debug, Json, ModelName, Preset, Sets, checked_names, configured, dump, load_model

if TYPE_CHECKING:
    from ..models.base import Model
    from ..studies.evaluate import Evaluation

Merits = Annotated[list[str] | None, typer.Option("--merit", metavar="NAME", help="Only this figure of merit; repeat for more.")]
Gradient = Annotated[bool, typer.Option("--gradient", help="Also the derivatives with respect to every parameter.")]


def evaluate_command(
    model: ModelName,
    sets: Sets = None,
    preset: Preset = None,
    merits: Merits = None,
    gradient: Gradient = False,
    as_json: Json = False,
    debug: Debug = False,
):
    """Evaluate figures of merit, with diagnostics of their accuracy."""
    with contextlib.redirect_stdout(sys.stderr):  # what a user's model prints is not the result
        cls = load_model(model)
        device = configured(cls, sets, preset)
        names = checked_names(merits, cls.merits(), "figure of merit", cls) if merits else None

        from ..studies.evaluate import evaluate

        found = evaluate(device, names, gradient=gradient)
        for name in _not_finite(found):
            print(f"qdiff: {name} is not a finite number at these parameters, though nothing failed")
    if as_json:
        typer.echo(dump(_record(model, found)))
    else:
        _tables(cls, found)


def _not_finite(found: Evaluation) -> list[str]:
    """The figures of merit that are not finite by themselves, and of the others the derivatives, as d merit / d parameter."""
    import numpy as np

    def bad(value) -> bool:
        return not np.isfinite(value).all()

    merits = [name for name, value in found.merits.items() if bad(value)]
    slopes = [f"d {f} / d {p}" for f, row in found.gradients.items() if f not in merits for p, slope in row.items() if bad(slope)]
    return merits + slopes


def _record(name: str, found: Evaluation) -> dict:
    return {
        "model": name,
        "parameters": found.parameters,
        "merits": found.merits,
        "gradients": found.gradients,
        "diagnostics": found.diagnostics,
    }


def _tables(cls: type[Model], found: Evaluation):
    from .tables import console, flat, shown, table

    out, about, inputs = console(), cls.merits(), cls.parameters()
    rows = [(name, shown(value), inputs[name].unit) for name, value in found.parameters.items()]
    out.print(table(f"Parameters of {cls.__name__}", ["name", "value", "unit"], rows))
    rows = [(name, shown(value), about[name].unit, about[name].text) for name, value in found.merits.items()]
    out.print(table("Figures of merit", ["name", "value", "unit", "meaning"], rows))
    names = list(found.gradients)
    for some in (names[k : k + 4] for k in range(0, len(names), 4)):
        rows = [(p, *(shown(found.gradients[name][p]) for name in some)) for p in found.gradients[some[0]]]
        out.print(table("Derivatives with respect to", ["parameter", *some], rows))
    if found.diagnostics:
        out.print(table("Diagnostics", ["name", "value"], flat(found.diagnostics)))
