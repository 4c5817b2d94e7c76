"""Scattering between momenta, and drift and diffusion in momentum space.

`scattering` and `drift_diffusion` are the generators; `scattering_steady`, `scattering_gap` and `cells` are behind their methods.
This folder imports no other equation.
To add a process, give its rates to `Scattering`; another geometry needs an elimination of its own in `linalg`, as a ring has
`cyclic_elimination`.
"""

from ...front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
