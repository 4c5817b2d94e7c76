"""Scattering between momenta: stationary populations, their response, and evolution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import cyclic_elimination, double_double, expm, ring
from ...linalg.cram import exponential
from ...operators.checks import choice, finite_array
from ...results import Failure, check, require_float64


def stationary_scattering(rate):
    """p (bands, N) [1] of the rates of a `Scattering`; see `Scattering.steady_state`."""
    require_float64()
    p = solved(rate)[0]
    return check(p, *_faults(rate, p))


def driven_scattering(rate, source):
    """p (bands, N) [1] of the rates of a `Scattering`, and x with W x = -source; see `Scattering.driven`."""
    require_float64()
    source = finite_array("source", source, *rate.shape[2:])
    p, factors = solved(rate)
    x = response(rate, p, factors, -source)
    faults = _faults(rate, p)
    return check(p, *faults), check(x, *faults)


def _faults(rate, p):
    return (~jnp.all(jnp.isfinite(rate)), _NOT_FINITE), (jnp.any(rate < 0), _NEGATIVE), (~jnp.all(jnp.isfinite(p)), _NOT_UNIQUE)


# Elimination without subtraction is accurate for the value, but its own derivative subtracts: the
# rule solves the linear equation of the change with the same factors.
@jax.custom_jvp
def solved(rate):
    """The stationary populations (bands, N), and the factors of -W."""
    factors = cyclic_elimination.residence_factors(rate)
    p = cyclic_elimination.plan_of(rate).unpack(cyclic_elimination.stationary(factors))
    return (p / jnp.sum(p), factors)


@solved.defjvp
def solved_jvp(primals, tangents):
    (rate,), (change,) = primals, tangents
    p, factors = solved(rate)
    return (p, factors), (response(rate, p, factors, -ring.act(change, p)), jax.tree.map(jnp.zeros_like, factors))


def response(rate, p, factors, right):
    """The inverse of W - s p 1^T, which is that of W on what has no sum, applied to `right` (bands, N)."""
    cut, p = cyclic_elimination.plan_of(rate), lax.stop_gradient(p)
    s = lax.stop_gradient(jnp.max(rate))
    back = factors.transposed()

    def through(f, r):
        return cut.unpack(cyclic_elimination.solve(f, cut.pack(r)))

    def forwards(r):
        total = jnp.sum(r)
        x = -through(factors, r - total * p)
        return x - p * (jnp.sum(x) + total / s)

    def backwards(v):
        total = jnp.sum(p * v)
        y = -through(back, v - total)
        return y - (jnp.sum(p * y) + total / s)

    def apply(x):
        return ring.act(rate, x) - s * p * jnp.sum(x)

    # The elimination leaves one population free, which may be a tiny one, and what the bands exchange at one momentum is
    # far larger than what relaxes: what either costs is recovered by a second solve.
    def solve(_, r):
        x = forwards(r)
        return x + forwards(_left(rate, x, r) + s * p * jnp.sum(x))

    def solve_T(_, v):
        y = backwards(v)
        return y + backwards(v - (ring.act_T(rate, y) - s * jnp.sum(p * y)))

    return lax.custom_linear_solve(apply, right, solve, solve_T)


def _left(rate, x, r):
    """r - W x, summed in twice the precision: a jump leaves and arrives as the same number, so that probability is conserved."""
    flow = rate * x
    into = jnp.moveaxis(ring.arriving(flow), 2, 1)
    terms = jnp.concatenate([-into.reshape(-1, *x.shape), flow.reshape(-1, *x.shape), r[None]])[None]
    return double_double.total(terms, jnp.zeros_like(terms))[0]


def evolve_scattering(rate, initial, times, method: str | None):
    """e^{Wt} x (k, bands, N) of the rates of a `Scattering`; see `Scattering.evolve`."""
    require_float64()
    cut = cyclic_elimination.plan_of(rate)
    initial, times = finite_array("initial", initial, cut.bands, cut.size), finite_array("times", times, None)
    n, b = cut.bands * cut.size, cut.bands * cut.width
    if method is not None:
        choice("method", method, ("dense", "rational"))
    # Forty squarings of 2 n^3; eight factorisations of forty b^3 for each arc, complex numbers counted as four.
    if method == "dense" or (method is None and 2 * n**3 <= 8 * times.size * cut.count * b**3):
        hops = 1 + cut.size // (2 * cut.reach)
        x, _ = expm.propagate(ring.matrix(rate), initial.ravel(), times, np.ones(n), hops)
        return x.T.reshape(-1, *initial.shape)

    def shifted(t, theta, y):
        factors = cyclic_elimination.resolvent_factors(lax.stop_gradient(rate), lax.stop_gradient(t), theta)
        back = factors.transposed()

        def through(f, r):
            return -cut.unpack(cyclic_elimination.solve(f, cut.pack(r)))

        return lax.custom_linear_solve(
            lambda x: t * ring.act(rate, x) - theta * x, y, lambda _, r: through(factors, r), lambda _, r: through(back, r)
        )

    # One time after the other: each has eight factorisations of the whole ring.
    return lax.map(lambda t: exponential(shifted, initial, t), times)


_NOT_FINITE = Failure("the stationary populations are not finite: a rate is infinite or NaN, as where two bands touch")
_NEGATIVE = Failure("the stationary populations are not defined: a rate is negative, as at a negative temperature")
_NOT_UNIQUE = Failure("the stationary populations are not unique: rates fall below the smallest number, so that momenta are uncoupled")
