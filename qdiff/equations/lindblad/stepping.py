"""Adaptive Runge-Kutta steps of the linear equation dx/dt = G(t) x, whose derivatives are as accurate as their values.

The tableaus are diffrax's. Because the equation is linear, the generator at all stages of a step is computed at once.
A step is accepted if its error estimate is small for the state *and* for one tangent, the derivative of the state in a
random direction of everything that it depends on: where the state is at rest the tangent still moves, and with it
every derivative. Steps are fractions of a piece, so that they move with its ends, and derivatives in the ends of the
piece are those of the equation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# The factor of the next step: safety, least, most.
_SAFETY, _LEAST, _MOST = 0.9, 0.2, 5.0

# A tangent that has come to rest is followed to this part of the largest that it has been.
_REST = 1e-9


class Plan(NamedTuple):
    """Which steps to take: found with the state itself, and then no more differentiated than a mesh that was given."""

    codes: jax.Array  # of all accepted steps so far, one after the other
    used: jax.Array  # how many of them there are
    x: jax.Array
    tangent: jax.Array
    largest: jax.Array  # the largest entry that the tangent has had
    step: jax.Array  # the length of the next step [time]
    rejected: jax.Array
    stuck: jax.Array
    faults: jax.Array  # the first time at which rates were refused for each reason
    shown: Any  # of the progress bar


class Tableau(NamedTuple):
    """A Runge-Kutta method: nodes (s,), a strictly lower matrix (s, s), its diagonal entry, weights, error weights."""

    nodes: np.ndarray
    lower: np.ndarray
    diagonal: np.ndarray
    weights: np.ndarray
    error: np.ndarray
    order: int  # of the error estimate, whose size goes as the step to this power

    @classmethod
    def of(cls, tableau, order: int) -> Tableau:
        """That of diffrax, without a last stage that neither the result nor its error uses."""
        used = np.flatnonzero((tableau.b_sol != 0) | (tableau.b_error != 0)).max() + 1
        nodes = np.concatenate([[0.0], tableau.c])[:used]
        lower = np.zeros((used, used))
        for k, row in enumerate(tableau.a_lower[: used - 1]):
            lower[k + 1, : len(row)] = row
        diagonal = np.zeros(used) if tableau.a_diagonal is None else np.asarray(tableau.a_diagonal)[:used]
        return cls(nodes, lower, diagonal, np.asarray(tableau.b_sol)[:used], np.asarray(tableau.b_error)[:used], order)


def one_step(tableau: Tableau, act: Callable, solve: Callable, generators, x, h):
    """The state after a step h, and the estimate of its error.

    Args:
        act: (generator, x) -> G x. solve: (generator, c, x) -> (1 - c G)^-1 x.
        generators: at the nodes, a tree of arrays with that leading axis.
    """
    implicit = bool(np.any(tableau.diagonal))

    # A loop over the stages: written out, Dopri8's thirteen took three times as long to compile.
    def stage(slopes, given):
        k, row, c, here = given
        y = x + h * (row @ slopes)
        if implicit:
            y = solve(here, h * c, y)
        return slopes.at[k].set(act(here, y)), None

    rows = (np.arange(len(tableau.nodes)), tableau.lower, tableau.diagonal, generators)
    slopes, _ = lax.scan(stage, jnp.zeros((len(tableau.nodes), *x.shape)), rows)
    return x + h * (tableau.weights @ slopes), h * (tableau.error @ slopes)


# A step is coded in one byte: the rest of its piece, half of it, or 2^(k//4) (1 + (k % 4)/4) / 2^32 of the piece. So a plan
# is short, and whoever follows it takes the very same steps. Recomputed in the reverse pass of a derivative instead,
# where the compiler orders sums in another way, steps came out differently in rounding, one was accepted here and
# rejected there, and the gradient was wrong by 1e-3 beside a right value.
_REST_OF_IT, _HALF_OF_IT = -1, -2
_FINEST = 32


def _coded(part):
    """The code of a step of at most this part of its piece."""
    mantissa, exponent = jnp.frexp(jnp.maximum(part, 2.0**-_FINEST))
    return (4 * (exponent - 1 + _FINEST) + jnp.floor(8 * mantissa).astype(int) - 4).astype(jnp.int8)


def _part(code, done):
    """The part of its piece that a step takes, after `done` of it."""
    code = code.astype(int)
    regular = jnp.ldexp(1.0 + (code % 4) / 4, code // 4 - _FINEST)
    return jnp.where(code == _REST_OF_IT, 1 - done, jnp.where(code == _HALF_OF_IT, (1 - done) / 2, regular))


def plan(
    state: Plan,
    first,
    last,
    *,
    tableau: Tableau,
    generator: Callable,
    direction,
    numbers,
    act: Callable,
    solve: Callable,
    longest: Callable,
    faults: Callable,
    rtol,
    atol,
    max_steps: int,
    tick: Callable,
) -> Plan:
    """Find the steps from `first` to `last`, between which the generator is smooth. Nothing of this is differentiated.

    Args:
        generator: (t, numbers) -> G(t), a tree. direction: the tangent's, in the numbers.
        longest: t -> the longest step from there. faults: times -> the first of them at which rates are refused for each
            reason. tick: (shown, t) -> shown.
    """
    length = last - first

    def unfinished(carry):
        done, s = carry
        return (done < 1) & ~s.stuck & (s.used + s.rejected < max_steps)

    def body(carry):
        done, s = carry
        # Nudged, so that what is equal but for rounding is taken as equal.
        wanted = jnp.minimum(s.step, longest(first + done * length)) / jnp.where(length > 0, length, 1.0) * (1 + 1e-9)
        code = jnp.where(wanted >= (1 - done) / 2, jnp.int8(_HALF_OF_IT), _coded(wanted))  # no sliver at the end
        code = jnp.where(wanted >= 1 - done, jnp.int8(_REST_OF_IT), code)
        part = _part(code, done)
        h, nodes = part * length, first + (done + part * tableau.nodes) * length
        here, moved = jax.jvp(lambda n: jax.vmap(lambda t: generator(t, n))(nodes), (numbers,), (direction,))
        (y, error), (change, change_error) = jax.jvp(
            lambda g, x: one_step(tableau, act, solve, g, x, h), (here, s.x), (moved, s.tangent)
        )
        scale = atol + rtol * jnp.maximum(jnp.abs(s.x), jnp.abs(y))
        size = jnp.max(jnp.abs(change))
        tangent_scale = (rtol + atol) * jnp.maximum(size, _REST * s.largest)
        ratio = jnp.max(jnp.abs(error) / scale)
        ratio = jnp.maximum(ratio, jnp.max(jnp.abs(change_error)) / jnp.maximum(tangent_scale, 1e-300))
        good = ratio <= 1
        factor = _SAFETY * jnp.maximum(ratio, 1e-30) ** (-1 / tableau.order)
        factor = jnp.where(jnp.isfinite(ratio), jnp.clip(factor, _LEAST, _MOST), _LEAST)
        # A step cut short says nothing against the longer one before it.
        step = jnp.where(good & (h < s.step), jnp.maximum(h * factor, jnp.minimum(s.step, h * factor * _MOST)), h * factor)
        done = jnp.where(good, jnp.where(code == _REST_OF_IT, 1.0, done + part), done)
        return done, Plan(
            codes=s.codes.at[s.used].set(jnp.where(good, code, s.codes[s.used])),
            used=s.used + good,
            x=jnp.where(good, y, s.x),
            tangent=jnp.where(good, change, s.tangent),
            largest=jnp.where(good, jnp.maximum(size, s.largest), s.largest),
            step=step,
            rejected=s.rejected + ~good,
            stuck=~good & (part <= 2.0**-_FINEST),
            faults=jnp.minimum(s.faults, faults(nodes)),
            shown=tick(s.shown, first + done * length),
        )

    done, state = lax.while_loop(unfinished, body, (jnp.where(length > 0, 0.0, 1.0), state))
    return state._replace(stuck=state.stuck | (done < 1))


def follow(x, first, last, codes, between, *, tableau: Tableau, generator: Callable, act: Callable, solve: Callable, loop: Callable):
    """The state at `last`, by the steps codes[between[0]:between[1]] of a plan.

    Args:
        generator: t -> G(t), a tree. loop: `eqxi.while_loop` with its kind.
    """
    length = last - first

    def unfinished(carry):
        return carry[0] < between[1]

    def body(carry):
        k, done, x = carry
        part = _part(codes[k], done)
        nodes = first + (done + part * tableau.nodes) * length
        x, _ = one_step(tableau, act, solve, jax.vmap(generator)(nodes), x, part * length)
        return k + 1, done + part, x

    return loop(unfinished, body, (between[0], jnp.zeros(()), x))[2]
