"""Operators: a static sparsity pattern with traced values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..linalg.gather import sum_into, take
from . import pattern as pt
from .checks import is_number, kind_of
from .pattern import Pattern
from .structure import PROBES, generic, is_constant, sums_of, vanishes

_SUM = "added to or subtracted from"


@jax.tree_util.register_pytree_node_class
class Operator:
    """A linear operator on a `Space`: entries `values[k]` at (`pattern.row[k]`, `pattern.col[k]`).

    The algebra is the usual one: `A + B`, `A - B`, `A * c`, `A / c`, `A @ B`, `A**n`, `A.dag`, `A.trace()`,
    `A.dense()`, and `sum` of a list. Adding a number is refused; add a multiple of `space.identity`.

    Args:
        pattern: where entries may be non-zero (static).
        values: array (nnz,), real or complex, in the order of the pattern; NumPy where they are known now.
        space: the `Space` it acts on, or None for a bare matrix.

    Raises:
        TypeError: the pattern is not a `Pattern`, or the values are not numbers.
        ValueError: there are more or fewer values than places; operands act on different spaces.

    Differentiable in `values`. The pattern never depends on a traced value.

    Example:
        >>> import qdiff as qd
        >>> s = qd.Space(qubit=qd.Spin()).qubit
        >>> (s.plus @ s.minus - s.up).pattern.nnz
        0
    """

    __array_ufunc__ = None  # NumPy numbers and arrays on the left leave every operation to us

    def __init__(self, pattern: Pattern, values, space=None, *, probe: np.ndarray | None = None):
        if not isinstance(pattern, Pattern):
            raise TypeError(f"pattern must be a Pattern, but was {type(pattern).__name__}; for a matrix there is Operator.from_dense")
        if kind_of(values) not in "biufc":
            raise TypeError(f"values must be an array of numbers, but was {type(values).__name__}")
        if np.shape(values) != (pattern.nnz,):
            raise ValueError(f"values must have one number for each place of the pattern, {pattern.nnz}, but have shape {np.shape(values)}")
        self.pattern, self.space = pattern, space
        self.values = values if hasattr(values, "dtype") else np.asarray(values)
        self._probe = probe

    def tree_flatten(self):
        return (self.values,), (self.pattern, self.space)

    @classmethod
    def tree_unflatten(cls, static, children):
        # Not through __init__: JAX also puts batches, and objects that are no numbers, in the place of the values.
        self = object.__new__(cls)
        (self.values,), (self.pattern, self.space), self._probe = children, static, None
        return self

    @classmethod
    def from_dense(cls, matrix, space=None) -> Operator:
        """An operator from a dense (n, n) matrix: of a known one the zeros are left out, of a traced one none are."""
        if kind_of(matrix) not in "biufc":
            raise TypeError(f"matrix must be a square array of numbers, but was {type(matrix).__name__}")
        if np.ndim(matrix) != 2 or np.shape(matrix)[0] != np.shape(matrix)[1] or np.size(matrix) == 0:
            raise ValueError(f"matrix must be square, shape (n, n), but has shape {np.shape(matrix)}")
        n = np.shape(matrix)[0]
        if is_constant(matrix):
            matrix = np.asarray(matrix)
            matrix = matrix.astype(np.result_type(float, matrix))
            row, col = np.nonzero(matrix)
            return cls(Pattern(n, row, col), matrix[row, col], space)
        full = Pattern(n, *np.indices((n, n)).reshape(2, -1))
        return cls(full, jnp.asarray(matrix).reshape(-1), space)

    @property
    def probe(self) -> np.ndarray:
        """The values' generic copies (PROBES, nnz)."""
        if self._probe is None:
            self._probe = generic(self.values)
        return self._probe

    def with_probe(self, probe: np.ndarray) -> Operator:
        """The same operator with other generic copies; entries that are zero in all of them are dropped."""
        return Operator(self.pattern, self.values, self.space, probe=probe)._pruned(np.abs(probe), 0)

    def widened(self, others) -> Operator:
        """The same operator on the union of its pattern and those of others."""
        out = self.pattern
        for other in others:
            out = pt.union(out, other.pattern)[0]
        if out == self.pattern:
            return self
        return Operator(out, accumulate([(self.values, out.find(self.pattern.row, self.pattern.col))], out.nnz), self.space)

    @property
    def size(self) -> int:
        return self.pattern.size

    def __repr__(self):
        return f"Operator(size={self.size}, nnz={self.pattern.nnz}, space={self.space!r})"

    def _pruned(self, bound: np.ndarray, terms: int) -> Operator:
        """Drop the entries that vanish identically; `bound` is the absolute sum behind each entry."""
        keep = ~vanishes(self.probe, bound, terms)
        if keep.all():
            return self
        at = np.flatnonzero(keep)
        pattern = Pattern(self.size, self.pattern.row[at], self.pattern.col[at])
        return Operator(pattern, take(self.values, at), self.space, probe=self.probe[:, at])

    def _other(self, other, verb: str) -> Operator:
        if not isinstance(other, Operator):
            hint = "a number c stands for c * space.identity" if is_number(other) else "make one of a matrix with space.operator(matrix)"
            raise TypeError(f"an Operator can only be {verb} an Operator, but got {type(other).__name__}; {hint}")
        if other.size != self.size or (self.space and other.space and self.space != other.space):
            raise ValueError(
                f"operators must act on the same space, but one acts on {self.space!r} (dimension {self.size}) "
                f"and the other on {other.space!r} (dimension {other.size})"
            )
        return other

    def __add__(self, other):
        if isinstance(other, int) and other == 0:  # where `sum` starts, and what it returns of an empty list
            return self
        other = self._other(other, _SUM)
        out, a, b = pt.union(self.pattern, other.pattern)
        if self.pattern == other.pattern:
            values = self.values + other.values
        else:
            values = accumulate([(self.values, a), (other.values, b)], out.nnz)
        probe, bound = np.zeros((2, PROBES, out.nnz), complex)
        for op, at in ((self, a), (other, b)):
            probe[:, at] += op.probe
            bound[:, at] += np.abs(op.probe)
        return Operator(out, values, self.space or other.space, probe=_real(probe))._pruned(np.real(bound), 2)

    __radd__ = __add__

    def __pos__(self):
        return self

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other if isinstance(other, (Operator, int)) else other)

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, c):
        if isinstance(c, Operator):
            raise TypeError("`*` multiplies an Operator by a number; the product of operators is `@`")
        _one_number(c, "multiplied")
        values = self.values * np.asarray(c) if is_constant(c) else jnp.asarray(self.values) * c
        probe = self.probe * generic(c)[:, None]
        return Operator(self.pattern, values, self.space, probe=probe)._pruned(np.abs(probe), 0)

    __rmul__ = __mul__

    def __truediv__(self, c):
        _one_number(c, "divided")
        if is_constant(c) and c == 0:
            raise ZeroDivisionError("an Operator can be divided by a number that is not zero, but got zero")
        return self * (1 / c)

    def __rtruediv__(self, other):
        raise TypeError(f"nothing can be divided by an Operator, but {type(other).__name__} was")

    def __rmatmul__(self, other):
        return self._other(other, "multiplied by `@` with")

    def __matmul__(self, other):
        product, bound, most = self.times(other)
        return product._pruned(bound, most)

    def times(self, other) -> tuple[Operator, np.ndarray, int]:
        """The product with every entry that the patterns allow, the absolute sums behind the entries' generic copies,
        and the number of terms in the longest of them."""
        other = self._other(other, "multiplied by `@` with")
        out, i, j, k = pt.product(self.pattern, other.pattern)
        values = accumulate([(take(self.values, i) * take(other.values, j), k)], out.nnz)
        term = self.probe[:, i] * other.probe[:, j]
        probe, bound = sums_of(term, k, out.nnz), sums_of(np.abs(term), k, out.nnz)
        return Operator(out, values, self.space or other.space, probe=probe), bound, int(np.bincount(k).max()) if k.size else 1

    def __pow__(self, n: int):
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"an Operator's power must be a positive integer, but was {n!r}")
        return self if n == 1 else self @ self ** (n - 1)

    @property
    def dag(self) -> Operator:
        """The adjoint."""
        out, at = pt.adjoint(self.pattern)
        return Operator(out, take(self.values, at).conj(), self.space, probe=self.probe[:, at].conj())

    def trace(self):
        """Sum of the diagonal entries, a scalar."""
        return take(self.values, np.flatnonzero(self.pattern.row == self.pattern.col)).sum()

    def diagonal(self):
        """The diagonal, shape (n,)."""
        on = np.flatnonzero(self.pattern.row == self.pattern.col)
        return accumulate([(take(self.values, on), self.pattern.row[on])], self.size)

    def dense(self):
        """The (n, n) matrix."""
        n = self.size
        return accumulate([(self.values, self.pattern.keys)], n * n).reshape(n, n)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """The (n, n) matrix, for NumPy. Raises JAX's `TracerArrayConversionError` if the values are traced."""
        if copy is False:
            raise ValueError("copy must not be False: the dense matrix of an Operator is made anew")
        return np.asarray(self.dense(), dtype)

    def reduced(self, *names: str) -> Operator:
        """The partial trace over all factors of the space but the named ones, on `space.keep(*names)`.

        Of fermions the one that keeps the expectation values of all even operators of the factors that are left.
        """
        if self.space is None:
            raise ValueError("the partial trace needs an operator on a Space, but this one is a bare matrix")
        small = self.space.keep(*names)
        axes = np.array([self.space.axis(n) for n in small.factors])
        others = np.setdiff1d(np.arange(len(self.space.factors)), axes)
        left, right = self.space.coordinates(self.pattern.row), self.space.coordinates(self.pattern.col)
        on = np.flatnonzero(np.all(left[others] == right[others], axis=0))
        row = np.ravel_multi_index(tuple(left[axes][:, on]), small.dims)
        col = np.ravel_multi_index(tuple(right[axes][:, on]), small.dims)
        out = Pattern(small.dim, row, col)
        at = out.find(row, col)
        values, probe = take(self.values, on), self.probe[:, on]
        minus = self.space.crossings(left[:, on], right[:, on]) != small.crossings(left[axes][:, on], right[axes][:, on])
        if minus.any():
            sign = np.where(minus, -1.0, 1.0)
            values, probe = values * sign, probe * sign
        return Operator(out, accumulate([(values, at)], out.nnz), small, probe=sums_of(probe, at, out.nnz))

    @property
    def is_hermitian(self) -> bool:
        """Whether it equals its adjoint for all values of its parameters, to 1e-12 of its largest entry."""
        other = self.dag
        out, a, b = pt.union(self.pattern, other.pattern)
        difference = np.zeros((PROBES, out.nnz), complex)
        difference[:, a] += self.probe
        difference[:, b] -= other.probe
        return bool(np.all(np.abs(difference) <= 1e-12 * np.abs(self.probe).max(initial=0.0)))

    @property
    def is_real(self) -> bool:
        return not np.issubdtype(self.values.dtype, np.complexfloating)


def as_matrix(given):
    """The dense matrix of an `Operator`, of one of QuTiP's objects, of a sparse array; what is none of these as it is."""
    if isinstance(given, Operator):
        return given.dense()
    for name in ("full", "toarray", "todense"):
        if callable(make := getattr(given, name, None)):
            return make()
    return np.asarray(given) if hasattr(given, "__array__") and kind_of(given) not in "biufc" else given


def accumulate(parts, size: int):
    """out (size,) with out[at] += values for every (values, at); NumPy in, NumPy out."""
    if len(parts) == 1:
        values, at = parts[0]
        return sum_into(values, at, size)
    at = np.concatenate([at for _, at in parts])
    constant = all(isinstance(v, np.ndarray) for v, _ in parts)
    return sum_into((np if constant else jnp).concatenate([v for v, _ in parts]), at, size)


def _one_number(c, verb: str):
    if kind_of(c) not in "biufc":
        raise TypeError(f"an Operator can only be {verb} by a number, but got {type(c).__name__}")
    if np.ndim(c) != 0:
        raise ValueError(f"an Operator can only be {verb} by one number, but got an array of shape {np.shape(c)}")


def _real(x: np.ndarray) -> np.ndarray:
    return x if np.any(np.imag(x)) else np.real(x)
