"""The Lindblad equation, the core: generators local and secular, the reachable sector, stationary states, evolution, correlations.

`equation` is the generator, of `terms`: `jumps` or, where it is not of Lindblad form, `sandwiches`;
`master` is what can be solved of it. `reach` joins the `entries` of all terms with those of rho and
finds the `sector` of coordinates that the generator moves, in which `steady`, `evolve`,
`relaxation` and `regression` solve. `flow` is the equation in time, `propagators` and `runge_kutta` follow it; `pulses`, `switches`,
`corners`, `pieces` and `stepping` serve generators that depend on time.
This folder imports no other equation. To add a way of solving, write a subclass of `AbstractSolver` in `solver`, or of `AbstractIntegrator`
in `integrators`, and a line in the lists of solvers of `tests/equations/lindblad`.
"""

from ...front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
