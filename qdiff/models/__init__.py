"""The published devices, by class and by command-line name: a folder a paper, beside what every model is made of.

Classes are loaded when they are first used, because a model needs JAX and a list of names does not.
A model imports from the rooms before this one, from `base` and its kind, and from its own folder.
To add a device, make a folder with `device.py`, and name its class in `NAMES`; what only this paper needs stands beside it.
"""

import importlib
from typing import Any

# Command-line name -> "module:Class", in the order in which they are listed.
NAMES = {
    "rotor-engine": "rotor.device:RotorEngine",
    "rotor-rectifier": "rotor.device:RotorRectifier",
    "spintronic-engine": "spintronic.device:SpintronicEngine",
    "lambda-system": "thermophoresis.three_levels:LambdaSystem",
    "v-system": "thermophoresis.three_levels:VSystem",
    "thermophoretic-lattice": "thermophoresis.lattice:ThermophoreticLattice",
    "raman-rectifier": "gge.device:RamanRectifier",
    "rashba-rectifier": "gge.device:RashbaRectifier",
    "active-particle": "active.device:ActiveParticle",
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
