"""The exact propagator exp(G t) of a constant generator: one chain of squarings for all times, and its derivatives.

With h = t_max/2^s short enough for a Taylor series, exp(G h) is squared s times, and every state takes along the powers
that stand in the binary digits of its own time; what is left of the time, less than h, is a Taylor series again. Nothing
is subtracted on the way but what one short series holds, so that populations which are reached only through many steps
keep their relative accuracy. Each squaring would double the error in the total probability: the columns are corrected
to the trace that they must have, which for populations changes each entry by rounding only. While the powers are close
to one, exp(G h) - 1 is carried instead, because the distance from one is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
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

# Up to so many more are done for the sake of short times, which far coordinates are reached in by many short steps only.
_MORE = 12


def longest(G: Float[Array, "n n"]) -> Float[Array, ""]:
    """The longest time that `propagate` can go."""
    return _SHORT * 2.0**MOST / _norm(G)


def propagate(
    G: Float[Array, "n n"], x: Float[Array, "n"], times: Float[Array, "k"], trace: Float[np.ndarray, "n"], steps: int
) -> tuple[Float[Array, "n k"], Int[Array, ""]]:
    """The states exp(G t) x at all times, as columns, and how many squarings that took.

    Args:
        G: the generator [rate]. x: the initial state. times: non-negative, in any order [1/rate].
        trace: the trace as a covector, which G conserves.
        steps: the number of entries of G that the longest way between two coordinates needs.

    Differentiable in G, x and the times, forward, reverse and to any order. Cost: O(n^2 (n + k) log(norm of G t)),
    and with derivatives the memory of 45 matrices.
    """
    fixed = lax.stop_gradient(times)
    last, first = jnp.max(fixed), jnp.min(jnp.where(fixed > 0, fixed, jnp.inf))
    squarings = jnp.clip(jnp.ceil(jnp.log2(_norm(G) * last / _SHORT)), 0, MOST)
    # Entries that vanish here and now can make ways a few times longer than `steps`.
    early = jnp.clip(jnp.ceil(jnp.log2(4 * steps * last / first)) - squarings, 0, jnp.minimum(_MORE, MOST - squarings))
    early, squarings = (jnp.nan_to_num(n).astype(int) for n in (early, squarings + early))
    short = jnp.ldexp(1.0, squarings)
    h = last / short
    number = jnp.clip(jnp.floor(fixed / jnp.where(h > 0, h, 1.0)), 0, short - 1)
    x = _series(G, jnp.broadcast_to(x[:, None], (x.size, times.size)), times - number * h)
    power = _short(G * h) + jnp.where(early > 0, 0.0, jnp.eye(len(G)))
    z = jnp.concatenate([conserving(power, trace, jnp.where(early > 0, 0.0, trace)), x], axis=1)
    z = _squared(_Trace(trace), z, (number.astype(jnp.int64), early), squarings)
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
    """exp(A) - 1 for a short A, by its series."""
    return polynomial(A, [0.0, *(1 / factorial(k) for k in range(1, _DEGREE + 1))])


def polynomial(A: Float[Array, "n n"], c: Sequence[float]) -> Float[Array, "n n"]:
    """sum_j c_j A^j of degree 16, in six products (Paterson and Stockmeyer)."""
    power = [jnp.eye(len(A)), A, A @ A]
    power += [power[2] @ A, power[2] @ power[2]]
    out = c[16] * power[4]
    for k in (12, 8, 4, 0):
        out = out + sum(c[k + j] * power[j] for j in range(4))
        out = out @ power[4] if k else out
    return out


def conserving(E, trace, want):
    """E with the trace of each column as it must be; every entry takes a share by its size."""
    return E - _share(E, trace) * (trace @ E - want)


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


# What is carried along is one array z = [E_k | x] of the power and the states (n, n + k); for k < early the power is
# E_k - 1. `plan` holds the binary numbers of the states (k,), and early.


def _advance(trace: _Trace, plan, k, z):
    """E_k -> E_k^2, and the states that have the binary digit k in their number take E_k along."""
    n, early = len(z), plan[1]
    power, x = _products(plan, k, z, z[:, :n] @ z)
    power = power + jnp.where(k == early - 1, jnp.eye(n), 0.0)
    return jnp.concatenate([conserving(power, trace.array, jnp.where(k < early - 1, 0.0, trace.array)), x], axis=1)


def _advance_tangent(trace: _Trace, plan, k, z, after, dz):
    n = len(z)
    power, x = _products(plan, k, dz, dz[:, :n] @ z + z[:, :n] @ dz)
    return jnp.concatenate([power - _share(after[:, :n], trace.array) * (trace.array @ power), x], axis=1)


def _products(plan, k, z, moved):
    """From z and E z, or from their tangents: the square, and the states where they take the power along."""
    (number, early), n = plan, len(z)
    rest = jnp.where(k < early, z, 0.0)  # (1 + F) x = x + F x, (1 + F)^2 - 1 = 2 F + F^2
    return moved[:, :n] + 2 * rest[:, :n], jnp.where((number >> k) & 1 == 1, moved[:, n:] + rest[:, n:], z[:, n:])


# A loop of traced length has no reverse derivative in JAX. So value and derivative are two
# programs: the value keeps only the last power; the derivative keeps all of them in an array of
# fixed length, and its own loops, forward and backward, are written as the solution of one linear
# system.
@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _squared(trace, z, plan, squarings):
    """The power and the states after all squarings. The loop is as long as the plan asks for, and so are its derivatives."""
    return lax.fori_loop(0, squarings, partial(_advance, trace, plan), z)


@_squared.defjvp
def _squared_jvp(trace, primals, tangents):
    z, plan, squarings = primals
    return jax.jvp(lambda z: _at(_trail(trace, z, plan, squarings), squarings), (z,), tangents[:1])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _trail(trace, z, plan, squarings):
    """What `_squared` has after 0, 1, ... squarings, stacked; zero beyond the last."""

    def step(k, trail):
        return _put(trail, k + 1, _advance(trace, plan, k, _at(trail, k)))

    return lax.fori_loop(0, squarings, step, jnp.zeros((MOST + 1, *z.shape)).at[0].set(z))


@_trail.defjvp
def _trail_jvp(trace, primals, tangents):
    """The tangents of all squarings solve one linear system, by substitution; so do those of its transpose."""
    _, plan, squarings = primals
    trail = _trail(trace, *primals)

    def moved(k, dz):
        return _advance_tangent(trace, plan, k, _at(trail, k), _at(trail, k + 1), dz)

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
