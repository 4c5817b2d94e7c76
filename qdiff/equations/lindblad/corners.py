"""The times at which a function of time jumps or kinks, from the switches of its program.

A switch whose argument is a straight line in time crosses zero (or integers) at times that are known exactly, with
their derivatives: no feature between two comparisons can be too short to be seen. A switch of a curved argument, such
as cos(t) > 0, is looked at on a grid and its crossings are bisected: two crossings within one of its cells are missed.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from ...results import Failure
from .switches import LINE, Inputs, Program, Switch

# Points at which curved arguments are looked at, and the most crossings of one of them.
GRID = 4096
_CURVED = 512

# The most crossings of integers where their number cannot be known while tracing.
_UNKNOWN = 256

TOO_MANY = Failure(
    "the generator jumps too often for the room that was set aside: give the times, and what the jumps depend on, as known "
    "numbers and not as traced ones"
)


def rooms(program: Program, numbers, start, end) -> tuple[int | None, ...]:
    """How many crossings of integers each switch needs room for, as far as the numbers are known while tracing.

    Unknown numbers are replaced by NaN: what comes out as a number does not depend on them.
    """
    if not any(s.integers and s.level == LINE for s in program.kinds):
        return (None,) * len(program.kinds)
    found: list[int | None] = [None] * len(program.kinds)
    with jax.ensure_compile_time_eval():
        known = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype) if isinstance(x, Tracer) else x, numbers)
        first, last = (jnp.asarray(jnp.nan if isinstance(t, Tracer) else t, float) for t in (start, end))
        if not program.has_traced_constants:
            _corners(program, Inputs(known), first, last, found, True)
    return tuple(found)


def corners(program: Program, inputs: Inputs, start, end, room):
    """The corners of a program between two times, in ascending order.

    Args:
        room: as `rooms` returns it.

    Returns:
        times (m,), start and end among them, which fill what is not needed; and whether there were more than fit.
        Differentiable in the inputs, start and end.
    """
    return _corners(program, inputs, start, end, list(room), False)


def _corners(program: Program, inputs: Inputs, start, end, room: list, counting: bool):
    times = jnp.stack([start, end])
    missed = jnp.zeros((), bool)
    for stage in sorted({s.stage for s in program.kinds}):
        found = []
        for k, switch in enumerate(program.kinds):
            if switch.stage == stage and np.prod(switch.argument.shape) > 0:
                more, over = _crossings(program, inputs, times, k, switch, room, counting)
                found.append(more)
                missed |= over
        times = jnp.sort(jnp.concatenate([times, *found]))
    return times, missed


def _crossings(program: Program, inputs: Inputs, times, k: int, switch: Switch, room: list, counting: bool):
    """Where the k-th switch crosses, in each of the cells between `times`: an array filled up with their last."""
    first, last = times[:-1], times[1:]
    middle = (first + last) / 2

    def argument(t, answers):
        return jnp.ravel(program.arguments(t, inputs, answers)[k])

    def looked(middle):
        answers = program.answers(middle, inputs)
        value, slope = jax.jvp(lambda t: argument(t, answers), (middle,), (jnp.ones(()),))
        return answers, value, slope

    answers, value, slope = jax.vmap(looked)(middle)  # (cells, size)
    if switch.level != LINE:
        return _curved(argument, answers, first, last, switch.integers)
    first, middle, last = first[:, None], middle[:, None], last[:, None]
    if not switch.integers:
        root, inside = _root(middle, value, slope, first, last)
        return jnp.where(inside, root, last).ravel(), jnp.zeros((), bool)
    low, count = _integers(value, slope, first, middle, last)
    most = jnp.max(count)
    if counting and jnp.all(jnp.isfinite(count)):
        room[k] = int(most) + 2  # at both ends rounding may find one more, in a compiled program and not here
    size = max(_UNKNOWN // count.shape[0], 2) if room[k] is None else room[k]
    number = (low + 1)[..., None] + jnp.arange(size)
    root, inside = _root(middle[..., None], value[..., None] - number, slope[..., None], first[..., None], last[..., None])
    return jnp.where(inside, root, last[..., None]).ravel(), most > size


def _root(middle, value, slope, first, last):
    """Where a straight line is zero, and whether that is inside the cell."""
    flat = slope == 0
    root = middle - value / jnp.where(flat, 1.0, slope)
    return root, ~flat & (first < root) & (root < last)


def _integers(value, slope, first, middle, last):
    """The largest integer that a straight line does not pass in a cell, and how many it passes."""
    ends = [lax.stop_gradient(value + slope * (t - middle)) for t in (first, last)]
    low, high = jnp.floor(jnp.minimum(*ends)), jnp.ceil(jnp.maximum(*ends))
    return low, jnp.maximum(high - low - 1, 0.0)


def _curved(argument, answers, first, last, integers: bool):
    """Crossings of curved arguments: where neighbouring points of a grid differ, bisected."""
    cells = first.shape[0]
    points = max(GRID // cells, 16)

    def sampled(answers, a, b):
        return jax.vmap(lambda u: argument(a + (b - a) * u, answers))(jnp.linspace(0.0, 1.0, points + 1))

    def side(x):
        return jnp.floor(x) if integers else jnp.sign(x)

    value = lax.stop_gradient(jax.vmap(sampled)(answers, first, last))  # (cells, points + 1, size)
    before, after = side(value[:, :-1]), side(value[:, 1:])
    changed = (before != after) & (last > first)[:, None, None]
    cell, point, entry = jnp.nonzero(changed, size=_CURVED, fill_value=-1)
    level = jnp.where(integers, jnp.maximum(before, after)[cell, point, entry], 0.0)

    def root(cell, point, entry, level):
        mine = jax.tree.map(lambda x: x[cell], answers)
        a, b = first[cell], last[cell]

        def g(t):
            return argument(t, mine)[entry] - level

        def halve(_, between):
            low, high = between
            mid = (low + high) / 2
            same = jnp.sign(g(mid)) == jnp.sign(g(low))
            return jnp.where(same, mid, low), jnp.where(same, high, mid)

        width = (b - a) / points
        between = lax.stop_gradient((a + width * point, a + width * (point + 1)))
        t = lax.stop_gradient(lax.fori_loop(0, 60, halve, between)[1])
        value, slope = jax.jvp(g, (t,), (jnp.ones(()),))
        # The derivative of the crossing, at no change of its value.
        step = -(value - lax.stop_gradient(value)) / jnp.where(slope == 0, jnp.inf, slope)
        return jnp.where(cell >= 0, t + step, jnp.max(last))

    return jax.vmap(root)(cell, point, entry, level), jnp.sum(changed) > _CURVED
