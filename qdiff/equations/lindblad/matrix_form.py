"""A Lindblad generator as a map of d x d matrices, which no matrix of d^2 rows stands for.

The coordinates are those of a sector, all elements that the populations reach. What a generator does to them is computed from
its operators: jumps that have few entries in a row are gathered, all others multiply.
"""

from __future__ import annotations

import abc
import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy import sparse

from ...linalg.gather import sum_into, take
from ...operators.operator import Operator
from ...operators.pattern import Pattern, join
from .coordinates import Coordinates
from .jumps import Jump
from .terms import AbstractLindblad, allowed_rates

# An operator with that many entries in a row at most is gathered row by row; a product of dense matrices of dimension 256 takes as
# long as some ten gathers.
_FEW = 4


class MatrixForm(Coordinates):
    """Real coordinates of d x d matrices, and the generator's action on such matrices.

    Static and hashable. Attributes as in `Coordinates`, and labels: names of the baths.
    """

    def __init__(self, dim: int, labels: tuple[str, ...], inside: np.ndarray):
        row, col = np.nonzero(np.triu(inside))
        off = np.flatnonzero(row != col)
        part = np.repeat([0, 1], [row.size, off.size])
        super().__init__(dim, np.r_[row, row[off]], np.r_[col, col[off]], part)
        self.labels = labels

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
        x = jnp.append(x, 0.0)
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

    def terms(self, generator: AbstractLindblad) -> Action:
        """What `Action` needs: the Hamiltonian, and the jumps of every bath."""
        H = generator.H.dense() * (1 + 0j)
        return Action(H, {label: [_jump(j) for j in generator.jumps[label]] for label in self.labels})

    def values(self, generator: AbstractLindblad):
        """Refused: there is no matrix in matrix form."""
        raise ValueError(
            f"this needs the generator as a matrix of {self.size} rows, which a state from `Krylov` is "
            "there to avoid; solve with Dense() or BlockTridiagonal(), if it is not too large"
        )

    def act_of(self, terms: Action, x, label: str):
        """L_b x of one bath (size,) [rate]."""
        X = self.matrix(x)
        K = terms.loss([label]) / 2
        return self.vector(terms.gain(X, [label]) - K @ X - X @ K)

    def act_by_label(self, generator: AbstractLindblad, x):
        """L_b x for every bath b, shape (n_labels, size) [rate]."""
        terms = self.terms(generator)
        moved = [self.act_of(terms, x, label) for label in self.labels]
        return jnp.stack(moved) if moved else jnp.zeros((0, self.size))


class Action(eqx.Module):
    """What a generator acts by: H (d, d), and the jumps of every bath."""

    H: Array
    jumps: dict[str, list[AbstractAction]]

    @property
    def between(self):
        """A = -i H - K/2, the motion between jumps."""
        return -1j * self.H - self.loss() / 2

    @property
    def all_jumps(self) -> list[AbstractAction]:
        return self._of(None)

    def loss(self, labels=None):
        """K = sum rate C^dag C of the baths (d, d), Hermitian."""
        return sum((j.loss() for j in self._of(labels)), jnp.zeros_like(self.H))

    def gain(self, X, labels=None):
        """sum rate C X C^dag of the baths, for Hermitian X."""
        return sum((j.gain(X) for j in self._of(labels)), jnp.zeros_like(X))

    def gain_adjoint(self, X, labels=None):
        """sum rate C^dag X C of the baths, for Hermitian X."""
        return sum((j.gain_adjoint(X) for j in self._of(labels)), jnp.zeros_like(X))

    def _of(self, labels):
        return [j for label, jumps in self.jumps.items() if labels is None or label in labels for j in jumps]


class AbstractAction(eqx.Module):
    """One jump, or a family of them, as a map of matrices (d, d)."""

    @abc.abstractmethod
    def loss(self):
        """sum rate C^dag C."""

    @abc.abstractmethod
    def gain(self, X):
        """sum rate C X C^dag, for Hermitian X."""

    @abc.abstractmethod
    def gain_adjoint(self, X):
        """sum rate C^dag X C, for Hermitian X."""

    @abc.abstractmethod
    def rates(self, V, inverse):
        """sum rate |V^-1 C V|^2, entry by entry: the rates of transitions between the columns of V."""

    @abc.abstractmethod
    def displaced(self, v):
        """What A = -i H - K/2 gains if every C is replaced by C + a, a = -<v|C|v>, and H so that the motion is the same."""


