"""Restarted GMRES on real vectors, which says how far it came.

Krylov solvers of libraries return whatever they ended with; here the residual is returned beside the solution, and so is the
number of iterations, which is how a preconditioner is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

# Vectors are made orthogonal to that many others at a time.
_ROWS = 8


class Found(NamedTuple):
    """What GMRES found: the solution, its residual over the right-hand side (2-norms), the iterations."""

    x: Float[Array, "n"]
    residual: Float[Array, ""]
    iterations: Int[Array, ""]


def gmres(
    apply: Callable, b: Float[Array, "n"], tolerance, *, restart: int, most: int | Int[Array, ""]
) -> Found:
    """The x with apply(x) = b, from x = 0.

    Args:
        apply: a linear map of vectors (n,); a preconditioner from the right is part of it.
        b: the right-hand side.
        tolerance: on |b - apply(x)| / |b|, as the recurrence has it [1].
        restart: how many vectors are kept: n times as many numbers.
        most: iterations, in all.

    Cycles end early where the residual is below `tolerance`. A cycle that gains less than a tenth is the last: the operator is
    singular, or so far from normal that more cycles do not help either.
    """
    size = jnp.linalg.norm(b)
    scale = jnp.where(size > 0, size, 1)

    def cycle(state):
        x, r, before, _, count = state
        y, spent = _cycle(apply, r, tolerance * size, restart)
        x = x + y
        # Computed: by the recurrence it looks small where the operator is singular and x has grown.
        r = b - apply(x)
        norm = jnp.linalg.norm(r)
        return x, r, norm, before, count + spent

    def unfinished(state):
        _, _, norm, before, count = state
        return (norm > tolerance * size) & (norm < 0.9 * before) & (count < most)

    start = (jnp.zeros_like(b), b, size, 2 * size, jnp.zeros((), jnp.int64))
    tolerance = jnp.asarray(tolerance, b.dtype)
    x, _, norm, _, count = lax.while_loop(unfinished, cycle, start)
    return Found(x, norm / scale, count)


def _cycle(apply, r, goal, restart: int):
    """One cycle from zero: the correction, and how many iterations it took."""
    norm = jnp.linalg.norm(r)

    def step(state):
        k, basis, H, q, _ = state
        w, column = _orthogonalized(basis, apply(basis[k]), k)
        below = jnp.linalg.norm(w)
        basis = basis.at[k + 1].set(w / jnp.where(below > 0, below, 1))
        # The least residual is |r| / |q|, where q is the left null vector of the Hessenberg matrix with q[0] = 1: one number
        # more in every iteration, in place of a row of Givens rotations.
        q = q.at[k + 1].set(-(q @ column) / below)
        return k + 1, basis, H.at[:, k].set(column.at[k + 1].set(below)), q, norm / jnp.linalg.norm(q)

    def unfinished(state):
        k, *_, left = state
        return (k < restart) & (left > goal)

    rows = _ROWS * (restart // _ROWS + 1)
    basis = jnp.zeros((rows, r.shape[0]), r.dtype).at[0].set(r / jnp.where(norm > 0, norm, 1))
    q = jnp.zeros(rows, r.dtype).at[0].set(1)
    start = (0, basis, jnp.zeros((rows, restart), r.dtype), q, norm)
    k, basis, H, _, _ = lax.while_loop(unfinished, step, start)
    # Columns that were not reached are those of the identity, whose solution is zero.
    H = jnp.where(jnp.arange(restart) < k, H, jnp.eye(rows, restart, -1, r.dtype))
    Q, R = jnp.linalg.qr(H)
    y = solve_triangular(R, norm * Q[0])
    y = jnp.where(jnp.arange(restart) < k, y, 0)
    return y @ basis[:restart], k


def _orthogonalized(basis, w, k):
    """w without its parts along the first k + 1 rows, and these parts; block by block, so that a block is read once."""
    blocks = k // _ROWS + 1

    # Twice: once loses orthogonality where the residual has fallen far.
    def block(i, state):
        w, parts = state
        at = i % blocks * _ROWS
        rows = lax.dynamic_slice_in_dim(basis, at, _ROWS)
        found = rows @ w
        return w - found @ rows, lax.dynamic_update_slice_in_dim(
            parts, lax.dynamic_slice_in_dim(parts, at, _ROWS) + found, at, 0
        )

    return lax.fori_loop(0, 2 * blocks, block, (w, jnp.zeros(basis.shape[0], w.dtype)))
