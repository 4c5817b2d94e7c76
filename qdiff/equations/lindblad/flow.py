"""The equation of motion in a sector, and what an integrator of it is and returns."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...linalg.autodiff_direction import no_forward, no_reverse
from ...results import Failure
from .sector import Sector
from .solver import matrix
from .switches import STEPS, Program

NONE = np.zeros(0)  # no times


class Flow(eqx.Module):
    """The equation dx/dt = G(t) x in a sector.

    Attributes:
        numbers: what the entries of G follow from (differentiable), the `Inputs` of the program; for a constant G the
            entries (nnz,) themselves.
        program: of (t, *numbers), the entries of G(t) and why its rates are refused; None for a constant G.
        room: as `corners.rooms` gives it.
        reasons: the failures that these are, (n_reasons,).
    """

    numbers: Any
    sector: Sector = eqx.field(static=True)
    program: Program | None = eqx.field(static=True, default=None)
    room: tuple[int | None, ...] = eqx.field(static=True, default=())
    reasons: tuple[Failure, ...] = eqx.field(static=True, default=())

    @property
    def settled(self) -> bool:
        """Whether G stands still but for jumps."""
        return self.program is None or self.program.level <= STEPS

    def prepared(self) -> Flow:
        """The same, with what does not depend on time computed once."""
        if self.program is None:
            return self
        return Flow(self.program.prepared(self.numbers.numbers), self.sector, self.program, self.room, self.reasons)

    def values(self, t=0.0, numbers=None, answers=None):
        """The entries of G(t) (nnz,) [rate]."""
        numbers = self.numbers if numbers is None else numbers
        return numbers if self.program is None else self.program(t, numbers, answers)[0]

    def faults(self, t, answers=None):
        """For which of the reasons rates are refused at a time (n_reasons,)."""
        if self.program is None:
            return jnp.zeros(0, bool)
        return self.program(t, self.numbers, answers)[1]

    def dense(self, values=None):
        """G as a matrix, from its entries."""
        return matrix(self.sector, self.values() if values is None else values)


class Solution(eqx.Module):
    """What an integrator returns: what was read at each time, the last state, statistics, and whether it failed.

    `faults` holds the first time at which rates were refused for each of the reasons, infinite if never. `missed` is whether
    there were more jumps than fit; `rough` whether the generator is not resolved, at the time `where`.
    """

    saved: Any
    final: jax.Array
    statistics: dict
    failed: jax.Array
    faults: jax.Array
    missed: jax.Array
    rough: jax.Array
    where: jax.Array


class AbstractIntegrator(eqx.Module):
    """How dx/dt = G(t) x is followed; `Propagator`, `Action`, `Explicit` and `Stiff` are those there are."""

    curved: ClassVar[bool] = False  # whether G may depend on time otherwise than by jumps
    failure: ClassVar[Failure]  # what it means that a solution is not finite or has failed

    @abc.abstractmethod
    def solve(self, flow: Flow, x, start, times, read: Callable, shown: bool | None, jumps=NONE) -> Solution:
        """Follow x (n,) from `start`; `read` makes of a state what is saved at each of the sorted times (k,).

        `jumps` are times, in any order, at which G may jump beside those that its program shows.
        """


def solution(
    flow: Flow, saved, final, statistics, failed, faults=None, missed: Any = False, rough: Any = False, where: Any = jnp.inf
) -> Solution:
    if faults is None:
        faults = jnp.full(len(flow.reasons), jnp.inf)
    return Solution(saved, final, statistics, failed, faults, jnp.asarray(missed), jnp.asarray(rough), jnp.asarray(where))


def guarded(name: str, gradient: str, solve: Callable, *given):
    """solve(*given), refusing the direction of differentiation that `gradient` leaves out."""
    ask = f'{name}(gradient="{gradient}") cannot be differentiated in {{}} mode ({{}}): use {name}(gradient="{{}}") or Propagator()'
    if gradient == "reverse":
        reason = ask.format("forward", "jax.jvp, jax.jacfwd, jax.hessian", "forward")
        given = no_forward(given, reason)
    out = solve(*given)
    if gradient == "forward":
        out = no_reverse(out, ask.format("reverse", "jax.grad, jax.vjp, jax.jacrev", "reverse"))
    return out
