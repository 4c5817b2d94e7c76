"""The linear equation of a stationary state in matrix form, M(X) = L(X) + s U Tr X, solved for any right-hand side, and its adjoint."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from ...linalg.complex_product import congruence, packed, product, unpacked
from ...linalg.lyapunov import Lyapunov
from ...linalg.refined_gmres import Maps, Refined, refined_gmres
from ...results import Failure, check
from .actions import Action
from .matrix_form import MatrixForm

# Where the adjoint is put between roots of rho, an empty level counts as one of this population, over the largest.
_EMPTY = 1e-8

# Half the digits.
_HALF = {np.dtype("float64"): np.dtype("float32"), np.dtype("complex128"): np.dtype("complex64")}

# Up to this condition of the eigenvectors, from this dimension on, the steps are in single precision: value and gradient of nine
# spins take 8.5 s in place of 12, and 2.5 s more to compile. It has seven digits and loses twice those of the condition: two
# Kerr modes (480) stall in it.
_SINGLE, _LARGE = 30.0, 128

# Another right-hand side is solved to this accuracy to see how large the inverse is. Where there is a second stationary state it
# cannot be solved: a part of it is out of reach.
PROBED = 1e-6

NO_GRADIENT = Failure(
    "the gradient of the steady state was not solved: Krylov stalled; give solver=BlockTridiagonal() or "
    "Dense(), if the system is not too large for these, or Krylov(most=...) more steps"
)


def moved(between, terms: Action, source, X):
    """M(X)."""
    half = product(between, X)
    return half + half.conj().T + terms.gain(X) + source * jnp.real(jnp.trace(X))


class Equation(NamedTuple):
    """M and its preconditioner S, in double or in single precision."""

    between: Array
    terms: Action
    source: Array
    motion: Lyapunov

    def moved(self, X):
        """M(X)."""
        return moved(self.between, self.terms, self.source, X)

    def moved_adjoint(self, Y):
        """M^dag(Y)."""
        half = product(self.between.conj().T, Y)
        trace = jnp.real(jnp.vdot(self.source, Y)) * jnp.eye(len(Y), dtype=half.real.dtype)
        return half + half.conj().T + self.terms.gain_adjoint(Y) + trace

    def single(self) -> Equation:
        """The same with half the digits."""
        return jax.tree.map(lambda a: a.astype(_HALF.get(a.dtype, a.dtype)), self)


def roots(p, Q) -> tuple[Array, Array]:
    """The root of a state from its populations and eigenvectors, and the root's inverse."""
    return product(Q * jnp.sqrt(p), Q.conj().T), product(Q / jnp.sqrt(p), Q.conj().T)


def filled(rho) -> tuple[Array, Array]:
    """Populations (d,) of a state over the largest, with something in every level, and its eigenvectors (d, d)."""
    p, Q = jnp.linalg.eigh(rho)
    return jnp.maximum(p, 0.0) / jnp.max(p) + _EMPTY, Q


