"""The null vector of a sector's generator, refined to the accuracy of its rates, and its implicit derivatives."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg.double_double import Conserving
from ...linalg.gather import product
from ...linalg.refinement import dot, finished, going_on, largest, refine
from ...linalg.right_side import sized
from .sector import Sector
from .solver import AbstractSolver

# Below this reciprocal condition a second stationary state cannot be told from a slow decay: the factorisation's
# shift makes an exact second one show as a few times 1e-14.
UNIQUE = 1e-12

# A converged refinement leaves a residual of rounding, 1e-16 of the largest entry or less.
RESIDUAL = 1e-13

# A first attempt is good if its residual is not more than this: those of two thousand random rotors were 2e-17 or less.
_ROUNDING = 1e-16


def null_vector(sector: Sector, values, solver: AbstractSolver):
    """The x with G x = 0 and tr x = 1, an estimate of that equation's reciprocal condition, and the residual.

    With u the uniform state and w the trace, A = G - s u w^T is invertible where the stationary state is unique,
    and A x = -s u. The derivatives are those of this linear equation, dx = -A^-1 dG x, so that they cost one more
    solve with the factors at hand, forward, reverse and at any order.
    """
    x, rcond, residual, _ = _stationary(sector, solver, values)
    return x, rcond, residual


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _stationary(sector, solver, values):
    """The state, reciprocal condition, residual, and the factors that they were computed with."""
    found, factors = solver.refined(sector).first(partial(_by_iteration, sector), values)
    return *found, factors


def _by_iteration(sector, solve, values):
    """The state, reciprocal condition and residual, by inverse iteration with approximate inverses, and whether it converged.

    Here and below, a trailing axis of the arrays is a batch.

    One step of inverse iteration leaves an error of (shift or rounding)/gap; every correction, from a residual in doubled
    precision, multiplies it by that factor again, down to the accuracy of the rates. At the same time, as a second column
    of every solve, the inverse is applied twice to a random vector without the state: what the first application leaves is
    the slowest decay; the second one tells how slow, whatever the size. It is refined along with the state if that takes
    longer, for then the factorisation is inaccurate and adds much of the state itself.
    """
    lanes = values.shape[1:]
    w, u = _trace(sector, len(lanes))
    G = Conserving(sector, values)
    scale = largest(values)
    # Known while tracing, so that the estimate is the same in every run; random, because any vector
    # that someone could write down might have no part along the slowest decay.
    sample = np.random.default_rng(1).normal(size=sector.size).reshape(w.shape)
    uniform, sample = (jnp.broadcast_to(v, (sector.size, *lanes)) for v in (u, sample - u * dot(w, sample)))

    def step(carry):
        k, x, slow, slower, now, done = carry
        rest = lax.cond(k > 1, lambda: slow - product(sector, values, slower), lambda: slow)
        right = lax.cond(k > 0, lambda: jnp.stack([-G(x), rest], axis=1), lambda: jnp.stack([uniform, sample], axis=1))
        both = solve(right)
        # Rounding has a trace of its own, which the inverse blows up along the state: normalised, or projected, away.
        new = x + both[:, 0]
        new = new / dot(w, new)
        y = slower + both[:, 1]
        y = y - new * dot(w, y)
        new, y = jnp.where(done, x, new), jnp.where(done, slower, y)
        before, now = now, largest(new - x)
        return k + 1, new, jnp.where(k == 0, y, slow), jnp.where(k == 0, 0.0, y), now, done | finished(new, before, now)

    none = jnp.zeros_like(uniform)
    start = 0, none, none, none, none[0], jnp.zeros(lanes, bool)
    _, x, slow, slower, _, done = lax.while_loop(partial(going_on, 9), step, start)
    rcond, residual = largest(slow) / (scale * largest(slower)), largest(G(x)) / scale
    return (x, rcond, residual), done & (residual <= _ROUNDING) & (rcond >= UNIQUE) | jnp.isinf(scale)


@_stationary.defjvp
def _stationary_jvp(sector, solver, primals, tangents):
    (values,), (change,) = primals, tangents
    x, rcond, residual, factors = out = _stationary(sector, solver, values)
    # Not through the iteration: x solves A x = -s u, whose right-hand side is constant. The factors
    # get zero tangents, for no result depends on how exact they are.
    dx = response(sector, solver, values, lax.stop_gradient(x), factors, -product(sector, change, x))
    return out, (dx, jnp.zeros_like(rcond), jnp.zeros_like(residual), jax.tree.map(_no_tangent, factors))


# Factors may hold integers, as the order of rows; tangents of these are of a type of their own.
def _no_tangent(x):
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.inexact) else np.zeros(x.shape, jax.dtypes.float0)


def _trace(sector, lanes: int = 0):
    """The trace as a covector, and the uniform state."""
    w = sector.trace_weights.reshape(-1, *(1,) * lanes)
    return w, w / w.sum()


def response(sector, solver, values, x, factors, right):
    """A^-1 right for the A of `null_vector`, with its stationary state x and factors; differentiable."""
    w, u = _trace(sector)
    known, refined = lax.stop_gradient(values), solver.refined(sector)
    s = largest(known)

    def solve(transposed: bool):
        attempt = partial(_by_refinement, sector, transposed)
        return lambda _, r: refined.further(attempt, transposed, factors, known, x, r[:, None])[:, 0]

    def apply(y):
        return product(sector, values, y) - s * u * (w @ y)

    return lax.custom_linear_solve(apply, right, solve(False), solve(True))


def _by_refinement(sector, transposed: bool, solve, values, x, r):
    """A^-1 r or A^-T r from approximate inverses, NaN where they do not converge, and if they did.

    Args:
        values: (nnz, *lanes). x: (size, *lanes). r: (size, columns, *lanes).
    """
    values, x = values[:, None], x[:, None]
    w, u = _trace(sector, values.ndim - 1)
    # The diagonal that conserves probability is part of A, and of `product` in `refine`, only: an
    # approximate inverse need not know it.
    s = largest(values)
    # A x = -s u and w^T A = -s w^T: these parts of r are known, and of the rest the answer has none.
    left, inside, out, across = (x, w, w, u) if transposed else (w, u, x, w)
    r, power = sized(r)
    z, good = refine(solve, Conserving(sector, values, transposed), r, (left, inside), (across, out))
    return (z - dot(left, r) / s * out) * power, jnp.all(good | jnp.isinf(s), axis=0)
