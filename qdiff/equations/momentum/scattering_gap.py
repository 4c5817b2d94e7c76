"""The slowest decay of scattering between momenta: an eigenvalue of its generator with its two vectors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.sparse.linalg import gmres

from ...linalg import cyclic_elimination, ring
from ...linalg.right_side import sized
from ...results import Failure, check, require_float64
from .scattering_steady import solved

_KRYLOV, _ROUNDS = 24, 4
_COMPLETE = 1e-12  # of a vector: less of it outside the basis is rounding of two orthogonalisations


def slowest_scattering(rate):
    """The slowest decay rate, a scalar [rate], of the rates of a `Scattering`; see `Scattering.relax`."""
    require_float64()
    slowest = _slowest(rate)
    return check(slowest, (~jnp.isfinite(slowest), _NOT_FOUND))


@jax.custom_jvp
def _slowest(rate):
    return _decay(rate)[0]


@_slowest.defjvp
def _slowest_jvp(primals, tangents):
    (rate,), (change,) = primals, tangents
    value, right, left = _vectors(rate)
    # The mean over the jumps of how much the left vector changes: nothing of the large rates is left to cancel.
    return value, -jnp.sum(left * ring.act(change, right))


@jax.custom_jvp
def _vectors(rate):
    return _decay(rate)


@_vectors.defjvp
def _vectors_jvp(primals, tangents):
    (rate,), (change,) = primals, tangents
    value, right, left = _vectors(rate)
    p = lax.stop_gradient(solved(rate)[0])
    ones, scale = jnp.ones_like(p), lax.stop_gradient(value)
    forwards, backwards = _inverses(rate)
    faster = -jnp.sum(left * ring.act(change, right))

    def apply(x):
        return ring.act(rate, x) + value * x - scale * right * jnp.sum(left * x)

    def apply_T(y):
        return ring.act_T(rate, y) + value * y - scale * left * jnp.sum(right * y)

    def solve(_, r):
        return _beside(forwards, scale, (right, left), (p, ones), r)

    def solve_T(_, v):
        return _beside(backwards, scale, (left, right), (ones, p), v)

    # (W + value) right = 0 and its change; both vectors keep their product, and change by nothing along themselves.
    right_moved = lax.custom_linear_solve(apply, -(ring.act(change, right) + faster * right), solve, solve_T)
    left_moved = lax.custom_linear_solve(apply_T, -(ring.act_T(change, left) + faster * left), solve_T, solve)
    return (value, right, left), (faster, right_moved, left_moved)


def _beside(inverse, value, slowest, stationary, r):
    """x with (W + value - value right left^T) x = r, from the inverse of -W: its eigenvalues times value are below one."""
    (right, left), (p, ones) = map(lax.stop_gradient, slowest), stationary
    along, total = jnp.sum(left * r), jnp.sum(ones * r)

    def shorter(x):
        x = inverse(x)
        return x - right * jnp.sum(left * x)

    def apply(x):
        return x - value * shorter(x)

    b, power = sized(-shorter(r - along * right - total * p), axis=None)
    # A few steps: the eigenvalues of what is inverted are one minus ratios of decay rates, which
    # crowd around one. The direct inverse of W + value would need another factorisation, close to
    # singular.
    x, _ = gmres(apply, b, tol=1e-13, restart=_KRYLOV, maxiter=8, solve_method="batched")
    found = jnp.max(jnp.abs(apply(x) - b)) <= 1e-9 * jnp.max(jnp.abs(b))
    return jnp.where(found, x * power + total / value * p - along / value * right, jnp.nan)


def _inverses(rate):
    """The inverse of -W on what has no sum, and that of its transpose on what has no mean."""
    rate = lax.stop_gradient(rate)
    p, factors = solved(rate)
    cut, back = cyclic_elimination.plan_of(rate), factors.transposed()

    def forwards(r):
        x = cut.unpack(cyclic_elimination.solve(factors, cut.pack(r - jnp.sum(r) * p)))
        return x - p * jnp.sum(x)

    def backwards(v):
        y = cut.unpack(cyclic_elimination.solve(back, cut.pack(v - jnp.sum(p * v))))
        return y - jnp.sum(p * y)

    return forwards, backwards


def _decay(rate):
    """The slowest rate with its right and left vector, whose product is one."""
    rate = lax.stop_gradient(rate)
    p, (forwards, backwards) = solved(rate)[0], _inverses(rate)
    angle = 2 * jnp.pi * jnp.arange(p.shape[1]) / p.shape[1]
    # Neither odd nor even about any momentum: rates that are symmetric would never lead from a
    # start of one parity to a mode of the other.
    k = jnp.sin(angle) + 0.3 * jnp.cos(angle + 0.5)
    right, good = _dominant(forwards, p * k)
    left, _ = _dominant(backwards, jnp.broadcast_to(k, p.shape))
    left = left / jnp.sum(left * right)
    time = jnp.sum(left * forwards(right))
    return jnp.where(good, 1 / time, jnp.nan), right, left


def _dominant(apply, x):
    """The vector of the largest eigenvalue of a real operator, by restarted Arnoldi; and whether it is real and found."""
    shape, n = x.shape, x.size

    # Arnoldi on the inverse: the slowest decay is its largest eigenvalue, the one that few vectors
    # find first. The dense matrix of a thousand momenta is never made.
    def cycle(x, _):
        basis = jnp.zeros((_KRYLOV + 1, n)).at[0].set(x / jnp.linalg.norm(x))

        def extend(j, carry):
            basis, H = carry
            w = apply(basis[j].reshape(shape)).ravel()
            whole = jnp.linalg.norm(w)
            h = basis @ w
            w = w - h @ basis
            # Twice is enough: one pass leaves what is nearly all inside the basis far from
            # orthogonal to it.
            again = basis @ w
            w = w - again @ basis
            size = jnp.linalg.norm(w)
            # What is left of a space that is complete is rounding; zeros do no harm among the eigenvalues.
            size = jnp.where(size > _COMPLETE * whole, size, 0.0)
            basis = basis.at[j + 1].set(jnp.where(size > 0, w / jnp.where(size > 0, size, 1.0), 0.0))
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
        return x, good

    x, good = lax.scan(cycle, x.ravel(), None, length=_ROUNDS)
    return x.reshape(shape), good[-1]


_NOT_FOUND = Failure(
    "the slowest decay of scattering is not found: the slowest decays are too close to each other, or rates are not finite"
)
