"""Cycles of strokes: free motion, measurements, instantaneous unitaries, baths that trade places; over and over."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx

from ...operators.operator import Operator
from ...results import require_float64
from ..lindblad.coordinates import Coordinates
from ..lindblad.equation import Lindblad
from ..lindblad.states import density_matrix
from .limit_cycle import LimitCycle, limit_in
from .stroke_maps import Part, parts_of, reached, sectors_of
from .strokes import Free, Instant, Stroke, SwapBaths


class Cycle(eqx.Module):
    """Strokes that follow one another, over and over.

    Args:
        strokes: `Free(generator, time)`, `Measurement(observable, strength)`, `Unitary(U)` and `SwapBaths(a, b)`, in order,
            at least one `Free`; all on one space. Free motions may have different generators.

    Energy is that of the Hamiltonian of the free motion that comes last before an instantaneous stroke; a Hamiltonian
    changes where a free motion with another one begins.

    Args, rarely needed:
        reference: a density matrix that the Hamiltonians, all baths but the `disturbing` ones, and the instantaneous
            strokes leave as it is. Then only the distance of the limit cycle from it is solved for, and every flow computed
            from that: flows that vanish with the disturbance keep their relative accuracy.
        disturbing: the names of the other baths.

    Raises:
        TypeError, ValueError: a stroke is none, there is no free motion, or the spaces differ.

    Example:
        >>> import qdiff as qd
        >>> space = qd.Space(a=qd.Spin(), b=qd.Spin())
        >>> hop = space.a.plus @ space.b.minus
        >>> baths = {"a": [(0.1, space.a.minus)], "b": [(0.3, space.b.minus), (0.2, space.b.plus)]}
        >>> generator = qd.Lindblad(space.a.up + 2 * space.b.up + 0.5 * (hop + hop.dag), baths)
        >>> end = qd.Cycle([qd.Free(generator, 2.0), qd.Measurement(space.b.z)]).limit()
        >>> abs(float(end.measured + sum(end.heat.values()))) < 1e-15, round(float(end.exchanged(space.b.up)["b"]), 6)
        (True, 0.052787)
    """

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

    def limit(self) -> LimitCycle:
        """The limit cycle: the state that one cycle gives back, and what is exchanged in it.

        Returns:
            `LimitCycle`.

        Raises:
            SolveError: at run time, if there are several limit cycles, a rate or a time is negative or not finite, or
                the reference is not what it must be.

        Differentiable in everything, durations included, to any order, by the implicit function theorem.

        Accuracy: of a cycle that begins with a measurement which leaves populations only, every population to 1e-13 of
        itself; flows are differences of what goes in and out, unless there is a `reference`. Cost: dense, n^3 in the number of
        coordinates.
        """
        require_float64()
        coordinates = self.coordinates()
        return limit_in(self, coordinates, self.parts(coordinates))

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
