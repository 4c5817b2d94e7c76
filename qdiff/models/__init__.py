"""The published devices, by class and by command-line name."""

from .rotor_device import RotorEngine, RotorRectifier

NAMES = {"rotor-engine": RotorEngine, "rotor-rectifier": RotorRectifier}
