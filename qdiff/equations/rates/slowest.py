"""The slowest decay of a generator: an eigenvalue, with implicit derivatives."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import eigenpair, gth
from ...results import Failure, check, require_float64
from .steady import elimination_order
from .transitions import Transitions


def slowest_of_rates(transitions: Transitions, rate):
    """The smallest decay rate of a rate equation, a scalar [rate]; see `Rates.relax`.

    Args:
        transitions, rate: which jumps there are and how often each happens (n_jumps,) [rate].
    """
    require_float64()
    return _checked(_of_rates(transitions, rate, tuple(elimination_order(transitions).tolist())), rate)


def slowest_of_matrix(G, values, weights):
    """The smallest decay rate of a generator that conserves a trace, a scalar [rate].

    Args:
        G: (n, n) [rate]. values: the numbers that it is made of. weights: the trace as a covector (n,).
    """
    require_float64()
    return _checked(_of_matrix(G, tuple(weights.tolist())), values)


def _checked(gap, values):
    return check(gap, (~jnp.all(jnp.isfinite(values)), _NOT_FINITE), (~jnp.isfinite(gap), _NOT_DEFINED))


@partial(jax.jit, static_argnums=(0, 2))
def _of_rates(transitions, rate, order):
    at = np.array(order)
    return slowest(gth.relaxation(transitions.jumps(rate)[at][:, at]))


@partial(jax.jit, static_argnums=1)
def _of_matrix(G, weights):
    w = np.array(weights)
    u = w / w.sum()
    # The solve is with the stationary state moved away from zero; `keep` takes it out of the
    # result.
    keep = jnp.eye(w.size) - u[:, None] * w
    return slowest(-jnp.linalg.solve(G - lax.stop_gradient(jnp.max(jnp.abs(G))) * u[:, None] * w, keep))


def slowest(K):
    """The smallest decay rate, from a matrix of decay times.

    Args:
        K: (n, n), minus the inverse of a generator on the deviations that decay, zero on the stationary state [time].

    Returns:
        min Re 1/mu over the non-zero eigenvalues mu of K, a scalar [rate].
    """
    # Of the inverse: its largest eigenvalue is found to its own relative accuracy, while the
    # smallest of the generator would be found to rounding of the fastest rate. LAPACK's result is
    # not differentiated, but the Newton steps after it, which have derivatives to third order.
    mu, vectors = jnp.linalg.eig(lax.stop_gradient(K))
    size = jnp.abs(mu)
    # The stationary state has mu = 0 up to rounding; the decays that count have a mu near the largest.
    decays = size > 1e-12 * jnp.max(size)
    at = jnp.argmin(jnp.where(decays, jnp.real(mu) / jnp.where(decays, size, 1.0) ** 2, jnp.inf))
    return jnp.real(1 / eigenpair.refined(K, mu[at], vectors[:, at])[0])


_NOT_FINITE = Failure("the decay rates are not finite: a rate is infinite or NaN, as of a bath with a flat spectrum at frequency zero")
_NOT_DEFINED = Failure("the slowest decay is not defined: the stationary state is not unique, or the two slowest decays are equal")
