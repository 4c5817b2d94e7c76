"""Whether a stationary state is better solved for in matrix form, and the solve."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np

from ...operators.pattern import Pattern
from ...results import failure_mode
from .krylov import Krylov, Solved, stationary
from .matrix_form import Explored, MatrixForm, reached
from .reach import TooMany, reach
from .sector import Sector
from .terms import AbstractTerms

# Below this dimension the sector is small enough for a direct solver in any case.
_SMALL = 40

# How long solvers take, fitted on two cores [s]: per cube of the rows of a dense matrix; per level of a band and cube of
# its width; per cube of the Hilbert space's dimension, for a hundred steps of Krylov.
_DENSE, _BAND, _KRYLOV = 7e-11, 1.2e-9, 2.2e-7

# Krylov's number of steps is not known in advance, and it may stall: a direct solver, which does not, may take that many times
# as long before it is left.
_TRUST = 10

# A sector of that many terms is found within a second; one of so few coordinates is solved within a tenth of a second.
_TERMS, _FEW = 150_000, 1500

# Bytes that the factors of a direct solver may take.
_ROOM = 4e9


def direct_sector(generator: AbstractTerms) -> Sector | None:
    """The sector that the populations reach, or None if a stationary state is better solved for in matrix form."""
    if generator.H.size < _SMALL:
        return reach(generator)
    try:
        sector = reach(generator, most=_TERMS)
    except TooMany:
        return None if prefers_krylov(generator) else reach(generator)
    if sector.size < _FEW:
        return sector
    widths = [len(band) for band in sector.bands]
    return None if _slower(sector.dim, sector.size, len(widths), max(widths)) else sector


def prefers_krylov(generator: AbstractTerms) -> bool:
    """Whether the stationary state is expected to be solved much sooner in matrix form, or to fit in memory only there."""
    layers = Explored(generator).layers()
    return _slower(generator.H.size, 2 * sum(layers), len(layers), 2 * max(layers))


def _slower(dim: int, size: int, levels: int, width: int) -> bool:
    """Whether a sector of so many coordinates, in levels of some width, is solved that much later, or not at all."""
    dense = _DENSE * size**3 if 8 * size**2 < _ROOM else np.inf
    band = _BAND * levels * width**3 if 24 * levels * width**2 < _ROOM else np.inf
    return min(dense, band) > _TRUST * _KRYLOV * dim**3


def solve_wide(
    generator: AbstractTerms, solver: Krylov, start: Pattern | None
) -> tuple[MatrixForm, Solved]:
    """The stationary state in what the populations, or the elements of `start`, reach; not checked."""
    form = reached(generator, start)
    return form, _solve(generator, form, solver, failure_mode())


@partial(jax.jit, static_argnums=(1, 2, 3))
def _solve(generator, form, solver, mode):
    # The adjoint equation has a check of its own, hence one program for each way of failing.
    return stationary(form, form.terms(generator), solver, mode)
