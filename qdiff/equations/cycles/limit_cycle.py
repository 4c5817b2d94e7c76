"""The limit cycle of a cycle of strokes, and what is exchanged in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...operators.operator import Operator
from ...results import Failure, Found, check, require_float64
from ..lindblad.coordinates import Coordinates
from ..lindblad.sector import Sector
from ..lindblad.solver import matrix
from ..lindblad.terms import refusals
from . import fixed_point
from .sequence import AbstractCycle
from .stroke_maps import FreePart, Part, composed
from .strokes import Free, Measurement, Unitary

# How well a reference must be left as it is, relative to the largest rate.
_STILL = 1e-11


class LimitCycle(eqx.Module):
    """The limit cycle of a `Cycle`. Everything is counted per cycle, positive into the system.

    Attributes:
        x: (strokes, n), the states at the beginning of each stroke, in `coordinates` [1].
        heat: of every bath, the total change of the energy that it causes [energy].
        measured: the energy that the measurements give to the system [energy].
        work: what unitary strokes and changes of the Hamiltonian give [energy].
        imbalance: measured + work + sum of the heats, each from the states directly: zero up to rounding [energy].
        response: K (n, n), with K r the deviation that a push r (n,) of zero trace in every cycle leaves [1].
    """

    cycle: AbstractCycle
    x: jax.Array
    heat: dict[str, jax.Array]
    measured: jax.Array
    work: jax.Array
    imbalance: jax.Array
    response: jax.Array
    integrals: tuple[tuple[jax.Array, jax.Array], ...]
    sectors: tuple[Sector, ...] = eqx.field(static=True)
    coordinates: Coordinates = eqx.field(static=True)

    def rho(self, stroke: int = 0) -> Operator:
        """The density matrix at the beginning of a stroke, numbered from 0."""
        return self.coordinates.operator(self.x[stroke], self.cycle.space)

    def expect(self, op: Operator, stroke: int = 0):
        """Tr[op rho] of a Hermitian operator at the beginning of a stroke [unit of op]."""
        return self.coordinates.covector(op) @ self.x[stroke]

    def exchanged(self, op: Operator) -> dict[str, jax.Array]:
        """What each bath brings of a Hermitian observable, the integral of Tr[op L_b rho] over the cycle [unit of op]."""
        total: dict[str, Any] = dict.fromkeys(self.cycle.labels, 0.0)
        frees = [s for s in self.cycle.strokes if isinstance(s, Free)]
        for free, sector, (moved, still) in zip(frees, self.sectors, self.integrals, strict=True):
            covector = sector.covector(free.generator.into_frame(op))
            brought = sector.act_by_label(free.generator, moved) @ covector
            calm = sector.act_by_label(free.generator, still) @ covector
            for k, label in enumerate(sector.labels):
                at_rest = calm[k] if label in self.cycle.disturbing else 0.0
                total[label] = total[label] + brought[k] + at_rest
        return total

    @property
    def decay(self):
        """1 - lambda of the mode that decays last, lambda its eigenvalue of the map of one cycle, complex [1]."""
        return fixed_point.slowest(self.response)

    @property
    def cycles_to_converge(self):
        """-1/ln|lambda|: the number of cycles in which the slowest deviation falls by e [1]."""
        d = self.decay
        return -2 / jnp.log1p(jnp.real(d) ** 2 + jnp.imag(d) ** 2 - 2 * jnp.real(d))


def limit_cycle(cycle: AbstractCycle) -> LimitCycle:
    """The limit cycle, as `Cycle.steady_state` describes it."""
    require_float64()
    coordinates = cycle.coordinates()
    return limit_in(cycle, coordinates, cycle.parts(coordinates))


def limit_in(cycle: AbstractCycle, coordinates: Coordinates, parts: Sequence[Part]) -> LimitCycle:
    """The limit cycle in given coordinates, from what every stroke does to them."""
    end, (moving, unsolved) = _solved(cycle, parts, coordinates)
    mark = check(jnp.ones(()), *what_is_undefined(cycle, parts), (moving, _MOVING), (unsolved, _NOT_UNIQUE))
    return _marked(end, mark)


def _marked(end: LimitCycle, mark) -> LimitCycle:
    """With NaN in every number, if the solve failed and that is what was asked for."""
    # One factor of one or NaN: under "nan" every number of a failed solve must say so, derivatives
    # too.
    names = ("x", "heat", "measured", "work", "imbalance", "response", "integrals")
    return dataclasses.replace(end, **{name: jax.tree.map(lambda a: a * mark, getattr(end, name)) for name in names})


@partial(jax.jit, static_argnums=2)
def _solved(cycle: AbstractCycle, parts: Sequence[Part], coordinates: Coordinates):
    strokes = cycle.strokes
    count = len(strokes)
    # Cut behind the last measurement, where there is least coherence.
    cut = max((k + 1 for k, s in enumerate(strokes) if isinstance(s, Measurement)), default=0) % count
    around = [(cut + k) % count for k in range(count)]
    still = jnp.zeros(coordinates.size) if cycle.reference is None else coordinates.coordinates(cycle.reference)
    pushes = [_push(cycle, k, parts[k], still) for k in range(count)]
    N = composed([parts[k] for k in around])
    # With a reference, only the deviation from it is solved for: a weak disturbance of a state that
    # would otherwise stay keeps its relative accuracy.
    found = fixed_point.solve(N, coordinates.is_population)
    if cycle.reference is None:
        start, response = found
    else:
        drift = jnp.zeros(coordinates.size)
        for k in around:
            drift = drift + parts[k].change @ drift + pushes[k][1]
        start, response = found.response @ drift, found.response
    moved: list[Any] = [None] * count
    terms: list[Any] = [None] * count
    y, size = start, jnp.abs(start)
    for k in around:
        moved[k], terms[k] = y, size
        # The sizes of the terms travel with the sums: they tell what these may have lost by
        # cancellation.
        size = jnp.abs(y) + jnp.abs(parts[k].change) @ jnp.abs(y) + jnp.abs(pushes[k][1])
        y = y + parts[k].change @ y + pushes[k][1]
    integrals, sectors = [], []
    for k, (stroke, part) in enumerate(zip(strokes, parts, strict=True)):
        if isinstance(stroke, Free) and isinstance(part, FreePart):
            local = part.passage.mean @ part.inside(moved[k]) + part.passage.twice @ pushes[k][0]
            integrals.append((local, stroke.time * part.inside(still)))
            sectors.append(part.sector)
    deviation = jnp.stack(moved)
    zero = jnp.zeros(())
    out = LimitCycle(cycle, deviation + still, {}, zero, zero, zero, response, tuple(integrals), tuple(sectors), coordinates)
    return _ledger(out, deviation, lax.stop_gradient(jnp.stack(terms)), parts), _unsolved(cycle, deviation, still, parts)


def _push(cycle: AbstractCycle, k: int, part: Part, still):
    """What the disturbing baths do to the reference: per time in the sector, and by the end of the stroke."""
    stroke = cycle.strokes[k]
    if not (isinstance(stroke, Free) and isinstance(part, FreePart)):
        return jnp.zeros(0), jnp.zeros_like(still)
    flow = jnp.zeros(part.sector.size)
    if cycle.reference is None:
        return flow, jnp.zeros_like(still)
    moved = part.sector.act_by_label(stroke.generator, part.inside(still))
    flow = sum((moved[b] for b, label in enumerate(part.sector.labels) if label in cycle.disturbing), flow)
    return flow, part.outside(part.passage.mean @ flow)


def energies(cycle: AbstractCycle, coordinates: Coordinates):
    """Per stroke: the covectors of its energy, and of H less the previous H (None where H stays)."""
    frees = [s for s in cycle.strokes if isinstance(s, Free)]
    out, last = [], frees[-1].generator
    for stroke in cycle.strokes:
        new = None
        if isinstance(stroke, Free):
            if len(frees) > 1 and stroke.generator.H is not last.H:
                new = coordinates.covector(stroke.generator.hamiltonian) - coordinates.covector(last.hamiltonian)
            last = stroke.generator
        out.append((coordinates.covector(last.hamiltonian), new))
    return out


def _ledger(end: LimitCycle, deviation, terms, parts) -> LimitCycle:
    """What is exchanged in the cycle; `terms` are the sums of sizes that the deviations round as."""
    cycle = end.cycle
    heat: dict[str, Any] = dict.fromkeys(cycle.labels, 0.0)
    measured = work = direct_size = heat_size = jnp.zeros(())
    alone = True
    strokes = zip(cycle.strokes, parts, deviation, terms, end.x, energies(cycle, end.coordinates), strict=True)
    for stroke, part, y, size, x, (e, switched) in strokes:
        if isinstance(stroke, Measurement):
            row = e @ part.change
            measured = measured + row @ y
            direct_size = direct_size + jnp.abs(row) @ size
        elif isinstance(stroke, Unitary):
            work, alone = work + e @ (part.change @ y), False
        elif switched is not None:
            work, alone = work + switched @ x, False
    frees = [s for s in cycle.strokes if isinstance(s, Free)]
    for free, sector, (moved, still) in zip(frees, end.sectors, end.integrals, strict=True):
        covector = sector.covector(free.generator.H)
        flows = [sector.act_by_label(free.generator, v) for v in (moved, still)]
        for k, label in enumerate(sector.labels):
            flow = flows[0][k] + (flows[1][k] if label in cycle.disturbing else 0.0)
            heat[label] = heat[label] + flow @ covector
            heat_size = heat_size + jnp.abs(flow) @ jnp.abs(covector)
    total = sum(heat.values())
    # What measurements give is a small difference of large energies of the state, what the baths give one of flows that
    # grow with the time. Both sums are equal; the one that rounds less is taken.
    given = jnp.where(lax.stop_gradient(heat_size < direct_size), -total, measured) if alone else measured
    return dataclasses.replace(end, heat=heat, measured=given, work=work, imbalance=measured + work + total)


_TIME = Failure("the cycle is not defined: the time of a stroke is not above zero, or beyond 6e17 over the fastest rate")
_STRENGTH = Failure("the cycle is not defined: the strength of a measurement is not between 0 and 1")
_UNITARY = Failure("the cycle is not defined: an operator of a unitary stroke is not unitary")
_MOVING = Failure("the limit cycle was not solved: its reference is not left as it is by what does not disturb it")
_NOT_UNIQUE = Failure(
    "the limit cycle is not unique: a part of the system is uncoupled, or its rates vanish, or there is a conserved coherence"
)


@jax.jit
def what_is_undefined(cycle: AbstractCycle, parts: Sequence[Part]) -> list[Found]:
    """What can be wrong with traced arguments of a cycle."""
    frees = [(s, p) for s, p in zip(cycle.strokes, parts, strict=True) if isinstance(s, Free) and isinstance(p, FreePart)]
    time = jnp.array([~((s.time > 0) & jnp.all(jnp.isfinite(p.passage.change))) for s, p in frees])
    strengths = [s.strength for s in cycle.strokes if isinstance(s, Measurement)]
    strength = jnp.array([~((s >= 0) & (s <= 1)) for s in map(jnp.asarray, strengths)], bool)
    defect = jnp.array([~(s.defect() <= 1e-9) for s in cycle.strokes if isinstance(s, Unitary)], bool)
    rates = [found for s, _ in frees for found in refusals(s.generator)]
    return [*rates, Found(jnp.any(time), _TIME), Found(jnp.any(strength), _STRENGTH), Found(jnp.any(defect), _UNITARY)]


def _unsolved(cycle: AbstractCycle, deviation, still, parts):
    """Whether the reference moves, and whether the solution is not finite."""
    moving = jnp.zeros((), bool)
    if cycle.reference is not None:
        for free, part in zip(cycle.strokes, parts, strict=True):
            if not (isinstance(free, Free) and isinstance(part, FreePart)):
                continue
            local, values = part.inside(still), jnp.asarray(part.sector.values(free.generator))
            by_bath = part.sector.act_by_label(free.generator, local)
            disturbed = np.array([label in cycle.disturbing for label in part.sector.labels])
            rest = matrix(part.sector, values) @ local - jnp.sum(jnp.where(disturbed[:, None], by_bath, 0.0), axis=0)
            moving |= jnp.max(jnp.abs(rest)) > _STILL * jnp.max(jnp.abs(values), initial=0.0)
        for part in parts:
            if not isinstance(part, FreePart):
                moving |= jnp.max(jnp.abs(part.change @ still)) > _STILL
    return moving, ~jnp.all(jnp.isfinite(deviation))
