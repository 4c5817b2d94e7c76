"""Bloch equations: one small Lindblad equation for each momentum, all momenta solved at once.

`equation` is the generator; `blocks` makes its blocks of a function of the momentum by `scalarise`, entry by entry; `steady` solves them;
`weighted_mean` sums over momenta on all devices. This folder imports the generator of `equations.lindblad`, of which a block is made.
To add a quantity, write a mean over momenta beside `mean_velocity` in `steady`, and a method of `BlochModel` that calls it.
"""

from ...front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
