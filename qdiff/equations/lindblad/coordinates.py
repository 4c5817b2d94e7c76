"""Real coordinates of a Hermitian matrix: populations, and real and imaginary parts of the coherences that there are."""

from __future__ import annotations

import functools
import hashlib

import jax.numpy as jnp
import numpy as np

from ...linalg.gather import padded, take
from ...operators.operator import Operator, accumulate
from ...operators.pattern import Pattern
from ...operators.structure import is_constant


class Coordinates:
    """Which real numbers describe a state.

    Attributes:
        dim: dimension of the Hilbert space.
        row, col, part: (size,) the density-matrix element (row <= col) of each coordinate, and whether it is
            its real (0) or imaginary (1) part.
    """

    def __init__(self, dim: int, row: np.ndarray, col: np.ndarray, part: np.ndarray):
        self.dim, self.row, self.col, self.part = dim, row, col, part

    @functools.cached_property
    def _digest(self) -> bytes:
        arrays = [np.ascontiguousarray(a, np.int64).tobytes() for a in (self.row, self.col, self.part)]
        return hashlib.blake2b(b"|".join([str(self.dim).encode(), *arrays]), digest_size=16).digest()

    def __hash__(self):
        return hash(self._digest)

    def __eq__(self, other):
        return type(other) is type(self) and self._digest == other._digest

    @property
    def size(self) -> int:
        return self.row.size

    @property
    def is_population(self) -> np.ndarray:
        return self.row == self.col

    @property
    def trace_weights(self) -> np.ndarray:
        return self.is_population.astype(float)

    @property
    def elements(self) -> Pattern:
        """The matrix elements (row <= col) that the coordinates are the parts of."""
        return Pattern(self.dim, self.row, self.col)

    @property
    def pattern(self) -> Pattern:
        """That of the matrix: the elements, and those across the diagonal."""
        off = ~self.is_population
        return Pattern(self.dim, np.r_[self.row, self.col[off]], np.r_[self.col, self.row[off]])

    def covector(self, op: Operator):
        """o (size,) with o . x = Tr[op rho]; op Hermitian in the generator's frame [unit of op]."""
        at = op.pattern.find(self.col, self.row)
        values = jnp.where(at >= 0, take(jnp.asarray(op.values), np.maximum(at, 0)), 0) if op.pattern.nnz else jnp.zeros(self.size)
        # Tr[op rho] = sum_i op_ii p_i + sum_{i<j} 2 Re(op_ji rho_ij), rho_ij = u + iv.
        real, imag = jnp.real(values), jnp.imag(values)
        return jnp.where(self.is_population, real, jnp.where(self.part == 0, 2 * real, -2 * imag))

    def operator(self, x, space) -> Operator:
        """The density matrix with coordinates x, in the generator's frame."""
        off, full = ~self.is_population, self.pattern
        phase = np.where(self.part == 1, 1j, 1.0)
        if not np.any(self.part):
            phase = np.ones(self.size)
        up = full.find(self.row, self.col)
        parts = [(x * phase, up)]
        if off.any():
            parts.append((take(x * phase.conj(), np.flatnonzero(off)), full.find(self.col[off], self.row[off])))
        return Operator(full, accumulate(parts, full.nnz), space)

    def coordinates(self, rho: Operator):
        """The coordinates x (size,) of a density matrix given in the generator's frame."""
        at = rho.pattern.find(self.row, self.col)
        values = jnp.where(at >= 0, take(jnp.asarray(rho.values), np.maximum(at, 0)), 0) if rho.pattern.nnz else jnp.zeros(self.size)
        return jnp.where(self.part == 0, jnp.real(values), jnp.imag(values))

    def adopted(self, other: Coordinates, x):
        """The coordinates here of a state with coordinates x in other coordinates of the same matrices.

        What only one of the two holds is zero here, or left out.
        """
        if other == self:
            return x
        mine, theirs = (c._places for c in (self, other))
        order = np.append(np.argsort(theirs), other.size)
        at = np.searchsorted(theirs, mine, sorter=order[:-1])
        there = np.append(theirs, -1)[order[at]] == mine
        return take(padded(x), np.where(there, order[at], other.size))

    @property
    def _places(self) -> np.ndarray:
        """One number for each coordinate, the same in all coordinates of matrices of this size."""
        return (self.row.astype(np.int64) * self.dim + self.col) * 2 + self.part


def basis(coordinates: Coordinates) -> np.ndarray:
    """The Hermitian matrices (n, d, d) that the coordinates multiply."""
    n, c = coordinates.size, coordinates
    out = np.zeros((n, c.dim, c.dim), complex if c.part.any() else float)
    at = np.arange(n)
    phase = np.where(c.part == 1, 1j, 1.0) if c.part.any() else 1.0
    out[at, c.row, c.col] = phase
    out[at, c.col, c.row] = np.conj(phase)
    return out


def congruence(left, right, source: Coordinates, target: Coordinates):
    """The map (target, source) of coordinates that belongs to rho -> (left rho right^dag + h.c.)/2, of dense matrices."""
    numpy = np if is_constant(left) and is_constant(right) else jnp
    moved = numpy.einsum("ab,nbc,dc->nad", left, basis(source), numpy.conj(right))
    picked = (moved[:, target.row, target.col] + numpy.conj(moved[:, target.col, target.row])) / 2
    return numpy.where(target.part == 0, numpy.real(picked), numpy.imag(picked)).T
