"""The strokes of a cycle: free motion, measurement, instantaneous unitary, baths that trade places."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...operators.checks import known, real_number
from ...operators.operator import Operator
from ...operators.structure import is_constant
from ..lindblad.coordinates import Coordinates, congruence
from ..lindblad.equation import Lindblad
from ..lindblad.jumps import Jump
from ..lindblad.terms import refuse_sandwiches

# Eigenvalues of a measured observable closer than this, relative to the largest, are one outcome.
_SAME = 1e-9


class Stroke(eqx.Module):
    """One step of a `Cycle`: `Free`, `Measurement`, `Unitary` or `SwapBaths`."""


class Free(Stroke):
    """Motion under a generator for a time.

    Args:
        generator: one that does not depend on time.
        time: how long, above zero [1/rate].

    Raises:
        TypeError, ValueError: one of them is something else.
    """

    generator: Lindblad
    time: Any

    def __init__(self, generator: Lindblad, time):
        refuse_sandwiches("the generator of a free motion", generator)
        if not isinstance(generator, Lindblad):
            raise TypeError(f"generator must be one such as Lindblad(...), but was {type(generator).__name__}")
        self.generator, self.time = generator, real_number("time", time, low=0, open=True)


class SwapBaths(Stroke):
    """Two baths trade places: in the free motions that follow in the same cycle, each acts with its own rates on what the
    other one touched, jump by jump in their order, and keeps its name. Every cycle begins with the baths as they were given.

    Raises:
        ValueError: later, by `Cycle`: a generator has no such bath, or the two have different numbers of jumps.
    """

    first: str = eqx.field(static=True)
    second: str = eqx.field(static=True)

    def __init__(self, first: str, second: str):
        for name, given in (("first", first), ("second", second)):
            if not isinstance(given, str):
                raise TypeError(f"{name} must be the name of a bath, but was {given!r}")
        self.first, self.second = first, second

    def swapped(self, generator: Lindblad) -> Lindblad:
        for name in (self.first, self.second):
            if name not in generator.jumps:
                raise ValueError(f"the baths that trade places must be two of {list(generator.jumps)}, but one was {name!r}")
        a, b = generator.jumps[self.first], generator.jumps[self.second]
        if len(a) != len(b) or any(j.groups is not None for j in (*a, *b)):
            raise ValueError(f"baths that trade places must have equally many single jumps, but {self.first!r} and {self.second!r} do not")
        jumps: dict[str, tuple[Jump, ...]] = dict(generator.jumps)
        jumps[self.first] = tuple(Jump(x.rate, y.operator) for x, y in zip(a, b, strict=True))
        jumps[self.second] = tuple(Jump(y.rate, x.operator) for x, y in zip(a, b, strict=True))
        return eqx.tree_at(lambda m: m.jumps, generator, jumps, is_leaf=lambda x: x is generator.jumps)


class Instant(Stroke):
    """A stroke that takes no time, a linear map of the state."""

    @abc.abstractmethod
    def operators(self) -> Sequence[Operator]:
        """Operators A such that what rho becomes has the elements of rho and of all A rho A^dag at most."""

    @abc.abstractmethod
    def change(self, coordinates: Coordinates):
        """The map of the coordinates (n, n), minus one."""


class Unitary(Instant):
    """An instantaneous unitary, rho -> U rho U^dag.

    Args:
        operator: U, with U^dag U = 1 to 1e-9; one that is traced is checked when the cycle is solved.

    Raises:
        TypeError, ValueError: it is no `Operator`, or not unitary.
    """

    operator: Operator

    def __init__(self, operator: Operator):
        if not isinstance(operator, Operator):
            raise TypeError(f"operator must be an Operator, but was {type(operator).__name__}")
        self.operator = operator
        if known(operator.values) and (off := float(np.max(self.defect()))) > 1e-9:
            raise ValueError(f"operator must be unitary, but U^dag U differs from one by {off:.3g}")

    def defect(self):
        """How far U^dag U is from one."""
        U = self.operator
        if is_constant(U.values):  # in NumPy: within a function that is being compiled, JAX would make traced numbers of known ones
            U = Operator(U.pattern, np.asarray(U.values), U.space, probe=U.probe)
        square = (U.dag @ U).dense()
        return (np if is_constant(square) else jnp).abs(square - np.eye(U.size)).max()

    def operators(self):
        return [self.operator]

    def change(self, coordinates):
        U = self.operator.dense()
        return congruence(U, U, coordinates, coordinates) - np.eye(coordinates.size)


class Measurement(Instant):
    """A measurement of any observable, on any part of the system; projective, or weak.

    Unselective:  rho -> (1 - s) rho + s sum_k P_k rho P_k, with the projectors P_k on its eigenspaces: coherences between
    different values are multiplied by 1 - s. Selective, outcome r of K comes with the operator

        M_r = y + sqrt(s) P_r,    y = [sqrt(1 + (K - 1)(1 - s)) - sqrt(s)] / K,

    which is a meter that errs alike between all values; its average over the outcomes is the unselective measurement.

    Args:
        observable: a Hermitian `Operator` with known numbers, such as `space.right.n`.
        strength: s from 0 (nothing) to 1 (projective); one that is traced is checked when the cycle is solved or followed.

    Raises:
        TypeError, ValueError: the observable is no Hermitian operator, or traced; the strength is out of bounds.
    """

    observable: Operator
    strength: Any
    outcomes: tuple[float, ...] = eqx.field(static=True)
    projectors: tuple[Operator, ...]

    def __init__(self, observable: Operator, strength=1.0):
        if not isinstance(observable, Operator):
            raise TypeError(f"observable must be an Operator, but was {type(observable).__name__}")
        if not is_constant(observable.values):
            raise ValueError("observable must be concrete, but was traced: its eigenspaces are the outcomes")
        if not observable.is_hermitian:
            raise ValueError("observable must be Hermitian, but differs from its adjoint")
        self.strength = real_number("strength", strength, low=0, high=1)
        self.observable = observable
        self.outcomes, self.projectors = _eigenspaces(observable)

    def operators(self):
        return self.projectors

    def change(self, coordinates):
        return self.strength * (sum(self._projected(coordinates)) - np.eye(coordinates.size))

    def readings(self, coordinates: Coordinates):
        """The maps (K, n, n) of the coordinates that belong to the outcomes, rho -> M_r rho M_r, not normalised."""
        K, s = len(self.outcomes), jnp.asarray(self.strength, float)
        one = np.eye(self.observable.size)
        # Coordinates are those of the Hermitian part: twice that of P rho is P rho + rho P.
        half = np.stack([2 * congruence(P.dense(), one, coordinates, coordinates) for P in self.projectors])
        # The square root has no derivative at zero, where the outcome says nothing.
        sharp = jnp.where(s > 0, jnp.sqrt(jnp.where(s > 0, s, 1.0)), 0.0)
        blur = (jnp.sqrt(1 + (K - 1) * (1 - s)) - sharp) / K
        return blur**2 * np.eye(coordinates.size) + blur * sharp * half + s * np.stack(self._projected(coordinates))

    def _projected(self, coordinates):
        return [congruence(P.dense(), P.dense(), coordinates, coordinates) for P in self.projectors]


def _eigenspaces(observable: Operator) -> tuple[tuple[float, ...], tuple[Operator, ...]]:
    """The distinct values, ascending, and the projectors on their eigenspaces."""
    matrix = np.asarray(observable.dense())
    if np.all(observable.pattern.row == observable.pattern.col):
        # A diagonal observable keeps the basis: LAPACK would mix degenerate states, and fill the
        # projectors.
        values, vectors = np.real(np.diag(matrix)), np.eye(len(matrix))
        order = np.argsort(values, kind="stable")
        values, vectors = values[order], vectors[:, order]
    else:
        values, vectors = np.linalg.eigh(matrix)
    starts = np.flatnonzero(np.r_[True, np.diff(values) > _SAME * max(np.abs(values).max(), 1e-300)])
    outcomes, projectors = [], []
    for a, b in zip(starts, np.r_[starts[1:], len(values)], strict=True):
        P = vectors[:, a:b] @ vectors[:, a:b].conj().T
        # Rounding would count as structure: a larger sector, for coherences that are none.
        P = np.where(np.abs(P) < 1e-14, 0.0, P)
        outcomes.append(float(np.mean(values[a:b])))
        projectors.append(Operator.from_dense(P, observable.space))
    return tuple(outcomes), tuple(projectors)
