"""What a stationary state answers to a small push, in a sector and in matrix form alike.

Whatever is read from such answers calls these functions, and does not ask which of the two it has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
from jax import lax

from ...operators.operator import Operator
from ...results import NotUnique
from .krylov import Krylov
from .matrix_form import MatrixForm, product_pattern, reached
from .null_vector import response
from .reach import reach
from .resolvent import resolvent
from .resolvent_wide import WideResolvent
from .sector import Sector
from .solver import AbstractSolver, choose
from .steady import State
from .terms import AbstractTerms

Kind = Sector | MatrixForm


def counting(state: State, bath: str, solver: AbstractSolver | Krylov | None) -> Kind:
    """The coordinates, of the kind that the solver needs, in which a bath's jumps can be counted.

    Raises:
        NotUnique: there are several stationary states in them.
    """
    generator = state.generator
    if isinstance(solver, Krylov):
        return reached(generator, state.sector.elements)
    sector = reach(generator, counted=bath)
    if len(sector.classes) > 1:
        # The given one of several stationary states has a sector of its own.
        sector = reach(generator, state.sector.elements, counted=bath)
    if len(sector.classes) > 1:
        raise NotUnique(
            "the statistics of long times need one stationary state, but there are "
            f"{len(sector.classes)}; couple them"
        )
    return sector


def inverse(sector: Kind, generator: AbstractTerms, x, solver: Any, sure: bool) -> Callable:
    """right -> the z with L z = right and tr z = 0, if right has no trace; one factorisation.

    Args:
        x: the stationary state.
        solver: a `Krylov` in matrix form; else None for that which is chosen.
        sure: as in `WideResolvent`.
    """
    if isinstance(sector, MatrixForm):
        return partial(resolvents(sector, generator, x, solver, sure), None)
    values, solver = sector.values(generator), choose(sector) if solver is None else solver
    factors = solver.factor(sector, lax.stop_gradient(values))
    return partial(response, sector, solver, values, lax.stop_gradient(x), factors)


def resolvents(sector: Kind, generator: AbstractTerms, x, solver: Any, sure: bool) -> Callable:
    """(omega, right) -> the z with (L - i omega) z = right and tr z = 0, as `resolvent` has it."""
    if isinstance(sector, MatrixForm):
        return WideResolvent(sector, sector.terms(generator), sector.matrix(x), solver, sure)
    return partial(resolvent, sector, sector.values(generator), x)


class Kick(eqx.Module):
    """What decays of op rho, or of rho op: all of it, less its trace times the stationary state.

    Attributes:
        m: its complex coordinates (n,), those of its Hermitian part and i times those of the rest.
        x: the coordinates of the stationary state (n,).
        sector: the coordinates that it reaches. solver, sure: as `resolvents` needs them.
    """

    m: jax.Array
    x: jax.Array
    sector: Kind = eqx.field(static=True)
    solver: Any = eqx.field(static=True)
    sure: bool = eqx.field(static=True)


def kick(state: State, op: Operator, end: State, *, left: bool) -> Kick:
    """op rho if `left`, else rho op, of a state that becomes the stationary state `end`.

    The operator is in the generator's frame.

    Raises:
        NotUnique: there are several stationary states in what is reached.
    """
    generator = state.generator
    if isinstance(state.sector, MatrixForm):
        A, X = op.dense(), state.sector.matrix(state.x)
        elements, M = state.sector.pattern, A @ X if left else X @ A
        reaching = product_pattern(*(op.pattern, elements) if left else (elements, op.pattern))
        sector = reached(generator, reaching if reaching.nnz else None)
        dag = M.conj().T
        m = sector.vector((M + dag) / 2) + 1j * sector.vector((M - dag) / 2j)
    else:
        rho = state.sector.operator(state.x, generator.space)
        moved = op @ rho if left else rho @ op
        # Nothing at all is zero in any sector.
        sector = reach(generator, moved.pattern if moved.pattern.nnz else None)
        if len(sector.classes) > 1:
            raise NotUnique(
                "a spectrum needs one stationary state, but the sector of this correlation holds "
                f"{len(sector.classes)}"
            )
        m = complex_coordinates(sector, moved)
    x = sector.adopted(end.sector, end.x)
    return Kick(m - (sector.trace_weights @ m) * x, x, sector, end.solver, sector == end.sector)


def complex_coordinates(sector: Kind, M: Operator):
    """The coordinates of the Hermitian part of any M, and i times those of the rest."""
    return sector.coordinates((M + M.dag) * 0.5) + 1j * sector.coordinates((M - M.dag) * -0.5j)
