"""Fermionic modes: factors whose operators anticommute across the whole space, by one Jordan-Wigner order."""

from __future__ import annotations

import functools
import keyword
from collections.abc import Callable

import numpy as np

_OWN = ("n", "parity")


class Fermions:
    """Named fermionic modes, such as `Fermions("up", "down")`: 2^m states, annihilators that anticommute.

        {c_a, c_b} = 0,   {c_a, c_b^dag} = delta_ab

    also between modes of different factors of one `Space`: the modes stand in the order of the factors, and within a
    factor in the order of their names (Jordan and Wigner). A state with modes a < b < .. occupied is c_a^dag c_b^dag ..|0>.

    Operators: each mode's annihilator by its name; `n_<mode>` its number, `n` the sum of them, `parity` = (-1)^n.

    Args:
        modes: distinct Python identifiers, at least one; not `n`, `parity`, nor one that starts with `n_`.

    Levels are named by what is occupied, joined by `+` in any order ("up+down"), and "0" with nothing there; the
    occupations count in binary, the first mode slowest.

    Raises:
        ValueError: there is no mode, or a name is not allowed or stands there twice.

    Example:
        >>> import qdiff as qd
        >>> space = qd.Space(left=qd.Fermions("up", "down"), right=qd.Fermions("down"))
        >>> a, b = space.left.down, space.right.down
        >>> (a @ b + b @ a).pattern.nnz, space.label(6)
        (0, '|up+down,0>')
    """

    def __init__(self, *modes: str):
        for mode in modes:
            named = isinstance(mode, str) and mode.isidentifier() and not keyword.iskeyword(mode)
            if not named or mode.startswith(("_", "n_")) or mode in _OWN or mode in _SITE:
                raise ValueError(
                    f"a mode's name must be a Python identifier other than {', '.join((*_OWN, *_SITE))} and n_.., but was {mode!r}"
                )
        if not modes or len(set(modes)) < len(modes):
            raise ValueError(f"modes must have distinct names and be at least one, but were {modes}")
        self.modes = modes

    edges = ()

    @property
    def dim(self) -> int:
        return 2 ** len(self.modes)

    @functools.cached_property
    def occupations(self) -> np.ndarray:
        """(dim, m) of 0 and 1: which modes are occupied in each state."""
        return np.stack(np.unravel_index(np.arange(self.dim), (2,) * len(self.modes)), axis=-1)

    @property
    def odd(self) -> np.ndarray:
        """(dim,) of 0 and 1: whether a state holds an odd number of fermions."""
        return self.occupations.sum(axis=1) % 2

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple("+".join(m for m, n in zip(self.modes, row, strict=True) if n) or "0" for row in self.occupations)

    def __repr__(self):
        return f"Fermions({', '.join(map(repr, self.modes))})"

    def __eq__(self, other):
        return isinstance(other, Fermions) and self.modes == other.modes

    def __hash__(self):
        return hash(self.modes)

    def index(self, level: str | int) -> int:
        if isinstance(level, (int, np.integer)) and not isinstance(level, bool) and 0 <= level < self.dim:
            return int(level)
        held = sorted(level.split("+")) if isinstance(level, str) else None
        for at, label in enumerate(self.labels):
            if held == sorted(label.split("+")):
                return at
        raise ValueError(f"level must be one of {self.labels} or a number below {self.dim}, but was {level!r}")

    def matrices(self):
        made: dict[str, Callable[[], np.ndarray]] = {mode: functools.partial(self._annihilator, k) for k, mode in enumerate(self.modes)}
        for k, mode in enumerate(self.modes):
            made["n_" + mode] = functools.partial(lambda k: np.diag(self.occupations[:, k].astype(float)), k)
        made["n"] = lambda: np.diag(self.occupations.sum(axis=1).astype(float))
        made["parity"] = lambda: np.diag(1.0 - 2 * self.odd)
        return made

    def _annihilator(self, k: int) -> np.ndarray:
        held = np.flatnonzero(self.occupations[:, k])
        out = np.zeros((self.dim, self.dim))
        out[held - 2 ** (len(self.modes) - 1 - k), held] = 1 - 2 * (self.occupations[held, :k].sum(axis=1) % 2)
        return out


# What every place in a space has as an attribute; a mode of that name could not be reached.
_SITE = ("space", "name", "factor", "operator", "transition", "projector", "state")


def odd_entries(factor, pattern) -> np.ndarray:
    """Which entries of a pattern on one factor change its number of fermions by an odd number, boolean (nnz,)."""
    if not isinstance(factor, Fermions):
        return np.zeros(pattern.nnz, bool)
    return factor.odd[pattern.row] != factor.odd[pattern.col]


def strings(factors, at: np.ndarray) -> np.ndarray:
    """Whether the states at (n_factors, n) of `factors` hold an odd number of fermions before each factor, (n_factors, n)."""
    odd = [f.odd[k] if isinstance(f, Fermions) else np.zeros(k.shape, int) for f, k in zip(factors, at, strict=True)]
    return (np.cumsum([np.zeros_like(at[0]), *odd[:-1]], axis=0) % 2).astype(bool)
