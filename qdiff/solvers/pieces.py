"""A generator that depends on time, piece by piece: between its jumps and kinks, and the times that are asked for.

On each piece the answers of the generator's switches are those at its middle, so that what is integrated is smooth up
to both ends and beyond. The ends move with the parameters that they depend on, and so do the derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox.internal as eqxi
import jax
import jax.numpy as jnp
from jax import lax

from . import resolution
from .corners import corners
from .switches import CURVE

if TYPE_CHECKING:
    from .integrators import Flow


class Found(NamedTuple):
    """The first time at which rates were refused for each reason, and whether there were more jumps than fit."""

    faults: jax.Array
    missed: jax.Array


def _corners(flow: Flow, start, times, jumps):
    """The ends of all smooth pieces, in order, and whether there were more than fit."""
    end = times[-1]
    inside = jnp.clip(jumps, start, end)
    if flow.program is None:
        return jnp.sort(jnp.concatenate([start[None], inside, end[None]])), jnp.zeros((), bool)
    found, missed = corners(flow.program, flow.numbers, start, end, flow.room)
    return jnp.sort(jnp.concatenate([found, inside])), missed


def over_pieces(flow: Flow, state, start, times, jumps, read: Callable, advance: Callable):
    """Take a state through all pieces.

    Args:
        state: a tree. read: makes of it what is kept at each of the sorted times (k,).
        advance: (state, first, last, answers) -> state at the end of a piece.

    Returns:
        The last state, what was read, `Found`.
    """
    ends, missed = _corners(flow, start, times, jumps)
    edges = jnp.sort(jnp.concatenate([ends, times]))
    reasons = len(flow.reasons)

    def piece(state, edge):
        first, last = edge
        middle = (first + last) / 2
        answers = None if flow.program is None else flow.program.answers(middle, flow.numbers)

        def go(state):
            wrong = jnp.where(flow.faults(middle, answers) & _long(first, last), middle, jnp.inf)
            return advance(state, first, last, answers), lax.stop_gradient(wrong)

        # One answer for a whole batch, in which a piece may be empty for some: a loop that is differentiated in reverse
        # must have as many steps as its batch.
        state, wrong = lax.cond(eqxi.unvmap_any(_long(first, last)), go, lambda s: (s, jnp.full(reasons, jnp.inf)), state)
        return state, (read(state), wrong)

    out, (kept, wrong) = lax.scan(piece, state, (edges[:-1], edges[1:]))
    at = jnp.searchsorted(edges, times, side="right") - 1
    saved = jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest])[at], read(state), kept)
    return out, saved, Found(jnp.min(wrong, axis=0), missed)


def _long(first, last):
    """Whether a piece is more than the rounding of one end that was computed in two ways."""
    return last - first > 16 * jnp.finfo(float).eps * jnp.maximum(jnp.abs(first), jnp.abs(last))


def with_direction(flow: Flow) -> tuple[Flow, Any]:
    """The flow, prepared, and a random direction of all that it depends on."""
    direction, program = resolution.random_direction(flow.numbers), flow.program
    if program is None:
        return flow, direction
    along = jax.jvp(lambda inputs: program.prepared(inputs.numbers), (flow.numbers,), (direction,))[1]
    return flow.prepared(), lax.stop_gradient(along)


class Bounds(NamedTuple):
    """How far steps may go, on every smooth piece; no bounds where the generator is a straight line at most."""

    ends: jax.Array
    limits: resolution.Limits | None
    rough: jax.Array
    where: jax.Array

    @classmethod
    def of(cls, flow: Flow, start, times, jumps, direction) -> Bounds:
        """From the generator's own shape, and that of its derivative along `direction`."""
        program = flow.program
        if program is None or program.level < CURVE:
            return cls(jnp.zeros(0), None, jnp.zeros((), bool), jnp.asarray(jnp.inf))
        flow, start, times, jumps = lax.stop_gradient((flow, start, times, jumps))
        ends, _ = _corners(flow, start, times, jumps)
        pieces, entries = ends.size - 1, flow.sector.target.size
        points = resolution.points_for(pieces, entries)

        def look(edge):
            first, last = edge
            answers = program.answers((first + last) / 2, flow.numbers)
            seen = resolution.features(lambda t, n: flow.values(t, n, answers), flow.numbers, direction)
            none = jax.eval_shape(lambda: resolution.limits(seen, entries, first, last, points))
            return lax.cond(
                _long(first, last),
                lambda: resolution.limits(seen, entries, first, last, points),
                lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), none),
            )

        limits = lax.map(look, (ends[:-1], ends[1:]))
        worst = jnp.argmax(limits.rough)
        return cls(ends, limits, jnp.any(limits.rough), limits.where[worst])

    def longest_step(self, middle, t):
        """The longest step from time t, on the piece that holds `middle`."""
        if self.limits is None:
            return jnp.inf
        here = jnp.clip(jnp.searchsorted(self.ends, middle, side="right") - 1, 0, self.ends.size - 2)
        bounds = jax.tree.map(lambda x: x[here], self.limits)
        return resolution.longest_step(bounds, self.ends[here], self.ends[here + 1], t)
