"""Stationary populations of rate equations."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import gth
from ...operators.checks import choice, instance
from ...results import Failure, NotUnique, check, require_float64
from .equation import Rates


def stationary_populations(rates: Rates, solver: str = "elimination"):
    """The stationary populations of a rate equation: W p = 0 with sum p = 1.

    Args:
        rates: the equation.
        solver: "elimination" finds every population to relative rounding, however small it is: no step subtracts.
            "lu" is LAPACK's factorisation with pivots: faster beyond some hundred states, and accurate relative to
            the largest population and the slowest rate only.

    Returns:
        p (n,) [1].

    Raises:
        NotUnique: there are several closed sets of states, each with a stationary state of its own.
        SolveError: at run time, if rates are not finite, or vanish such that the state is not unique.

    Differentiable in every rate, forward and reverse, to any order, by the implicit function theorem.

    Accuracy: "elimination" agrees with 60-digit arithmetic to 1e-14 of every single population, for rates that span
    30 decades. Derivatives lose digits where a fast exchange and a slow one are differentiated together: their error is
    1e-16 times the ratio of the flows.

    Example:
        >>> import qdiff as qd
        >>> cold = qd.BosonicBath(70.0, 1.0)
        >>> p = qd.stationary_populations(qd.Rates([0.0, 1.0], {"cold": qd.thermal_transitions([0], [1], [1.0], cold)}))
        >>> f"{p[1]:.12e}"
        '3.975449735909e-31'
    """
    require_float64()
    instance("rates", rates, Rates)
    choice("solver", solver, ("elimination", "lu"))
    order = elimination_order(rates)
    p = (_eliminated if solver == "elimination" else _by_pivots)(rates, tuple(order.tolist()))
    infinite, negative = ~jnp.all(jnp.isfinite(rates.rate)), jnp.any(rates.rate < 0)
    return check(p, (infinite, _NOT_FINITE), (negative, _NEGATIVE), (~jnp.all(jnp.isfinite(p)), _NOT_UNIQUE))


@partial(jax.jit, static_argnums=1)
def _eliminated(rates, order):
    at = np.array(order)
    return gth.stationary(rates.jumps()[at][:, at])[np.argsort(at)]


@partial(jax.jit, static_argnums=1)
def _by_pivots(rates, order):
    u = jnp.full(rates.size, 1 / rates.size)
    s = lax.stop_gradient(jnp.max(rates.rate))
    return jnp.linalg.solve(rates.matrix() - s * u[:, None], -s * u)


def elimination_order(rates: Rates) -> np.ndarray:
    """An order of the states in which none is eliminated before all that can be reached from it are: transient ones last."""
    closed = rates.transitions.classes
    if len(closed) > 1:
        shown = ", ".join("{" + ", ".join(map(str, c[:4])) + (", ..." if len(c) > 4 else "") + "}" for c in closed[:4])
        raise NotUnique(
            f"there are {len(closed)} stationary states: these sets of states are never left once entered, {shown}"
            f"{', ...' if len(closed) > 4 else ''}. Join them by a jump, or treat each by itself"
        )
    transient = np.setdiff1d(np.arange(rates.size), closed[0])
    return np.concatenate([closed[0], transient])


_NOT_FINITE = Failure(
    "the stationary populations are not finite: a rate is infinite or NaN, as of a bath with a flat spectrum at frequency zero"
)
_NEGATIVE = Failure("the stationary populations are not defined: a rate is negative, as at a negative temperature")
_NOT_UNIQUE = Failure(
    "the stationary populations are not unique: rates vanish, or fall below the smallest number, as when a transition energy "
    "is more than 700 temperatures, so that parts of the system are uncoupled"
)
