"""A model's parameters, and the names by which studies and the command line speak of them.

A parameter is a number or an array of them. "J" names the whole of it, and "J[1]" or "J[0,1]" one entry of an array; such
names are read, listed and written here, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..front_door import nearest
from ..operators.checks import kind_of, real_number
from ..results import Failure, Found


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A model's parameter: its default, unit, meaning, bounds (inclusive unless `open`), and kind."""

    name: str
    default: Any
    unit: str = "1"
    text: str = ""
    low: float | None = None
    high: float | None = None
    open: bool = False  # whether the bounds themselves are excluded
    choices: tuple[str, ...] | None = None
    static: bool = False
    array: str | None = None  # for an array that is None by default: the method that gives the one which None stands for
    optional: bool = False  # whether it is None where another parameter has taken its place
    instead_of: tuple[str, ...] = ()  # the parameters whose place it takes where it is given
    scale: str = "linear"  # how a search divides its range: evenly, or "log" evenly in its logarithm
    shape: tuple[int, ...] | None = None  # of an array by default; None of a number, and of an array that may have any length

    @property
    def is_array(self) -> bool:
        """Whether it is an array of numbers."""
        return self.array is not None or self.shape is not None

    @property
    def bounds(self) -> str:
        """The bounds in words, such as "above 0" or "between -1 and 1"."""
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        if self.low is not None and self.high is not None:
            return f"above {self.low:g} and below {self.high:g}" if self.open else f"between {self.low:g} and {self.high:g}"
        if self.low is not None:
            return f"above {self.low:g}" if self.open else f"at least {self.low:g}"
        if self.high is not None:
            return f"below {self.high:g}" if self.open else f"at most {self.high:g}"
        return "an integer" if self.static else "a finite number"

    @property
    def default_text(self) -> str:
        """The default as the command line takes it: "1.0", "1,2,3", "1,2;3,4"."""
        if not self.is_array or self.default is None or self.default is dataclasses.MISSING:
            return str(self.default)
        return ";".join(",".join(f"{x:g}" for x in row) for row in np.atleast_2d(self.default))

    def check(self, value: Any):
        """The value as this parameter's type, of a traced one all that is known of it now.

        Raises:
            ValueError: it is not what it must be, which the sentence says after the parameter's name.
        """
        if (self.optional or self.instead_of or self.array) and value is None:
            return None
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{self.name} must be {self.bounds}, but was {value!r}")
            return value
        if self.static:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise ValueError(f"{self.name} must be an integer, but was {value!r}")
            if self.outside(int(value)):
                raise ValueError(f"{self.name} must be {self.bounds}, but was {value}")
            return int(value)
        return self._checked_array(value) if self.is_array else self._checked_number(value)

    def outside(self, number) -> Any:
        """Whether a number lies outside the bounds, or which of an array do."""
        below = self.low is not None and (number <= self.low if self.open else number < self.low)
        return below | (self.high is not None and (number >= self.high if self.open else number > self.high))

    def wrong(self, value) -> list[Found]:
        """The ways in which a traced number or array may be wrong, and whether it is."""
        found = [Found(jnp.any(~jnp.isfinite(value)), Failure(f"{self.name} must be finite"))]
        if self.low is not None or self.high is not None:
            found.append(Found(jnp.any(self.outside(value)), Failure(f"{self.name} must be {self.bounds}")))
        return found

    def _checked_number(self, value):
        if isinstance(value, Tracer):
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} must be a number, but was {value!r}") from None
        self._checked_bounds(self.name, number)
        return jnp.asarray(number)

    def _checked_array(self, value: Any):
        array: Any
        traced = isinstance(value, Tracer)
        if isinstance(value, (list, tuple)) and any(isinstance(x, Tracer) for x in value):
            array, traced = jnp.stack([jnp.asarray(x, float) for x in value]), True
        else:
            array = value if traced else self._known_array(value)
        wanted = self.shape or (None,)
        if array.ndim != len(wanted) or any(n is not None and n != m for n, m in zip(wanted, array.shape, strict=True)):
            expected = "an array of shape (n,)" if self.shape is None else f"an array of shape {self.shape}"
            raise ValueError(f"{self.name} must be {expected}, but has shape {array.shape}")
        if traced:
            return array
        for index in np.ndindex(array.shape):
            self._checked_bounds(entry_name(self.name, index), float(array[index]))
        return jnp.asarray(array)

    def _known_array(self, value: Any) -> np.ndarray:
        try:
            return np.asarray(value, float)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} must be an array of numbers, but was {value!r}") from None

    def _checked_bounds(self, label: str, number: float):
        if not np.isfinite(number):
            raise ValueError(f"{label} must be finite, but was {number}")
        if self.outside(number):
            raise ValueError(f"{label} must be {self.bounds}, but was {number!r}")


