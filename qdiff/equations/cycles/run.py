"""A cycle from an initial state on: the state after any number of cycles, and what is exchanged in each."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...operators.checks import kind_of
from ...operators.operator import Operator
from ...operators.structure import is_constant
from ...results import Failure, check, require_float64
from ..lindblad.coordinates import Coordinates
from ..lindblad.states import density_matrix
from . import map_powers
from .limit_cycle import LimitCycle, energies, limit_in
from .sequence import AbstractCycle
from .stroke_maps import FreePart, Part, composed
from .strokes import Free, Measurement

# The largest table of all cycles, 8 bytes each.
_LONGEST = 2**28


class Run(eqx.Module):
    """A cycle started in a given state, at the beginning of its first stroke: what `Cycle.evolve` returns.

    Attributes:
        end: the limit cycle x* that it goes to.
    """

    end: LimitCycle
    change: jax.Array
    first: jax.Array
    powers: jax.Array
    parts: list[Part]
    coordinates: Coordinates = eqx.field(static=True)

    @property
    def cycle(self) -> AbstractCycle:
        return self.end.cycle

    def after(self, counts):
        """The coordinates (k, n) of the states after `counts` (k,) cycles, integers from 0 to 2^31 - 1."""
        counts, mark = _numbers("counts", counts, 0)
        later = self.end.x[0] + map_powers.after(self.powers, self._deviation(), jnp.maximum(counts - 1, 0))
        return jnp.where((counts == 0)[:, None], self.first, later) * mark

    def rho(self, count: int) -> Operator:
        """The density matrix after one number of cycles."""
        return self.coordinates.operator(self.after(jnp.asarray([count]))[0], self.cycle.space)

    def measured(self, cycles):
        """The energy that the measurements give to the system in each cycle [energy].

        Args:
            cycles: the numbers of the cycles (k,), counted from 1, each below 2^31, at the cost of the logarithm of the largest;
                or one Python integer N for all from 1 to N, as one product of two thin matrices.

        Returns:
            (k,) or (N,).
        """
        row = jnp.zeros(self.coordinates.size)
        for stroke, part, (e, _), until in zip(
            self.cycle.strokes, self.parts, energies(self.cycle, self.coordinates), self._before(), strict=True
        ):
            if isinstance(stroke, Measurement):
                row = row + (e @ part.change) @ until
        return self._along(row[None], jnp.asarray(self.end.measured)[None], cycles)[0]

    def exchanged(self, op: Operator, cycles) -> dict[str, jax.Array]:
        """What each bath brings of a Hermitian observable in each cycle, the integral of Tr[op L_b rho] [unit of op].

        Args:
            cycles: as for `measured`.
        """
        rows: dict[str, Any] = dict.fromkeys(self.cycle.labels, jnp.zeros(self.coordinates.size))
        for stroke, part, until in zip(self.cycle.strokes, self.parts, self._before(), strict=True):
            if isinstance(stroke, Free) and isinstance(part, FreePart):
                covector = part.sector.covector(stroke.generator.into_frame(op))
                by_bath = jax.vmap(lambda x, s=stroke, p=part: p.sector.act_by_label(s.generator, x))(jnp.eye(part.sector.size))
                inside = part.passage.mean @ part.inside(until)
                for b, label in enumerate(part.sector.labels):
                    rows[label] = rows[label] + (by_bath[:, b] @ covector) @ inside
        ends = self.end.exchanged(op)
        found = self._along(jnp.stack(list(rows.values())), jnp.stack([jnp.asarray(ends[b]) for b in rows]), cycles)
        return dict(zip(rows, found, strict=True))

    def _before(self):
        """The maps of the coordinates from the beginning of a cycle to that of each stroke."""
        out = [jnp.eye(self.coordinates.size)]
        for part in self.parts[:-1]:
            out.append(out[-1] + part.change @ out[-1])
        return out

    def _deviation(self):
        """That of the state after one cycle from the limit cycle, of zero trace."""
        end = self.end.x[0]
        # Rounding leaves the deviation a trace, which no power of the map would let decay.
        off = (self.first - end) + self.change @ (self.first - end)
        return off - end * (self.coordinates.trace_weights @ off)

    def _along(self, rows, ends, cycles):
        """rows (q, n) on the states at the beginning of the cycles; `ends` (q,) is what they give in the limit cycle."""
        begin = (rows @ self.first)[:, None]
        if isinstance(cycles, (int, np.integer)) and not isinstance(cycles, bool):
            if not 1 <= cycles <= _LONGEST:
                raise ValueError(f"cycles must be an integer between 1 and {_LONGEST}, or an array of them, but was {cycles}")
            if cycles == 1:
                return begin
            later = map_powers.all_until(self.powers, rows, self._deviation(), int(cycles) - 1)
            return jnp.concatenate([begin, ends[:, None] + later], axis=1)
        cycles, mark = _numbers("cycles", cycles, 1)
        later = rows @ map_powers.after(self.powers, self._deviation(), jnp.maximum(cycles - 2, 0)).T
        return jnp.where(cycles == 1, begin, ends[:, None] + later) * mark


def started(cycle: AbstractCycle, initial) -> Run:
    """The cycle from an initial state on, as `Cycle.evolve` describes it."""
    require_float64()
    rho = density_matrix("initial", initial, cycle.space, cycle.dim)
    natural = cycle.coordinates()
    held = {*zip(natural.row, natural.col, strict=True)}
    inside = all((min(i, j), max(i, j)) in held for i, j in zip(rho.pattern.row, rho.pattern.col, strict=True))
    # Coherences that the cycle makes none of cost no coordinates, unless the initial state has
    # some.
    coordinates = natural if inside else cycle.coordinates(rho)
    parts = cycle.parts(coordinates)
    end = limit_in(cycle, coordinates, parts)
    change = composed(parts)
    powers = map_powers.decaying(change, end.x[0], coordinates.trace_weights)
    return Run(end, change, coordinates.coordinates(rho), powers, parts, coordinates)


def _numbers(name: str, given, least: int):
    """An array (k,) of integers of at least `least`, and one, or NaN where traced ones are out of bounds."""
    said = f"{name} must be integers between {least} and {2**31 - 1}, one or an array (k,)"
    wrong = kind_of(given) not in "iu" or np.size(given) == 0 or np.ndim(given) > 1
    if wrong or is_constant(given) and (np.min(np.asarray(given)) < least or np.max(np.asarray(given)) >= 2**31):
        raise ValueError(f"{said}, but was {given!r}")
    numbers = jnp.atleast_1d(jnp.asarray(given)).astype(int)
    outside = jnp.any((numbers < least) | (numbers >= 2**31))
    return numbers, check(jnp.ones(()), (outside, Failure(said, ValueError)))
