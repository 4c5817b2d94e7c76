"""The published devices, by class and by command-line name.

Classes are loaded when they are first used, because a model needs JAX and a list of names does not.
"""

import importlib
from typing import Any

# Command-line name -> "module:Class", in the order in which they are listed.
NAMES = {
    "rotor-engine": "rotor_device:RotorEngine",
    "rotor-rectifier": "rotor_device:RotorRectifier",
    "spintronic-engine": "spintronic_engine:SpintronicEngine",
    "lambda-system": "three_levels:LambdaSystem",
    "v-system": "three_levels:VSystem",
    "thermophoretic-lattice": "thermophoresis:ThermophoreticLattice",
    "raman-rectifier": "gge_rectifier:RamanRectifier",
    "rashba-rectifier": "gge_rectifier:RashbaRectifier",
    "active-particle": "active_particle:ActiveParticle",
}

_WHERE = {home.split(":")[1]: home.split(":")[0] for home in NAMES.values()}

__all__ = ["NAMES", *_WHERE]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'qdiff.models' has no attribute {name!r}")
    value = getattr(importlib.import_module("." + _WHERE[name], __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