class _Dense(AbstractAction):
    """A jump as a dense matrix."""

    rate: Array
    C: Array

    def loss(self):
        return self.rate * (self.C.conj().T @ self.C)

    def gain(self, X):
        return self.rate * (self.C @ X @ self.C.conj().T)

    def gain_adjoint(self, X):
        return self.rate * (self.C.conj().T @ X @ self.C)

    def rates(self, V, inverse):
        return self.rate * jnp.abs(inverse @ self.C @ V) ** 2

    def displaced(self, v):
        a = -jnp.vdot(v, self.C @ v)
        return -self.rate * (a.conj() * self.C + 0.5 * jnp.abs(a) ** 2 * jnp.eye(len(v)))


class _Rows(AbstractAction):
    """A jump with few entries in every row and column: the values of C and of C^dag, row by row (few, d)."""

    whole: _Dense
    forth: Array
    back: Array
    columns: tuple[_Static, _Static] = eqx.field(static=True)

    def loss(self):
        return self.whole.loss()

    def rates(self, V, inverse):
        return self.whole.rates(V, inverse)

    def displaced(self, v):
        return self.whole.displaced(v)

    def gain(self, X):
        return self.whole.rate * _both(self.columns[0].array, self.forth, X)

    def gain_adjoint(self, X):
        return self.whole.rate * _both(self.columns[1].array, self.back, X)


class _Family(AbstractAction):
    """A family of jumps: the pairs of entries that belong to one of its members, and their values."""

    gains: Array
    losses: Array
    places: _Pairs = eqx.field(static=True)

    def loss(self):
        p, q = self.places.losses
        col = self.places.pattern.col
        return self._sum(self.losses, col[p], col[q])

    def gain(self, X):
        pattern = self.places.pattern
        return self._moved(X, pattern.col, pattern.row, self.gains)

    def gain_adjoint(self, X):
        pattern = self.places.pattern
        return self._moved(X, pattern.row, pattern.col, self.gains.conj())

    def rates(self, V, inverse):
        # Exact where the columns of V are levels, between which members of a family go.
        p, q = self.places.gains
        own = p == q
        pattern = self.places.pattern
        levels = self._sum(self.gains[own], pattern.row[p[own]], pattern.col[p[own]])
        return jnp.abs(inverse) ** 2 @ jnp.real(levels) @ jnp.abs(V) ** 2

    def displaced(self, v):
        # Members are transitions between levels, which have no coherent part in a stationary state.
        return jnp.zeros((len(v), len(v)))

    def _moved(self, X, source, target, values):
        (p, q), d = self.places.gains, self.places.pattern.size
        taken = take(X.reshape(-1), source[p] * d + source[q])
        return self._sum(values * taken, target[p], target[q])

    def _sum(self, values, row, col):
        d = self.places.pattern.size
        return sum_into(values, row * d + col, d**2).reshape(d, d)


class _Pairs:
    """Which pairs of entries of a family's operator belong to one member, and of these which are in one row."""

    def __init__(self, pattern: Pattern, groups: tuple[int, ...]):
        self.pattern, self.groups = pattern, groups
        at, count = np.asarray(groups), max(groups) + 1
        self.gains = join(at, at, count)
        key = pattern.row * count + at
        self.losses = join(key, key, pattern.size * count)

    def __hash__(self):
        return hash((self.pattern, self.groups))

    def __eq__(self, other):
        return type(other) is _Pairs and (self.pattern, self.groups) == (other.pattern, other.groups)


class _Static:
    """An array of numbers that are known while tracing, comparable by content."""

    def __init__(self, array: np.ndarray):
        self.array, self._key = array, (array.shape, array.tobytes())

    def __hash__(self):
        return hash(self._key)

    def __eq__(self, other):
        return type(other) is _Static and self._key == other._key


