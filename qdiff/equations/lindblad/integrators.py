"""The ways to follow a state in time, and which of them is taken where none is given."""

from .flow import AbstractIntegrator, Flow, Solution
from .propagators import Action, Propagator
from .runge_kutta import Explicit, Stiff
from .sector import Sector

__all__ = ["AbstractIntegrator", "Action", "Explicit", "Flow", "Propagator", "Solution", "Stiff", "choose"]

# Above this size the n^3 of squaring costs more than most users wait: 35 squarings take ten seconds on a core.
_DENSE = 1200


def choose(sector: Sector, curved: bool) -> AbstractIntegrator:
    """`Explicit` for a generator that depends on time but by jumps; else `Propagator`, or `Action` for more than 1200 coordinates."""
    if curved:
        return Explicit()
    return Propagator() if sector.size <= _DENSE else Action()
