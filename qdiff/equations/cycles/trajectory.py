"""Selective measurements: single runs of a cycle, with the record of their outcomes."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...operators.checks import count as checked_count
from ...operators.checks import instance, known, real_array
from ...results import Failure, check
from ..lindblad.states import density_matrix
from .cycle import Cycle
from .limit_cycle import energies, what_is_undefined
from .strokes import Measurement


class Trajectories(eqx.Module):
    """Runs of a cycle with selective measurements. The last axis counts the measurements of one cycle and is left out if
    there is one.

    Attributes:
        outcome: (runs, cycles), the number of the outcome, in the order of `values`; -1 in all of a batch's runs that are not
            defined, where `failures("nan")` asks for no error.
        probability: (runs, cycles), what it had.
        given: (runs, cycles), the energy that the unselective measurement of the state of that run would give [energy].
        jump: (runs, cycles), the energy after the measurement less that before it [energy].
        values: for each measurement of one cycle the values that its outcomes stand for, ascending.
    """

    outcome: jax.Array
    probability: jax.Array
    given: jax.Array
    jump: jax.Array
    values: tuple[tuple[float, ...], ...] = eqx.field(static=True)


def trajectories(cycle: Cycle, key, cycles: int, count: int, initial) -> Trajectories:
    """Many runs of a cycle with selective measurements, in one batch.

    Args:
        cycle: with at least one `Measurement`. key: a JAX random key, or an integer seed.
        cycles: how many cycles. count: how many runs. initial: the state they begin with, as for `evolve`.

    Returns:
        `Trajectories`; the same for the same key, whatever the machine's number of cores.

    Raises:
        ValueError, TypeError: an argument is not what it must be.
    """
    instance("cycle", cycle, Cycle)
    cycles, count = checked_count("cycles", cycles, 1), checked_count("count", count, 1)
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        key = jax.random.key(key)
    elif not (isinstance(key, jax.Array) and (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == np.uint32)):
        raise TypeError(f"key must be an integer or a JAX random key, but was {key!r}")
    return _run(cycle, density_matrix("initial", initial, cycle.space, cycle.dim), (key, None), cycles, count)


def replay(cycle: Cycle, uniforms, initial) -> Trajectories:
    """One run with given random numbers.

    Args:
        uniforms: between 0 and 1, (cycles,), or (cycles, measurements) if one cycle has several. At each measurement the
            probabilities are added up from the largest value down, and the first sum above the number is the outcome.

    Raises:
        ValueError: they have another shape, or are not between 0 and 1; at run time, where they are traced.
    """
    measurements = _measurements(instance("cycle", cycle, Cycle))
    u = real_array("uniforms", uniforms)
    if known(u) and not np.all(((v := np.asarray(u)) >= 0) & (v <= 1)):
        raise ValueError(f"{_BETWEEN.sentence}, but has {v.min():g} to {v.max():g}")
    u = u[:, None] if u.ndim == 1 and measurements == 1 else u
    if u.ndim != 2 or u.shape[1] != measurements or not len(u):
        raise ValueError(f"uniforms must have shape (cycles, {measurements}), but has shape {np.shape(uniforms)}")
    return _run(cycle, density_matrix("initial", initial, cycle.space, cycle.dim), (None, u), len(u), 1)


_BETWEEN = Failure("uniforms must be numbers between 0 and 1", ValueError)


def _measurements(cycle: Cycle) -> int:
    count = sum(isinstance(s, Measurement) for s in cycle.strokes)
    if not count:
        raise ValueError("the cycle must have a Measurement for its outcomes to be followed, but has none")
    return count


def _run(cycle: Cycle, rho, source, cycles: int, count: int) -> Trajectories:
    number = _measurements(cycle)
    coordinates = cycle.coordinates(rho)
    parts, trace = cycle.parts(coordinates), coordinates.trace_weights
    steps = []
    for stroke, part, (e, _) in zip(cycle.strokes, parts, energies(cycle, coordinates), strict=True):
        reading = stroke.readings(coordinates) if isinstance(stroke, Measurement) else None
        steps.append((part.change, reading, e))

    values = tuple(s.outcomes for s in cycle.strokes if isinstance(s, Measurement))
    outcome, p, given, jump = _followed(steps, coordinates.coordinates(rho), trace, source, number, cycles, count)
    u = source[1]
    outside = jnp.zeros((), bool) if u is None else ~jnp.all((u >= 0) & (u <= 1))
    mark = check(jnp.ones(()), *what_is_undefined(cycle, parts), (outside, _BETWEEN))
    outcome = jnp.where(jnp.isnan(mark), jnp.int8(-1), outcome)
    return Trajectories(outcome, p * mark, given * mark, jump * mark, values)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _followed(steps, start, trace, source, number: int, cycles: int, count: int):
    key, given = source
    n = start.size

    def one(X, inputs):
        key, given = inputs
        # Drawn cycle by cycle: all at once they would take as much memory as the result.
        u = jax.random.uniform(key, (number, count)) if given is None else given[:, None]
        record = []
        for change, reading, e in steps:
            if reading is None:
                X = X + change @ X
                continue
            K = len(reading)
            after = (reading.reshape(K * n, n) @ X).reshape(K, n, -1)
            P = jnp.einsum("n,knr->kr", trace, after)
            # From the largest value down, as `replay` promises. Compared with u times the total,
            # not u: the probabilities of a state that has rounded add up to nearly one only.
            down = jnp.cumsum(P[::-1], axis=0)
            place = jnp.sum(u[len(record)] * down[-1] >= down[:-1], axis=0) if K > 1 else jnp.zeros(X.shape[1], int)
            outcome = K - 1 - place
            # A masked sum over the few outcomes; picking by index would be a gather for every run.
            chosen = jnp.sum(jnp.where(jnp.arange(K)[:, None, None] == outcome, after, 0.0), axis=0)
            p = jnp.sum(jnp.where(jnp.arange(K)[:, None] == outcome, P, 0.0), axis=0)
            chosen = chosen / (trace @ chosen)
            # One byte for each outcome: there are as many as runs times cycles.
            record.append((outcome.astype(jnp.int8), p / down[-1], (e @ change) @ X, e @ chosen - e @ X))
            X = chosen
        return X, jax.tree.map(lambda *a: jnp.stack(a, -1), *record) if number > 1 else record[0]

    inputs = (None if key is None else jax.random.split(key, cycles), given)
    _, found = lax.scan(one, jnp.broadcast_to(start[:, None], (n, count)), inputs)
    return tuple(jnp.swapaxes(f, 0, 1) for f in found)
