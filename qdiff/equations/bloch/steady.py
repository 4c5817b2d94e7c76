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

from ...linalg import batched_blocks
from ...linalg.trig import kept
from ...operators.checks import finite_array, real_array
from ...results import require_float64
from .blocks import AbstractBlochModel, Blocks, from_covector, from_state, places, response
from .scalarise import unique
from .weighted_mean import weighted_mean

_UNROLLED = 4  # unknowns up to which the elimination is written out


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


def _dot(v, x):
    return sum(_times(a, b) for a, b in zip(v, x, strict=True))


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


def _times(a, b):
    return 0.0 if isinstance(a, float) and a == 0 else a * b


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
    return blocks.size, _whole(_solved(A, right), blocks.size)


def _both_states(blocks: Blocks) -> tuple[list[Any], list[Any]]:
    """The coordinates x of the stationary states, and y with G^T y = velocity, up to a constant; the latter with y = 0 for the
    last population."""
    n, c = blocks.size, blocks.velocity
    A, right = _reduced(blocks)
    last = n - 1
    reduced = [_minus(c[r], c[last]) if r < n else c[r] for r in range(n * n) if r != last]
    reduced = tuple(_array(e, right[0].shape) for e in reduced)
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
    keep = [r for r in range(n * n) if r != last]
    A = [[_minus(G[r, c], G[r, last]) if c < n else G[r, c] for c in keep] for r in keep]
    right = [_minus(0.0, G[r, last]) for r in keep]
    shape = np.broadcast_shapes(*(np.shape(e) for row in A for e in row))
    return tuple(tuple(_array(e, shape) for e in row) for row in A), tuple(_array(e, shape) for e in right)


def _array(entry, shape):
    """An entry as an array that is computed once: each is used in many places, and more so by the gradient."""
    return jnp.full(shape, entry) if isinstance(entry, float) else kept(jnp.broadcast_to(entry, shape))


def _minus(a, b):
    if isinstance(b, float) and b == 0:
        return a
    return -b if isinstance(a, float) and a == 0 else a - b


def _solved(A, right):
    """x with A x = right, for a tuple of rows of arrays; by the implicit function theorem where it is differentiated."""
    return _solvers(A)[0](right)


def _solvers(A):
    """right -> x with A x = right, and with A^T x = right, from one factorisation."""
    fixed = jax.tree.map(lax.stop_gradient, A)
    columns = tuple(zip(*A, strict=True))

    def times(rows):
        return lambda x: tuple(functools.reduce(lambda s, t: s + t, [a * b for a, b in zip(row, x, strict=True)]) for row in rows)

    if len(A) <= _UNROLLED:
        factors = _factor(fixed)
        forth, back = (lambda _, r: _forth(factors, r)), (lambda _, r: _back(factors, r))
    else:
        # In a loop: written out, it would take long to compile.
        packed = batched_blocks.lu(jnp.stack([jnp.stack([jnp.ravel(e) for e in row]) for row in fixed]))

        def through(solve, r):
            x = solve(packed, jnp.stack([jnp.ravel(e) for e in r]))
            return tuple(x[i].reshape(e.shape) for i, e in enumerate(r))

        forth, back = (lambda _, r: through(batched_blocks.lu_solve, r)), (lambda _, r: through(batched_blocks.lu_solve_T, r))

    def solve(right):
        return lax.custom_linear_solve(times(A), right, forth, back)

    def solve_T(right):
        return lax.custom_linear_solve(times(columns), right, back, forth)

    return solve, solve_T


def _factor(A):
    """LU with rows exchanged: in place of A its factors (with inverse pivots), and the exchanges, as boolean arrays."""
    A, m = [list(row) for row in A], len(A)
    swaps: list[list[Any]] = []
    for p in range(m):
        exchanged = []
        for i in range(p + 1, m):
            swap = jnp.abs(A[i][p]) > jnp.abs(A[p][p])
            for c in range(m):
                A[p][c], A[i][c] = jnp.where(swap, A[i][c], A[p][c]), jnp.where(swap, A[p][c], A[i][c])
            exchanged.append(swap)
        swaps.append(exchanged)
        A[p][p] = 1 / A[p][p]
        for i in range(p + 1, m):
            A[i][p] = A[i][p] * A[p][p]
            for c in range(p + 1, m):
                A[i][c] = A[i][c] - A[i][p] * A[p][c]
    return A, swaps


def _exchanged(r, swaps, p, backwards=False):
    rows = range(len(swaps[p]))
    for at in reversed(rows) if backwards else rows:
        i, swap = p + 1 + at, swaps[p][at]
        r[p], r[i] = jnp.where(swap, r[i], r[p]), jnp.where(swap, r[p], r[i])


def _forth(factors, right):
    A, swaps = factors
    r, m = list(right), len(right)
    for p in range(m):
        _exchanged(r, swaps, p)
    for p in range(m):
        for i in range(p + 1, m):
            r[i] = r[i] - A[i][p] * r[p]
    for p in reversed(range(m)):
        for c in range(p + 1, m):
            r[p] = r[p] - A[p][c] * r[c]
        r[p] = r[p] * A[p][p]
    return tuple(r)


def _back(factors, right):
    """x with A^T x = right."""
    A, swaps = factors
    r, m = list(right), len(right)
    for p in range(m):
        for c in range(p):
            r[p] = r[p] - A[c][p] * r[c]
        r[p] = r[p] * A[p][p]
    for p in reversed(range(m)):
        for i in range(p + 1, m):
            r[p] = r[p] - A[i][p] * r[i]
    for p in reversed(range(m)):
        _exchanged(r, swaps, p, backwards=True)
    return tuple(r)