def _jump(jump: Jump) -> AbstractAction:
    # A negative rate is no decay and no solver may take it for one: NaN, and so is every derivative.
    rate = jnp.asarray(jump.rate, float)
    rate = rate * jnp.where(allowed_rates(rate), 1.0, jnp.nan)
    op, values = jump.operator, jnp.asarray(jump.operator.values) * (1 + 0j)
    if jump.groups is not None:
        places, groups = _Pairs(op.pattern, jump.groups), np.asarray(jump.groups)
        (p, q), (r, s) = places.gains, places.losses
        gains = take(rate, groups[p]) * take(values, p) * take(values, q).conj()
        return _Family(gains, take(rate, groups[r]) * take(values, r).conj() * take(values, s), places)
    whole = _Dense(rate, op.dense() * (1 + 0j))
    pattern = op.pattern
    longest = max(np.bincount(pattern.row).max(initial=0), np.bincount(pattern.col).max(initial=0))
    if longest > _FEW:
        return whole
    (forth, first), (back, second) = _rows(op), _rows(op.dag)
    return _Rows(whole, first, second, (_Static(forth), _Static(back)))


def _rows(op: Operator):
    """The entries of each row, as tables (few, d) of columns and values; rows that have fewer are filled with zeros."""
    row = op.pattern.row
    place = np.arange(row.size) - np.searchsorted(row, row)
    few = place.max(initial=0) + 1
    columns, at = np.zeros((few, op.size), int), np.full((few, op.size), row.size)
    columns[place, row], at[place, row] = op.pattern.col, np.arange(row.size)
    return columns, take(jnp.append(jnp.asarray(op.values), 0.0), at.ravel()).reshape(at.shape)


def _both(columns, values, X):
    """C X C^dag, from the table of C, for Hermitian X."""

    def left(X):
        return sum(v[:, None] * take(X, c) for c, v in zip(columns, values, strict=True))

    return left(left(X).conj().T)


def elements(generator: AbstractLindblad, start: Pattern | None = None) -> np.ndarray:
    """Which elements (d, d) of the density matrix the populations (or the elements of `start`) may reach, by patterns alone.

    It may have more than the sector that `reach` finds, which knows what cancels.
    """
    d = generator.H.size
    jumps = [j for label in generator.labels for j in generator.jumps[label]]
    single = [_pattern(d, j.operator.pattern) for j in jumps if j.groups is None]
    families = [_Pairs(j.operator.pattern, j.groups) for j in jumps if j.groups is not None]
    moves = _pattern(d, generator.H.pattern)
    for C in single:
        moves = moves + _times(C.T, C)
    for family in families:
        moves = moves + _pattern(d, Pattern(d, *(family.pattern.col[at] for at in family.losses)))
    front = _pattern(d, Pattern(d, np.arange(d), np.arange(d)) if start is None else start)
    seen = _array(front + front.T) > 0
    while front.nnz:
        new = _times(moves, front) + _times(front, moves.T)
        for C in single:
            new = new + _times(_times(C, front), C.T)
        found = _array(new) > 0
        for family in families:
            (p, q), pattern = family.gains, family.pattern
            found[pattern.row[p], pattern.row[q]] |= _array(front)[pattern.col[p], pattern.col[q]] > 0
        found = (found | found.T) & ~seen
        seen |= found
        front = sparse.csr_array(found.astype(np.float32))
    return seen


def _pattern(d: int, pattern: Pattern):
    return sparse.csr_array((np.ones(pattern.nnz, np.float32), (pattern.row, pattern.col)), shape=(d, d))


def _array(a) -> np.ndarray:
    return a.toarray()


def _times(a, b):
    """The pattern of a product; dense where most entries are there, which is quicker by far."""
    if a.nnz * b.nnz > 2 * a.shape[0] ** 3:
        return sparse.csr_array((a.toarray() @ b.toarray() > 0).astype(np.float32))
    out = a @ b
    out.data[:] = 1
    return out
