# What type checkers and editors read of this room, which loads its classes late: one line for each entry of NAMES.
from .active.device import ActiveParticle as ActiveParticle
from .gge.device import RamanRectifier as RamanRectifier
from .gge.device import RashbaRectifier as RashbaRectifier
from .rotor.device import RotorEngine as RotorEngine
from .rotor.device import RotorRectifier as RotorRectifier
from .spintronic.device import SpintronicEngine as SpintronicEngine
from .thermophoresis.lattice import ThermophoreticLattice as ThermophoreticLattice
from .thermophoresis.three_levels import LambdaSystem as LambdaSystem
from .thermophoresis.three_levels import VSystem as VSystem

NAMES: dict[str, str]
