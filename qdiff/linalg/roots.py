"""Roots of a handful of scalars whose Jacobian comes with them, with implicit derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

# A Newton step this small is rounding; one this small that does not shrink any more is all that the numbers allow.
_DONE, _STALLED = 1e-13, 1e-6

_STEPS = 200

# A residual that grows by more than this says that the step was too long.
_WORSE = 4.0

# Unknowns are logarithms: a longer step is beyond what a linearisation knows.
_FAR = 4.0


class Root(NamedTuple):
    """A root, its Jacobian there, the size of the last Newton step, and the number of evaluations."""

    x: Any
    jacobian: Any
    change: Any
    steps: Any

    @property
    def failed(self):
        """Whether it is none."""
        return ~(self.change <= _STALLED)


def search(evaluate: Callable, x, mass, step) -> Root:
    """A root of f, by steps in a pseudo-time in which mass dx/dt = f(x), implicit to first order: (mass/h - f') dx = f.

    The steps h grow as |f| falls, and Newton's method is what remains. Where f belongs to equations whose flow is
    contracting this cannot be trapped, as a search for small |f| is.

    Args:
        evaluate: x (n,) -> f (n,), f' (n, n).
        x: where to begin (n,).
        mass: zero for equations that are constraints; the unknowns of the same place are their multipliers, which enter
            linearly and vanish at the root (n,).
        step: the first h; infinity for Newton's method from the start, which falls back to steps where it fails.
    """

    def change(f, J, h):
        # Constraints are approached at the same pace; their multipliers need not be known beforehand.
        dx = jnp.linalg.solve(jnp.diag(mass / h) - J, jnp.where(mass > 0, f, f / (1 + 1 / h)))
        return jnp.where(mass > 0, dx, 0.0)

    def size(v):
        return jnp.where(jnp.all(jnp.isfinite(v)), jnp.max(jnp.abs(v)), jnp.inf)

    def going_on(carry):
        count, done = carry[0], carry[-1]
        return (count < _STEPS) & ~done

    def move(carry):
        count, x, f, J, trial, h, last, _ = carry
        g, K = evaluate(trial)
        now, before = size(g), size(f)
        better = now < _WORSE * before
        h = jnp.where(better, h * jnp.clip((before / jnp.maximum(now, 1e-300)) ** 2, 0.5, 100.0), jnp.minimum(h, 10.0) / 10)
        x, f, J = (jnp.where(better, new, old) for new, old in ((trial, x), (g, f), (K, J)))
        newton, dx = change(f, J, jnp.inf), change(f, J, h)
        rest, far = size(newton), size(dx)
        done = (rest < _DONE) | (better & (rest < _STALLED) & (rest > 0.5 * last))
        dx = jnp.where(done, newton, dx * jnp.minimum(1.0, _FAR / jnp.where(jnp.isfinite(far), far, jnp.inf)))
        return count + 1, x, f, J, x + dx, h, rest, done

    # The first evaluation is compared with nothing: one program for all of them.
    n, none = x.size, jnp.asarray(jnp.inf)
    carry = (jnp.zeros((), int), x, jnp.full(n, jnp.finfo(float).max), jnp.eye(n), x, jnp.asarray(step, float), none, jnp.asarray(False))
    count, _, _, J, x, _, rest, done = lax.while_loop(going_on, move, carry)
    return Root(x, J, jnp.where(done, rest, jnp.inf), count)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def implicit(solve: Callable, residual: Callable, given) -> Root:
    """solve(given), a `Root` of x -> residual(x, given), differentiated by the implicit function theorem.

    Forward, reverse and to any order, at the cost of the residual's own derivative. The Jacobian that came with the root
    serves all solves.

    Args:
        solve: given -> Root. residual: (x, given) -> f (n,). Both functions of no other traced value.
        given: any pytree of arrays.
    """
    return solve(given)


def _implicit_jvp(solve, residual, primals, tangents):
    (given,), (moved,) = primals, tangents
    root = implicit(solve, residual, given)
    x = root.x
    # Only what moves is differentiated: not the large arrays that say which modes there are.
    leaves, tree = jax.tree.flatten(given)
    moves = jax.tree.leaves(moved, is_leaf=lambda t: isinstance(t, SymbolicZero))
    at = [k for k, t in enumerate(moves) if not isinstance(t, SymbolicZero)]

    def of(changed):
        full = list(leaves)
        for k, leaf in zip(at, changed, strict=True):
            full[k] = leaf
        return residual(x, jax.tree.unflatten(tree, full))

    _, right = jax.jvp(of, ([leaves[k] for k in at],), ([moves[k] for k in at],))
    J = lax.stop_gradient(root.jacobian)

    def act(v):
        return jax.jvp(lambda x: residual(x, given), (x,), (v,))[1]

    dx = lax.custom_linear_solve(act, -right, lambda _, r: jnp.linalg.solve(J, r), lambda _, r: jnp.linalg.solve(J.T, r))
    zeros = (jnp.zeros_like(root.jacobian), jnp.zeros_like(root.change), np.zeros(jnp.shape(root.steps), jax.dtypes.float0))
    return root, Root(dx, *zeros)


implicit.defjvp(_implicit_jvp, symbolic_zeros=True)
