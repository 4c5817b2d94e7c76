"""What `steady_state` and `evolve` can be told to use: the solvers of stationary states, and the integrators of equations in time."""

from .equations.lindblad.integrators import AbstractIntegrator, Action, Explicit, Propagator, Stiff
from .equations.lindblad.krylov import Krylov
from .equations.lindblad.solver import AbstractSolver, BlockTridiagonal, Dense

__all__ = ["AbstractIntegrator", "AbstractSolver", "Action", "BlockTridiagonal", "Dense", "Explicit", "Krylov", "Propagator", "Stiff"]
