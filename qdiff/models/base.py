"""Models: parameters as fields, figures of merit as methods that declare what they are."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import warnings
from collections.abc import Iterable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..operators.checks import kind_of, real_number
from ..solvers import evolve, regression, steady
from ..solvers.refusal import refusal_reason
from ..solvers.steady import SolveError, failure_mode, failures
from .compiling import options


@dataclasses.dataclass(frozen=True)
class Parameter:
    """What a model's parameter is: its default, unit, meaning, bounds (inclusive unless `open`), and kind."""

    name: str
    default: Any
    unit: str = "1"
    text: str = ""
    low: float | None = None
    high: float | None = None
    open: bool = False  # whether the bounds themselves are excluded
    choices: tuple[str, ...] | None = None
    static: bool = False
    array: str | None = None  # for an array: the method that gives the one which None stands for
    optional: bool = False  # whether it may be None, because another parameter has taken its place
    scale: str = "linear"  # how a search divides its range: evenly, or "log" evenly in its logarithm

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

    def check(self, value: Any):
        """The value as this parameter's type. Raises ValueError naming the parameter, what it must be and what it is."""
        if (self.optional or self.array) and value is None:
            return None
        if self.array:
            return self._checked_array(value)
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{self.name} must be {self.bounds}, but was {value!r}")
            return value
        if self.static:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise ValueError(f"{self.name} must be an integer, but was {value!r}")
            number: float = int(value)
        else:
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise ValueError(f"{self.name} must be a number, but was {value!r}") from None
            if not np.isfinite(number):
                raise ValueError(f"{self.name} must be finite, but was {number}")
        if self.outside(number):
            raise ValueError(f"{self.name} must be {self.bounds}, but was {value if self.static else number!r}")
        return number if self.static else jnp.asarray(number)

    def outside(self, number) -> Any:
        """Whether a number lies outside the bounds, or which of an array do."""
        below = self.low is not None and (number <= self.low if self.open else number < self.low)
        return below | (self.high is not None and (number >= self.high if self.open else number > self.high))

    def _checked_array(self, value):
        if isinstance(value, (list, tuple)) and any(isinstance(x, Tracer) for x in value):
            return jnp.stack([jnp.asarray(x, float) for x in value])
        try:
            array = np.asarray(value, float)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} must be an array of numbers, but was {value!r}") from None
        if array.ndim != 1:
            raise ValueError(f"{self.name} must be an array of shape (n,), but has shape {array.shape}")
        for k, number in enumerate(array):
            if not np.isfinite(number):
                raise ValueError(f"{self.name}[{k}] must be finite, but was {number}")
            if self.outside(number):
                raise ValueError(f"{self.name}[{k}] must be {self.bounds}, but was {float(number)!r}")
        return jnp.asarray(array)


@dataclasses.dataclass(frozen=True)
class Figure:
    """What a figure of merit is: its name, symbol, unit, source equation, and first line of documentation."""

    name: str
    symbol: str
    unit: str
    source: str
    text: str


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
    scale: str = "linear",
):
    """A float field of a model, or an array of floats.

    Args:
        default: its value if none is given.
        unit, text: shown by help, tables and plots.
        low, high: bounds of what is physical, inclusive; with `open`, they themselves are excluded.
        search: (low, high) of the default search of `optimize`, for the parameters that take part in it.
        array: for an array (n,) that replaces simpler parameters and is None by default: the name of the method that
            gives the array these simpler ones stand for.
        optional: whether the parameter is one of those, and None where an array has taken its place.
        scale: "log" for what `optimize` should search evenly in its logarithm (from zero, in that of its distance from a negative
            number a thousandth of the range away), as a time that may be of any order of magnitude.
    """
    _bounds(low, high)
    about = {"unit": unit, "text": text, "low": low, "high": high, "open": open, "search": search, "array": array, "optional": optional}
    about["scale"] = scale
    return eqx.field(default=default, metadata={"qdiff": about})


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


_share: contextvars.ContextVar = contextvars.ContextVar("share", default=None)


