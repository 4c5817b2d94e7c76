"""What the strokes of a cycle do to the coordinates of the state."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg.double_double import Conserving
from ...linalg.phi_functions import Passage, passage
from ...operators.operator import Operator
from ...operators.pattern import Pattern
from ..lindblad.coordinates import Coordinates, congruence
from ..lindblad.reach import reach
from ..lindblad.sector import Sector
from ..lindblad.solver import matrix
from .strokes import Free, Instant, Stroke, Unitary


class Part(eqx.Module):
    """One stroke's map of the coordinates: `change` (n, n) is the map minus one."""

    change: jax.Array


class FreePart(Part):
    """The map of a free stroke, with the maps between the coordinates of the cycle and those of its own sector."""

    passage: Passage
    into: Any
    out: Any
    sector: Sector = eqx.field(static=True)

    def inside(self, x):
        """The state x (n,) or map of states (n, n) in the coordinates of the sector."""
        return x if self.into is None else self.into @ x

    def outside(self, x):
        """Back from the sector's coordinates."""
        return x if self.out is None else self.out @ x


def reached(strokes: Sequence[Stroke], initial: Operator | None = None) -> Coordinates:
    """The coordinates that the populations, and an initial state, reach through all strokes."""
    frees = [s for s in strokes if isinstance(s, Free)]
    instants = [op for s in strokes if isinstance(s, Instant) for op in s.operators()]
    mask = np.eye(frees[0].generator.H.size, dtype=bool)
    if initial is not None:
        mask[initial.pattern.row, initial.pattern.col] = mask[initial.pattern.col, initial.pattern.row] = True
    elif len(frees) == 1 and frees[0].generator.frame is None:
        # One generator, and what measures populations only: its own sector, which may lack real or imaginary parts.
        diagonal = all(np.all(op.pattern.row == op.pattern.col) and op.is_real for op in instants)
        if diagonal and not any(isinstance(s, Unitary) for s in strokes):
            return reach(frees[0].generator)
    # To the end: what one stroke reaches, another one may carry further in the next cycle.
    before = None
    while before is None or not np.array_equal(before, mask):
        before = mask
        for stroke in strokes:
            mask = mask | _reached(stroke, mask)
    row, col = np.nonzero(np.triu(mask))
    off = row != col
    part = np.r_[np.zeros(row.size, int), np.ones(off.sum(), int)]
    row, col = np.r_[row, row[off]], np.r_[col, col[off]]
    # In one order, however they were reached: equal coordinates must compare equal.
    order = np.lexsort((part, col, row))
    return Coordinates(len(mask), row[order], col[order], part[order])


def image(op: Operator, mask: np.ndarray) -> np.ndarray:
    """Which elements A rho A^dag may have, if rho has those of `mask` (d, d)."""
    A = np.zeros((op.size, op.size), int)
    A[op.pattern.row, op.pattern.col] = 1
    return A @ mask @ A.T > 0


def _pattern(mask: np.ndarray) -> Pattern:
    return Pattern(len(mask), *np.nonzero(mask))


def _reached(stroke: Stroke, mask: np.ndarray) -> np.ndarray:
    if isinstance(stroke, Instant):
        return np.any([image(op, mask) for op in stroke.operators()], axis=0)
    assert isinstance(stroke, Free)
    frame = stroke.generator.frame
    local = mask if frame is None else image(frame.dag, mask)
    sector = reach(stroke.generator, _pattern(local))
    out = np.zeros_like(mask)
    out[sector.row, sector.col] = out[sector.col, sector.row] = True
    return out if frame is None else image(frame, out)


def sectors_of(strokes: Sequence[Stroke], coordinates: Coordinates) -> tuple[Sector | None, ...]:
    """For each free motion its sector; None for other strokes."""
    return tuple(_sector(s, coordinates) if isinstance(s, Free) else None for s in strokes)


def _sector(free: Free, coordinates: Coordinates) -> Sector:
    if isinstance(coordinates, Sector):
        return coordinates
    mask = np.zeros((coordinates.dim,) * 2, bool)
    mask[coordinates.row, coordinates.col] = mask[coordinates.col, coordinates.row] = True
    frame = free.generator.frame
    return reach(free.generator, _pattern(mask if frame is None else image(frame.dag, mask)))


@partial(jax.jit, static_argnums=(1, 2))
def parts_of(strokes: Sequence[Stroke], coordinates: Coordinates, sectors: tuple[Sector | None, ...]) -> list[Part]:
    """What every stroke does to the coordinates."""
    return [_part(stroke, coordinates, sector) for stroke, sector in zip(strokes, sectors, strict=True)]


def _part(stroke: Stroke, coordinates: Coordinates, sector: Sector | None) -> Part:
    if isinstance(stroke, Instant):
        return Part(jnp.asarray(stroke.change(coordinates)))
    assert isinstance(stroke, Free) and sector is not None
    generator = stroke.generator
    values = jnp.asarray(sector.values(generator))
    # With the diagonal that conserves probability exactly, as in the steady state: over a long
    # stroke the rounding of the fastest rate would leak.
    G = matrix(sector, values) + jnp.diag(lax.stop_gradient(Conserving(sector, values).correction))
    moved = passage(G, sector.trace_weights, stroke.time)
    if sector == coordinates:
        return FreePart(moved.change, moved, None, None, sector)
    if generator.frame is None:
        into = _places(coordinates, sector)
        out = into.T
    else:
        V = generator.frame.dense()
        into, out = congruence(V.conj().T, V.conj().T, coordinates, sector), congruence(V, V, sector, coordinates)
    return FreePart(jnp.asarray(out @ moved.change @ into), moved, into, out, sector)


def _places(source: Coordinates, target: Coordinates) -> np.ndarray:
    """The map between two lists of the same coordinates."""
    known = {place: k for k, place in enumerate(zip(source.row, source.col, source.part, strict=True))}
    out = np.zeros((target.size, source.size))
    for k, place in enumerate(zip(target.row, target.col, target.part, strict=True)):
        if place in known:
            out[k, known[place]] = 1
    return out


def composed(parts: Sequence[Part]):
    """The map of several strokes, minus one."""
    # (1 + P)(1 + T) - 1 without the ones: a cycle that changes little would lose its digits to
    # them.
    total = parts[0].change
    for part in parts[1:]:
        total = total + part.change + part.change @ total
    return total
