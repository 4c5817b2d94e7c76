"""A generator as a map of d x d matrices, without a matrix of d^2 rows: its coordinates, and what it reaches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import sparse

from ...linalg.gather import padded, take
from ...operators.pattern import Pattern, diagonal
from .actions import Action, Pairs, action
from .coordinates import Coordinates
from .jumps import Jump
from .sandwiches import Sandwich
from .terms import AbstractTerms


class MatrixForm(Coordinates):
    """Real coordinates of d x d matrices, and the generator's action on such matrices.

    Static and hashable. Attributes as in `Coordinates`, and labels: names of the baths.
    """

    def __init__(self, dim: int, labels: tuple[str, ...], inside: np.ndarray):
        row, col = np.nonzero(np.triu(inside))
        off = np.flatnonzero(row != col)
        part = np.repeat([0, 1], [row.size, off.size])
        super().__init__(dim, np.r_[row, row[off]], np.r_[col, col[off]], part)
        self.labels, self.inside = labels, inside

    @property
    def levels(self) -> np.ndarray:
        """Which levels (d,) there are any populations of; all, where there are coherences only."""
        populated = np.isin(np.arange(self.dim), self.row[self.is_population])
        return populated if populated.any() else ~populated

    @functools.cached_property
    def _gathers(self):
        """For each matrix element where its real part, its imaginary part and the sign of it are; past the end is zero."""
        real = np.full((self.dim, self.dim), self.size)
        imag, sign = real.copy(), np.zeros((self.dim, self.dim))
        at = np.arange(self.size)
        first, second = self.part == 0, self.part == 1
        real[self.row[first], self.col[first]] = real[self.col[first], self.row[first]] = at[first]
        imag[self.row[second], self.col[second]] = imag[self.col[second], self.row[second]] = at[second]
        sign[self.row[second], self.col[second]], sign[self.col[second], self.row[second]] = 1, -1
        return real.ravel(), imag.ravel(), sign

    def matrix(self, x):
        """The Hermitian matrix (d, d) with coordinates x (size,)."""
        real, imag, sign = self._gathers
        x = padded(x)
        shape = (self.dim, self.dim)
        return take(x, real).reshape(shape) + 1j * sign * take(x, imag).reshape(shape)

    def vector(self, X):
        """The coordinates (size,) of a Hermitian matrix (d, d)."""
        at = self.row * self.dim + self.col
        count = int(np.sum(self.part == 0))
        flat = X.reshape(-1)
        return jnp.concatenate([take(jnp.real(flat), at[:count]), take(jnp.imag(flat), at[count:])])

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """Coordinates times these are isometric: their scalar product is that of the matrices, Tr[X Y]."""
        return np.where(self.is_population, 1.0, np.sqrt(2.0))

    def isometric(self, X):
        """The coordinates (size,) of a Hermitian matrix, times `weights`."""
        return self.vector(X) * self.weights

    def from_isometric(self, u):
        """The Hermitian matrix (d, d) of the coordinates u/weights."""
        return self.matrix(u / self.weights)

    def terms(self, generator: AbstractTerms) -> Action:
        """What `Action` needs: the Hamiltonian, and the terms of every bath."""
        H = jnp.asarray(generator.H.dense()) * (1 + 0j)
        return Action(H, {label: [action(t) for t in generator.terms[label]] for label in self.labels})

    def values(self, generator: AbstractTerms):
        """Refused: there is no matrix in matrix form."""
        raise ValueError(
            f"this needs the generator as a matrix of {self.size} rows, which a state from `Krylov` is "
            "there to avoid; solve with Dense() or BlockTridiagonal(), if it is not too large"
        )

    def act_of(self, terms: Any, x, label: str):
        """L_b x of one bath (size,) [rate]."""
        X = self.matrix(x)
        half = terms.between([label]) @ X
        return self.vector(half + half.conj().T + terms.gain(X, [label]))

    def counted(self, generator: AbstractTerms, bath: str) -> Callable:
        """(amounts, x) -> sum amount rate A x A^dag (size,) over the jumps of one bath.

        Members of families count one by one.
        """
        jumps = [(np.size(jump.rate), action(jump)) for jump in generator.terms[bath] if isinstance(jump, Jump)]
        ends = np.cumsum([size for size, _ in jumps])

        def moved(amounts, x):
            X = self.matrix(x)
            parts = [jump.counted(X, amounts[end - n : end]) for end, (n, jump) in zip(ends, jumps, strict=True)]
            return self.vector(sum(parts, jnp.zeros_like(X)))

        return moved


def reached(generator: AbstractTerms, start: Pattern | None = None) -> MatrixForm:
    """The elements that those of `start`, or the populations, may reach, in matrix form."""
    start = diagonal(generator.H.size) if start is None else start
    return MatrixForm(generator.H.size, generator.labels, Explored(generator).inside(start))


class Explored:
    """Which elements (d, d) of the density matrix lead to which, by patterns alone.

    They may be more than in the sector that `reach` finds, which knows what cancels.
    """

    def __init__(self, generator: AbstractTerms):
        d = self.dim = generator.H.size
        terms = [t for label in generator.labels for t in generator.terms[label]]
        families = [Pairs(t.operator.pattern, t.groups) for t in terms if isinstance(t, Jump) and t.groups is not None]
        self.pairs = [(_pattern(t.operator.pattern),) * 2 for t in terms if isinstance(t, Jump) and t.groups is None]
        for t in terms:
            if isinstance(t, Sandwich):
                A, B = _pattern(t.left.pattern), _pattern(t.right.pattern)
                self.pairs += [(A, B), (B, A)]
        self.moves = _pattern(generator.H.pattern)
        for A, B in self.pairs:
            self.moves = self.moves + _times(B.T, A)
        for family in families:
            self.moves = self.moves + _pattern(Pattern(d, *(family.pattern.col[at] for at in family.losses)))
        # Targets and sources of the elements that members of families move.
        at = [(f.pattern.row[p], f.pattern.row[q], f.pattern.col[p], f.pattern.col[q]) for f in families for p, q in [f.gains]]
        self.hops = np.concatenate([np.stack(four) for four in at], axis=1) if at else np.zeros((4, 0), int)

    def inside(self, start: Pattern) -> np.ndarray:
        """All elements (d, d) that those of `start` may reach."""
        seen = np.zeros((self.dim, self.dim), bool)
        seen[start.row, start.col] = seen[start.col, start.row] = True
        for found in self._fronts(seen, self.moves, self.pairs, self.hops):
            seen |= found
        return seen

    def layers(self) -> list[int]:
        """How many elements are how many steps, forth or back, from the population of the first level."""
        first = np.zeros((self.dim, self.dim), bool)
        first[0, 0] = True
        pairs = self.pairs + [(A.T.tocsr(), B.T.tocsr()) for A, B in self.pairs]
        hops = np.concatenate([self.hops, self.hops[[2, 3, 0, 1]]], axis=1)
        fronts = self._fronts(first, self.moves + self.moves.T, pairs, hops)
        return [1, *(int(np.sum(np.triu(found))) for found in fronts)]

    @staticmethod
    def _fronts(seen, moves, pairs, hops) -> Iterator[np.ndarray]:
        seen, found = seen.copy(), seen
        while found.any():
            front = sparse.csr_array(found.astype(np.float32))
            new = _times(moves, front)
            for A, B in pairs:
                new = new + _times(_times(A, front), B.T)
            target_row, target_col, row, col = hops
            at = found[row, col]
            found = new.toarray() > 0
            found[target_row[at], target_col[at]] = True
            found = (found | found.T) & ~seen
            seen |= found
            yield found


def product_pattern(a: Pattern, b: Pattern) -> Pattern:
    """As `pattern.product`, without the terms of that, which are d^3 of dense matrices."""
    return Pattern(a.size, *_times(_pattern(a), _pattern(b)).nonzero())


def _pattern(pattern: Pattern):
    return sparse.csr_array((np.ones(pattern.nnz, np.float32), (pattern.row, pattern.col)), shape=(pattern.size,) * 2)


def _times(a, b):
    """The pattern of a product; dense where most entries are there, which is quicker by far."""
    if a.nnz * b.nnz > 2 * a.shape[0] ** 3:
        return sparse.csr_array((a.toarray() @ b.toarray() > 0).astype(np.float32))
    out = a @ b
    out.data[:] = 1
    return out
