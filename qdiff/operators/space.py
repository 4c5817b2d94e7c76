"""Product spaces of named factors, and the operators on each factor."""

from __future__ import annotations

import dataclasses
import keyword
import numbers
from fractions import Fraction

import numpy as np

from .checks import count
from .fermions import Fermions, odd_entries, strings
from .operator import Operator, as_matrix
from .pattern import Pattern
from .structure import is_constant


@dataclasses.dataclass(frozen=True)
class Spin:
    """A spin S: a two-level system, `Spin()`, or a larger one, such as `Spin(3/2)` or `Spin(1)`.

    The levels are those of S_z |m> = m |m>, from m = S down to m = -S, 2S + 1 of them.

    Operators of every spin: `Sx`, `Sy`, `Sz`, with [Sx, Sy] = i Sz, and `plus` = Sx + i Sy,
    `minus` = Sx - i Sy, with <m+1| plus |m> = sqrt(S(S+1) - m(m+1)).

    Operators of `Spin()` only: `x`, `y`, `z`, the Pauli matrices, which are 2 Sx, 2 Sy, 2 Sz; `up`,
    `down`, the projectors. Its `plus` is |up><down|.

    Levels are named by m, as "3/2", "1/2", .. or "1", "0", "-1"; those of `Spin()` are "up" and
    "down". The number m will do, too: `projector(-1.5)`.

    Args:
        S: 1/2, 1, 3/2 and so on. N two-level systems in symmetric states are a `Spin(N / 2)`.

    Raises:
        TypeError, ValueError: S is no such number.

    Example:
        >>> import qdiff as qd
        >>> s = qd.Space(s=qd.Spin(3/2)).s
        >>> s.Sz.diagonal(), s.plus.values.round(3)
        (array([ 1.5,  0.5, -0.5, -1.5]), array([1.732, 2.   , 1.732]))
        >>> s.factor.labels
        ('3/2', '1/2', '-1/2', '-3/2')
    """

    S: float = 0.5

    def __post_init__(self):
        number = isinstance(self.S, numbers.Real) and not isinstance(self.S, bool)
        if not number or not self.S > 0 or 2 * self.S % 1 != 0:
            kind = ValueError if number else TypeError
            raise kind(f"S must be a spin, 1/2 or 1 or 3/2 and so on, but was {self.S!r}")
        object.__setattr__(self, "S", float(self.S))

    def __repr__(self):
        return "Spin()" if self.S == 0.5 else f"Spin({Fraction(self.S)})"

    @property
    def dim(self) -> int:
        return round(2 * self.S) + 1

    @property
    def edges(self) -> tuple[int, ...]:
        return ()

    @property
    def labels(self) -> tuple[str, ...]:
        if self.S == 0.5:
            return ("up", "down")
        return tuple(str(Fraction(self.S - k)) for k in range(self.dim))

    def label(self, level: str | float) -> str:
        """The name of a level that is given by its name or by its m."""
        number = isinstance(level, numbers.Real) and not isinstance(level, bool)
        place = self.S - float(level) if number else -1
        return self.labels[int(place)] if place in range(self.dim) else str(level)

    def matrices(self):
        k = np.arange(1.0, self.dim)
        plus = np.diag(np.sqrt(k * (self.dim - k)), 1)
        spin = {
            "plus": lambda: plus,
            "minus": lambda: plus.T,
            "Sx": lambda: (plus + plus.T) / 2,
            "Sy": lambda: (plus - plus.T) / 2j,
            "Sz": lambda: np.diag(self.S - np.arange(self.dim)),
        }
        return spin | _TWO_LEVELS if self.S == 0.5 else spin


# What only a spin 1/2 has. Larger ones lack x, y, z lest a factor of two be overlooked.
_TWO_LEVELS = {
    "x": lambda: [[0.0, 1], [1, 0]],
    "y": lambda: [[0, -1j], [1j, 0]],
    "z": lambda: [[1.0, 0], [0, -1]],
    "up": lambda: [[1.0, 0], [0, 0]],
    "down": lambda: [[0.0, 0], [0, 1]],
}


