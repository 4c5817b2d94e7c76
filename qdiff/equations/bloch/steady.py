"""Steady states of many small blocks, one for each momentum: unrolled elimination, in chunks, on all devices."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from ...linalg import small_lu
from ...linalg.trig import kept
from ...operators.checks import finite_array, real_array
from ...results import require_float64
from .blocks import AbstractBlochModel, Blocks, from_covector, from_state, places, response
from .scalarise import add, mul, sub, unique
from .weighted_mean import weighted_mean


def steady_states(model: AbstractBlochModel, k):
    """The stationary density matrices of all momenta, complex (points, n, n)."""
    require_float64()
    return _states(model, _checked(k))


@eqx.filter_jit
def _states(model, k):
    n, x = _steady(model.blocks(k))
    x = [jnp.broadcast_to(c, k.shape) for c in x]
    rho = [[jnp.zeros(k.shape, complex)] * n for _ in range(n)]
    for c, (i, j, part) in zip(x, places(n), strict=True):
        rho[i][j] = rho[i][j] + (c, 1j * c)[part]
        if i != j:
            rho[j][i] = rho[j][i] + (c, -1j * c)[part]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rho], axis=-2)


def steady_velocities(model: AbstractBlochModel, k):
    """Tr[v rho_k] (points,) of the stationary states, v = dH/dk."""
    require_float64()
    return _velocities(model, _checked(k))


@eqx.filter_jit
def _velocities(model, k):
    return jnp.broadcast_to(_velocity(model, k), k.shape)


def _velocity(model, k):
    blocks = model.blocks(k)
    return _dot(blocks.velocity, _steady(blocks)[1])


def _dot(v, x) -> Any:
    return functools.reduce(add, map(mul, v, x))


def _adjoint_velocity(model: AbstractBlochModel, k):
    """`_velocity` with derivatives by the adjoint state: the generator is assembled and solved once, and what is
    differentiated is the model's function alone, in whatever it depends on."""
    arrays, again = unique(model.entries(k))

    @jax.custom_jvp
    def velocity(arrays):
        blocks = again(arrays).blocks()
        return jnp.broadcast_to(_dot(blocks.velocity, _steady(blocks)[1]), k.shape)

    @velocity.defjvp
    def _(primals, tangents):
        entries, moved = again(*primals), again(*tangents, known=0.0)
        blocks = entries.blocks()
        x, y = _both_states(blocks)
        n = blocks.size
        change = response(entries, moved, from_state(x, n), from_covector(y, n))
        return jnp.broadcast_to(_dot(blocks.velocity, x), k.shape), jnp.broadcast_to(change, k.shape)

    return velocity(arrays)


def mean_velocity(model: AbstractBlochModel, k, log_weight: Callable, chunk: int | None):
    """The mean of Tr[v rho_k] over momenta, as `BlochModel.mean_velocity` describes it."""
    require_float64()
    if not callable(log_weight):
        raise TypeError(f"log_weight must be a function (k, parameters) -> logarithm of the weight, but was {log_weight!r}")
    k = lax.stop_gradient(_checked(k))

    def terms(parameters, k):
        return log_weight(k, parameters), _adjoint_velocity(dataclasses.replace(model, parameters=parameters), k)

    levels = jax.eval_shape(model.parts, jax.ShapeDtypeStruct((), k.dtype))[0].shape[0]
    return weighted_mean(terms, model.parameters, k, chunk=chunk, each=_bytes(levels))


def _bytes(levels: int) -> float:
    """What one momentum takes on a GPU, with the gradient: the factors of its block, and what goes with them.

    As XLA's compiler for an H200 tells for 2, 3 and 4 levels: 922, 2739 and 10265 bytes.
    """
    return 512 + 46 * (levels**2 - 1) ** 2


def _checked(k):
    k = real_array("k", k)
    if k.ndim != 1 or k.size == 0:
        raise ValueError(f"k must be an array of momenta, shape (points,), but has shape {k.shape}")
    if isinstance(k, Tracer) or k.is_fully_addressable:
        return finite_array("k", k, None)
    if not jnp.isfinite(k).all():  # no process sees all of them
        raise ValueError("k must be finite, but is not")
    return k


# ---- elimination ---------------------------------------------------------------------------------------------


def _steady(blocks: Blocks) -> tuple[int, list[Any]]:
    """The coordinates of the stationary state of every block."""
    A, right = _reduced(blocks)
    return blocks.size, _whole(_solvers(A)[0](right), blocks.size)


def _both_states(blocks: Blocks) -> tuple[list[Any], list[Any]]:
    """The coordinates x of the stationary states, and y with G^T y = velocity, up to a constant; the latter with y = 0 for the
    last population."""
    n, c = blocks.size, blocks.velocity
    A, right = _reduced(blocks)
    last = n - 1
    reduced = [sub(c[r], c[last]) if r < n else c[r] for r in range(n * n) if r != last]
    reduced = tuple(_array(e, right[0].shape) for e in reduced)
    # The factors serve twice. Forward differentiation would need a solve for each parameter; the
    # adjoint state is one more, for all of them.
    solve, solve_T = _solvers(A)
    y = solve_T(reduced)
    return _whole(solve(right), n), [*map(kept, y[:last]), 0.0, *map(kept, y[last:])]


def _whole(x, n):
    last = n - 1
    x = [kept(e) for e in x]
    rest = 1.0 - functools.reduce(lambda a, b: a + b, x[:last])
    return [*x[:last], rest, *x[last:]]


def _reduced(blocks: Blocks):
    """A and b of A z = b: the last population is one minus the others, and its equation, minus the sum of theirs, is left out."""
    n, G = blocks.size, blocks.generator
    last = n - 1
    # One unknown less than with the trace as one more row: for two levels, three instead of four,
    # less than half of the multiplications of an elimination.
    keep = [r for r in range(n * n) if r != last]
    A = [[sub(G[r, c], G[r, last]) if c < n else G[r, c] for c in keep] for r in keep]
    right = [sub(0.0, G[r, last]) for r in keep]
    shape = np.broadcast_shapes(*(np.shape(e) for row in A for e in row))
    return tuple(tuple(_array(e, shape) for e in row) for row in A), tuple(_array(e, shape) for e in right)


def _array(entry: Any, shape):
    """An entry as an array that is computed once: each is used in many places, and more so by the gradient."""
    return jnp.full(shape, entry) if isinstance(entry, float) else kept(jnp.broadcast_to(entry, shape))


def _solvers(A):
    """right -> x with A x = right, and with A^T x = right, from one factorisation of a tuple of rows of arrays.

    Differentiated by the implicit function theorem.
    """
    fixed = jax.tree.map(lax.stop_gradient, A)
    columns = tuple(zip(*A, strict=True))

    def times(rows):
        return lambda x: tuple(functools.reduce(lambda s, t: s + t, [a * b for a, b in zip(row, x, strict=True)]) for row in rows)

    forth, back = (lambda _, r, solve=solve: solve(r) for solve in small_lu.solvers(fixed))

    def solve(right):
        return lax.custom_linear_solve(times(A), right, forth, back)

    def solve_T(right):
        return lax.custom_linear_solve(times(columns), right, back, forth)

    return solve, solve_T
