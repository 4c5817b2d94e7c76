"""The linear equation of a stationary state in matrix form, M(X) = L(X) + s U Tr X, solved for any right-hand side, and its adjoint.

GMRES with a preconditioner S runs within a refinement: what is left of the right-hand side is computed in double precision, GMRES
finds a correction of a few digits, and so on. It may do that in single precision, in half the time, where S is good enough for that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from ...linalg.complex_product import congruence, packed, product, unpacked
from ...linalg.gmres import gmres
from ...linalg.lyapunov import Lyapunov
from ...results import Failure, check
from .actions import Action
from .matrix_form import MatrixForm

# A residual of the linear equation over its right-hand side.
TOLERANCE = 1e-13

# What a refinement asks GMRES for, at most.
_GAIN, _GAIN_SINGLE = 1e-6, 1e-3

# Tangents and adjoints are accepted with this one; their right-hand sides are known to rounding times the condition.
_ACCEPTED = 1e-9

# Where the adjoint is put between roots of rho, an empty level counts as one of this population, over the largest.
_EMPTY = 1e-8

# Half the digits.
_HALF = {np.dtype("float64"): np.dtype("float32"), np.dtype("complex128"): np.dtype("complex64")}

# Up to this condition of the eigenvectors the solves before refinement are in single precision, which has seven digits and
# loses twice those of the condition. From this dimension on: below it, it takes longer to compile than it saves.
_SINGLE, _LARGE = 30.0, 128

# Another right-hand side is solved to this accuracy to see how large the inverse is. Where there is a second stationary state it
# cannot be solved: a part of it is out of reach.
PROBED = 1e-6

_NO_GRADIENT = Failure(
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


class System:
    """M with its preconditioner, on vectors whose scalar product is that of matrices."""

    def __init__(self, form: MatrixForm, terms: Action, motion: Lyapunov, source, *, restart: int, most: int):
        self.form, self.source, self.motion = form, source, motion
        self.restart, self.most = restart, most
        self.equation = Equation(terms.between(), terms, source, motion)

    def solve(self, r):
        """u with M u = r, and the steps."""
        found = self.refined(self._packed(r))
        return check(self._unpacked(found.u), (~found.good, _NO_GRADIENT)), found.steps

    def solve_adjoint(self, r, rho):
        """u with M^dag u = r, for the adjoint of M with the adjoint of its preconditioner; and the steps.

        An observable may have its largest part in levels that are empty, such as n of a mode, and GMRES then walks through all
        of them. What its solution is multiplied with lives where rho does. There it is solved between roots of rho, in which
        M^dag is M if there is detailed balance; and first the other way where that is not so.
        """
        p, Q = jnp.linalg.eigh(rho)
        p = jnp.maximum(p, 0.0) / jnp.max(p) + _EMPTY
        root = jnp.sqrt(p)
        roots = product(Q * root, Q.conj().T), product(Q / root, Q.conj().T)
        R = self._packed(r)
        inside = congruence(Q.conj().T, unpacked(R.reshape(Q.shape)))
        full = p > 2 * _EMPTY
        spread = jnp.linalg.norm(jnp.where(full[:, None] & full, inside, 0)) < 0.5 * jnp.linalg.norm(inside)

        def solved(weighted, most):
            return self.refined(R, adjoint=True, roots=(weighted, *roots), most=most)

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
        return check(self._unpacked(found.u), (~found.good, _NO_GRADIENT)), found.steps

    def rcond(self, u, left, steps, size):
        """An estimate of the reciprocal condition of M, from the size of the solution for a probe.

        A second stationary state makes M singular. The equation for rho does not show that, because s U is in its range. That for
        a state with weight on every closed set of levels does: a conserved quantity has another value in it.
        """
        # Stagnation is a singular operator's; too many steps say nothing.
        unsolved = jnp.where(steps < self.most, 0.0, jnp.nan)
        rcond = size / (self.motion.scale * jnp.linalg.norm(u))
        return jnp.where(jnp.linalg.norm(left) <= 10 * PROBED * size, rcond, unsolved)

    def refined(self, r, *, adjoint=False, roots=None, most=None, tolerance=TOLERANCE) -> Refined:
        """GMRES for corrections, from the residual in double precision; `roots`: whether it is put between them, and which."""
        exact = Maps(self.equation, self.form, adjoint, roots)
        motion, most = self.motion, self.most if most is None else most
        size = jnp.linalg.norm(exact.forth(r))

        def corrected(maps: Maps, real, goal, left):
            found = gmres(maps.around, maps.forth(left.astype(real)), goal, restart=min(self.restart, r.size), most=most)
            return maps.inverse(found.x).astype(r.dtype), found.iterations

        def correct(state):
            u, left, _, steps, single = state
            now = jnp.linalg.norm(exact.forth(left))
            goal = jnp.maximum(tolerance * size / now, _GAIN)
            if self._large:
                half = Maps(self.equation.single(), self.form, adjoint, roots)
                # In a batch both are run: one that is not asked for takes no steps.
                fast = partial(corrected, half, jnp.float32, jnp.where(single, jnp.maximum(goal, _GAIN_SINGLE), jnp.inf))
                safe = partial(corrected, exact, jnp.float64, jnp.where(single, jnp.inf, goal))
                step, more = lax.cond(single, fast, safe, left / now)
            else:
                step, more = corrected(exact, jnp.float64, goal, left / now)
            better = u + now * step
            rest = r - exact.apply(better)
            then = jnp.linalg.norm(exact.forth(rest))
            # Single precision has done what it can where it gains little.
            still = single & (then < 0.1 * now)
            before = jnp.where(still == single, now, jnp.inf)
            u, left = lax.cond(then < now, lambda: (better, rest), lambda: (u, left))
            return u, left, before, steps + more, still

        def unfinished(state):
            u, left, before, steps, _ = state
            now, rounding = jnp.linalg.norm(exact.forth(left)), 4e-16 * (size + motion.scale * jnp.linalg.norm(exact.forth(u)))
            goal = jnp.where(tolerance == TOLERANCE, rounding, tolerance * size)
            return (now > goal) & (now < 0.5 * before) & (steps < most)

        single = (motion.condition < _SINGLE) & self._large
        start = (jnp.zeros_like(r), r, jnp.inf, jnp.zeros((), jnp.int64), single)
        u, left, _, steps, _ = lax.while_loop(unfinished, correct, start)
        good = (jnp.linalg.norm(exact.forth(left)) <= _ACCEPTED * size) & jnp.isfinite(motion.scale)
        return Refined(u, left, steps, good, size)

    @property
    def _large(self) -> bool:
        """Whether single precision is worth the time it takes to compile."""
        return self.form.dim >= _LARGE

    def vector(self, u):
        """The coordinates of what is packed in u (d^2,)."""
        return self.form.vector(unpacked(u.reshape(self.form.dim, self.form.dim)))

    def _packed(self, u):
        return packed(self.form.from_isometric(u)).reshape(-1)

    def _unpacked(self, u):
        return self.vector(u) * self.form.weights


class Refined(NamedTuple):
    """A solution (d^2,), what is left of the right-hand side, the steps, whether it is accepted, and the right-hand side's norm."""

    u: Array
    left: Array
    steps: Array
    good: Array
    size: Array


class Maps:
    """An equation's maps on packed Hermitian matrices (d^2,)."""

    def __init__(self, equation: Equation, form: MatrixForm, adjoint: bool, roots):
        self.equation, self.form, self.adjoint, self.roots = equation, form, adjoint, roots

    def apply(self, u):
        return self._each(self.equation.moved_adjoint if self.adjoint else self.equation.moved, u)

    def inverse(self, z):
        motion = self.equation.motion
        return self._each(motion.solve_adjoint if self.adjoint else motion.solve, self._between(1, z))

    def forth(self, u):
        return self._between(0, u)

    def around(self, z):
        return self.forth(self.apply(self.inverse(z)))

    def _between(self, which: int, u):
        if self.roots is None:
            return u
        weighted, *roots = self.roots
        F = roots[which].astype(self.equation.between.dtype)
        return lax.cond(weighted, lambda u: self._each(lambda X: congruence(F, X), u), lambda u: u, u)

    def _each(self, function: Callable, u):
        d = self.form.dim
        # Eigenvectors of A that belong together may mix what is inside the sector with what is not.
        return (packed(function(unpacked(u.reshape(d, d)))) * self.form.inside.astype(u.dtype)).reshape(-1)
