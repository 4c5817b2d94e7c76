"""How a sector's generator is factorised: dense, or block tridiagonal along its band."""

from __future__ import annotations

import abc
from functools import partial

import equinox as eqx
import jax.numpy as jnp

from ...linalg import block_tridiagonal
from ...linalg.places import Places
from ...linalg.refinement import Inverse, Refined
from ...linalg.split_lu import lu, solve_triangular
from ...linalg.twisted import twisted

# The generator is factorised with this fraction of its largest entry taken off the diagonal: a little above
# rounding, so that no pivot vanishes. Its effect, shift/gap, is removed by refinement.
_SHIFT = 2e-14


class AbstractSolver(eqx.Module):
    """How G x = r is solved, G a generator in the coordinates of its sector; `Dense` and `BlockTridiagonal` are two.

    G is singular: what is factorised is G minus a shift of 2e-14 of its largest entry. Solutions need not be accurate, for
    they are refined with residuals in doubled precision, and derivatives come from the refined equation.
    """

    @abc.abstractmethod
    def factor(self, places: Places, values):
        """Factorise G minus a small shift; a pytree of arrays that the two others use.

        Args:
            places: the `size` of G, and the static places `target`, `source` (nnz,) of its entries. values: the entries (nnz,).
        """

    @abc.abstractmethod
    def solve(self, places: Places, factors, r):
        """The inverse applied to the columns of r (size, columns)."""

    @abc.abstractmethod
    def solve_T(self, places: Places, factors, r):
        """The inverse transposed applied to the columns of r (size, columns)."""

    def many(self, places: Places) -> Inverse | None:
        """An optional faster solver of many systems at once, the batch the last axis of all arrays.

        The three methods above remain the fallback where residuals show that it was not accurate.
        """
        return None

    def refined(self, places: Places) -> Refined:
        """Refinements with this solver, the fast way first."""
        safe = (partial(method, places) for method in (self.factor, self.solve, self.solve_T))
        return Refined(self.many(places), Inverse(*safe))


class Dense(AbstractSolver):
    """LU factorisation of the full matrix of the sector, O(n^3): best below some hundred coordinates."""

    def factor(self, places, values):
        return lu(matrix(places, values) - _shift(values) * jnp.eye(places.size))

    def solve(self, places, factors, r):
        packed, order = factors
        return solve_triangular(packed, solve_triangular(packed, r[order], lower=True, unit=True))

    def solve_T(self, places, factors, r):
        packed, order = factors
        x = solve_triangular(packed, solve_triangular(packed, r, trans=True), lower=True, trans=True, unit=True)
        return jnp.zeros_like(x).at[order].set(x, unique_indices=True)


# Blocks up to this size are eliminated entry by entry, written out; beyond it LAPACK is as fast and compiles sooner.
_WRITTEN_OUT = 8


class BlockTridiagonal(AbstractSolver):
    """Elimination along the sector's band, from its first level to the last: O(n w^2) for levels of w coordinates.

    Levels of up to eight coordinates are first eliminated without exchanging rows, which is several times as fast; where
    the residual shows that this was not good, and for wider ones, rows are exchanged, in the level and the next one.
    """

    def factor(self, places, values):
        return block_tridiagonal.factor(*block_tridiagonal.block_plan(places).blocks(values, _shift(values)))

    def solve(self, places, factors, r):
        plan = block_tridiagonal.block_plan(places)
        return plan.unpack(block_tridiagonal.solve(factors, plan.pack(r)))

    def solve_T(self, places, factors, r):
        plan = block_tridiagonal.block_plan(places)
        return plan.unpack(block_tridiagonal.solve_T(factors, plan.pack(r)))

    def many(self, places):
        if block_tridiagonal.block_plan(places).width > _WRITTEN_OUT:
            return None
        system = twisted(places)

        def factor(values):
            return system.factor(values, _shift(values))

        return Inverse(factor, system.solve, system.solve_T)


def _shift(values):
    return _SHIFT * jnp.max(jnp.abs(values), axis=0)


def matrix(places: Places, values):
    """The generator as a dense matrix (size, size)."""
    return jnp.zeros((places.size, places.size)).at[places.target, places.source].set(values, unique_indices=True)


def choose(places: Places) -> AbstractSolver:
    """The solver for a sector's shape: a level of w coordinates is counted as a dense factorisation of 2 w.

    Small sectors go to one dense factorisation, which has fewer steps.
    """
    if places.size <= 60:
        return Dense()
    plan = block_tridiagonal.block_plan(places)
    return BlockTridiagonal() if plan.count * plan.width**3 * 8 < places.size**3 else Dense()