@contextlib.contextmanager
def sharing():
    """Within this context, methods decorated with `shared` are computed once for each model object."""
    token = _share.set({})
    try:
        yield
    finally:
        _share.reset(token)


def shared(method):
    """A method (without arguments) that several figures need, such as the steady state: computed once for all of them."""

    @functools.wraps(method)
    def wrapper(self):
        memory = _share.get()
        if memory is None:
            return method(self)
        key = (id(self), method)
        if key not in memory:
            memory[key] = (self, method(self))
        return memory[key][1]

    return wrapper


def figure(*, symbol: str, unit: str, source: str):
    """Declare a method as a figure of merit, and compile it when it is called.

    It can be called without arguments; further ones, arrays such as times, are optional.

    Args:
        symbol: as in the source, in LaTeX. unit: of the value, "1" for a number. source: equation or section.
    """

    def decorate(method):
        wrapper = compile_method(method)
        text = (method.__doc__ or "").strip().splitlines()
        wrapper.about = Figure(method.__name__, symbol, unit, source, text[0] if text else "")  # type: ignore[attr-defined]  (functions carry attributes, which their type does not say)
        return wrapper

    return decorate


def compile_method(method):
    """`method(self, *arrays)` as one compiled program, in which a failed solve is an error of one sentence.

    A `range` stays as it is, known while tracing. Called with known numbers, the program that marks failures by NaN
    runs first; only if it does is the one that can say why compiled. Called while tracing, it becomes part of the caller's program.
    """

    def computed(self, arrays, mode):
        with failures(mode), sharing():
            return method(self, *arrays)

    within = eqx.filter_jit(computed)  # a caller's program, to which options cannot be given

    @functools.cache
    def alone():
        jit: Any = eqx.filter_jit  # which passes on what it does not declare
        return jit(computed, compiler_options=options())

    @functools.wraps(method)
    def wrapper(self, *arrays):
        if _share.get() is not None:  # inside another figure or `evaluate`: part of its program
            return method(self, *arrays)
        arrays = tuple(x if x is None or isinstance(x, range) else jnp.asarray(x) for x in arrays)
        if failure_mode() == "nan" or any(isinstance(x, Tracer) for x in jax.tree.leaves((self, arrays))):
            return within(self, arrays, failure_mode())
        out = alone()(self, arrays, "nan")
        if isinstance(self, Model) and (caution := self.caution()):
            warnings.warn(caution, stacklevel=2)
        return out if all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(out)) else solved(alone(), self, arrays, "raise")

    return wrapper


def solved(function, *args):
    """function(*args), with a failed solve reported as a `SolveError`."""
    try:
        return function(*args)
    except (eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError) as error:
        if reason := (
            steady.failure_reason(error) or evolve.failure_reason(error) or regression.failure_reason(error) or refusal_reason(error)
        ):
            raise SolveError(reason) from None
        if reason := evolve.refusal(error):
            raise ValueError(reason) from None
        raise