@dataclasses.dataclass(frozen=True)
class Rotor:
    """A planar rotor truncated to angular momenta l_min..l_max.

    Operators: `L`, `L2` = L^2, `E` = e^{i phi} with E|l> = |l+1> and E|l_max> = 0, `cos`, `sin` (of phi).
    """

    l_min: int
    l_max: int

    def __post_init__(self):
        for name in ("l_min", "l_max"):
            object.__setattr__(self, name, count(name, getattr(self, name)))
        if not self.l_min < self.l_max:
            raise ValueError(f"l_min must be below l_max, but l_min = {self.l_min} and l_max = {self.l_max}")

    @property
    def dim(self) -> int:
        return self.l_max - self.l_min + 1

    @property
    def edges(self) -> tuple[int, ...]:
        return (0, self.dim - 1)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(x) for x in range(self.l_min, self.l_max + 1))

    def matrices(self):
        momenta = np.arange(self.l_min, self.l_max + 1.0)
        up = np.diag(np.ones(self.dim - 1), -1)
        return {
            "L": lambda: np.diag(momenta),
            "L2": lambda: np.diag(momenta**2),
            "E": lambda: up,
            "cos": lambda: (up + up.T) / 2,
            "sin": lambda: (up - up.T) / 2j,
        }


@dataclasses.dataclass(frozen=True)
class Boson:
    """A harmonic mode truncated to `levels` number states 0..levels-1.

    Operators: `a` (annihilation), `n` (number), `x` = a + a^dag, `p` = (a - a^dag)/i.
    """

    levels: int

    def __post_init__(self):
        object.__setattr__(self, "levels", count("levels", self.levels, 1))

    @property
    def dim(self) -> int:
        return self.levels

    @property
    def edges(self) -> tuple[int, ...]:
        return (self.levels - 1,)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(n) for n in range(self.levels))

    def matrices(self):
        a = np.diag(np.sqrt(np.arange(1.0, self.levels)), 1)
        return {
            "a": lambda: a,
            "n": lambda: np.diag(np.arange(float(self.levels))),
            "x": lambda: a + a.T,
            "p": lambda: (a - a.T) / 1j,
        }


class Levels:
    """A system of named levels, such as `Levels("ground", "excited")` or `Levels(3)`.

    Operators: `transition(to, frm)` = |to><frm| and `projector(level)`, by name or by number.
    """

    def __init__(self, *names: str | int):
        if len(names) == 1 and not isinstance(names[0], str):
            names = tuple(range(count("the number of levels", names[0], 1)))
        for name in names:
            if isinstance(name, bool) or not isinstance(name, (str, int, np.integer)) or name == "":
                raise TypeError(f"a level's name must be a word or an integer, but was {name!r}")
        self.labels = tuple(str(n) for n in names)
        if not names or len(set(self.labels)) != len(names):
            raise ValueError(f"level names must be distinct and at least one, but were {names}")

    dim = property(lambda self: len(self.labels))
    edges = ()

    def __repr__(self):
        return f"Levels{self.labels}"

    def __eq__(self, other):
        return isinstance(other, Levels) and self.labels == other.labels

    def __hash__(self):
        return hash(self.labels)

    def matrices(self):
        return {}

    def index(self, level: str | int) -> int:
        if isinstance(level, (int, np.integer)) and not isinstance(level, bool) and 0 <= level < self.dim:
            return int(level)
        if isinstance(level, str) and level in self.labels:
            return self.labels.index(level)
        raise ValueError(f"level must be one of {self.labels} or a number below {self.dim}, but was {level!r}")


