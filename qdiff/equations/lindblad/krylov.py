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

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import zero_from_primal
from jaxtyping import Array, Float

from ...linalg.complex_product import unpacked
from ...linalg.lyapunov import Lyapunov
from ...results import check, failing
from .actions import Action
from .krylov_system import NO_GRADIENT, PROBED, System, moved
from .matrix_form import MatrixForm
from .preconditioner import preconditioner


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
    """Coordinates of the stationary state, what is known of their accuracy, and what M is made of."""

    x: Float[Array, "n"]
    rcond: Float[Array, ""]
    residual: Float[Array, ""]
    iterations: Array
    source: Array
    motion: Lyapunov

    @property
    def scale(self):
        """The largest rate."""
        return self.motion.scale


@partial(jax.custom_jvp, nondiff_argnums=(0, 2, 3))
def stationary(form: MatrixForm, terms: Action, solver: Krylov, mode: str) -> Solved:
    """The stationary state of the terms of a generator, in the coordinates of `form`; its derivatives fail as `mode` says.

    Differentiable in `terms`, of every kind and order. Each tangent and each adjoint is one more solve.
    """
    system, probe = prepared(form, terms, solver)
    motion, source = system.motion, system.source

    # One after the other in one loop: a second copy of the solver costs seconds to compile.
    def solved(case):
        X, tolerance = case
        return system.refined(system.pack(X), tolerance=tolerance)

    (u, v), (left, rest), steps, _, sizes = lax.map(solved, (jnp.stack([source, probe]), jnp.array([0.0, PROBED])))
    residual = jnp.max(jnp.abs(unpacked(left.reshape(source.shape)))) / motion.scale
    return Solved(system.vector(u), system.rcond(v, rest, steps[1], sizes[1]), residual, jnp.sum(steps), source, motion)


@stationary.defjvp
def _tangent(form, solver, mode, primals, tangents):
    (terms,), (change,) = primals, tangents
    found = stationary(form, terms, solver, mode)
    still = lax.stop_gradient((terms, found))
    system = System(form, still[0], still[1].motion, still[1].source, restart=solver.restart, most=solver.most)
    weights, rho = jnp.asarray(form.weights), form.matrix(still[1].x)

    def equation(terms, x):
        return form.vector(moved(terms.between(), terms, system.source, form.matrix(x)))

    def solve(_, r):
        u, _ = system.solve(r * weights)
        with failing(mode):
            return check(u, (~jnp.all(jnp.isfinite(u)), NO_GRADIENT)) / weights

    def solve_transposed(_, r):
        with failing(mode):
            return system.solve_adjoint(r / weights, rho)[0] * weights

    _, change = jax.jvp(lambda terms: equation(terms, found.x), (terms,), (change,))
    x = lax.custom_linear_solve(partial(equation, terms), -change, solve, solve_transposed)
    # Nothing else that is returned has a derivative.
    return found, jax.tree.map(zero_from_primal, found)._replace(x=x)


def prepared(form: MatrixForm, terms: Action, solver: Krylov) -> tuple[System, Array]:
    """The system to solve, and a probe of its uniqueness."""
    motion, slowest, probe = preconditioner(terms.between(), terms, form.levels)
    decay = -2 * jnp.max(jnp.real(motion.w))
    # The trace moves about as fast as the slowest state decays, but never so slowly that rounding is felt.
    source = jnp.maximum(decay, 1e-3 * motion.scale) * jnp.outer(slowest, slowest.conj())
    return System(form, terms, motion, source, restart=solver.restart, most=solver.most), probe
