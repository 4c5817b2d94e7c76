"""The surroundings of a system: occupations, spectral densities, reservoirs of bosons and leads of fermions.

This room imports from `operators` and the rooms before it, and knows no equation of motion.
To add a bath, write a class with its rates of emission and absorption beside those in `reservoir` or `lead`; to add a spectral
density, write a `Spectrum`.
"""

from ..front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
