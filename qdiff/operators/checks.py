"""Wrong arguments refused in one sentence: which argument, what it must be, what it was.

Only what is known now can be refused now. A traced number that turns out wrong at run time becomes NaN, so that whatever
follows from it is refused; one that stands in for it while a `structured` function is probed passes: differences of generic
parameters may have any sign.
"""

from __future__ import annotations

import dataclasses
import operator
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..results import Failure, check, unless
from .structure import is_constant, recording


def known(x) -> bool:
    """Whether `x` is the user's own number, known now."""
    return is_constant(x) and not recording()


def kind_of(x) -> str:
    """The NumPy kind of a number or an array, traced or not: "i", "f", "c" and so on; "O" for anything else.

    An operator is something else, although NumPy can make a matrix of it.
    """
    if hasattr(x, "pattern"):
        return "O"
    try:
        return np.dtype(getattr(x, "dtype", None) or np.asarray(x).dtype).kind
    except (TypeError, ValueError):
        return "O"


def is_number(x) -> bool:
    """Whether `x` is one real or complex number."""
    return kind_of(x) in "biufc" and np.ndim(x) == 0


@dataclasses.dataclass(frozen=True)
class Real:
    """What a real argument must be: at least `low` (with `open`: above it) and at most `high`, finite unless it may be infinite.

    With `several` an array of such numbers will do as well.
    """

    name: str
    low: float = -np.inf
    open: bool = False
    finite: bool = True
    several: bool = False
    high: float = np.inf

    @property
    def words(self) -> str:
        if self.high < np.inf:
            return f"between {self.low:g} and {self.high:g}"
        bounds = "" if self.low == -np.inf else f" {'above' if self.open else 'of at least'} {self.low:g}"
        return ("a finite number" if self.finite else "a number") + bounds

    def checked(self, x) -> Any:
        """`x`, if it is such a number. A traced one is not known before the program runs: it is NaN then where it is none.

        Raises:
            TypeError, ValueError: it is known now, and is none.
        """
        if kind_of(x) not in "iuf":
            raise TypeError(f"{self.name} must be {self.words}, but was {x!r}")
        if np.ndim(x) != 0 and not self.several:
            raise ValueError(f"{self.name} must be {self.words}, but was an array of shape {np.shape(x)}")
        if not is_constant(x):
            return unless(x, refused_argument(self, x))
        if known(x):
            for value in np.ravel(np.asarray(x, float)):
                if self.refused(value):
                    raise ValueError(f"{self.name} must be {self.words}, but was {value:g}")
        return x

    def refused(self, x) -> Any:
        """Whether a number is none of these, or which of an array are."""
        inside = x > self.low if self.open else x >= self.low
        if self.high < np.inf:
            inside = inside & (x <= self.high)
        if self.finite:
            inside = inside & (abs(x) < np.inf)
        return ~inside


@partial(jax.jit, static_argnums=0)
def refused_argument(real: Real, x):
    """`real.refused(x)` of a traced number, under a name by which a program of time knows that this is a check."""
    return real.refused(x)


def real_number(
    name: str, x, *, low: float = -np.inf, open: bool = False, finite: bool = True, several: bool = False, high: float = np.inf
) -> Any:
    """`x`, if it is one real number as `Real` describes it, or turns out to be one at run time: what is returned is to be used,
    for it is NaN where a traced `x` is none.
    """
    return Real(name, low, open, finite, several, high).checked(x)


class Fault(eqx.Module):
    """A traced argument of what makes rates, kept beside them to say what is wrong with it, and its value then: NaN."""

    value: jax.Array
    sentence: str = eqx.field(static=True)

    @property
    def there(self) -> jax.Array:
        return jnp.any(jnp.isnan(self.value))


def faults_of(real: Real, x) -> tuple[Fault, ...]:
    """What could be wrong with `x`, which `real` has checked: nothing, where it is known."""
    return () if is_constant(x) else (Fault(x, f"{real.name} must be {real.words}"),)


class Checked(eqx.Module):
    """What has real numbers as arguments: each is checked when it is made, or at run time where it is traced.

    `arguments` says by field what they must be. A field that is None is not looked at.
    """

    arguments: ClassVar[dict[str, Real]] = {}

    def __check_init__(self):
        for field, real in self.arguments.items():
            if getattr(self, field) is not None:
                object.__setattr__(self, field, real.checked(getattr(self, field)))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What could be wrong with the arguments that are traced."""
        return tuple(f for field, real in self.arguments.items() for f in faults_of(real, getattr(self, field)))


def real_array(name: str, x) -> Any:
    """`x` as a floating-point JAX array of any shape, if it holds real numbers; one that is known now stays known."""
    if kind_of(x) not in "biuf":
        raise TypeError(f"{name} must be a real number or an array of them, but was {x!r}")
    if not is_constant(x):
        return jnp.asarray(x, float)
    with jax.ensure_compile_time_eval():  # within a function that is being compiled, JAX would make traced numbers of known ones
        return jnp.asarray(x, float)


def finite_array(name: str, x, *shape: int | None) -> Any:
    """`x` as a floating-point JAX array of this shape (None: any length), if its numbers are real and finite, or may be so at run time."""
    array = real_array(name, x)
    wanted = "(" + ", ".join("n" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape {wanted}, but has shape {array.shape}")
    if not is_constant(array):
        return unless(array, ~jnp.isfinite(array))
    if known(array) and not np.isfinite(np.asarray(array)).all():
        raise ValueError(f"{name} must be finite, but has {np.asarray(array)[~np.isfinite(np.asarray(array))][0]:g}")
    return array


def checked_times(times) -> Any:
    """`times` as an array (k,), if they can be times from zero on, in any order, or may be so at run time."""
    times = real_array("times", times)
    if times.ndim != 1:
        raise ValueError(f"times must have shape (k,), but has shape {times.shape}")
    if not is_constant(times):
        return check(times, (~jnp.all(times >= 0), Failure("times must not be negative", ValueError)))
    if not np.all(np.asarray(times) >= 0):
        raise ValueError(f"times must not be negative, but one was {np.min(np.asarray(times)):g}")
    return times


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
