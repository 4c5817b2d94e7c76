"""Cycles of strokes: free motion, measurements, instantaneous unitaries, baths that trade places; over and over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...operators.operator import Operator
from ..lindblad.states import density_matrix
from .sequence import AbstractCycle
from .strokes import Free, Instant, Stroke, SwapBaths

if TYPE_CHECKING:
    from .limit_cycle import LimitCycle
    from .run import Run


class Cycle(AbstractCycle):
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
        >>> end = qd.cycles.Cycle([qd.cycles.Free(generator, 2.0), qd.cycles.Measurement(space.b.z)]).steady_state()
        >>> abs(float(end.measured + sum(end.heat.values()))) < 1e-15, round(float(end.exchanged(space.b.up)["b"]), 6)
        (True, 0.052787)
    """

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

    def steady_state(self) -> LimitCycle:
        """The limit cycle: the state that one cycle gives back, M x* = x*, and what is exchanged in it.

        Returns:
            `LimitCycle`.

        Raises:
            SolveError: at run time, if there are several limit cycles, a rate or a time is negative or not finite, or
                the reference is not what it must be.

        Differentiable in everything, durations included, to any order, by the implicit function theorem.

        Accuracy: of a cycle that begins with a measurement which leaves populations only, every population to 1e-13 of
        itself; flows are differences of what goes in and out, unless there is a `reference`. Cost: dense, n^3 in the number of
        coordinates.

        Example:
            >>> import qdiff as qd
            >>> qubit = qd.Space(qubit=qd.Spin()).qubit
            >>> generator = qd.Lindblad(qubit.z + qubit.x, {"bath": [(0.3, qubit.minus), (0.1, qubit.plus)]})
            >>> end = qd.cycles.Cycle([qd.cycles.Free(generator, 0.5), qd.cycles.Measurement(qubit.z)]).steady_state()
            >>> round(float(end.expect(qubit.up)), 6), round(float(end.measured), 6), round(float(end.heat["bath"]), 6)
            (0.428079, 0.066772, -0.066772)
        """
        from .limit_cycle import limit_cycle

        return limit_cycle(self)

    def evolve(self, initial) -> Run:
        """The way to the limit cycle from a given state at the beginning of the first stroke.

            x_n = x* + M^n (x_0 - x*)

        Args:
            initial: a density matrix, or anything else that `qd.evolve` takes as an initial state.

        Returns:
            `Run`: the state after any number of cycles, and what is exchanged in each.

        Raises:
            TypeError, ValueError: it is no state of the space. SolveError: as for `steady_state`.

        Differentiable in everything.

        Accuracy: what is left of the deviation after any number of cycles keeps its relative accuracy, 1e-13 times the number
        of decay times that have passed.

        Example:
            >>> import qdiff as qd
            >>> qubit = qd.Space(qubit=qd.Spin()).qubit
            >>> generator = qd.Lindblad(qubit.z + qubit.x, {"bath": [(0.3, qubit.minus), (0.1, qubit.plus)]})
            >>> run = qd.cycles.Cycle([qd.cycles.Free(generator, 0.5), qd.cycles.Measurement(qubit.z)]).evolve({"qubit": "up"})
            >>> energies = run.measured([1, 10**9])
            >>> [round(float(e), 6) for e in energies]
            [-0.355571, 0.066772]
        """
        from .run import started

        return started(self, initial)


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
