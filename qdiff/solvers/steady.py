"""Stationary states of generators, with implicit derivatives."""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..generators.lindblad import Lindblad
from ..generators.sector import Sector, reach
from . import linear


# The generator is factorised with this fraction of its largest entry taken off the diagonal: a little above
# rounding, so that no pivot vanishes. Its effect, shift/gap, is removed by a second step of every iteration.
_SHIFT = 2e-14


class Solver(eqx.Module):
    """How G x = 0, tr x = 1 is solved; `Dense` and `BlockTridiagonal` are the two there are."""

    @abc.abstractmethod
    def prepare(self, sector: Sector, values):
        """Factorise; returns (solve, solve_T) for a matrix within rounding of G, up to multiples of its null vectors."""


class Dense(Solver):
    """LU factorisation of the full matrix of the sector, O(n^3): best below some hundred coordinates."""

    def prepare(self, sector, values):
        n = sector.size
        matrix = jnp.zeros((n, n)).at[sector.target, sector.source].set(values, unique_indices=True)
        lu = jax.scipy.linalg.lu_factor(matrix - _SHIFT * jnp.max(jnp.abs(values)) * jnp.eye(n))
        return lambda r: jax.scipy.linalg.lu_solve(lu, r), lambda r: jax.scipy.linalg.lu_solve(lu, r, trans=1)


class BlockTridiagonal(Solver):
    """Cyclic reduction along the sector's band: O(n w^2) for levels of w coordinates, log2(n / w) steps deep.

    Pivots inside blocks only. A generator for which that is not enough shows a residual, and is refused.
    """

    def prepare(self, sector, values):
        plan = linear.block_plan(sector)
        factors = linear.factor(*plan.blocks(values, _SHIFT * jnp.max(jnp.abs(values))))
        return (
            lambda r: plan.unpack(linear.solve(factors, plan.pack(r))),
            lambda r: plan.unpack(linear.solve_T(factors, plan.pack(r))),
        )


def choose(sector: Sector) -> Solver:
    """The solver that was faster for sectors of this shape, as measured by `benchmarks/rotor.py`."""
    if sector.size <= 60:
        return Dense()
    plan = linear.block_plan(sector)
    return BlockTridiagonal() if plan.count * plan.width**3 * 30 < sector.size**3 else Dense()


def _uniform(sector: Sector) -> np.ndarray:
    w = sector.trace_weights
    return w / w.sum()


def null_vector(sector: Sector, values, solver: Solver):
    """The x with G x = 0 and tr x = 1, and an estimate of the reciprocal condition of that equation.

    With u the uniform state and w the trace, A = G - s u w^T is invertible where the stationary state is unique,
    and A x = -s u. The derivatives are those of this linear equation, so that they cost one more solve with the
    factors at hand, forward, reverse and at any order.
    """
    w, u = sector.trace_weights, _uniform(sector)
    fixed = lax.stop_gradient(values)
    s = jnp.max(jnp.abs(fixed))

    def G(values, x):
        return jnp.zeros(sector.size).at[sector.target].add(values * x[sector.source])

    def GT(values, y):
        return jnp.zeros(sector.size).at[sector.source].add(values * y[sector.target])

    inverse, inverse_T = solver.prepare(sector, fixed)
    # Inverse iteration: the error shrinks by (shift or rounding)/gap in each step.
    x = jnp.asarray(u)
    for _ in range(2):
        x = inverse(x)
        x = x / (w @ x)

    def pseudo(r):
        """z with G z = r and tr z = 0, for tr r = 0: two solves, the second on the residual of the first."""
        z = inverse(r)
        z = z - x * (w @ z)
        d = inverse(r - G(fixed, z))
        return z + d - x * (w @ d)

    def pseudo_T(r):
        z = inverse_T(r)
        z = z - w * (u @ z)
        d = inverse_T(r - GT(fixed, z))
        return z + d - w * (u @ d)

    def solve(_, r):
        c = w @ r
        return pseudo(r - c * u) - c / s * x

    def solve_T(_, v):
        c = x @ v
        return pseudo_T(v - w * c) - w * (c / s)

    def A(y):
        return G(values, y) - s * u * (w @ y)

    sample = np.random.default_rng(1).normal(size=sector.size)
    sample = sample - u * (w @ sample)
    spread = jnp.max(jnp.abs(inverse(sample)))
    rcond = np.max(np.abs(sample)) / (s * spread)
    x = lax.stop_gradient(x)
    x = x + lax.custom_linear_solve(A, -s * u - A(x), solve, solve_T)
    residual = jnp.max(jnp.abs(G(fixed, lax.stop_gradient(x)))) / s
    return x, rcond, residual


class State(eqx.Module):
    """A stationary state: its coordinates, and what is known of their accuracy."""

    motion: Lindblad
    x: jax.Array
    rcond: jax.Array
    residual: jax.Array
    sector: Sector = eqx.field(static=True)

    @property
    def rho(self):
        """The density matrix as an `Operator` in the original basis."""
        return self.motion.out_of_frame(self.sector.operator(self.x, self.motion.space))

    def expect(self, op):
        """Tr[op rho] for a Hermitian operator, a real scalar."""
        return self.sector.covector(self.motion.into_frame(op)) @ self.x


def steady_state(motion: Lindblad, solver: Solver | None = None) -> State:
    sector = reach(motion)
    solver = choose(sector) if solver is None else solver
    values = sector.values(motion)
    x, rcond, residual = null_vector(sector, values, solver)
    return State(motion, x, rcond, residual, sector)
