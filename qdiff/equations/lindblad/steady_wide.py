"""When the stationary state is solved for in matrix form, and the checks of what is found."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np

from ...operators.pattern import Pattern
from ...results import Failure, check
from .krylov import Krylov, Solved, stationary
from .matrix_form import MatrixForm, elements
from .terms import AbstractLindblad, refusals

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


def chosen_form(generator: AbstractLindblad) -> MatrixForm | None:
    """The matrix form of a generator, if its stationary state is better solved for in that."""
    d = generator.H.size
    if d < _SMALL:
        return None
    layers = _layers(generator)
    size, width = 2 * int(np.sum(layers)), 2 * int(np.max(layers))
    dense = _DENSE * size**3 if 8 * size**2 < _ROOM else np.inf
    band = _BAND * len(layers) * width**3 if 24 * len(layers) * width**2 < _ROOM else np.inf
    if min(dense, band) < _TRUST * _KRYLOV * d**3:
        return None
    return MatrixForm(d, generator.labels, elements(generator))
