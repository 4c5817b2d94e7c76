"""Whether a stationary state is better solved for in matrix form, and the solve."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np

from ...operators.pattern import Pattern, diagonal
from .krylov import Krylov, Solved, stationary
from .matrix_form import Explored, MatrixForm
from .terms import AbstractTerms

# Below this dimension the sector is small enough for a direct solver in any case.
_SMALL = 40

# How long solvers take, fitted on two cores [s]: per cube of the rows of a dense matrix; per level of a band and cube of
# its width; per cube of the Hilbert space's dimension, for a hundred steps of Krylov.
_DENSE, _BAND, _KRYLOV = 7e-11, 1.2e-9, 2.2e-7

# Krylov's number of steps is not known in advance, and it may stall: a direct solver, which does not, may take that many times
# as long before it is left.
_TRUST = 10

# Bytes that the factors of a direct solver may take.
_ROOM = 4e9


def prefers_krylov(generator: AbstractTerms) -> bool:
    """Whether the stationary state is expected to be solved much sooner in matrix form, or to fit in memory only there."""
    d = generator.H.size
    if d < _SMALL:
        return False
    layers = Explored(generator).layers()
    size, width = 2 * sum(layers), 2 * max(layers)
    dense = _DENSE * size**3 if 8 * size**2 < _ROOM else np.inf
    band = _BAND * len(layers) * width**3 if 24 * len(layers) * width**2 < _ROOM else np.inf
    return min(dense, band) > _TRUST * _KRYLOV * d**3


def solve_wide(
    generator: AbstractTerms, solver: Krylov, start: Pattern | None
) -> tuple[MatrixForm, Solved]:
    """The stationary state in what the populations, or the elements of `start`, reach; not checked."""
    if start is None:
        start = diagonal(generator.H.size)
    form = MatrixForm(generator.H.size, generator.labels, Explored(generator).inside(start))
    return form, _solve(generator, form, solver)


@partial(jax.jit, static_argnums=(1, 2))
def _solve(generator, form, solver):
    return stationary(form, form.terms(generator), solver)
