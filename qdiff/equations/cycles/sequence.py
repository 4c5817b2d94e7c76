"""The strokes of a cycle in their order: on what they act, and what they do to a state."""

from __future__ import annotations

import equinox as eqx

from ...generator import AbstractGenerator
from ...operators.operator import Operator
from ..lindblad.coordinates import Coordinates
from ..lindblad.equation import Lindblad
from .stroke_maps import Part, parts_of, reached, sectors_of
from .strokes import Free, Stroke


class AbstractCycle(AbstractGenerator):
    """What a `Cycle` holds, and what its strokes do to a state."""

    strokes: tuple[Stroke, ...]
    reference: Operator | None
    disturbing: tuple[str, ...] = eqx.field(static=True)

    @property
    def _generator(self) -> Lindblad:
        return next(s.generator for s in self.strokes if isinstance(s, Free))

    @property
    def space(self):
        return self._generator.space

    @property
    def dim(self) -> int:
        """Dimension of the Hilbert space."""
        return self._generator.H.size

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all baths."""
        return tuple(dict.fromkeys(b for s in self.strokes if isinstance(s, Free) for b in s.generator.labels))

    def coordinates(self, initial: Operator | None = None) -> Coordinates:
        """The coordinates that the populations, and an initial state, reach through all strokes."""
        return reached(self.strokes, initial)

    def parts(self, coordinates: Coordinates) -> list[Part]:
        """What every stroke does to the coordinates."""
        return parts_of(self.strokes, coordinates, sectors_of(self.strokes, coordinates))
