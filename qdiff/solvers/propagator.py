"""The exact propagator exp(G t) of a constant generator: one chain of squarings for all times, and its derivatives.

With h = t_max/2^s short enough for a Taylor series, E_0 = exp(G h) is squared s times, and every state takes along
the powers that stand in the binary digits of its own time; what is left of the time, less than h, is a Taylor series
again. Nothing is subtracted on the way but what one short series holds, so that populations which are reached only
through many steps keep their relative accuracy. Each squaring would double the error in the total probability: the
columns are corrected to the trace that they must have, which for populations changes each entry by rounding only.
"""

from __future__ import annotations

from functools import partial
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

# The norm of G h. The series' remainder, 0.5^17/17!, is far below rounding, and its terms do not cancel.
_SHORT = 0.5
_DEGREE = 16

# The most squarings: times up to 0.5 * 2^44 = 9e12 over the norm of G.
MOST = 44


def reach_of_time(G: Float[Array, "n n"]) -> Float[Array, ""]:
    """The longest time that `propagate` can go."""
    return _SHORT * 2.0**MOST / _norm(G)


def propagate(
    G: Float[Array, "n n"], x: Float[Array, "n"], times: Float[Array, "k"], trace: Float[np.ndarray, "n"], steps: int
) -> tuple[Float[Array, "n k"], Float[Array, ""]]:
    """The states exp(G t) x at all times, as columns, and how many squarings that took.

    Args:
        G: the generator [rate]. x: the initial state. times: non-negative, in any order [1/rate].
        trace: the trace as a covector, which G conserves.
        steps: the number of entries of G that the longest way between two coordinates needs. At least as many short
            steps are taken, so that what is far away is already reached by their leading terms.

    Differentiable in G, x and the times, forward, reverse and to any order. Cost: O(n^2 (n + k) log(norm of G t)),
    and with derivatives the memory of 45 matrices.
    """
    longest = lax.stop_gradient(jnp.max(times))
    least = int(np.ceil(np.log2(max(steps, 2))))
    squarings = jnp.clip(jnp.ceil(jnp.log2(_norm(G) * longest / _SHORT)), least, MOST)
    short = jnp.ldexp(1.0, squarings.astype(int))
    h = longest / short
    number = jnp.clip(jnp.floor(lax.stop_gradient(times) / jnp.where(h > 0, h, 1.0)), 0, short - 1)
    x = _series(G, jnp.broadcast_to(x[:, None], (x.size, times.size)), times - number * h)
    z = jnp.concatenate([_conserving(_short(G * h), trace), x], axis=1)
    z = _squared(_Trace(trace), z, number.astype(jnp.int64), squarings.astype(int))
    return z[:, len(G) :], squarings


def _norm(G):
    """The largest absolute sum of a column, and so of what a population gives away."""
    return lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(G), axis=0)))


def _series(G, x: Float[Array, "n k"], time: Float[Array, "k"]):
    """exp(G time) x for short times, by Taylor's series."""
    out = term = x
    for k in range(1, _DEGREE + 1):
        term = (G @ term) * (time / k)
        out = out + term
    return out


def _short(A: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """exp(A) for a short A: the series of degree 16 in six products."""
    c = [1 / factorial(k) for k in range(_DEGREE + 1)]
    power = [jnp.eye(len(A)), A, A @ A]
    power += [power[2] @ A, power[2] @ power[2]]
    out = c[16] * power[4]
    for k in (12, 8, 4, 0):
        out = out + sum(c[k + j] * power[j] for j in range(4))
        out = out @ power[4] if k else out
    return out


def _conserving(E, trace):
    """E with the trace of each column as it must be; every entry takes a share by its size."""
    return E - _share(E, trace) * (trace @ E - trace)


def _share(E, trace):
    size = lax.stop_gradient(jnp.abs(E)) * trace[:, None]
    total = jnp.sum(size, axis=0)
    return size / jnp.where(total > 0, total, 1.0)


class _Trace:
    """The trace covector as a static argument of a JAX rule."""

    def __init__(self, array):
        self.array = array

    def __hash__(self):
        return hash(self.array.tobytes())

    def __eq__(self, other):
        return isinstance(other, _Trace) and np.array_equal(self.array, other.array)


# What is carried along is one array z = [E | x] of the power and the states (n, n + k).


def _advance(trace: _Trace, number, k, z):
    """E_k -> E_k^2, and the states that have the binary digit k in their number take E_k along."""
    n = len(z)
    moved = z[:, :n] @ z
    return jnp.concatenate([_conserving(moved[:, :n], trace.array), _taken(number, k, z, moved)], axis=1)


def _advance_tangent(trace: _Trace, number, k, z, after, dz):
    n = len(z)
    moved = dz[:, :n] @ z + z[:, :n] @ dz
    squared = moved[:, :n] - _share(after[:, :n], trace.array) * (trace.array @ moved[:, :n])
    return jnp.concatenate([squared, _taken(number, k, dz, moved)], axis=1)


def _taken(number: Int[Array, "k"], k, z, moved):
    n = len(z)
    return jnp.where((number >> k) & 1 == 1, moved[:, n:], z[:, n:])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _squared(trace, z, number, squarings):
    """The power and the states after all squarings. The loop is as long as the numbers ask for, and so are its derivatives."""
    return lax.fori_loop(0, squarings, partial(_advance, trace, number), z)


@_squared.defjvp
def _squared_jvp(trace, primals, tangents):
    z, number, squarings = primals
    return jax.jvp(lambda z: _at(_trail(trace, z, number, squarings), squarings), (z,), tangents[:1])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _trail(trace, z, number, squarings):
    """What `_squared` has after 0, 1, ... squarings, stacked; zero beyond the last."""

    def step(k, trail):
        return _put(trail, k + 1, _advance(trace, number, k, _at(trail, k)))

    return lax.fori_loop(0, squarings, step, jnp.zeros((MOST + 1, *z.shape)).at[0].set(z))


@_trail.defjvp
def _trail_jvp(trace, primals, tangents):
    """The tangents of all squarings solve one linear system, by substitution; so do those of its transpose."""
    _, number, squarings = primals
    trail = _trail(trace, *primals)

    def moved(k, dz):
        return _advance_tangent(trace, number, k, _at(trail, k), _at(trail, k + 1), dz)

    def residual(change):
        k = jnp.arange(MOST)
        rest = jnp.where((k < squarings)[:, None, None], jax.vmap(moved)(k, change[:-1]), 0.0)
        return change.at[1:].add(-rest)

    def forward(_, change):
        return lax.fori_loop(0, squarings, lambda k, c: _put(c, k + 1, _at(c, k + 1) + moved(k, _at(c, k))), change)

    def backward(_, cotangent):
        def step(i, c):
            k = squarings - 1 - i
            (back,) = jax.linear_transpose(partial(moved, k), _at(c, k))(_at(c, k + 1))
            return _put(c, k, _at(c, k) + back)

        return lax.fori_loop(0, squarings, step, cotangent)

    start = jnp.zeros_like(trail).at[0].set(tangents[0])
    return trail, lax.custom_linear_solve(residual, start, forward, backward)


def _at(stack, k):
    return lax.dynamic_index_in_dim(stack, k, keepdims=False)


def _put(stack, k, value):
    return lax.dynamic_update_index_in_dim(stack, value, k, 0)
