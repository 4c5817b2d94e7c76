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

# A step shorter than this part of its piece is none: the generator is not finite there.
_SHORTEST = 1e-13


class Progress(NamedTuple):
    """Where the integration is."""

    x: jax.Array
    tangent: jax.Array
    largest: jax.Array  # the largest entry that the tangent has had
    step: jax.Array  # the length of the next step [time]
    accepted: jax.Array
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


def advance(
    state: Progress,
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
    loop: Callable,
    max_steps: int,
    tick: Callable,
) -> Progress:
    """Follow the state from `first` to `last`, between which the generator is smooth.

    Args:
        generator: (t, numbers) -> G(t), a tree. direction: the tangent's, in the numbers.
        longest: t -> the longest step from there. faults: times -> the first of them at which rates are refused for each reason.
        loop: `eqxi.while_loop` with its kind. tick: (shown, t) -> shown.
    """
    length = last - first
    frozen = lax.stop_gradient

    def unfinished(carry):
        done, s = carry
        return (done < 1) & ~s.stuck & (s.accepted + s.rejected < max_steps)

    def body(carry):
        done, s = carry
        rest = (1 - done) * frozen(length)
        wanted = jnp.minimum(s.step, longest(frozen(first + done * length)))
        final = wanted >= rest
        wanted = jnp.where(final, rest, jnp.minimum(wanted, rest / 2))  # no sliver at the end
        part = frozen(jnp.where(final, 1 - done, wanted / jnp.where(length > 0, length, 1.0)))
        h, nodes = part * length, first + (done + part * tableau.nodes) * length

        def generators(numbers, nodes=nodes):
            return jax.vmap(lambda t: generator(t, numbers))(nodes)

        here, moved = jax.jvp(lambda n: generators(n, frozen(nodes)), (frozen(numbers),), (direction,))
        y, error = one_step(tableau, act, solve, generators(numbers), s.x, h)
        _, (change, change_error) = jax.jvp(
            lambda g, x: one_step(tableau, act, solve, g, x, frozen(h)), (here, frozen(s.x)), (moved, s.tangent)
        )
        scale = atol + rtol * jnp.maximum(jnp.abs(s.x), jnp.abs(y))
        size = jnp.max(jnp.abs(change))
        tangent_scale = (rtol + atol) * jnp.maximum(size, _REST * s.largest)
        ratio = jnp.max(jnp.abs(error) / scale)
        ratio = frozen(jnp.maximum(ratio, jnp.max(jnp.abs(change_error)) / jnp.maximum(tangent_scale, 1e-300)))
        good = ratio <= 1
        factor = _SAFETY * jnp.maximum(ratio, 1e-30) ** (-1 / tableau.order)
        factor = jnp.where(jnp.isfinite(ratio), jnp.clip(factor, _LEAST, _MOST), _LEAST)
        length_now = frozen(h)
        # A step cut short says nothing against the longer one before it.
        step = length_now * factor
        step = jnp.where(good & (length_now < s.step), jnp.maximum(step, jnp.minimum(s.step, step * _MOST)), step)
        done = jnp.where(good, jnp.where(final, 1.0, done + part), done)
        keep = lambda new, old: jnp.where(good, new, old)  # noqa: E731
        return done, Progress(
            x=keep(y, s.x),
            tangent=frozen(keep(change, s.tangent)),
            largest=frozen(keep(jnp.maximum(size, s.largest), s.largest)),
            step=frozen(step),
            accepted=s.accepted + good,
            rejected=s.rejected + ~good,
            stuck=~good & (part < _SHORTEST),
            faults=jnp.minimum(s.faults, faults(frozen(nodes))),
            shown=tick(s.shown, frozen(first + done * length)),
        )

    done, state = loop(unfinished, body, (jnp.where(frozen(length) > 0, 0.0, 1.0), state))
    return state._replace(stuck=state.stuck | (done < 1))
