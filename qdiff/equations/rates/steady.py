"""Stationary populations of rate equations."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import gth
from ...operators.checks import choice
from ...results import Failure, NotUnique, check, require_float64
from .transitions import Transitions


def stationary_populations(transitions: Transitions, rate, solver: str):
    """p (n,) [1]; see `Rates.steady_state`.

    Args:
        transitions, rate: which jumps there are and how often each happens (n_jumps,) [rate].
        solver: "elimination" or "lu".
    """
    require_float64()
    choice("solver", solver, ("elimination", "lu"))
    order = elimination_order(transitions)
    p = (_eliminated if solver == "elimination" else _by_pivots)(transitions, rate, tuple(order.tolist()))
    infinite, negative = ~jnp.all(jnp.isfinite(rate)), jnp.any(rate < 0)
    return check(p, (infinite, _NOT_FINITE), (negative, _NEGATIVE), (~jnp.all(jnp.isfinite(p)), _NOT_UNIQUE))


@partial(jax.jit, static_argnums=(0, 2))
def _eliminated(transitions, rate, order):
    at = np.array(order)
    return gth.stationary(transitions.jumps(rate)[at][:, at])[np.argsort(at)]


@partial(jax.jit, static_argnums=(0, 2))
def _by_pivots(transitions, rate, order):
    # The same as `lindblad.null_vector` in its plainest form: at LAPACK's speed, without the
    # accuracy that elimination gives to small populations.
    u = jnp.full(transitions.size, 1 / transitions.size)
    s = lax.stop_gradient(jnp.max(rate))
    return jnp.linalg.solve(transitions.matrix(rate) - s * u[:, None], -s * u)


def elimination_order(transitions: Transitions) -> np.ndarray:
    """An order of the states in which none is eliminated before all that can be reached from it are: transient ones last."""
    # From the structure, while tracing: GTH divides by what leaves a state for those still there,
    # and for a transient state eliminated too late that is nothing.
    closed = transitions.classes
    if len(closed) > 1:
        shown = ", ".join("{" + ", ".join(map(str, c[:4])) + (", ..." if len(c) > 4 else "") + "}" for c in closed[:4])
        raise NotUnique(
            f"there are {len(closed)} stationary states: these sets of states are never left once entered, {shown}"
            f"{', ...' if len(closed) > 4 else ''}. Join them by a jump, or treat each by itself"
        )
    transient = np.setdiff1d(np.arange(transitions.size), closed[0])
    return np.concatenate([closed[0], transient])


_NOT_FINITE = Failure(
    "the stationary populations are not finite: a rate is infinite or NaN, as of a bath with a flat spectrum at frequency zero"
)
_NEGATIVE = Failure("the stationary populations are not defined: a rate is negative, as at a negative temperature")
_NOT_UNIQUE = Failure(
    "the stationary populations are not unique: rates vanish, or fall below the smallest number, as when a transition energy "
    "is more than 700 temperatures, so that parts of the system are uncoupled"
)
