"""The null vector of a sector's generator, refined to the accuracy of its rates, and its implicit derivatives."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg.batching import again, in_lanes, one_by_one
from ...linalg.double_double import Conserving
from ...linalg.gather import sum_into, take
from ...linalg.right_side import sized, solvable
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
    """The state, reciprocal condition, residual, and the factors that they were computed with.

    Those in lanes are not handed on: they look otherwise in a batch, and are quickly made again.
    """
    many = solver.many(sector)
    if many is None:

        def alone(values):
            factors = solver.factor(sector, values)
            return *_by_iteration(sector, values, partial(solver.solve, sector, factors))[0], factors

        return one_by_one(alone)(values)

    def lanes(values):
        return _with_care(sector, solver, values, False, partial(_by_iteration, sector, values))

    return *in_lanes(lanes)(values), ()


def _with_care(sector, solver, values, transposed: bool, attempt):
    """Run `attempt` with the fast solver, and rerun the lanes that did not converge with the safe one.

    `attempt(solve)` returns its result, and for each lane whether it is good. The safe solver takes one lane after the other
    and factorises anew in each solve: this is rare, and the factors of all lanes would take much memory.
    """
    many = solver.many(sector)
    factors = many.factor(values)
    quick, careful = (many.solve_T, solver.solve_T) if transposed else (many.solve, solver.solve)

    def step(carry):
        k, good, _ = carry

        def solve(r):
            return again(good, quick(factors, r), lambda values, r: careful(sector, solver.factor(sector, values), r), values, r)

        out, good = attempt(solve)
        return k + 1, good, out

    good = jnp.ones(values.shape[1], bool)
    shape = jax.eval_shape(lambda: attempt(partial(quick, factors))[0])
    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shape)
    return lax.while_loop(lambda carry: (carry[0] < 1) | ((carry[0] < 2) & ~jnp.all(carry[1])), step, (0, good, nothing))[2]


def _by_iteration(sector, values, solve):
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
    scale = _largest(values)
    sample = np.random.default_rng(1).normal(size=sector.size).reshape(w.shape)
    uniform, sample = (jnp.broadcast_to(v, (sector.size, *lanes)) for v in (u, sample - u * _dot(w, sample)))

    def step(carry):
        k, x, slow, slower, now, done = carry
        rest = lax.cond(k > 1, lambda: slow - _act(sector, values, slower), lambda: slow)
        right = lax.cond(k > 0, lambda: jnp.stack([-G(x), rest], axis=1), lambda: jnp.stack([uniform, sample], axis=1))
        both = solve(right)
        # Rounding has a trace of its own, which the inverse blows up along the state: normalised, or projected, away.
        new = x + both[:, 0]
        new = new / _dot(w, new)
        y = slower + both[:, 1]
        y = y - new * _dot(w, y)
        new, y = jnp.where(done, x, new), jnp.where(done, slower, y)
        before, now = now, _largest(new - x)
        return k + 1, new, jnp.where(k == 0, y, slow), jnp.where(k == 0, 0.0, y), now, done | _finished(new, before, now)

    none = jnp.zeros_like(uniform)
    start = 0, none, none, none, none[0], jnp.zeros(lanes, bool)
    _, x, slow, slower, _, done = lax.while_loop(partial(_going_on, 9), step, start)
    rcond, residual = _largest(slow) / (scale * _largest(slower)), _largest(G(x)) / scale
    return (x, rcond, residual), done & (residual <= _ROUNDING) & (rcond >= UNIQUE) | jnp.isinf(scale)


def _finished(x, before, now):
    """Whether the next change of x would be a few roundings or less; or x is NaN, and there is nothing to be done.

    Each change is smaller than the last by a constant factor, which the last two tell. What is finished is not changed any
    more while others go on: a change that is all rounding tells nothing.
    """
    return ~(now * now > 1e-15 * before * _largest(x))


def _going_on(most: int, carry):
    """Two steps at least and `most` at most, until all that are worked on together are finished."""
    k, *_, done = carry
    return (k < 2) | ((k < most) & ~jnp.all(done))


def _dot(w, x):
    return jnp.sum(w * x, axis=0)


def _largest(x):
    """The largest |x| of each lane; infinite if one is NaN, which the maximum of many numbers leaves out on a CPU."""
    return jnp.max(jnp.where(jnp.isnan(x), jnp.inf, jnp.abs(x)), axis=0)


@_stationary.defjvp
def _stationary_jvp(sector, solver, primals, tangents):
    (values,), (change,) = primals, tangents
    x, rcond, residual, factors = out = _stationary(sector, solver, values)
    dx = response(sector, solver, values, lax.stop_gradient(x), factors, -_act(sector, change, x))
    return out, (dx, jnp.zeros_like(rcond), jnp.zeros_like(residual), jax.tree.map(_no_tangent, factors))


def _no_tangent(x):
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.inexact) else np.zeros(x.shape, jax.dtypes.float0)


def _trace(sector, lanes: int = 0):
    """The trace as a covector, and the uniform state."""
    w = sector.trace_weights.reshape(-1, *(1,) * lanes)
    return w, w / w.sum()


def _act(sector, values, x):
    """G x; a trailing axis is a batch."""
    return sum_into(values * take(x, sector.source), sector.target, sector.size)


def response(sector, solver, values, x, factors, right):
    """A^-1 right for the A of `null_vector`, with its stationary state x and factors; differentiable."""
    w, u = _trace(sector)
    s = _largest(lax.stop_gradient(values))

    def linear(transposed: bool):
        refined = partial(_by_refinement, sector, transposed)

        def lanes(values, x, r):
            return _with_care(sector, solver, values, transposed, partial(refined, values, x, r))

        known = lax.stop_gradient(values)
        if solver.many(sector) is None:
            solve = solver.solve_T if transposed else solver.solve

            def alone(values, x, factors, r):
                return refined(values, x, r, partial(solve, sector, factors))[0]

            in_turn = one_by_one(alone, columns=True)
            return lambda _, r: in_turn(known, x, factors, r[:, None])[:, 0]
        in_columns = in_lanes(lanes, columns=True)
        return lambda _, r: in_columns(known, x, r[:, None])[:, 0]

    return lax.custom_linear_solve(lambda y: _act(sector, values, y) - s * u * (w @ y), right, linear(False), linear(True))


def _by_refinement(sector, transposed: bool, values, x, r, solve):
    """A^-1 r or A^-T r by refinement from approximate inverses, NaN where it does not converge, and whether it did to rounding.

    Args:
        values: (nnz, *lanes). x: (size, *lanes). r: (size, columns, *lanes).
    """
    values, x = values[:, None], x[:, None]
    w, u = _trace(sector, values.ndim - 1)
    apply = Conserving(sector, values, transposed)
    s = _largest(values)
    # A x = -s u and w^T A = -s w^T: these parts of r are known, and of the rest the answer has none.
    left, inside, out, across = (x, w, w, u) if transposed else (w, u, x, w)
    r, power = sized(r)
    solved_for = solvable(r, left, inside)

    def step(carry):
        k, z, before, done = carry
        rest = solved_for - apply(z)
        new = z + solve(rest - _dot(left, rest) * inside)
        new = jnp.where(done, z, new - out * _dot(across, new))
        now = jnp.where(done, before, _largest(new - z))
        return k + 1, new, now, done | _finished(new, before, now)

    z = jnp.zeros_like(r)
    _, z, last, done = lax.while_loop(partial(_going_on, 8), step, (0, z, z[0], jnp.zeros(r.shape[1:], bool)))
    converged = (last <= 1e-6 * _largest(z)) & (last < jnp.inf)
    good = jnp.all(done & converged | jnp.isinf(s), axis=0)
    return (jnp.where(converged, z, jnp.nan) - _dot(left, r) / s * out) * power, good
