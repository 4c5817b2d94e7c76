"""Full counting statistics: the long-time cumulants of what a bath exchanges with the system."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp

from ..equations.lindblad.evolution import Snapshot
from ..equations.lindblad.krylov import Krylov
from ..equations.lindblad.regression import finite
from ..equations.lindblad.responses import counting, inverse
from ..equations.lindblad.solver import AbstractSolver
from ..equations.lindblad.steady import State, a_state, steady_state
from ..operators.checks import real_array
from ..results import Failure, failure_mode
from .counting_charges import Of, carried
from .flows import known_bath


def cumulants(state: State, bath: str, of: Of = "energy", *, order: int = 4, solver: AbstractSolver | Krylov | None = None):
    """The growth rates of the cumulants of what a bath has brought into the system, N(t), for long times.

        c_n = lim d/dt <<N(t)^n>> = d^n/dchi^n lambda(chi) at chi = 0,

    with lambda(chi) the leading eigenvalue of the generator in which every jump that brings q is multiplied by
    e^{chi q}. c_1 is the mean current, c_2 the noise (diffusion of N), c_3 the skewness of the exchange:

        c_n = sum_k binomial(n, k) Tr[M_k x_{n-k}],    M_k = sum over jumps of q^k rate A . A^dag,
        L x_n = -sum_k binomial(n, k) (M_k - c_k) x_{n-k},    Tr x_n = 0,    x_0 = the stationary state,

    so that `order` - 1 solves with one factorisation give them all.

    Args:
        state: a stationary state, from `steady_state`. Any other `generator.state(rho)` stands for the stationary one that it
            relaxes to.
        bath: the name of the bath whose jumps are counted.
        of: what is counted, positive INTO the system: "energy" (what each jump takes from the bath: the transition
            energy of `thermal_jumps`, the Bohr frequency of `secular`, `Jump(energy=)`); "quanta" (one in `thermal_jumps`
            and `secular`, `Jump(quanta=)`); a charge, a Hermitian `Operator` O with [O, A] = q A for each jump operator A of
            the bath (particles: the number operator); or one number for each jump of the bath. Jumps without a
            definite amount, such as those of a local bath in the coupled Hamiltonian's energy, are refused.
        order: how many cumulants, at least 1.

    Args, rarely needed:
        solver: as in `steady_state`; by default `Krylov`, in matrix form, for a state that it has found.

    Returns:
        Array (order,), c_n in [unit of what is counted to the power n, times rate].

    Raises:
        ValueError: an unknown bath, an order below 1, a jump that does not carry a definite amount.
        NotUnique: there are several stationary states, between which N(t) has no long-time limit of this form.
        SolveError: at run time, if a solve failed.

    The mean is `heat_current(state, bath, H0)` wherever every jump changes H0 by the energy it carries: the
    generator's H for `secular`, the uncoupled one for local baths. It is `current` of a charge that is counted.

    Differentiable in everything, forward, reverse and to any order; `of="quanta"` of `secular` is constant but where a
    line's frequency changes sign.

    Accuracy: every order loses the factor by which its terms cancel. For the rotor engine at 81 levels, where the
    noise is a part in 1e4 of them, it agrees with counts at the load to 1e-10.

    Example:
        >>> import qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> baths = {"source": qd.Jump(2.0, qubit.plus, quanta=1), "drain": (2.0, qubit.minus)}
        >>> generator = qd.Lindblad(qubit.z, baths)  # resonant level far from equilibrium: noise/mean = 1/2
        >>> qd.cumulants(qd.steady_state(generator), "source", "quanta", order=3).tolist()
        [1.0, 0.5, 0.25]

    Source:
        Flindt, Novotny, Braggio, Jauho, Phys. Rev. B 82, 155407 (2010), for the recursion.
    """
    generator = a_state(state).generator
    known_bath(state, bath)
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order must be a positive integer, but was {order!r}")
    if solver is not None and not isinstance(solver, (AbstractSolver, Krylov)):
        raise TypeError(f"solver must be one such as Dense(), but was {solver!r}")
    amounts = carried(generator, bath, of)
    if isinstance(state, Snapshot):
        state = steady_state(generator, solver, initial=state)
    solver = state.solver if solver is None else solver
    sector = counting(state, bath, solver)
    x, sure = sector.adopted(state.sector, state.x), sector == state.sector
    out = _cumulants(generator, x, amounts, sector, solver, bath, order, sure, failure_mode())
    return finite(out, _STALLED if isinstance(solver, Krylov) else _NOT_FINITE)


_NOT_FINITE = Failure("the cumulants are not finite: a jump carries an infinite amount, or a solve failed (try solver=Dense())")
_STALLED = Failure(
    "the cumulants were not solved: a jump carries an infinite amount, more is stationary than the state, or Krylov stalled; give "
    "solver=BlockTridiagonal() or Dense(), if the system is not too large for these, or Krylov(most=...) more steps"
)


def fano_factor(mean, noise):
    """noise / |mean| [unit of what is counted]: 1 for independent events of one quantum each, below it for regular ones.

    Infinite where the mean current vanishes, as between equal baths; NaN if nothing moves at all.

    Args:
        mean, noise: the first two of `cumulants`, any shape.
    """
    return real_array("noise", noise) / jnp.abs(real_array("mean", mean))


def uncertainty_ratio(mean, noise, entropy_production):
    """noise * entropy_production / mean^2 [1]: what precision costs.

    At least 2 for every current of a classical Markov process (the thermodynamic uncertainty relation) and 2 near
    equilibrium; quantum coherence can push it below. At equilibrium itself it is 0/0, NaN.

    Args:
        mean, noise: the first two of `cumulants`. entropy_production: of all baths [rate], from `entropy_production`.

    Source: Barato, Seifert, Phys. Rev. Lett. 114, 158101 (2015).
    """
    precision = real_array("noise", noise) / jnp.square(real_array("mean", mean))
    return precision * real_array("entropy_production", entropy_production)


# In matrix form a derivative that is not solved says so in the program: one for each way of failing.
@partial(jax.jit, static_argnums=(3, 4, 5, 6, 7, 8))
def _cumulants(generator, x, amounts, sector, solver, bath, order, sure, mode):
    w, counted = sector.trace_weights, sector.counted(generator, bath)
    alone = sector.size == 1  # a state that the jumps leave as it is: independent events
    solve = inverse(sector, generator, x, solver, sure) if order > 1 and not alone else jnp.zeros_like
    out, xs = [], [x]
    for n in range(1, order + 1):
        # (M_k - c_k) x_{n-k} for k < n, whose traces cancel those of M_n x_0; c_n removes what is left.
        terms = [(math.comb(n, k), k, counted(amounts**k, xs[n - k])) for k in range(1, n + 1)]
        out.append(sum(c * (w @ moved) for c, _, moved in terms))
        if n < order:
            xs.append(solve(-sum(c * (moved - out[k - 1] * xs[n - k]) for c, k, moved in terms)))
    return jnp.stack(out)