class Site:
    """One factor of a space; its attributes are the factor's operators, acting on the whole space."""

    def __init__(self, space: Space, name: str):
        self.space, self.name = space, name
        self.factor = space.factors[name]

    def __getattr__(self, name: str) -> Operator:
        known = self.factor.matrices()
        if name in known:
            return self.operator(np.asarray(known[name]()))
        if isinstance(self.factor, Spin) and name in _TWO_LEVELS:
            raise AttributeError(
                f"{self.factor!r} has no operator {name!r}, which is one of Spin() only (x, y, z are "
                f"Pauli matrices, twice the spin); it has {sorted(known)}"
            )
        raise AttributeError(f"{self.factor!r} has no operator {name!r}; it has {sorted(known) or 'transition, projector'}")

    def operator(self, matrix) -> Operator:
        """Any (dim, dim) matrix, or `Operator` of that size, of this factor as an operator on the whole space.

        Also what has a dense matrix: one of QuTiP's objects, a sparse array. What adds or removes an odd number of fermions
        anticommutes with its like on every other factor.
        """
        local = matrix if isinstance(matrix, Operator) else Operator.from_dense(as_matrix(matrix))
        if local.size != self.factor.dim:
            raise ValueError(f"matrix must have the dimension of {self.name!r}, {self.factor.dim}, but has {local.size}")
        return self.space._embed(local, self.name)

    def transition(self, to, frm) -> Operator:
        """|to><frm| between two levels, by name or number."""
        matrix = np.zeros((self.factor.dim, self.factor.dim))
        matrix[self._index(to), self._index(frm)] = 1
        return self.operator(matrix)

    def projector(self, level) -> Operator:
        """|level><level|, by name or number."""
        return self.transition(level, level)

    def state(self, part) -> Operator:
        """A state of this factor as an operator on the whole space: a level, a density matrix or a ket."""
        if isinstance(part, (str, numbers.Real)):
            return self.projector(part)
        d = self.factor.dim
        if not isinstance(part, Operator):
            if np.shape(part) not in ((d,), (d, d)):
                raise ValueError(
                    f"the state of {self.name!r} must be a level, a density matrix {(d, d)} or a ket {(d,)}, but has shape {np.shape(part)}"
                )
            if np.ndim(part) == 1:
                part = np.asarray(part) if is_constant(part) else part
                part = part[:, None] * part.conj()
        if isinstance(self.factor, Fermions):
            part = part if isinstance(part, Operator) else Operator.from_dense(part)
            if part.size == d and odd_entries(self.factor, part.pattern).any():
                raise ValueError(f"the state of {self.name!r} must not mix even and odd numbers of fermions, but does")
        return self.operator(part)

    def _index(self, level) -> int:
        if isinstance(self.factor, (Levels, Fermions)):
            return self.factor.index(level)
        label = self.factor.label(level) if isinstance(self.factor, Spin) else str(level)
        if label in self.factor.labels:
            return self.factor.labels.index(label)
        raise ValueError(f"level of {self.name!r} must be one of {self.factor.labels}, but was {level!r}")


