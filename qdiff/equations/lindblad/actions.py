"""Terms of a master equation as maps of d x d matrices: gathers where an operator has few entries in a row, products elsewhere."""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from ...linalg.complex_product import congruence, product
from ...linalg.gather import padded, sum_into, take
from ...operators.operator import Operator
from ...operators.pattern import Pattern, join
from .jumps import Jump
from .sandwiches import Sandwich, Term
from .terms import allowed_rates

# An operator with that many entries in a row at most is gathered row by row: at dimension 256 a product of dense matrices
# takes as long as some ten gathers.
_FEW = 4


class Action(eqx.Module):
    """What a generator acts by: H (d, d), and the terms of every bath.

        L(X) = Y + Y^dag + gain(X),   Y = between X
    """

    H: Array
    terms: dict[str, list[AbstractAction]]

    def between(self, labels=None) -> Array:
        """A = -i H + sum of the terms' own: the motion between jumps (d, d); that of some baths, without H."""
        start = -1j * self.H if labels is None else jnp.zeros_like(self.H)
        return sum((term.between() for term in self.of(labels)), start)

    def gain(self, X, labels=None) -> Array:
        """sum rate C X C^dag of the baths, for Hermitian X."""
        return sum((term.gain(X) for term in self.of(labels)), jnp.zeros_like(X))

    def gain_adjoint(self, X):
        """sum rate C^dag X C, for Hermitian X."""
        return sum((term.gain_adjoint(X) for term in self.of(None)), jnp.zeros_like(X))

    def of(self, labels) -> list[AbstractAction]:
        """The terms of some baths, or of all."""
        return [t for label, terms in self.terms.items() if labels is None or label in labels for t in terms]


class AbstractAction(eqx.Module):
    """One jump, or a family of them, as a map of matrices (d, d)."""

    @abc.abstractmethod
    def between(self) -> Array:
        """-sum rate C^dag C / 2, of a jump."""

    @abc.abstractmethod
    def gain(self, X) -> Array:
        """sum rate C X C^dag, for Hermitian X."""

    @abc.abstractmethod
    def gain_adjoint(self, X) -> Array:
        """sum rate C^dag X C, for Hermitian X."""

    def counted(self, X, amounts) -> Array:
        """sum amount rate C X C^dag, for Hermitian X; amounts (n,), one for each member of a family."""
        return amounts[0] * self.gain(X)

    @abc.abstractmethod
    def rates(self, V, inverse) -> Array:
        """sum rate |V^-1 C V|^2, entry by entry: the rates of transitions between the columns of V."""

    @abc.abstractmethod
    def displaced(self, v) -> Array:
        """What A gains if every C is replaced by C + a, a = -<v|C|v>, and H so that the motion is the same."""


class _Dense(AbstractAction):
    """A jump as a dense matrix."""

    rate: Array
    C: Array

    def between(self):
        return -0.5 * self.rate * (self.C.conj().T @ self.C)

    def gain(self, X):
        return self.rate * congruence(self.C, X)

    def gain_adjoint(self, X):
        return self.rate * congruence(self.C.conj().T, X)

    def rates(self, V, inverse):
        return self.rate * jnp.abs(inverse @ self.C @ V) ** 2

    def displaced(self, v):
        a = -jnp.vdot(v, self.C @ v)
        return -self.rate * (a.conj() * self.C + 0.5 * jnp.abs(a) ** 2 * jnp.eye(len(v)))


class _Sandwich(AbstractAction):
    """c (A X B^dag - B^dag A X) + h.c., of dense matrices."""

    c: Array
    A: Array
    B: Array

    def between(self):
        return -self.c * (self.B.conj().T @ self.A)

    def gain(self, X):
        half = self.c * product(product(self.A, X), self.B.conj().T)
        return half + half.conj().T

    def gain_adjoint(self, X):
        half = self.c.conj() * product(product(self.A.conj().T, X), self.B)
        return half + half.conj().T

    def rates(self, V, inverse):
        # Of either sign: they only say which levels belong together.
        left, right = inverse @ self.A @ V, inverse @ self.B @ V
        return jnp.abs(2 * jnp.real(self.c * left * right.conj()))

    def displaced(self, v):
        return jnp.zeros_like(self.A)


