"""Channels that move conserved occupations of many modes: generalised Gibbs ensembles and their slow evolution.

`equation` is the generator, `mean_field` its right-hand side, `gibbs_ensemble` its stationary state, `evolve` its evolution;
`periodic_chain` has the momenta of a ring.
This folder imports the integrators of `equations.lindblad`, by which a user says how to step.
To add a channel, write a function of the occupations as `Channels` describes it.
"""

from ...front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
