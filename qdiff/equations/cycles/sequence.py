"""The strokes of a cycle in their order: on what they act, and what they do to a state."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx

from ...generator import AbstractGenerator
from ...operators.operator import Operator
from ..lindblad.coordinates import Coordinates
from ..lindblad.equation import Lindblad
from ..lindblad.states import density_matrix
from .stroke_maps import Part, parts_of, reached, sectors_of
from .strokes import Free, Instant, Stroke, SwapBaths


class AbstractCycle(AbstractGenerator):
    """What a `Cycle` holds, and what its strokes do to a state."""

    strokes: tuple[Stroke, ...]
    reference: Operator | None
    disturbing: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, strokes: Sequence[Stroke], *, reference: Operator | None = None, disturbing: Sequence[str] = ()):
        if not isinstance(strokes, Sequence):
            raise TypeError(f"strokes must be a sequence of Free, Measurement, Unitary or SwapBaths, but was {strokes!r}")
        strokes = tuple(strokes)
        for stroke in strokes:
            if not isinstance(stroke, Stroke):
                raise TypeError(f"strokes must be Free, Measurement, Unitary or SwapBaths, but one was {type(stroke).__name__}")
        self.strokes = _resolved(strokes)
        if not any(isinstance(s, Free) for s in self.strokes):
            raise ValueError("strokes must hold at least one Free stroke, but there is none")
        space, size = self._generator.space, self._generator.H.size
        for stroke in self.strokes:
            for op in [stroke.generator.H] if isinstance(stroke, Free) else stroke.operators() if isinstance(stroke, Instant) else []:
                if op.size != size or (op.space and space and op.space != space):
                    raise ValueError(
                        f"all strokes must act on {space!r} (dimension {size}), but one acts on {op.space!r} (dimension {op.size})"
                    )
        self.disturbing = tuple(disturbing)
        if unknown := [b for b in self.disturbing if b not in self.labels]:
            raise ValueError(f"disturbing must name baths of {list(self.labels)}, but names {unknown[0]!r}")
        self.reference = None if reference is None else density_matrix("reference", reference, space, size)

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


def _resolved(strokes) -> tuple[Stroke, ...]:
    """The strokes with the baths swapped in the generators, instead of swaps."""
    swaps: list[SwapBaths] = []
    out: list[Stroke] = []
    for stroke in strokes:
        if isinstance(stroke, SwapBaths):
            swaps.append(stroke)
        elif isinstance(stroke, Free) and swaps:
            generator = stroke.generator
            for swap in swaps:
                generator = swap.swapped(generator)
            out.append(Free(generator, stroke.time))
        else:
            out.append(stroke)
    return tuple(out)
