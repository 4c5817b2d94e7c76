"""Solves at a frequency in matrix form, (L - i omega) z = r: what `resolvent` does in a sector.

With s U Tr as in `krylov.py`, M = L + s U Tr is invertible wherever the stationary state is
unique, and M z = r, for an r without trace, has the z without trace. At a frequency a matrix is
the pair X, Y of Hermitian ones, z = X + i Y, as real numbers:

    M(X) + omega Y = Re r,    M(Y) - omega X = Im r,

with A Z + Z A^dag - i omega Z as its preconditioner.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from ...linalg.complex_product import congruence
from ...linalg.refined_gmres import Maps, refined_gmres
from ...results import Failure, check, unless
from .actions import Action
from .krylov import Krylov, prepared
from .krylov_system import System, filled, moved, roots
from .matrix_form import MatrixForm
from .null_vector import UNIQUE

_NO_DERIVATIVE = Failure(
    "a derivative of the response was not solved: Krylov stalled; solve the state with "
    "BlockTridiagonal() or Dense(), if the system is not too large for these, or with "
    "Krylov(most=...) more steps"
)


class WideResolvent:
    """(omega, right) -> the z with (L - i omega) z = right and tr z = 0, if right has no trace.

    Args:
        form: what coordinates there are. It need not hold populations; there is no trace then.
        terms: the generator.
        rho: the stationary state, a matrix (d, d).
        solver: its restart and its steps.
        sure: whether rho is known to be all that is stationary in `form`. Else it is found out.

    Frequencies and right sides are those of `resolvent`, and so are derivatives. NaN where the
    solve stalled, or at frequency zero if more than rho is stationary; of a derivative it is an
    error.
    """

    def __init__(self, form: MatrixForm, terms: Action, rho: Array, solver: Krylov, sure: bool):
        self.form, self.terms, self.solver = form, terms, solver
        self.between = terms.between()
        self.system, probe = prepared(form, lax.stop_gradient(terms), solver)
        self.rho = lax.stop_gradient(rho)
        # A singular equation may have a solution, and then it has many.
        self.several = jnp.zeros((), bool) if sure else ~(self.system.probed(probe) >= UNIQUE)

    def __call__(self, omega, right):
        if omega is None:
            return unless(self._at_zero(right), self.several)
        x = self._at(omega, jnp.concatenate([right.real, right.imag]))
        x = unless(x, self.several & (omega == 0))
        return x[: self.form.size] + 1j * x[self.form.size :]

    def _moved(self, x):
        return self.form.vector(
            moved(self.between, self.terms, self.system.source, self.form.matrix(x))
        )

    def _at_zero(self, right):
        weights = jnp.asarray(self.form.weights)

        def solve(r):
            return self.system.solve(r * weights)[0] / weights

        def solve_adjoint(r):
            return self.system.solve_adjoint(r / weights, self.rho)[0] * weights

        return _solved(self._moved, right, solve, solve_adjoint)

    def _at(self, omega, right):
        n, weights = self.form.size, jnp.tile(jnp.asarray(self.form.weights), 2)
        pair = _Pair(self.system, self.solver, lax.stop_gradient(omega))

        def turned(x):
            x, y = x[:n], x[n:]
            return jnp.concatenate([self._moved(x) + omega * y, self._moved(y) - omega * x])

        def solve(r):
            return pair.solve(r * weights) / weights

        def solve_adjoint(r):
            return _told(pair.solve_adjoint(r / weights, self.rho) * weights, r)

        return _solved(turned, right, solve, solve_adjoint)


def _solved(apply: Callable, right, solve: Callable, solve_adjoint: Callable):
    """The x with apply(x) = right, or NaN; derivatives that are not solved are refused."""
    known = lax.stop_gradient(right)

    def solve_or_tell(_, r):
        # Of the value itself the caller says what has failed, in words of its own.
        return _told(solve(r), r, jnp.any(r != known))

    return lax.custom_linear_solve(apply, right, solve_or_tell, lambda _, r: solve_adjoint(r))


def _told(x, r, here: Any = True):
    """x; that it is not finite though r is, is refused."""
    stalled = ~jnp.all(jnp.isfinite(x)) & jnp.all(jnp.isfinite(r)) & here
    return check(x, (stalled, _NO_DERIVATIVE))


class _Pair:
    """M - i omega with its preconditioner, on pairs of Hermitian matrices: vectors (2 n,)."""

    def __init__(self, system: System, solver: Krylov, omega):
        self.system, self.form, self.solver, self.omega = system, system.form, solver, omega
        self.scale = system.motion.scale + jnp.abs(omega)

    def solve(self, r):
        """The u with (M - i omega) u = r, or NaN."""
        maps = Maps(self._forth, self._on_matrices(lambda C: self.system.motion.solve(C, self.omega)))
        found = refined_gmres(r, maps, self.scale, restart=self.solver.restart, most=self.solver.most)
        return jnp.where(found.good, found.u, jnp.nan)

    def solve_adjoint(self, r, rho):
        """The u with (M - i omega)^dag u = r, or NaN; if need be between roots of rho, as `System.solve_adjoint`."""
        inverse = self._on_matrices(lambda C: self.system.motion.solve_adjoint(C, self.omega))
        restart = self.solver.restart
        maps = Maps(self._back, inverse)
        first = refined_gmres(r, maps, self.scale, restart=restart, most=restart)

        def weighted():
            forth, back = (self._on_matrices(partial(congruence, F)) for F in roots(*filled(rho)))
            maps = Maps(self._back, lambda z: inverse(back(z)), forth)
            found = refined_gmres(r, maps, self.scale, restart=self.solver.restart, most=self.solver.most)
            return jnp.where(found.good, found.u, jnp.nan)

        return lax.cond(first.good, lambda: first.u, weighted)

    def _forth(self, u):
        x, y = self._each(self.system.equation.moved, u)
        u, v = jnp.split(u, 2)
        return jnp.concatenate([x + self.omega * v, y - self.omega * u])

    def _back(self, u):
        x, y = self._each(self.system.equation.moved_adjoint, u)
        u, v = jnp.split(u, 2)
        return jnp.concatenate([x - self.omega * v, y + self.omega * u])

    def _each(self, function: Callable, u):
        form = self.form
        return [form.isometric(function(form.from_isometric(part))) for part in jnp.split(u, 2)]

    def _on_matrices(self, function: Callable) -> Callable:
        """A map of any matrices as one of such vectors."""
        form = self.form

        def mapped(u):
            x, y = jnp.split(u, 2)
            Z = function(form.from_isometric(x) + 1j * form.from_isometric(y))
            dag = Z.conj().T
            return jnp.concatenate([form.isometric((Z + dag) / 2), form.isometric((Z - dag) / 2j)])

        return mapped
