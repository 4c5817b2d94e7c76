"""What there is: the models, and one model's parameters, settings and figures of merit."""

from __future__ import annotations

from .. import models
from .common import Debug, ModelName, load_model


def models_command(debug: Debug = False):
    """List the models that ship with qdiff."""
    for name, home in models.NAMES.items():
        print(f"{name:<20} qdiff.models.{home.split(':')[1]}")


def show_command(model: ModelName, debug: Debug = False):
    """Show a model's parameters, settings and figures of merit."""
    from .tables import console, table

    cls = load_model(model)
    inputs = cls.parameters().values()
    merits = cls.merits().values()
    out = console()
    out.print((cls.__doc__ or cls.__name__).strip().splitlines()[0], markup=False, highlight=False)
    rows = [(p.name, _default(p), p.unit, p.bounds + (", each" if p.is_array else ""), p.text) for p in inputs if not p.static]
    out.print(table("Parameters", ["name", "default", "unit", "bounds", "meaning"], rows))
    if settings := [(p.name, _default(p), p.bounds, p.text) for p in inputs if p.static]:
        out.print(table("Settings", ["name", "default", "bounds", "meaning"], settings))
    if cls.presets:
        rows = [(name, ", ".join(f"{k}={v}" for k, v in values.items()) or "the defaults") for name, values in cls.presets.items()]
        out.print(table("Presets (--preset NAME)", ["name", "parameters"], rows))
    out.print(table("Figures of merit", ["name", "symbol", "unit", "source", "meaning"], [_about(f) for f in merits]))


def _default(parameter) -> str:
    import dataclasses

    return "(required)" if parameter.default is dataclasses.MISSING else parameter.default_text


def _about(merit) -> tuple[str, ...]:
    return merit.name, merit.symbol, merit.unit, merit.source, merit.text
