"""The published devices, by class and by command-line name: a folder a paper, beside what every model is made of.

Classes are loaded when they are first used, because a model needs JAX and a list of names does not.
A model imports from the rooms before this one, from `base` and its kind, and from its own folder.
To add a device, make a folder with `device.py`, and name its class in `NAMES`; what only this paper needs stands beside it.
"""

from ..front_door import attach

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

__getattr__, __dir__, __all__ = attach(__name__, __file__)
