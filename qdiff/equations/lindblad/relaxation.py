"""How a state relaxes: the slowest modes of a generator, and the time until it is stationary."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...linalg import double_double, eigenpair, expm
from ...operators.operator import Operator
from ...operators.pattern import diagonal
from .eigenbasis import eigenvalues
from .integrators import Flow
from .reach import reach
from .sector import Sector
from .solver import matrix
from .states import density_matrix
from .steady import State, steady_state
from .terms import AbstractTerms

# The time is looked for on grids of so many points, each within one interval of the last: over ten decades first, then to
# a part in 64^4 = 2e7.
_POINTS, _ROUNDS = 65, 5

# Eigenvalues closer than this to the next one, relative to the largest, have no derivative that rounding leaves right.
_SIMPLE = 1e-11

# Rates below this, relative to the largest eigenvalue, are rounding.
_UNDAMPED = 1e-14


class Relaxation(eqx.Module):
    """How a state relaxes.

    Attributes:
        gap: the slowest decay rate of the sector; infinite where nothing in it moves [rate].
        rates, frequencies: decay rates and angular frequencies of the slowest modes, (count,) each, slowest first;
            a mode goes as exp(-(rate + i frequency) t), and those with a frequency come in pairs [rate].
        excitation: how much of each mode the initial state holds, the trace norm of its part in that mode and, for a
            complex one, its partner (count,) [1].
        time: when the trace distance to the stationary state has fallen to `tolerance` for good [1/rate].
        separation: distance of each mode's eigenvalue to the nearest other one over the largest (count,) [1]: where it
            is zero the rates have no derivative, which is NaN then.
        final: the stationary state.
    """

    gap: jax.Array
    rates: jax.Array
    frequencies: jax.Array
    excitation: jax.Array
    time: jax.Array
    separation: jax.Array
    final: State


def relax(generator: AbstractTerms, initial, count: int, tolerance: float) -> Relaxation:
    """See `Lindblad.relax`."""
    if not (isinstance(count, int) and count >= 1):
        raise ValueError(f"count must be a positive integer, but was {count!r}")
    if not 0 < float(tolerance) < 1:
        raise ValueError(f"tolerance must be between 0 and 1, but was {tolerance}")
    if initial is None:
        rho = Operator(diagonal(generator.H.size), jnp.full(generator.H.size, 1 / generator.H.size), generator.space)
        final = steady_state(generator)
    else:
        rho = density_matrix("initial", initial, generator.space, generator.H.size)
        final = steady_state(generator, initial=initial)
    local = generator.into_frame(rho)
    sector = reach(generator, local.pattern)
    end = sector.coordinates(final.sector.operator(final.x, generator.space))
    flow, start = Flow(sector.values(generator), sector), sector.coordinates(local)
    found = _relaxation(flow, start, end, count, float(tolerance), sector.nullity)
    return Relaxation(*found, final)


@eqx.filter_jit
def _relaxation(flow: Flow, x, end, count: int, tolerance: float, nullity: int):
    sector, G = flow.sector, lax.stop_gradient(flow.dense())
    eigenvalue, vector = jnp.linalg.eig(G)
    order = jnp.argsort(jnp.abs(eigenvalue))[nullity:]
    order = order[jnp.argsort(-jnp.real(eigenvalue[order]))][:count]
    apart = jnp.abs(eigenvalue[order, None] - eigenvalue)
    apart = jnp.min(jnp.where(order[:, None] == jnp.arange(sector.size), jnp.inf, apart), axis=1) / jnp.max(jnp.abs(eigenvalue))
    modes = jax.vmap(partial(_mode, sector, flow.values()))(eigenvalue[order], vector[:, order].T, apart > _SIMPLE)
    gap = -jnp.real(modes[0][0]) if order.size else jnp.asarray(jnp.inf)
    pairs = jnp.where(jnp.imag(eigenvalue[order]) != 0, 2.0, 1.0) * jnp.linalg.solve(vector, (x - end).astype(complex))[order]
    held = jax.vmap(lambda c, v: jnp.sum(jnp.abs(eigenvalues(sector.operator(jnp.real(c * v), None)))))(pairs, vector[:, order].T)
    # Of what oscillates undamped nothing arrives, however long one waits: the slowest decay is that of the others.
    damped = -jnp.real(eigenvalue[order]) > _UNDAMPED * jnp.max(jnp.abs(eigenvalue))
    slowest = jnp.min(jnp.where(damped, -jnp.real(eigenvalue[order]), jnp.max(jnp.abs(eigenvalue))), initial=jnp.inf)
    time = _arrival(sector, G, x, end, slowest, tolerance)
    return gap, -jnp.real(modes[0]), -jnp.imag(modes[0]), lax.stop_gradient(held), lax.stop_gradient(time), apart


# ---- modes ----------------------------------------------------------------------------------------------


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _mode(sector, values, eigenvalue, vector, simple):
    """A simple eigenvalue of G and its vector, from approximate ones: (G - l) v = 0 and c^H v = 1 by Newton's method."""
    G = double_double.Conserving(sector, values)
    return eigenpair.refined(matrix(sector, values), eigenvalue, vector, lambda v: G(jnp.real(v)) + 1j * G(jnp.imag(v)), simple)


@_mode.defjvp
def _mode_jvp(sector, primals, tangents):
    values, eigenvalue, vector, simple = primals
    lam, v = _mode(sector, *primals)
    c = vector.conj() / (vector.conj() @ vector)
    moved = jnp.zeros(sector.size, complex).at[sector.target].add(tangents[0] * v[sector.source])
    change = jnp.linalg.solve(eigenpair.bordered(matrix(sector, values), lam, v, c), -jnp.append(moved, 0.0))
    change = change * jnp.where(simple, 1.0, jnp.nan)
    return (lam, v), (change[-1], change[:-1])


# ---- time -----------------------------------------------------------------------------------------------


def _arrival(sector: Sector, G, x, end, gap, tolerance):
    """The time from which on the trace distance is within the tolerance; infinite if there is none.

    It never grows under an equation that keeps states positive, but may where it does not.
    """
    number = jnp.arange(1, _POINTS + 1)

    def far(times):
        states, _ = expm.propagate(G, x, times, sector.trace_weights, len(sector.bands))
        return jax.vmap(lambda y: jnp.sum(jnp.abs(eigenvalues(sector.operator(y - end, None)))) / 2 > tolerance)(states.T)

    def closer(between, _):
        times, _ = between
        k = jnp.max(jnp.where(far(times), number, 0))
        inside = jnp.clip(k, 1, _POINTS - 1)
        return (jnp.linspace(times[inside - 1], times[inside], _POINTS), times[inside]), k

    # Modes that are far from orthogonal delay the decay; 40 lifetimes beyond make up for factors up to 1e17.
    longest = jnp.where(gap < jnp.inf, (40 - jnp.log(tolerance)) / gap, 1.0)
    times = jnp.concatenate([jnp.zeros(1), jnp.geomspace(longest * 1e-10, longest, _POINTS - 1)])
    (_, time), k = lax.scan(closer, (times, longest), length=_ROUNDS)
    return jnp.where(k[0] == 0, 0.0, jnp.where(k[0] == _POINTS, jnp.inf, time))
