"""Stationary populations of two sets of states that exchange probability."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from ...linalg import gth
from ...linalg.right_side import sized
from ...results import Failure, check, require_float64
from .bipartite import Dense, Exchange

# The error falls by three or more with each sweep of the lattices this is made for; where it falls more slowly than
# this many sweeps allow, the sets hang together by a thread.
_SWEEPS = 1000


def exchange_populations(exchange: Exchange):
    """The stationary populations of sites and levels, normalised together.

    With dense kernels the sites are eliminated, then the levels one by one, without any subtraction. With others,
    populations are handed from the sites to the levels and back until they stay, each way an exact balance: a linear
    fixed point that is approached by a constant factor, and differentiated as the linear equation it solves.

    Args:
        exchange: the equation.

    Returns:
        (sites,) and (levels,) populations [1].

    Raises:
        SolveError: at run time, if the state is not finite or not unique, or the sweeps do not converge.

    Differentiable in everything, forward and reverse, to any order; at an infinitely fast level in its slowness from
    the side where that is positive.

    Accuracy: dense kernels, every single population to about 1e-14 of itself; others, 1e-13 of the largest.
    """
    require_float64()
    if isinstance(exchange.up, Dense):
        p_levels = gth.stationary(exchange.through_sites())
        p_sites = exchange.sites_from(p_levels)
    else:
        p_sites = _swept(exchange)
        p_levels = exchange.levels_from(p_sites)
    total = jnp.sum(p_sites) + jnp.sum(p_levels)
    p = jnp.concatenate([p_sites, p_levels]) / total
    p = check(p, (~jnp.all(jnp.isfinite(p)), _NOT_FINITE))
    return p[: p_sites.size], p[p_sites.size :]


def _swept(exchange: Exchange):
    """The site populations, up to a factor.

    One sweep Phi, sites to levels and back, keeps sum_k a_k p_k with a the speed at which sites are left. With
    u = Phi(1) and a . u = 1 the fixed point solves (1 - Phi + u a^T) x = u, in which the eigenvalue one of Phi is gone.
    """
    a = exchange.leaving()
    first, speed = exchange.fastest()
    drain = exchange.down.to_levels(jnp.ones_like(a))

    def sweep(x):
        p = exchange.up.to_levels(x) / drain
        return (exchange.down.row(first) * p[first] + exchange.down.to_sites(speed * p)) / a

    # Any u with a . u = 1 takes the eigenvalue one away; this one is a sweep closer to the solution
    # than an even distribution.
    u = sweep(jnp.ones_like(a))
    u = lax.stop_gradient(u / jnp.sum(a * u))
    return lax.custom_linear_solve(lambda x: x - sweep(x) + u * (a @ x), u, _neumann, _neumann)


# Plain iteration and no Krylov method: the error falls by three or more with each sweep, without
# inner products, and the same few lines solve the transposed equation.
def _neumann(matvec, right):
    """The solution of matvec(x) = right by x <- x + right - matvec(x); NaN if the changes do not die out."""

    # Changes may grow for a while at first. Near rounding they need not fall any more: there the
    # loop ends with the first that does not.
    def going_on(carry):
        k, x, before, now = carry
        return (k < _SWEEPS) & (now > 1e-15 * jnp.max(jnp.abs(x))) & ((now < before) | (now > 1e-13 * jnp.max(jnp.abs(x))))

    def step(carry):
        k, x, _, now = carry
        change = right - matvec(x)
        return k + 1, x + change, now, jnp.max(jnp.abs(change))

    right, power = sized(right)
    size = jnp.max(jnp.abs(right))
    _, x, _, last = lax.while_loop(going_on, step, (0, right, jnp.inf * jnp.ones_like(size), size))
    return jnp.where(last <= 1e-12 * jnp.max(jnp.abs(x)), x * power, jnp.nan)


_NOT_FINITE = Failure(
    "the stationary populations are not finite or not unique: a temperature or an energy is infinite or NaN, g is zero, or rates "
    "fall below the smallest number, as where an energy is more than 700 temperatures"
)
