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
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...linalg.gmres import gmres
from ...linalg.lyapunov import Eigenvectors, Lyapunov, eigenvectors, lyapunov
from .actions import Action
from .matrix_form import MatrixForm

# From this condition of the eigenvectors on, the jumps are displaced.
_DISPLACED = 1e3

# A residual of the linear equation over its right-hand side: what GMRES is asked for at once, and what a refinement
# gains at least.
_TOLERANCE, _GAIN = 1e-13, 1e-3

# Tangents and adjoints are accepted with this one; their right-hand sides are known to rounding times the condition.
_ACCEPTED = 1e-9

# Another right-hand side is solved to this accuracy to see how large the inverse is. Where there is a second stationary state it
# cannot be solved: a part of it is out of reach.
_PROBED = 1e-6


class Krylov(eqx.Module):
    """GMRES in matrix form, for Hilbert spaces of some hundred dimensions: O(d^3) a step, O(m d^2) memory.

    Args:
        restart: how many vectors are kept, of d^2 numbers each.
        most: how many steps there may be, in one solve.

    Raises:
        ValueError: one of them is less than 1.

    Chosen automatically where it is expected to be quicker than the direct solvers `Dense` and `BlockTridiagonal`, whose
    cost grows as d^6, or d^4 along a band. It takes 20 to 150 steps in most systems. Where the jumps are strong and not
    coherent, and close to a phase transition, it may take more than `most`, and then it is an error.

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
    system = _System(form, lax.stop_gradient(terms), solver)
    weights = jnp.asarray(form.weights)

    def equation(x):
        return form.vector(_moved(terms, system.put, form.matrix(x)))

    def solve(_, r):
        u, residual, steps = system.solve(r * weights)
        return u / weights, (residual, steps)

    def solve_transposed(_, r):
        u, residual, steps = system.solve_adjoint(r / weights)
        return u * weights, (residual, steps)

    b = form.vector(system.put)
    x, (residual, steps) = lax.custom_linear_solve(equation, b, solve, solve_transposed, has_aux=True)
    rcond, more = system.rcond()
    return Solved(x, rcond, residual, steps + more, system.scale)


def _moved(terms: Action, put, X):
    """M(X)."""
    half = terms.between() @ X
    return half + half.conj().T + terms.gain(X) + put * jnp.real(jnp.trace(X))


class _System:
    """M with its preconditioner, on vectors whose scalar product is that of matrices."""

    def __init__(self, form: MatrixForm, terms: Action, solver: Krylov):
        self.form, self.terms, self.solver = form, terms, solver
        self.motion, slowest, self.other = _preconditioner(terms)
        self.scale = self.motion.scale
        decay = -2 * jnp.max(jnp.real(self.motion.w))
        # The trace moves about as fast as the slowest state decays, but never so slowly that rounding is felt.
        self.put = jnp.maximum(decay, 1e-3 * self.scale) * jnp.outer(slowest, slowest.conj())

    def solve(self, r):
        """u with M u = r: u or NaN, the largest entry of the residual over the largest rate, and the steps."""
        return self._refined(r, lambda X: _moved(self.terms, self.put, X), self.motion.solve)

    def solve_adjoint(self, r):
        """The same for the adjoint of M, whose preconditioner is the adjoint."""
        put = self.put

        def moved(Y):
            half = self.terms.between().conj().T @ Y
            trace = jnp.real(jnp.vdot(put, Y)) * jnp.eye(self.form.dim)
            return half + half.conj().T + self.terms.gain_adjoint(Y) + trace

        return self._refined(r, moved, self.motion.solve_adjoint)

    def rcond(self):
        """An estimate of the reciprocal condition of M, from the size of the solution for `other`; the steps.

        A second stationary state makes M singular. The equation for rho does not show that, because s U is in its range. That for
        a state with weight on every closed set of levels does: a conserved quantity has another value in it.
        """
        r = self.form.isometric(self.other)
        found = self._gmres(r, lambda X: _moved(self.terms, self.put, X), self.motion.solve, _PROBED)
        u = self._each(self.motion.solve)(found.x)
        rcond = jnp.linalg.norm(r) / (self.scale * jnp.linalg.norm(u))
        return jnp.where(found.residual <= 10 * _PROBED, rcond, 0.0), found.iterations

    def _refined(self, r, moved: Callable, inverse: Callable):
        apply, precondition = self._each(moved), self._each(inverse)
        size = jnp.linalg.norm(r)

        def correct(state):
            u, left, before, steps = state
            found = self._gmres(left, moved, inverse, jnp.maximum(_TOLERANCE * size / jnp.linalg.norm(left), _GAIN))
            better = u + precondition(found.x)
            rest = r - apply(better)
            gained = jnp.linalg.norm(rest) < jnp.linalg.norm(left)
            u, rest = jnp.where(gained, better, u), jnp.where(gained, rest, left)
            return u, rest, jnp.linalg.norm(left), steps + found.iterations

        def unfinished(state):
            u, left, before, _ = state
            rounding = 4e-16 * (size + self.scale * jnp.linalg.norm(u))
            now = jnp.linalg.norm(left)
            return (now > rounding) & (now < 0.5 * before)

        u, left, _, steps = lax.while_loop(unfinished, correct, (jnp.zeros_like(r), r, 4 * size, 0))
        residual = jnp.max(jnp.abs(left)) / self.scale
        good = (jnp.linalg.norm(left) <= _ACCEPTED * size) & jnp.isfinite(self.scale)
        return jnp.where(good, u, jnp.nan), residual, steps

    def _gmres(self, r, moved: Callable, inverse: Callable, tolerance):
        def apply(z):
            return self.form.isometric(moved(inverse(self.form.from_isometric(z))))

        solver = self.solver
        return gmres(apply, r, tolerance, restart=min(solver.restart, r.size), most=solver.most)

    def _each(self, function: Callable):
        return lambda u: self.form.isometric(function(self.form.from_isometric(u)))


def _preconditioner(terms: Action) -> tuple[Lyapunov, Array, Array]:
    """The motion between jumps, displaced where that makes it more normal; its slowest state; and another state."""
    A = terms.between()
    found = eigenvectors(A)
    other = _other(terms, found)

    def displaced(_):
        v, moved = found.slowest, A
        for term in terms.of(None):
            moved = moved + term.displaced(v)
        new = eigenvectors(moved)
        return lyapunov(moved, new), new.slowest

    ill = ~(found.condition < _DISPLACED)
    return *lax.cond(ill, displaced, lambda _: (lyapunov(A, found), found.slowest), None), other


# What goes from every level to every other one, over the largest rate, in the motion that finds levels of some weight.
_MIXED = 1e-6


def _other(terms: Action, found: Eigenvectors):
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
    v = v / jnp.linalg.norm(v)
    return jnp.outer(v, v.conj())