def parameter(
    default,
    *,
    unit: str = "1",
    text: str = "",
    low=None,
    high=None,
    open: bool = False,
    search=None,
    array=None,
    optional: bool = False,
    instead_of: str | tuple[str, ...] = (),
    scale: str = "linear",
):
    """A float field of a model, or an array of floats.

    Args:
        default: its value if none is given. An array, a list or a tuple of numbers, or one of rows, makes the parameter an
            array of that shape (n,) or (n, m), to which all that is said below applies entry by entry.
        unit, text: shown by help, tables and plots.
        low, high: bounds of what is physical, inclusive; with `open`, they themselves are excluded.
        search: (low, high) of the default search of `optimize`, for the parameters that take part in it.
        instead_of: the parameter or parameters in whose place this one, None by default, can be given. It is an error to give
            both; `replace` with one takes the other away.
        optional: whether the parameter is one of those: None where another one has taken its place.
        array: for an array (n,) that is None by default: the name of the method that gives the array for which those that it
            takes the place of stand.
        scale: "log" for what `optimize` should search evenly in its logarithm (from zero, in that of its distance from a negative
            number a thousandth of the range away), as a time that may be of any order of magnitude.

    Raises:
        ValueError: a default that is an array of something else, a bound that is no number.

    Example:
        >>> import jax, jax.numpy as jnp, qdiff as qd
        >>> class Chain(qd.Model):
        ...     J: jax.Array = qd.parameter([1.0, 2.0, 2.0], unit="energy", low=0)
        ...
        ...     @qd.merit(symbol="|J|", unit="energy", source="Pythagoras")
        ...     def length(self):
        ...         "Of the vector of couplings."
        ...         return jnp.linalg.norm(self.J)
        >>> float(Chain().length()), jax.grad(lambda c: c.length())(Chain()).J.round(6).tolist()
        (3.0, [0.333333, 0.666667, 0.666667])
        >>> qd.sweep(Chain(), "length", **{"J[0]": [0.0, 1.0]}).length.values.round(6).tolist()
        [2.828427, 3.0]
    """
    _bounds(low, high)
    about = {"unit": unit, "text": text, "low": low, "high": high, "open": open, "search": search, "array": array, "optional": optional}
    about |= {"scale": scale, "instead_of": (instead_of,) if isinstance(instead_of, str) else tuple(instead_of)}
    if optional:
        return eqx.field(default=None, metadata={"qdiff": about | {"default": default}})
    if not isinstance(default, (list, tuple)) and not hasattr(default, "shape"):
        return eqx.field(default=default, metadata={"qdiff": about})
    try:
        known = np.asarray(default)
    except ValueError:  # rows of different lengths
        known = np.empty(0)
    if known.ndim > 2:
        raise ValueError(f"default must have at most two dimensions, but has shape {known.shape}")
    if known.dtype.kind not in "iuf" or not known.size:
        raise ValueError(f"default must be a number, or an array of numbers, but was {default!r}")
    known = known.astype(float)
    if known.ndim == 0:
        return eqx.field(default=float(known), metadata={"qdiff": about})
    # A dataclass refuses an array as a default, lest instances share it; each gets a copy of its own here.
    return eqx.field(default_factory=known.copy, metadata={"qdiff": about | {"shape": known.shape, "default": known}})


def setting(default, *, text: str = "", choices=None, low=None, high=None):
    """A static field of a model: an integer such as a truncation, or one of a few words."""
    if choices is not None and not isinstance(choices, (tuple, list)):
        raise ValueError(f"choices must be a tuple of values, but was {choices!r}")
    _bounds(low, high)
    about = {"text": text, "choices": choices, "low": low, "high": high}
    return eqx.field(default=default, static=True, metadata={"qdiff": about})


def _bounds(low, high):
    for name, bound in (("low", low), ("high", high)):
        if bound is not None:
            real_number(name, bound, finite=False)


# ---- names ----------------------------------------------------------------------------------------------