class System:
    """M with its preconditioner, on vectors whose scalar product is that of matrices."""

    def __init__(self, form: MatrixForm, terms: Action, motion: Lyapunov, source, *, restart: int, most: int):
        self.form, self.source, self.motion = form, source, motion
        self.restart, self.most = restart, most
        self.equation = Equation(terms.between(), terms, source, motion)

    def solve(self, r):
        """u with M u = r, or NaN; and the steps."""
        found = self.refined(self._packed(r))
        return jnp.where(found.good, self._unpacked(found.u), jnp.nan), found.steps

    def solve_adjoint(self, r, rho):
        """u with M^dag u = r, for the adjoint of M with the adjoint of its preconditioner; and the steps.

        An observable may have its largest part in levels that are empty, such as n of a mode, and GMRES then walks through all
        of them. What its solution is multiplied with lives where rho does. There it is solved between roots of rho, in which
        M^dag is M if there is detailed balance; and first the other way where that is not so.
        """
        p, Q = filled(rho)
        R = self._packed(r)
        inside = congruence(Q.conj().T, unpacked(R.reshape(Q.shape)))
        full = p > 2 * _EMPTY
        spread = jnp.linalg.norm(jnp.where(full[:, None] & full, inside, 0)) < 0.5 * jnp.linalg.norm(inside)
        around = roots(p, Q)

        def solved(weighted, most):
            return self.refined(R, adjoint=True, roots=(weighted, *around), most=most)

        # One cycle shows which of the two it is: it gains little, or all.
        one = min(self.restart, self.most)

        def unfinished(state):
            found, tried = state
            return ~found.good & (tried < 3)

        def attempt(state):
            found, tried = state
            most = jnp.where(tried == 0, one, self.most)
            again = solved(spread ^ (tried == 1), most)
            return again._replace(steps=found.steps + again.steps), tried + 1

        nothing = Refined(jnp.zeros_like(R), R, jnp.zeros((), jnp.int64), jnp.zeros((), bool), jnp.zeros(()))
        found, _ = lax.while_loop(unfinished, attempt, (nothing, 0))
        return check(self._unpacked(found.u), (~found.good, NO_GRADIENT)), found.steps

    def rcond(self, u, left, steps, size):
        """An estimate of the reciprocal condition of M, from the size of the solution for a probe.

        A second stationary state makes M singular. The equation for rho does not show that, because s U is in its range. That for
        a state with weight on every closed set of levels does: a conserved quantity has another value in it.
        """
        # Stagnation is a singular operator's; too many steps say nothing.
        unsolved = jnp.where(steps < self.most, 0.0, jnp.nan)
        rcond = size / (self.motion.scale * jnp.linalg.norm(u))
        return jnp.where(jnp.linalg.norm(left) <= 10 * PROBED * size, rcond, unsolved)

    def probed(self, X):
        """The same, of a probe that is still to be solved for."""
        found = self.refined(self.pack(X), tolerance=PROBED)
        return self.rcond(found.u, found.left, found.steps, found.size)

    def refined(self, r, *, adjoint=False, roots=None, most=None, tolerance=0.0) -> Refined:
        """The solution for a packed right-hand side (d^2,); `roots`: whether it is put between them, and which."""
        exact = self._maps(self.equation, adjoint, roots)
        single = None
        if self._large:
            single = self._maps(self.equation.single(), adjoint, roots), self.motion.condition < _SINGLE
        most = self.most if most is None else most
        return refined_gmres(
            r, exact, self.motion.scale, restart=self.restart, most=most, single=single, tolerance=tolerance
        )

    def _maps(self, equation: Equation, adjoint: bool, roots) -> Maps:
        """The maps of an equation, or its adjoint, on packed Hermitian matrices (d^2,)."""
        d, inside, motion = self.form.dim, self.form.inside, equation.motion

        def each(function):
            # Eigenvectors of A that belong together may mix what is inside the sector with what is not.
            return lambda u: (packed(function(unpacked(u.reshape(d, d)))) * inside.astype(u.dtype)).reshape(-1)

        def between(which: int):
            if roots is None:
                return lambda u: u
            F = roots[1 + which].astype(equation.between.dtype)
            rooted = each(partial(congruence, F))
            return lambda u: lax.cond(roots[0], rooted, lambda u: u, u)

        back = between(1)
        apply, inverse = (equation.moved_adjoint, motion.solve_adjoint) if adjoint else (equation.moved, motion.solve)
        return Maps(each(apply), lambda z: each(inverse)(back(z)), between(0))

    @property
    def _large(self) -> bool:
        """Whether single precision is worth the time it takes to compile."""
        return self.form.dim >= _LARGE

    def vector(self, u):
        """The coordinates of what is packed in u (d^2,)."""
        return self.form.vector(unpacked(u.reshape(self.form.dim, self.form.dim)))

    def pack(self, X):
        """A Hermitian matrix as a vector (d^2,), what is outside the sector left out."""
        return (packed(X) * self.form.inside).reshape(-1)

    def _packed(self, u):
        return packed(self.form.from_isometric(u)).reshape(-1)

    def _unpacked(self, u):
        return self.vector(u) * self.form.weights
