"""Scattering between momenta: stationary populations, their response, the slowest decay, and evolution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..generators.scattering import Scattering
from . import propagator, ring
from .rational import exponential
from .refusal import refuse
from .steady import _precision


def stationary_scattering(scattering: Scattering):
    """The stationary populations p (bands, N), normalised to one, of scattering between momenta.

    By elimination without subtraction, arc by arc (`solvers.ring`): O(N reach^2).

    Raises:
        SolveError: at run time, if a rate is negative or not finite, or the state is not unique.

    Differentiable in the rates, forward and reverse, to any order, by the implicit function theorem.

    Accuracy: every population to 1e-13 of itself.
    """
    _precision()
    p = _solved(scattering.rate)[0]
    finite = jnp.all(jnp.isfinite(scattering.rate))
    return refuse(p, _REASONS, ~finite, jnp.any(scattering.rate < 0), ~jnp.all(jnp.isfinite(p)))


def driven_scattering(scattering: Scattering, source):
    """The stationary populations p (bands, N), and how much they differ from others that are known.

    Where W_0 p_0 = 0 is known, p - p_0 solves W x = -(W - W_0) p_0: what is small stays accurate.

    Args:
        source: (W - W_0) p_0 (bands, N), with sum zero [rate].

    Returns:
        p and x with W x = -source and sum zero, to about 1e-12 of its own largest entry.

    Raises, differentiable: as `stationary_scattering`.
    """
    _precision()
    rate = scattering.rate
    p, factors = _solved(rate)
    x = response(rate, p, factors, -source)
    bad = ~jnp.all(jnp.isfinite(rate)), jnp.any(rate < 0), ~jnp.all(jnp.isfinite(p))
    return refuse(p, _REASONS, *bad), refuse(x, _REASONS, *bad)


@jax.custom_jvp
def _solved(rate):
    factors = ring.residence_factors(Scattering(rate))
    p = _cut(rate).unpack(ring.stationary(factors))
    return (p / jnp.sum(p), factors)


@_solved.defjvp
def _solved_jvp(primals, tangents):
    (rate,), (change,) = primals, tangents
    p, factors = _solved(rate)
    return (p, factors), (response(rate, p, factors, -Scattering(change).act(p)), jax.tree.map(jnp.zeros_like, factors))


def _cut(rate):
    return ring.plan(rate.shape[3], rate.shape[0] // 2, rate.shape[1])


def response(rate, p, factors, right):
    """The inverse of W - s p 1^T, which is that of W on what has no sum, applied to `right` (bands, N)."""
    cut, p = _cut(rate), lax.stop_gradient(p)
    s = lax.stop_gradient(jnp.max(rate))
    back = factors.transposed()

    def through(f, r):
        return cut.unpack(ring.solve(f, cut.pack(r)))

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

    # The elimination leaves one population free, which may be a tiny one: what that costs is recovered by a second solve.
    def solve(_, r):
        x = forwards(r)
        return x + forwards(r - apply(x))

    def solve_T(_, v):
        y = backwards(v)
        return y + backwards(v - (Scattering(rate).act_T(y) - s * jnp.sum(p * y)))

    return lax.custom_linear_solve(apply, right, solve, solve_T)


_KRYLOV, _ROUNDS = 24, 4


def slowest_scattering(scattering: Scattering):
    """The slowest decay rate of scattering between momenta: of the eigenvalues of the generator the one closest to zero.

    By Arnoldi's method on the inverse, which is known without subtraction.

    Raises:
        SolveError: at run time, if it is not found: the slowest decays are too close to each other, or oscillate.

    Differentiable in the rates once (a second derivative is refused while tracing).

    Accuracy: 1e-12 of itself.
    """
    _precision()
    slowest = _slowest(scattering.rate)
    return refuse(slowest, _SLOWEST, ~jnp.isfinite(slowest))


@jax.custom_jvp
def _slowest(rate):
    return _decay(rate)[0]


@_slowest.defjvp
def _slowest_jvp(primals, tangents):
    (rate,), (change,) = primals, tangents
    value, right, left = _vectors(rate)
    # The mean over the jumps of how much the left vector changes: nothing of the large rates is left to cancel.
    return value, -jnp.sum(left * Scattering(change).act(right))


@jax.custom_jvp
def _vectors(rate):
    return _decay(rate)


@_vectors.defjvp
def _vectors_jvp(primals, tangents):
    raise NotImplementedError("the slowest decay of scattering between momenta can be differentiated once only")


def _decay(rate):
    """The slowest rate with its right and left vector, whose product is one."""
    rate = lax.stop_gradient(rate)
    p, factors = _solved(rate)
    cut, back = _cut(rate), factors.transposed()

    def forwards(r):
        x = cut.unpack(ring.solve(factors, cut.pack(r - jnp.sum(r) * p)))
        return x - p * jnp.sum(x)

    def backwards(v):
        y = cut.unpack(ring.solve(back, cut.pack(v - jnp.sum(p * v))))
        return y - jnp.sum(p * y)

    k = jnp.sin(2 * jnp.pi * jnp.arange(p.shape[1]) / p.shape[1]) + 0.3 * jnp.cos(2 * jnp.pi * jnp.arange(p.shape[1]) / p.shape[1] + 0.5)
    time, right, good = _dominant(forwards, p * k)
    _, left, _ = _dominant(backwards, jnp.broadcast_to(k, p.shape))
    left = left / jnp.sum(left * right)
    time = jnp.sum(left * forwards(right))
    return jnp.where(good, 1 / time, jnp.nan), right, left


def _dominant(apply, x):
    """The largest eigenvalue of a real operator and its vector, by restarted Arnoldi; and whether it is real and found."""
    shape, n = x.shape, x.size

    def cycle(x, _):
        basis = jnp.zeros((_KRYLOV + 1, n)).at[0].set(x / jnp.linalg.norm(x))

        def extend(j, carry):
            basis, H = carry
            w = apply(basis[j].reshape(shape)).ravel()
            h = basis @ w
            w = w - h @ basis
            again = basis @ w
            w = w - again @ basis
            size = jnp.linalg.norm(w)
            basis = basis.at[j + 1].set(w / jnp.where(size > 0, size, 1.0))
            return basis, H.at[:, j].set((h + again).at[j + 1].set(size))

        basis, H = lax.fori_loop(0, _KRYLOV, extend, (basis, jnp.zeros((_KRYLOV + 1, _KRYLOV))))
        values, vectors = jnp.linalg.eig(H[:-1])
        at = jnp.argmax(jnp.abs(values))
        v = vectors[:, at]
        v = jnp.real(v / v[jnp.argmax(jnp.abs(v))])
        x = v @ basis[:-1]
        value = values[at]
        error = jnp.abs(H[-1, -1] * v[-1]) / jnp.linalg.norm(v)
        good = (error < 1e-9 * jnp.abs(value)) & (jnp.abs(jnp.imag(value)) < 1e-9 * jnp.abs(value))
        return x, (jnp.real(value), good)

    x, (value, good) = lax.scan(cycle, x.ravel(), None, length=_ROUNDS)
    return value[-1], x.reshape(shape), good[-1]


def evolve_scattering(scattering: Scattering, initial, times, *, method: str | None = None):
    """e^{Wt} x (k, bands, N) of scattering between momenta, from x (bands, N), which need not be populations.

    Args:
        method: "dense" squares the propagator (`solvers.propagator`): O(N^3) for all times together. "rational" is a
            rational function of the generator, in eight solves of O(N reach^2) for each time. None: what takes fewer
            operations.

    Differentiable in the rates, in x and in the times, forward, reverse and to any order.

    Accuracy: 1e-12 of the largest entry; "rational", 1e-11.
    """
    _precision()
    cut = _cut(scattering.rate)
    n, b = cut.bands * cut.size, cut.bands * cut.width
    if method not in (None, "dense", "rational"):
        raise ValueError(f'method must be "dense" or "rational", but was {method!r}')
    # Forty squarings of 2 n^3; eight factorisations of forty b^3 for each arc, complex numbers counted as four.
    if method == "dense" or (method is None and 2 * n**3 <= 8 * times.size * cut.count * b**3):
        hops = 1 + cut.size // (2 * cut.reach)
        x, _ = propagator.propagate(scattering.matrix(), initial.ravel(), times, np.ones(n), hops)
        return x.T.reshape(-1, *initial.shape)

    def shifted(t, theta, y):
        factors = ring.resolvent_factors(lax.stop_gradient(scattering), lax.stop_gradient(t), theta)
        back = factors.transposed()

        def through(f, r):
            return -cut.unpack(ring.solve(f, cut.pack(r)))

        return lax.custom_linear_solve(
            lambda x: t * scattering.act(x) - theta * x, y, lambda _, r: through(factors, r), lambda _, r: through(back, r)
        )

    return lax.map(lambda t: exponential(shifted, initial, t), times)


_REASONS = (
    "the stationary populations are not finite: a rate is infinite or NaN, as where two bands touch",
    "the stationary populations are not defined: a rate is negative, as at a negative temperature",
    "the stationary populations are not unique: rates fall below the smallest number, so that momenta are uncoupled",
)
_SLOWEST = ("the slowest decay of scattering is not found: the slowest decays are too close to each other, or rates are not finite",)