def known_name(name: str, known, what: str, owner: str) -> str:
    """`name`, if it is one of `known`; else a ValueError that says which is nearest."""
    if isinstance(name, str) and name in known:
        return name
    hint = nearest(name, known) if isinstance(name, str) else "."
    raise ValueError(f"{owner} has no {what} {name!r}{hint} It has {', '.join(known) or 'none'}")


def names_of(argument: str, given) -> tuple[str, ...]:
    """One name or several as a tuple, each once."""
    several = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (None,)
    names = tuple(dict.fromkeys(name for name in several if isinstance(name, str)))
    if any(name not in names for name in several):
        raise ValueError(f"{argument} must be a name or a sequence of names, but was {given!r}")
    return names


class Place(NamedTuple):
    """Where a number stands in a model: a parameter and, for one entry of an array, its index."""

    parameter: str
    index: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        return self.parameter if self.index is None else entry_name(self.parameter, self.index)


_ENTRY = re.compile(r"\s*([^\[\]\s]+)\s*\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]\s*")


def entry_name(parameter: str, index: tuple[int, ...]) -> str:
    """The name of one entry, "J[1]" or "J[0,1]"; that of the parameter, if it is a number."""
    return f"{parameter}[{','.join(map(str, index))}]" if index else parameter


def place_of(kind, name, shape: Callable[[str], tuple[int, ...] | None] | None = None) -> Place:
    """The place in a class of models that a name such as "J" or "J[1]" stands for.

    Args:
        kind: the class. shape: the shape of a parameter in the model at hand, None if that is not in use; by default that
            of the class, where it is known. Negative indices count from the end.

    Raises:
        ValueError: an unknown parameter, an index into what is no array, one that is not there, one that is incomplete.
    """
    known = kind.parameters()
    found = _ENTRY.fullmatch(name) if isinstance(name, str) and name not in known else None
    if not found and (array := str(name).partition("[")[0]) in known and array != name:
        raise ValueError(f"{name} must have indices that are integers, such as {array}[1]")
    parameter = known_name(found[1] if found else name, known, "parameter", kind.__name__)
    if not found:
        return Place(parameter)
    if not known[parameter].is_array:
        raise ValueError(f"{name} must be an entry of an array, but {parameter} of {kind.__name__} is none")
    there = shape(parameter) if shape else known[parameter].shape
    index = tuple(int(k) for k in found[2].split(","))
    if there is None and shape:
        raise ValueError(f"{name} must be an entry of an array in use, but {parameter} is not given")
    if there is not None:
        if len(index) != len(there):
            number = "one index" if len(there) == 1 else f"{len(there)} indices"
            raise ValueError(f"{name} must have {number}, because {parameter} has shape {there}")
        if any(not -n <= k < n for k, n in zip(index, there, strict=True)):
            raise ValueError(f"{name} must be an entry of {parameter}, but that has shape {there}")
        index = tuple(k % n for k, n in zip(index, there, strict=True))
    return Place(parameter, index)


def place_in(model, name) -> Place:
    """The place in a model that such a name stands for."""
    return place_of(type(model), name, lambda parameter: _shape(getattr(model, parameter)))


def _shape(value) -> tuple[int, ...] | None:
    return None if value is None else np.shape(value)


def value_at(model, name: str) -> Any:
    """The number or array of such a name; None of a parameter that is not in use. It may be traced."""
    place = place_in(model, name)
    value = getattr(model, place.parameter)
    return value if place.index is None else value[place.index]


def entries(name: str, shape: tuple[int, ...]) -> list[str]:
    """The names of all entries of what has this name and shape, in order; of a number its own."""
    return [entry_name(name, index) for index in np.ndindex(*shape)]


def whole(model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name as values by parameter: entries put into the arrays of the model, or of `values`, where they belong."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        place = place_in(model, name)
        if place.index is None:
            out[place.parameter] = value
            continue
        array = out.get(place.parameter, getattr(model, place.parameter))
        if kind_of(value) not in "iuf" or np.ndim(value):
            raise ValueError(f"{place.name} must be a number, but was {value!r}")
        out[place.parameter] = jnp.asarray(array, float).at[place.index].set(value)
    return out


def assigned(model, values: Mapping[str, Any]):
    """The model with these values, by name, traced ones as well; not checked."""
    new = whole(model, values)
    return eqx.tree_at(lambda m: [getattr(m, name) for name in new], model, list(new.values())) if new else model


def split_names(text: str) -> list[str]:
    """The names of a list such as "T1,J[0,1]": commas within brackets belong to an index."""
    return [name.strip() for name in re.split(r",(?![^\[]*\])", text)]
