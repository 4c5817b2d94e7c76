"""Stationary states of large systems: GMRES on d x d matrices, with the motion between jumps as its preconditioner.

    L(X) = A X + X A^dag + J(X),    A = -i H - K/2,  K = sum rate C^dag C,  J(X) = sum rate C X C^dag

No matrix of d^2 rows is made: a step takes O(d^3) operations, and m steps keep m vectors of d^2 numbers. What is solved is

    M(X) = L(X) + s U Tr X,    M(rho) = s U,    with S^-1 on the right of M,  S(X) = A X + X A^dag

The spectrum of M S^-1 is that of the chain of jumps, so that a damping that is weak costs nothing by that. Two choices decide
how many steps it takes.

U is the eigenvector of A that decays most slowly, as a pure state: the uniform state puts weight on levels that nobody
reaches, and GMRES walks their whole cascade of jumps (495 steps in place of 20 for a driven oscillator of 100 levels).

The equation is the same with jumps C + a and A - B - c/2, where B = sum rate conj(a) C and c = sum rate |a|^2. Where the
eigenvectors of A are nearly dependent, as with a strong drive, a = -<C> in that slowest state takes the coherent part
of the jumps into A: driven atoms with collective decay (d = 51) take 1 step in place of a stalled 130.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...linalg.gmres import gmres
from ...linalg.lyapunov import Eigenvectors, Lyapunov, eigenvectors, lyapunov
from ...results import Failure, check
from .actions import Action
from .matrix_form import MatrixForm

# From this condition of the eigenvectors on, the jumps are displaced.
_DISPLACED = 1e3

# A residual of the linear equation over its right-hand side: what GMRES is asked for at once, and what a refinement
# gains at least.
_TOLERANCE, _GAIN = 1e-13, 1e-3

# Tangents and adjoints are accepted with this one; their right-hand sides are known to rounding times the condition.
_ACCEPTED = 1e-9

# Where the adjoint is put between roots of rho, an empty level counts as one of this population, over the largest.
_EMPTY = 1e-8

# Another right-hand side is solved to this accuracy to see how large the inverse is. Where there is a second stationary state it
# cannot be solved: a part of it is out of reach.
_PROBED = 1e-6


_NO_GRADIENT = Failure(
    "the gradient of the steady state was not solved: Krylov stalled in the adjoint equation; give solver=BlockTridiagonal() or "
    "Dense(), if the system is not too large for these, or Krylov(most=...) more steps"
)


class Krylov(eqx.Module):
    """GMRES in matrix form, for Hilbert spaces of some hundred dimensions: O(d^3) a step, O(m d^2) memory.

    Args:
        restart: how many vectors are kept, of d^2 numbers each.
        most: how many steps there may be, in one solve.

    Raises:
        ValueError: one of them is less than 1.

    Chosen automatically where it is expected to be quicker than the direct solvers `Dense` and `BlockTridiagonal`, whose
    cost grows as d^6, or d^4 along a band. For a state and its condition it took 40 to 250 steps in driven modes and spin chains. Where
    the jumps are strong and not coherent, as in collective decay above its phase transition, it may take more than `most`, and then
    it is an error.

    Example:
        >>> import qdiff as qd
        >>> mode = qd.Space(mode=qd.Boson(40)).mode
        >>> H = -0.3 * mode.n + 0.1 * mode.n @ mode.n + 0.8 * (mode.a + mode.a.dag)
        >>> state = qd.steady_state(qd.Lindblad(H, {"loss": (1.0, mode.a)}), qd.solvers.Krylov())
        >>> direct = qd.steady_state(state.generator, qd.solvers.BlockTridiagonal())
        >>> abs(float(state.expect(mode.n) - direct.expect(mode.n))) < 1e-12
        True
    """

    restart: int = eqx.field(static=True, default=80)
    most: int = eqx.field(static=True, default=800)

    def __check_init__(self):
        for name in ("restart", "most"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
                raise ValueError(f"{name} must be a positive integer, but was {number!r}")


class Solved(NamedTuple):
    """Coordinates of the stationary state, and what is known of their accuracy."""

    x: Float[Array, "n"]
    rcond: Float[Array, ""]
    residual: Float[Array, ""]
    iterations: Array
    scale: Float[Array, ""]


def stationary(form: MatrixForm, terms: Action, solver: Krylov) -> Solved:
    """The stationary state of the terms of a generator, in the coordinates of `form`."""
    system = System(form, lax.stop_gradient(terms), solver)
    weights = jnp.asarray(form.weights)
    b = form.vector(system.source)
    u, residual, steps = system.solve(b * weights)
    rho, between = form.from_isometric(u), terms.between()

    def equation(x):
        return form.vector(moved(between, terms, system.source, form.matrix(x)))

    def solve(_, r):
        return system.solve(r * weights, u)[0] / weights

    def solve_transposed(_, r):
        return system.solve_adjoint(r / weights, rho)[0] * weights

    # Solved for already, so that the adjoint knows rho: this costs one application.
    x = lax.custom_linear_solve(equation, b, solve, solve_transposed)
    rcond, more = system.rcond()
    return Solved(x, rcond, residual, steps + more, system.scale)


def moved(between, terms: Action, source, X):
    """M(X)."""
    half = between @ X
    return half + half.conj().T + terms.gain(X) + source * jnp.real(jnp.trace(X))


class System:
    """M with its preconditioner, on vectors whose scalar product is that of matrices."""

    def __init__(self, form: MatrixForm, terms: Action, solver: Krylov):
        self.form, self.terms, self.solver = form, terms, solver
        self.between = terms.between()
        self.motion, slowest, self.probe = _preconditioner(self.between, terms, form.levels)
        self.scale = self.motion.scale
        decay = -2 * jnp.max(jnp.real(self.motion.w))
        # The trace moves about as fast as the slowest state decays, but never so slowly that rounding is felt.
        self.source = jnp.maximum(decay, 1e-3 * self.scale) * jnp.outer(slowest, slowest.conj())

    def solve(self, r, known=None):
        """u with M u = r: u or NaN, the largest entry of the residual over the largest rate, and the steps.

        Of `known` a multiple is the first guess: all there is to it where r is what that was solved for.
        """
        u, left, steps, good = self._refined(r, self._moved, self.motion.solve, known)
        return jnp.where(good, u, jnp.nan), jnp.max(jnp.abs(left)) / self.scale, steps

    def solve_adjoint(self, r, rho):
        """u with M^dag u = r, for the adjoint of M with the adjoint of its preconditioner; and the steps.

        An observable may have its largest part in levels that are empty, such as n of a mode, and GMRES then walks through all
        of them. What its solution is multiplied with lives where rho does. Where the plain equation stalls, it is solved between
        roots of rho, in which M^dag is M if there is detailed balance.
        """

        def weighted(_):
            p, Q = jnp.linalg.eigh(rho)
            root = jnp.sqrt(jnp.maximum(p, 0.0) + _EMPTY * jnp.max(p))
            F, back = (Q * root) @ Q.conj().T, (Q / root) @ Q.conj().T
            around = (self._each(lambda X: F @ X @ F), self._each(lambda X: back @ X @ back))
            u, _, more, good = self._refined(r, self._moved_adjoint, self.motion.solve_adjoint, None, around)
            return u, steps + more, good

        # One cycle shows which of the two it is: it gains little, or all.
        one = self.solver.restart
        u, _, steps, good = self._refined(r, self._moved_adjoint, self.motion.solve_adjoint, most=one)
        u, steps, good = lax.cond(good, lambda _: (u, steps, good), weighted, None)
        return check(u, (~good, _NO_GRADIENT)), steps

    def _moved(self, X):
        return moved(self.between, self.terms, self.source, X)

    def _moved_adjoint(self, Y):
        half = self.between.conj().T @ Y
        trace = jnp.real(jnp.vdot(self.source, Y)) * jnp.eye(self.form.dim)
        return half + half.conj().T + self.terms.gain_adjoint(Y) + trace

    def rcond(self):
        """An estimate of the reciprocal condition of M, from the size of the solution for `probe`; the steps.

        A second stationary state makes M singular. The equation for rho does not show that, because s U is in its range. That for
        a state with weight on every closed set of levels does: a conserved quantity has another value in it.
        """
        r = self.form.isometric(self.probe)
        apply, precondition = self._each(self._moved), self._each(self.motion.solve)
        found = self._gmres(r, lambda z: apply(precondition(z)), _PROBED, self.solver.most)
        u = precondition(found.x)
        rcond = jnp.linalg.norm(r) / (self.scale * jnp.linalg.norm(u))
        # Stagnation is a singular operator's; too many steps say nothing.
        unsolved = jnp.where(found.iterations < self.solver.most, 0.0, jnp.nan)
        return jnp.where(found.residual <= 10 * _PROBED, rcond, unsolved), found.iterations

    def _refined(self, r, moved: Callable, inverse: Callable, known=None, around=None, most=None):
        """The solution, its residual, the steps, and whether it is accepted; `around`: what the equation is put between."""
        apply, precondition = self._each(moved), self._each(inverse)
        forth, back = (lambda u: u, lambda u: u) if around is None else around
        size, most = jnp.linalg.norm(forth(r)), self.solver.most if most is None else most

        def correct(state):
            u, left, _, steps = state
            before = jnp.linalg.norm(forth(left))
            goal = jnp.maximum(_TOLERANCE * size / before, _GAIN)
            found = self._gmres(forth(left), lambda z: forth(apply(precondition(back(z)))), goal, most)
            better = u + precondition(back(found.x))
            rest = r - apply(better)
            gained = jnp.linalg.norm(forth(rest)) < before
            return jnp.where(gained, better, u), jnp.where(gained, rest, left), before, steps + found.iterations

        def unfinished(state):
            u, left, before, steps = state
            now, rounding = jnp.linalg.norm(forth(left)), 4e-16 * (size + self.scale * jnp.linalg.norm(forth(u)))
            return (now > rounding) & (now < 0.5 * before) & (steps < most)

        u = jnp.zeros_like(r)
        if known is not None:
            image = apply(known)
            u = known * (image @ r) / (image @ image)
        u, left, _, steps = lax.while_loop(unfinished, correct, (u, r - apply(u), jnp.inf, 0))
        return u, left, steps, (jnp.linalg.norm(forth(left)) <= _ACCEPTED * size) & jnp.isfinite(self.scale)

    def _gmres(self, r, apply: Callable, tolerance, most: int):
        return gmres(apply, r, tolerance, restart=min(self.solver.restart, r.size), most=most)

    def _each(self, function: Callable):
        return lambda u: self.form.isometric(function(self.form.from_isometric(u)))


def _preconditioner(A, terms: Action, inside: np.ndarray) -> tuple[Lyapunov, Array, Array]:
    """The motion between jumps, displaced where that makes it more normal; its slowest state; and a probe of uniqueness."""
    found = eigenvectors(A)
    probe = _probe(terms, found, inside)

    def displaced(_):
        v, moved = found.slowest(inside), A
        for term in terms.of(None):
            moved = moved + term.displaced(v)
        new = eigenvectors(moved)
        return lyapunov(moved, new), new.slowest(inside)

    ill = ~(found.condition < _DISPLACED)
    return *lax.cond(ill, displaced, lambda _: (lyapunov(A, found), found.slowest(inside)), None), probe


# What goes from every level to every other one, over the largest rate, in the motion that finds levels of some weight.
_MIXED = 1e-6


def _probe(terms: Action, found: Eigenvectors, inside: np.ndarray):
    """A pure state with random phases and some weight on every closed set of eigenvectors of A.

    Its weights are the stationary state of jumps between eigenvectors, as if all coherences were lost, with a small rate from
    every level to every other one. A subspace that is never left is spanned by eigenvectors of A.
    """
    w, V, inverse, _ = found
    d = w.shape[0]
    rates = sum((term.rates(V, inverse) for term in terms.of(None)), jnp.zeros((d, d)))
    rates = jnp.where(jnp.eye(d, dtype=bool), 0.0, rates)
    largest = jnp.max(jnp.sum(rates, axis=0))
    mixing = _MIXED * largest / d
    # (R - mixing) p + mixing sum(p) = 0 with sum(p) = 1.
    p = jnp.linalg.solve(jnp.diag(jnp.sum(rates, axis=0) + d * mixing) - rates, jnp.full(d, mixing))
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(d))
    v = V @ (jnp.sqrt(jnp.abs(p)) * phases)
    # Where A is defective it has no basis of eigenvectors, and all levels have to do.
    v = jnp.where(jnp.all(jnp.isfinite(v)), v, phases) * inside
    v = v / jnp.linalg.norm(v)
    return jnp.outer(v, v.conj())
