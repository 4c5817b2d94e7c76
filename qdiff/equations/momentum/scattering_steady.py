"""Scattering between momenta: stationary populations, their response, and evolution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import cyclic_elimination, double_double, expm
from ...linalg.cram import exponential
from ...operators.checks import choice, finite_array, instance
from ...results import Failure, check, require_float64
from .scattering import Scattering, arriving


def stationary_scattering(scattering: Scattering):
    """The stationary populations p (bands, N), normalised to one, of scattering between momenta.

    By elimination without subtraction, arc by arc (`linalg.cyclic_elimination`): O(N reach^2).

    Raises:
        SolveError: at run time, if a rate is negative or not finite, or the state is not unique.

    Differentiable in the rates, forward and reverse, to any order, by the implicit function theorem.

    Accuracy: every population to 1e-13 of itself.
    """
    require_float64()
    p = solved(instance("scattering", scattering, Scattering).rate)[0]
    return check(p, *_faults(scattering.rate, p))


def driven_scattering(scattering: Scattering, source):
    """The stationary populations p (bands, N), and how much they differ from others that are known.

    Where W_0 p_0 = 0 is known, p - p_0 solves W x = -(W - W_0) p_0: what is small stays accurate.

    Args:
        source: (W - W_0) p_0 (bands, N), with sum zero [rate].

    Returns:
        p and x with W x = -source and sum zero, to about 1e-12 of its own largest entry, also where the bands exchange
        particles 1e9 times as fast as momenta relax.

    Raises, differentiable: as `stationary_scattering`.
    """
    require_float64()
    rate = instance("scattering", scattering, Scattering).rate
    source = finite_array("source", source, scattering.bands, scattering.size)
    p, factors = solved(rate)
    x = response(rate, p, factors, -source)
    faults = _faults(rate, p)
    return check(p, *faults), check(x, *faults)


def _faults(rate, p):
    return (~jnp.all(jnp.isfinite(rate)), _NOT_FINITE), (jnp.any(rate < 0), _NEGATIVE), (~jnp.all(jnp.isfinite(p)), _NOT_UNIQUE)


@jax.custom_jvp
def solved(rate):
    """The stationary populations (bands, N), and the factors of -W."""
    factors = cyclic_elimination.residence_factors(Scattering(rate))
    p = cut_of(rate).unpack(cyclic_elimination.stationary(factors))
    return (p / jnp.sum(p), factors)


@solved.defjvp
def solved_jvp(primals, tangents):
    (rate,), (change,) = primals, tangents
    p, factors = solved(rate)
    return (p, factors), (response(rate, p, factors, -Scattering(change).act(p)), jax.tree.map(jnp.zeros_like, factors))


def cut_of(rate):
    return cyclic_elimination.plan(rate.shape[3], rate.shape[0] // 2, rate.shape[1])


def response(rate, p, factors, right):
    """The inverse of W - s p 1^T, which is that of W on what has no sum, applied to `right` (bands, N)."""
    cut, p = cut_of(rate), lax.stop_gradient(p)
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
        return Scattering(rate).act(x) - s * p * jnp.sum(x)

    # The elimination leaves one population free, which may be a tiny one, and what the bands exchange at one momentum is
    # far larger than what relaxes: what either costs is recovered by a second solve.
    def solve(_, r):
        x = forwards(r)
        return x + forwards(_left(rate, x, r) + s * p * jnp.sum(x))

    def solve_T(_, v):
        y = backwards(v)
        return y + backwards(v - (Scattering(rate).act_T(y) - s * jnp.sum(p * y)))

    return lax.custom_linear_solve(apply, right, solve, solve_T)


def _left(rate, x, r):
    """r - W x, summed in twice the precision: a jump leaves and arrives as the same number, so that probability is conserved."""
    flow = rate * x
    into = jnp.moveaxis(arriving(flow), 2, 1)
    terms = jnp.concatenate([-into.reshape(-1, *x.shape), flow.reshape(-1, *x.shape), r[None]])[None]
    return double_double.total(terms, jnp.zeros_like(terms))[0]


def evolve_scattering(scattering: Scattering, initial, times, *, method: str | None = None):
    """e^{Wt} x (k, bands, N) of scattering between momenta, from x (bands, N), which need not be populations.

    Args:
        method: "dense" squares the propagator (`linalg.expm`): O(N^3) for all times together. "rational" is a
            rational function of the generator, in eight solves of O(N reach^2) for each time. None: what takes fewer
            operations.

    Differentiable in the rates, in x and in the times, forward, reverse and to any order.

    Accuracy: 1e-12 of the largest entry; "rational", 1e-11.
    """
    require_float64()
    cut = cut_of(instance("scattering", scattering, Scattering).rate)
    initial, times = finite_array("initial", initial, scattering.bands, scattering.size), finite_array("times", times, None)
    n, b = cut.bands * cut.size, cut.bands * cut.width
    if method is not None:
        choice("method", method, ("dense", "rational"))
    # Forty squarings of 2 n^3; eight factorisations of forty b^3 for each arc, complex numbers counted as four.
    if method == "dense" or (method is None and 2 * n**3 <= 8 * times.size * cut.count * b**3):
        hops = 1 + cut.size // (2 * cut.reach)
        x, _ = expm.propagate(scattering.matrix(), initial.ravel(), times, np.ones(n), hops)
        return x.T.reshape(-1, *initial.shape)

    def shifted(t, theta, y):
        factors = cyclic_elimination.resolvent_factors(lax.stop_gradient(scattering), lax.stop_gradient(t), theta)
        back = factors.transposed()

        def through(f, r):
            return -cut.unpack(cyclic_elimination.solve(f, cut.pack(r)))

        return lax.custom_linear_solve(
            lambda x: t * scattering.act(x) - theta * x, y, lambda _, r: through(factors, r), lambda _, r: through(back, r)
        )

    return lax.map(lambda t: exponential(shifted, initial, t), times)


_NOT_FINITE = Failure("the stationary populations are not finite: a rate is infinite or NaN, as where two bands touch")
_NEGATIVE = Failure("the stationary populations are not defined: a rate is negative, as at a negative temperature")
_NOT_UNIQUE = Failure("the stationary populations are not unique: rates fall below the smallest number, so that momenta are uncoupled")