class Space:
    """The tensor product of named factors, in the order given.

    Args:
        factors: by name, each a `Spin`, `Boson`, `Rotor`, `Levels` or `Fermions`; a factor is then an attribute of the space,
            and the factor's operators are attributes of that.

    Raises:
        ValueError: there is no factor; a name is not a Python identifier, starts with an underscore, or is that of
            an attribute of every space, such as `dim`.
        TypeError: a factor is none.

    Example:
        >>> import qdiff as qd
        >>> space = qd.Space(qubit=qd.Spin(), wheel=qd.Rotor(-2, 3))
        >>> space.dim, space.wheel.L.pattern.nnz
        (12, 10)
    """

    def __init__(self, **factors):
        if not factors:
            raise ValueError("a Space needs at least one named factor, such as Space(qubit=Spin())")
        for name, factor in factors.items():
            if name in ("factors", *vars(Space)):
                raise ValueError(f"a factor must not be named {name!r}, because every Space has an attribute of that name")
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                raise ValueError(f"a factor's name must be a Python identifier without leading underscore, but was {name!r}")
            if isinstance(factor, type) or not all(hasattr(factor, need) for need in ("dim", "labels", "edges", "matrices")):
                was = f"{factor.__name__}, which needs brackets" if isinstance(factor, type) else repr(factor)
                raise TypeError(f"factor {name!r} must be one such as Spin(), Boson(levels) or Levels(...), but was {was}")
        self.factors = factors

    dims = property(lambda self: tuple(f.dim for f in self.factors.values()))

    @property
    def dim(self) -> int:
        return int(np.prod(self.dims))

    def __getattr__(self, name: str) -> Site:
        if name == "factors" or name not in self.factors:
            known = [] if name == "factors" else list(self.factors)
            raise AttributeError(f"this Space has no factor {name!r}; it has {known}")
        return Site(self, name)

    def __repr__(self):
        return "Space(" + ", ".join(f"{k}={v!r}" for k, v in self.factors.items()) + ")"

    def __eq__(self, other):
        return isinstance(other, Space) and list(self.factors.items()) == list(other.factors.items())

    def __hash__(self):
        return hash(tuple(self.factors.items()))

    @property
    def identity(self) -> Operator:
        at = np.arange(self.dim)
        return Operator(Pattern(self.dim, at, at), np.ones(self.dim), self)

    def operator(self, matrix) -> Operator:
        """A (dim, dim) matrix as an operator on this space.

        Args:
            matrix: an array, an `Operator`, or what has a dense matrix: one of QuTiP's objects, a sparse array.

        Raises:
            TypeError, ValueError: it is no square matrix of numbers, or of another dimension.
        """
        op = Operator.from_dense(as_matrix(matrix), self)
        if op.size != self.dim:
            raise ValueError(f"matrix must have the dimension of the space, {self.dim}, but has {op.size}")
        return op

    def state(self, **parts) -> Operator:
        """The density matrix of a product state, such as `space.state(qubit="up", wheel=0)`.

        Args:
            parts: for every factor its own state: the name or number of a level, a density matrix as an array
                (dim, dim) or an `Operator`, or a ket as an array (dim,).

        Raises:
            ValueError: a factor is missing or unknown, or its state has the wrong shape.

        Differentiable in the arrays and operators.
        """
        for name in parts:
            self.axis(name)
        missing = [name for name in self.factors if name not in parts]
        if missing:
            raise ValueError(f"a product state needs a state of every factor, but {missing} are missing")
        out = self.identity
        for name, part in parts.items():
            out = out @ getattr(self, name).state(part)
        return out

    def axis(self, name: str) -> int:
        if name not in self.factors:
            raise ValueError(f"factor must be one of {list(self.factors)}, but was {name!r}")
        return list(self.factors).index(name)

    def coordinates(self, index) -> np.ndarray:
        """The factor levels (n_factors, ...) of basis states with the given indices."""
        index = np.asarray(index)
        if index.dtype.kind not in "iu" or np.any(index < 0) or np.any(index >= self.dim):
            raise ValueError(f"index must be an integer between 0 and {self.dim - 1}, but was {index}")
        return np.stack(np.unravel_index(np.asarray(index), self.dims))

    def crossings(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Whether |left><right|, basis states by levels (n_factors, n), is minus the product of its parts on the factors."""
        factors = self.factors.values()
        each = zip(factors, left, right, strict=True)
        odd = [f.odd[i] != f.odd[j] if isinstance(f, Fermions) else np.zeros(i.shape, bool) for f, i, j in each]
        return np.sum(np.stack(odd) & strings(factors, right), axis=0) % 2 == 1

    def label(self, index: int) -> str:
        """The name of a basis state, such as |up,down,3>."""
        at = self.coordinates(index)
        return "|" + ",".join(f.labels[k] for f, k in zip(self.factors.values(), at, strict=True)) + ">"

    def keep(self, *names: str) -> Space:
        """The space of some of the factors, in this space's order."""
        for name in names:
            self.axis(name)
        return Space(**{k: f for k, f in self.factors.items() if k in names})

    def _embed(self, local: Operator, name: str) -> Operator:
        axis, dims = self.axis(name), self.dims
        left, right = int(np.prod(dims[:axis])), int(np.prod(dims[axis + 1 :]))
        d, nnz = dims[axis], local.pattern.nnz
        a, k, b = np.meshgrid(np.arange(left), np.arange(nnz), np.arange(right), indexing="ij")
        row = ((a * d + local.pattern.row[k]) * right + b).ravel()
        col = ((a * d + local.pattern.col[k]) * right + b).ravel()
        out = Pattern(self.dim, row, col)
        source = np.empty(out.nnz, int)
        source[out.find(row, col)] = k.ravel()
        values, probe = local.values[source], local.probe[:, source]
        minus = odd_entries(self.factors[name], local.pattern)[source]
        if minus.any():
            minus &= strings(self.factors.values(), self.coordinates(out.col))[axis]
            sign = np.where(minus, -1.0, 1.0)
            values, probe = values * sign, probe * sign
        return Operator(out, values, self, probe=probe)
