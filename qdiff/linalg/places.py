"""Where the entries of a sparse matrix stand: all that a factorisation knows beside their values."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Places(Protocol):
    """The static structure of a sparse matrix (size, size); the `Sector` of a Lindblad equation is one, with more to it.

    Attributes:
        target, source: rows and columns of the entries (nnz,).
        size: number of rows.
        bands: the coordinates in consecutive levels, index arrays, such that the matrix is block tridiagonal.
    """

    target: np.ndarray
    source: np.ndarray

    @property
    def size(self) -> int: ...

    @property
    def bands(self) -> Any: ...


@runtime_checkable
class ConservingPlaces(Places, Protocol):
    """The same of a generator that conserves the sum of some coordinates, the populations, whose places (size,) it knows."""

    @property
    def is_population(self) -> np.ndarray: ...
