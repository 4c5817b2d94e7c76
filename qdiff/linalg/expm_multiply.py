"""exp(G t) x for a large sparse G: short Taylor steps, as many as the norm of G t asks for."""

from __future__ import annotations

import equinox.internal as eqxi
import jax.numpy as jnp
import numpy as np
from jax import lax

from .gather import product, sum_into
from .places import Places

# The norm of G h of one step, and the degree of its series: the remainder, 4^31/31!, is 6e-16, and the terms are at
# most 11 times the result, so that cancellation costs one digit.
_STEP = 4.0
_DEGREE = 30


def steps_of(places: Places, values, time):
    """How many steps `act` takes for a time."""
    return jnp.ceil(lax.stop_gradient(_scale(places, values)[1] * time / _STEP))


def act(places: Places, values, x, time, kind: str, most: int, tick):
    """exp(G time) x (n,), and the state of `tick`.

    Args:
        kind: "lax" for a loop that can be differentiated forward, "checkpointed" for one that can be in reverse.
        most: bound on the number of steps.
        tick: (state, advance) with advance(state) -> state called in every step.
    """
    shift, _ = _scale(places, values)
    count = jnp.maximum(steps_of(places, values, time), 1.0)
    h = time / count
    state, advance = tick

    def step(carry):
        k, x, state = carry

        def add(j, sums):
            out, term = sums
            term = (product(places, values, term) + shift * term) * (h / (j + 1))
            return out + term, term

        out, _ = lax.fori_loop(0, _DEGREE, add, (x, x))
        return k + 1, out * jnp.exp(-shift * h), advance(state)

    def unfinished(carry):
        return carry[0] < count

    _, x, state = eqxi.while_loop(unfinished, step, (jnp.zeros(()), x, state), max_steps=most, kind=kind)  # pyright: ignore[reportArgumentType]
    return x, state


def norm(places: Places, values):
    """The largest absolute sum of a column of G."""
    return lax.stop_gradient(jnp.max(sum_into(jnp.abs(values), places.source, places.size)))


def _scale(places: Places, values):
    """The shift s that halves the fastest decay, and the norm of G + s."""
    # Shifted by half its fastest decay, a generator of pure decay lies evenly around zero, and
    # needs half as many steps; the shift is put back by one exponential.
    on = np.flatnonzero(places.target == places.source)
    shift = lax.stop_gradient(-jnp.min(values[on], initial=0.0) / 2)
    off = np.flatnonzero(places.target != places.source)
    diagonal = jnp.zeros(places.size).at[places.source[on]].set(values[on]) + shift
    columns = jnp.abs(diagonal) + sum_into(jnp.abs(values[off]), places.source[off], places.size)
    return shift, lax.stop_gradient(jnp.max(columns))
