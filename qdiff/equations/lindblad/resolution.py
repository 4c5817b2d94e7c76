"""How far a step may go through a smooth function of time, so that nothing in it is stepped over.

An adaptive step is as long as its error estimate allows, and the estimate sees the generator at a few times only: where
nothing happens the steps grow, until one of them passes over a whole pulse. The function is therefore looked at on
a fine grid beforehand, together with its derivative in a random direction of what it depends on, which shows a pulse
of amplitude zero too. Where it bends by its own range within a time 1/k, no step may reach further than a few 1/k.
What the grid itself does not resolve is reported: a peak between three neighbours, or a jump that no switch shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

# Points on all smooth pieces together, and the fewest on one of them.
POINTS = 2**15
_FEWEST = 64

# Work is bounded: so many entries of the generator are computed at once, and in all.
_AT_ONCE, _IN_ALL = 2**20, 2**26

# Neighbouring points share one bound.
_BLOCK = 16

# A step reaches over that many times the inverse of the local curvature scale. 2 is about what a step of order 8
# takes of a sine at a tolerance of 1e-8, so that the bound does not slow down what is resolved anyway.
_REACH = 2.0

# Fourth differences over second ones: 3 for a jump or a peak on one point, 2 for a kink (which the error estimate
# handles, because the function stays near it), below 2.5 for a Gaussian of 0.7 grid spacings and wider.
_ROUGH = 2.5

# A feature counts above this part of its range.
_SEEN = 1e-9


class Limits(NamedTuple):
    """Bounds on steps within one smooth piece: by blocks of its grid."""

    local: Float[Array, "blocks"]  # the longest step from here, by what is here
    ahead: Float[Array, "blocks"]  # the latest time that may be reached from before this block
    rough: Bool[Array, ""]  # whether the grid does not resolve the function
    where: Float[Array, ""]  # at what time


def points_for(pieces: int, entries: int) -> int:
    """How many points one of so many pieces is given, for so many entries of the generator."""
    whole = min(POINTS, max(_IN_ALL // max(entries, 1), 1024))
    return -(-max(whole // max(pieces, 1), _FEWEST) // _BLOCK) * _BLOCK


def limits(function: Callable, entries: int, first, last, points: int) -> Limits:
    """The bounds for `function`, of time to (features,), between two times.

    Not differentiated: steps are where they are.
    """
    spacing = (last - first) / points
    times = first + spacing * jnp.arange(points + 1)
    seen = lax.map(function, times, batch_size=int(np.clip(_AT_ONCE // max(entries, 1), 16, 4096)))
    seen = jnp.where(jnp.isfinite(seen), seen, 0.0)
    spread = jnp.max(jnp.abs(seen - seen[0]), axis=0)
    # Of the values, and of the times at which they are.
    steepest = jnp.max(jnp.abs(jnp.diff(seen, axis=0)), axis=0) / jnp.where(spacing > 0, spacing, 1.0)
    size = jnp.max(jnp.abs(seen), axis=0) + steepest * jnp.maximum(jnp.abs(first), jnp.abs(last))
    rounding = 64 * np.finfo(float).eps * size
    moves = spread > 100 * rounding
    scale = jnp.where(moves, spread, 1.0)
    second = _second(seen)
    fourth = jnp.abs(_second(second))
    near = jnp.max(jnp.abs(jnp.stack([second[:-2], second[1:-1], second[2:]])), axis=0)
    rough = jnp.any(moves & (fourth > _ROUGH * near) & (fourth > _SEEN * spread + rounding), axis=1)
    bend = jnp.max(jnp.where(moves, jnp.abs(second), 0.0) / scale, axis=1)
    # The bend of a point counts for the cells on both sides.
    bend = jnp.concatenate([bend[:1], jnp.maximum(bend[:-1], bend[1:]), bend[-1:]])
    rate = jnp.sqrt(jnp.max(bend.reshape(-1, _BLOCK), axis=1))
    local = _REACH * spacing / jnp.maximum(rate, 1e-150)
    begins = times[:-1:_BLOCK]
    ahead = lax.cummin(begins + local, reverse=True)
    return Limits(local, ahead, jnp.any(rough), times[2 + jnp.argmax(rough)])


def _second(x):
    return x[2:] - 2 * x[1:-1] + x[:-2]


def longest_step(bounds: Limits, first, last, t):
    """The longest step from time t of the piece between first and last."""
    blocks = bounds.local.shape[0]
    width = (last - first) / blocks
    here = jnp.clip(jnp.floor((t - first) / jnp.where(width > 0, width, 1.0)), 0, blocks - 1).astype(int)
    later = jnp.where(here + 1 < blocks, bounds.ahead[jnp.minimum(here + 1, blocks - 1)] - t, jnp.inf)
    return jnp.minimum(bounds.local[here], later)


def features(function: Callable, numbers, direction) -> Callable:
    """What `limits` looks at: a few fixed combinations of function(t, numbers), and of its derivative along `direction`."""

    def seen(t):
        value, slope = jax.jvp(lambda n: function(t, n), (numbers,), (direction,))
        return jnp.concatenate([_combined(value), _combined(slope)])

    return seen


def _combined(x):
    if x.size <= 8:
        return x
    weight = np.random.default_rng(x.size).normal(size=(8, x.size))
    return weight @ x


def random_direction(numbers):
    """A direction in which no parameter stands still: of magnitude one half to three halves in every number."""
    rng = np.random.default_rng(5)

    def one(x):
        size = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape)
        return jnp.asarray(size * np.exp(1j * rng.uniform(-1, 1, x.shape)) if jnp.iscomplexobj(x) else size, x.dtype)

    return jax.tree.map(one, numbers)
