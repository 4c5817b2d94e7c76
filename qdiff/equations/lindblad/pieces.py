"""A generator that depends on time, piece by piece: between its jumps and kinks, and the times that are asked for.

On each piece the answers of the generator's switches are those at its middle, so that what is integrated is smooth up
to both ends and beyond. The ends move with the parameters that they depend on, and so do the derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox.internal as eqxi
import jax
import jax.numpy as jnp
from jax import lax

from . import resolution
from .corners import corners
from .flow import Flow
from .switches import CURVE


class Cut(NamedTuple):
    """The time from start to end in smooth pieces, none of which holds a time that is asked for.

    Attributes:
        edges: the ends of the pieces, in order (pieces + 1,).
        at: which of them are the times that are asked for (k,).
        missed: whether there were more jumps than fit.
    """

    edges: jax.Array
    at: jax.Array
    missed: jax.Array

    @classmethod
    def of(cls, flow: Flow, start, times, jumps) -> Cut:
        ends, missed = _corners(flow, start, times, jumps)
        edges = jnp.sort(jnp.concatenate([ends, times]))
        return cls(edges, jnp.searchsorted(edges, times, side="right") - 1, missed)

    def asked(self, kept):
        """What was kept at the times that are asked for."""
        return jax.tree.map(lambda a: a[self.at], kept)


def _corners(flow: Flow, start, times, jumps):
    """The ends of all smooth pieces, in order, and whether there were more than fit."""
    end = times[-1]
    inside = jnp.clip(jumps, start, end)
    if flow.program is None:
        return jnp.sort(jnp.concatenate([start[None], inside, end[None]])), jnp.zeros((), bool)
    found, missed = corners(flow.program, flow.numbers, start, end, flow.room)
    return jnp.sort(jnp.concatenate([found, inside])), missed


def over_pieces(flow: Flow, cut: Cut, state, read: Callable, advance: Callable, given=None):
    """Take a state through all pieces.

    Args:
        state: a tree. read: makes of it what is kept at each edge.
        advance: (state, first, last, answers, given) -> state at the end of a piece; of `given`, a tree of arrays
            (pieces, ...), the part of this piece.

    Returns:
        The last state; what was read at every edge; and the first time at which rates were refused for each reason.
    """
    reasons = len(flow.reasons)

    def piece(state, here):
        first, last, mine = here
        middle = (first + last) / 2
        answers = None if flow.program is None else flow.program.answers(middle, flow.numbers)

        def go(state):
            wrong = jnp.where(flow.faults(middle, answers) & _long(first, last), middle, jnp.inf)
            return advance(state, first, last, answers, mine), lax.stop_gradient(wrong)

        # One answer for a whole batch, in which a piece may be empty for some: a loop that is differentiated in reverse
        # must have as many steps as its batch.
        some = eqxi.unvmap_any(_long(first, last))
        state, wrong = lax.cond(some, go, lambda s: (s, jnp.full(reasons, jnp.inf)), state)
        return state, (read(state), wrong)

    out, (kept, wrong) = lax.scan(piece, state, (cut.edges[:-1], cut.edges[1:], given))
    kept = jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), read(state), kept)
    return out, kept, jnp.min(wrong, axis=0)


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