class _Rows(AbstractAction):
    """A jump with few entries in every row and column: the values of C and of C^dag, row by row (few, d)."""

    whole: _Dense
    forth: Array
    back: Array
    columns: tuple[_Static, _Static] = eqx.field(static=True)

    def between(self):
        return -0.5 * self.whole.rate * _left(self.columns[1].array, self.back, self.whole.C)

    def rates(self, V, inverse):
        return self.whole.rate * jnp.abs(inverse @ _left(self.columns[0].array, self.forth, V)) ** 2

    def displaced(self, v):
        return self.whole.displaced(v)

    def gain(self, X):
        return self.whole.rate * _both(self.columns[0].array, self.forth, X)

    def gain_adjoint(self, X):
        return self.whole.rate * _both(self.columns[1].array, self.back, X)


class Family(AbstractAction):
    """A family of jumps: the pairs of entries that belong to one of its members, and their values."""

    gains: Array
    losses: Array
    places: Pairs = eqx.field(static=True)

    def between(self):
        p, q = self.places.losses
        col = self.places.pattern.col
        return -0.5 * self._sum(self.losses, col[p], col[q])

    def gain(self, X):
        pattern = self.places.pattern
        return self._moved(X, pattern.col, pattern.row, self.gains)

    def counted(self, X, amounts):
        pattern, (p, _) = self.places.pattern, self.places.gains
        amounts = take(amounts, np.asarray(self.places.groups)[p])
        return self._moved(X, pattern.col, pattern.row, amounts * self.gains)

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


class Pairs:
    """Which pairs of entries of a family's operator belong to one member, and of these which are in one row."""

    def __init__(self, pattern: Pattern, groups: tuple[int, ...]):
        self.pattern, self.groups = pattern, groups
        at, count = np.asarray(groups, int), max(groups, default=0) + 1
        self.gains = join(at, at, count)
        key = pattern.row * count + at
        self.losses = join(key, key, pattern.size * count)


class _Static:
    """An array of numbers that are known while tracing; an action is made anew in every program, so that it is compared to none."""

    def __init__(self, array: np.ndarray):
        self.array = array


def action(term: Term) -> AbstractAction:
    """A term of a generator as a map."""
    if isinstance(term, Sandwich):
        c = jnp.asarray(term.coefficient) * (1 + 0j)
        return _Sandwich(c, _complex(term.left), _complex(term.right))
    return _jump(term)


def _jump(jump: Jump) -> AbstractAction:
    # A negative rate is no decay and no solver may take it for one: NaN, and so is every derivative.
    rate = jnp.asarray(jump.rate, float)
    rate = rate * jnp.where(allowed_rates(rate), 1.0, jnp.nan)
    op, values = jump.operator, jnp.asarray(jump.operator.values) * (1 + 0j)
    if jump.groups is not None:
        places, groups = Pairs(op.pattern, jump.groups), np.asarray(jump.groups)
        (p, q), (r, s) = places.gains, places.losses
        gains = take(rate, groups[p]) * take(values, p) * take(values, q).conj()
        return Family(gains, take(rate, groups[r]) * take(values, r).conj() * take(values, s), places)
    whole = _Dense(rate, _complex(op))
    pattern = op.pattern
    longest = max(np.bincount(pattern.row).max(initial=0), np.bincount(pattern.col).max(initial=0))
    if longest > _FEW:
        return whole
    (forth, first), (back, second) = _rows(op), _rows(op.dag)
    return _Rows(whole, first, second, (_Static(forth), _Static(back)))


def _complex(op: Operator) -> Array:
    # Products of matrices that are constants of the program would be computed while it is compiled,
    # at dimension 400 for seven seconds each.
    return lax.optimization_barrier(jnp.asarray(op.dense()) * (1 + 0j))


def _rows(op: Operator):
    """The entries of each row, as tables (few, d) of columns and values; rows that have fewer are filled with zeros."""
    row = op.pattern.row
    place = np.arange(row.size) - np.searchsorted(row, row)
    few = place.max(initial=0) + 1
    columns, at = np.zeros((few, op.size), int), np.full((few, op.size), row.size)
    columns[place, row], at[place, row] = op.pattern.col, np.arange(row.size)
    return columns, take(padded(jnp.asarray(op.values)), at.ravel()).reshape(at.shape)


def _left(columns, values, X):
    """C X, from the table of C."""
    return sum((v[:, None] * take(X, c) for c, v in zip(columns, values, strict=True)), jnp.zeros_like(X))


def _both(columns, values, X):
    """C X C^dag, from the table of C, for Hermitian X."""
    return _left(columns, values, _left(columns, values, X).conj().T)
