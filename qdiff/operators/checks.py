"""Wrong arguments refused in one sentence: which argument, what it must be, what it was.

Only what is known now can be refused now. A traced number passes, and so does one that stands in for it while a
`structured` function is probed: differences of generic parameters may have any sign.
"""

from __future__ import annotations

import operator
from typing import Any

import jax.numpy as jnp
import numpy as np

from .probe import is_constant, recording


def known(x) -> bool:
    """Whether `x` is the user's own number, known now."""
    return is_constant(x) and not recording()


def kind_of(x) -> str:
    """The NumPy kind of a number or an array, traced or not: "i", "f", "c" and so on; "O" for anything else."""
    try:
        return np.dtype(getattr(x, "dtype", None) or np.asarray(x).dtype).kind
    except (TypeError, ValueError):
        return "O"


def is_number(x) -> bool:
    """Whether `x` is one real or complex number."""
    return kind_of(x) in "biufc" and np.ndim(x) == 0


def real_number(name: str, x, *, low: float = -np.inf, open: bool = False, finite: bool = True, several: bool = False) -> Any:
    """`x`, if it is one real number that is at least `low` (with `open`: above it), or may be so at run time.

    With `several` an array of such numbers will do as well.
    """
    words = "a finite number" if finite else "a number"
    if low > -np.inf:
        words += f" {'above' if open else 'of at least'} {low:g}"
    if kind_of(x) not in "iuf":
        raise TypeError(f"{name} must be {words}, but was {x!r}")
    if np.ndim(x) != 0 and not several:
        raise ValueError(f"{name} must be {words}, but was an array of shape {np.shape(x)}")
    if known(x):
        for value in np.ravel(np.asarray(x, float)):
            if np.isnan(value) or value < low or (open and value == low) or (finite and np.isinf(value)):
                raise ValueError(f"{name} must be {words}, but was {value:g}")
    return x


def real_array(name: str, x) -> Any:
    """`x` as a floating-point JAX array of any shape, if it holds real numbers."""
    if kind_of(x) not in "biuf":
        raise TypeError(f"{name} must be a real number or an array of them, but was {x!r}")
    return jnp.asarray(x, float)


def finite_array(name: str, x, *shape: int | None) -> Any:
    """`x` as a floating-point JAX array of this shape (None: any length), if its numbers are real and finite, or may be so at run time."""
    array = real_array(name, x)
    wanted = "(" + ", ".join("n" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape {wanted}, but has shape {array.shape}")
    if known(array) and not np.isfinite(np.asarray(array)).all():
        raise ValueError(f"{name} must be finite, but has {np.asarray(array)[~np.isfinite(np.asarray(array))][0]:g}")
    return array


def choice(name: str, x, choices: tuple[str, ...]) -> Any:
    """`x`, if it is one of these words."""
    if not isinstance(x, str) or x not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(_quoted, choices))}, but was {x!r}")
    return x


def _quoted(word: str) -> str:
    return f'"{word}"'


def truth(name: str, x) -> bool:
    """`x`, if it is True or False."""
    if not isinstance(x, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, but was {x!r}")
    return bool(x)


def instance(name: str, x, kind: type) -> Any:
    """`x`, if it is of this class."""
    if not isinstance(x, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, but was {x!r}")
    return x


def count(name: str, x, least: int | None = None) -> int:
    """`x` as an integer that is at least `least`."""
    words = "an integer" + ("" if least is None else f" of at least {least}")
    try:
        value = operator.index(x)
    except TypeError:
        raise TypeError(f"{name} must be {words}, but was {x!r}") from None
    if isinstance(x, bool):
        raise TypeError(f"{name} must be {words}, but was {x!r}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be {words}, but was {value}")
    return value
