"""Every figure of the five papers, by its name, and how `qdiff figure` and a notebook come by it.

Example:
    >>> import qdiff as qd
    >>> figure = qd.figures.load("rotor-4")
    >>> figure.source
    'Leitch, Hammam, De Chiara (2024), Fig. 4'
"""

import importlib
from typing import TYPE_CHECKING

from ..front_door import nearest

if TYPE_CHECKING:
    from .published import Published

# Name -> "module:Class", in the order of the papers. Classes are loaded when they are first used, because a list of names needs no JAX.
NAMES = {
    "rotor-2": "rotor_engine:Operation",
    "rotor-3": "rotor_engine:Ergotropy",
    "rotor-4": "rotor_rectifier:HeatRectification",
    "rotor-5": "rotor_rectifier:AngularRectification",
    "rotor-6": "rotor_in_time:Acceleration",
    "rotor-7": "rotor_in_time:Load",
    "rotor-8": "rotor_in_time:Power",
    "spintronic-3": "spintronic_series:Approach",
    "spintronic-4": "spintronic_maps:Maps",
    "spintronic-5": "spintronic_series:LeftDot",
    "spintronic-6": "spintronic_power:Bosons",
    "spintronic-7": "spintronic_power:SpinBias",
    "active-2": "active:Bias",
    "active-3": "active:Relaxation",
    "active-4": "active:Correlations",
    "gge-2": "gge_raman:Relaxation",
    "gge-3": "gge_raman:Driven",
    "gge-4": "gge_rashba:Spectrum",
    "gge-5": "gge_rashba:DephasingUp",
    "gge-6": "gge_rashba:DephasingDown",
    "thermophoresis-2b": "thermophoresis_lattice:MeanTemperature",
    "thermophoresis-2c": "thermophoresis_lattice:TemperatureDifference",
    "thermophoresis-2d": "thermophoresis_lattice:Warm",
    "thermophoresis-2e": "thermophoresis_lattice:Cold",
}

__all__ = ["NAMES", "load"]


def load(name: str) -> "Published":
    """The published figure of this name, with methods `data(quick)`, `draw(data)` and `claims(data)`.

    Raises:
        ValueError: there is no such figure.
    """
    if name not in NAMES:
        raise ValueError(f"there is no figure {name!r}{nearest(name, NAMES)} The figures are {', '.join(NAMES)}")
    module, kind = NAMES[name].split(":")
    return getattr(importlib.import_module("." + module, __name__), kind)()