class Model(eqx.Module):
    """A device: fields are its parameters, methods marked with `figure` its figures of merit.

    Subclass it, declare fields with `parameter` (floats) and `setting` (static), write a method that builds the
    generator (decorated with `structured`), and mark the results with `figure`. Everything else (evaluation,
    gradients, optimisation, the command line) follows.

    Example:
        >>> import qdiff as qd
        >>> class Damped(qd.Model):
        ...     gap: float = qd.parameter(1.0, unit="energy", low=0, open=True)
        ...     beta: float = qd.parameter(2.0, unit="1/energy", low=0, open=True)
        ...
        ...     @qd.structured
        ...     def motion(self):
        ...         qubit = qd.Space(qubit=qd.Spin()).qubit
        ...         bath = qd.BosonicBath(self.beta, 0.1)
        ...         return qd.Lindblad(self.gap / 2 * qubit.z, {"bath": qd.thermal_jumps(qubit.minus, self.gap, bath)})
        ...
        ...     @qd.figure(symbol="p", unit="1", source="two-level thermal state")
        ...     def excited(self):
        ...         "Population of the upper level."
        ...         motion = self.motion()
        ...         return qd.steady_state(motion).expect(motion.space.qubit.up)
        >>> device = Damped(beta=1.0)
        >>> round(float(device.excited()), 6)
        0.268941
        >>> round(float(jax.grad(lambda d: d.excited())(device).beta), 6)
        -0.196612
    """

    # Named sets of parameters, such as those of a figure of the paper.
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    # How many times as many points as it has starts `optimize` looks at before it chooses them: more where a figure has ripples.
    screening: ClassVar[int] = 1

    @classmethod
    def preset(cls, name: str, **changes):
        """The model with the parameters of a preset, and `changes` to them.

        Raises:
            ValueError: there is no such preset, or a parameter is not what it must be.
        """
        return cls(**{**cls.presets[known_name(name, cls.presets, "preset", cls.__name__)], **changes})

    def __check_init__(self):
        for name, about in type(self).parameters().items():
            value = getattr(self, name)
            if not isinstance(value, Tracer):
                object.__setattr__(self, name, about.check(value))

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The model's parameters and settings, by name, in order."""
        out = {}
        for f in dataclasses.fields(cls):
            if f.name.startswith("_"):
                continue
            about = {k: v for k, v in f.metadata.get("qdiff", {}).items() if k != "search"}
            static = bool(f.metadata.get("static", False))
            out[f.name] = Parameter(f.name, f.default, static=static, **about)
        return out

    @classmethod
    def figures(cls) -> dict[str, Figure]:
        """The model's figures of merit, by name, in the order of definition (base classes first)."""
        out: dict[str, Figure] = {}
        for base in reversed(cls.__mro__):
            for name, member in vars(base).items():
                about = getattr(getattr(member, "__wrapped__", member), "about", None) or getattr(member, "about", None)
                if isinstance(about, Figure):
                    out[name] = about
        return out

    @classmethod
    def default_search(cls) -> dict[str, tuple[float, float]]:
        """What `optimize` varies when it is not told, and between which bounds."""
        found = {f.name: f.metadata.get("qdiff", {}).get("search") for f in dataclasses.fields(cls)}
        return {name: search for name, search in found.items() if search is not None}

    def checks(self) -> dict:
        """Numbers that say how accurate this model's solutions are, traced like a figure; models override it."""
        return {}

    def remarks(self, checks: dict) -> dict:
        """The values of `checks`, with what they mean in words; models override it where a word says more."""
        return checks

    def notes(self) -> dict:
        """What is to be known of these parameters' neighbourhood, such as a kink nearby, without solving; models override it."""
        return {}

    def caution(self) -> str | None:
        """Why results of this model at these parameters are to be taken with care, in a sentence that comes with each as a
        warning; models override it."""
        return None

    def diagnostics(self) -> dict:
        """What is known of the accuracy of this model's solutions."""
        return self.remarks(_checks(self))

    def replace(self, **changes):
        """A copy with some parameters changed, checked like a new model."""
        for name in changes:
            known_name(name, type(self).parameters(), "parameter", type(self).__name__)
        return dataclasses.replace(self, **changes)


@eqx.filter_jit
def _checks(model):
    with failures("nan"), sharing():
        return model.checks()


def as_number(name: str, value) -> Any:
    """What a figure returned as an array.

    Raises:
        ValueError: it is neither a number nor an array of numbers.
    """
    kind = kind_of(value)
    if kind not in "biufc":
        raise ValueError(f"{name} must return a number or an array of numbers, but returned {value!r}")
    return jnp.asarray(value)


def names_of(argument: str, given) -> tuple[str, ...]:
    """One name or several as a tuple, each once."""
    several = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (None,)
    names = tuple(dict.fromkeys(name for name in several if isinstance(name, str)))
    if any(name not in names for name in several):
        raise ValueError(f"{argument} must be a name or a sequence of names, but was {given!r}")
    return names


def known_name(name: str, known, what: str, owner: str) -> str:
    """`name`, if it is one of `known`; else a ValueError that says which is nearest."""
    if isinstance(name, str) and name in known:
        return name
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.3) if isinstance(name, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"{owner} has no {what} {name!r}{hint} It has {', '.join(known) or 'none'}")
