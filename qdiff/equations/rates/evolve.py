"""Time evolution of rate equations, by a propagator that keeps every digit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float

from ...operators.checks import checked_times, real_array
from ...results import Failure, check, require_float64
from .transitions import Transitions

# A step of at most half an average waiting time, for which fourteen terms of the exponential series are exact to
# 0.5^15/15! = 2e-17; doubled at most this often: 2^160 waiting times, more than an infinite speed (1e30) needs.
_TERMS, _DOUBLINGS = 14, 160


def propagate(transitions: Transitions, rate, initial, times):
    """p (k, n) [1]; see `Rates.evolve`.

    Args:
        transitions, rate: which jumps there are and how often each happens (n_jumps,) [rate].
        initial: (n,) [1]. times: (k,) [1/rate].
    """
    require_float64()
    initial, times = checked_populations(initial, transitions.size, "initial"), checked_times(times)
    p = _evolved(transitions.jumps(rate), initial, times)
    return check(p, (~jnp.all(jnp.isfinite(rate)), _RATE), (~jnp.all(jnp.isfinite(p)), _TIME))


@jax.jit
def _evolved(R, initial, times):
    return lax.map(lambda t: propagator(R, t) @ initial, times)


def checked_populations(p, size: int, name: str):
    """p as an array (size,), if it can be populations."""
    p = real_array(name, p)
    if p.shape != (size,):
        raise ValueError(f"{name} must be one population for each state, shape ({size},), but has shape {p.shape}")
    if isinstance(p, Tracer):
        negative, whole = Failure(f"{name} must not be negative", ValueError), Failure(f"{name} must sum to one", ValueError)
        return check(p, (~jnp.all(p >= 0), negative), (~(jnp.abs(jnp.sum(p) - 1) <= 1e-9), whole))
    known = np.asarray(p)
    if not np.all(known >= 0):
        raise ValueError(f"{name} must not be negative, but one was {known[~(known >= 0)][0]:g}")
    if not abs(known.sum() - 1) <= 1e-9:
        raise ValueError(f"{name} must sum to one, but sums to {known.sum():.12g}")
    return p


def propagator(R: Float[Array, "n n"], t) -> Float[Array, "n n"]:
    """e^{Wt} (n, n) of the generator with rates R[to, from]: probabilities, every one to relative accuracy."""
    R = R - jnp.diag(jnp.diag(R))
    out = jnp.sum(R, axis=0)
    fast = lax.stop_gradient(jnp.max(out))
    doublings = jnp.clip(jnp.ceil(jnp.log2(jnp.maximum(lax.stop_gradient(t) * fast, 1e-300))) + 1, 0, _DOUBLINGS)
    step = t / 2**doublings
    # Uniformisation. Pade approximants need fewer products, but subtract and divide; this series
    # has only positive terms, so that the smallest probability is as accurate, relative to itself,
    # as the largest.
    # With the fastest rate added to its diagonal the generator has no negative entry.
    B = step * (R + jnp.diag(fast - out))
    total = term = jnp.eye(len(R))
    for k in range(1, _TERMS + 1):
        term = term @ B / k
        total = total + term
    # After a short step the probability to be elsewhere is what is known to all digits.
    P = _stochastic(total * jnp.exp(-fast * step))

    # A scan of fixed length with steps that may do nothing: a loop of traced length has no reverse
    # derivative.
    def double(P, k):
        return lax.cond(k < doublings, lambda P: _stochastic(P @ P), lambda P: P, P), None

    return lax.scan(double, P, jnp.arange(_DOUBLINGS))[0]


def _stochastic(P):
    """P with columns that sum to one: where little has moved by what stays, else by their common factor."""
    # Squaring doubles an error in the sum of a column each time; 160 doublings would blow up
    # rounding.
    stay = jnp.diag(P)
    moved = jnp.sum(P - jnp.diag(stay), axis=0)
    little = moved < 0.5
    stay = jnp.where(little, 1 - moved, stay)
    P = P - jnp.diag(jnp.diag(P)) + jnp.diag(stay)
    return P / jnp.where(little, 1.0, jnp.sum(P, axis=0))


_RATE = Failure("the populations are not finite: a rate is infinite or NaN, as of a bath with a flat spectrum at frequency zero")
_TIME = Failure("the populations are not finite: a time is not finite, or is longer than 1e48 waiting times")
