"""Models: parameters as fields, figures of merit as methods that declare what they are."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import warnings
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..operators.checks import kind_of
from ..results import failing, failure_mode, told
from .compiling import options
from .limits import poisoned, within_bounds
from .parameters import Parameter, assigned, known_name, names_of, parameter, setting, whole

__all__ = [
    "Merit",
    "Model",
    "Parameter",
    "as_number",
    "compile_method",
    "known_name",
    "merit",
    "names_of",
    "parameter",
    "setting",
    "shared",
    "sharing",
]


@dataclasses.dataclass(frozen=True)
class Merit:
    """A figure of merit's name, symbol, unit, source equation, and first line of documentation."""

    name: str
    symbol: str
    unit: str
    source: str
    text: str


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
    """A method (without arguments) that several figures of merit need, such as the steady state: computed once for all of them."""

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


def merit(*, symbol: str, unit: str, source: str):
    """Declare a method as a figure of merit, and compile it when it is called.

    It can be called without arguments; further ones, arrays such as times, are optional.

    Args:
        symbol: as in the source, in LaTeX. unit: of the value, "1" for a number. source: equation or section.
    """

    def decorate(method):
        wrapper = compile_method(method)
        text = (method.__doc__ or "").strip().splitlines()
        wrapper.about = Merit(method.__name__, symbol, unit, source, text[0] if text else "")  # type: ignore[attr-defined]  (functions carry attributes, which their type does not say)
        return wrapper

    return decorate


def compile_method(method):
    """`method(self, *arrays)` as one compiled program, in which a failed solve is an error of one sentence.

    A `range`, a word and a truth value stay as they are, known while tracing. Called with known
    numbers, the program that marks failures by NaN runs first; only if it does is the one that can
    say why compiled. Called while tracing, it becomes part of the caller's program.
    """

    def computed(self, arrays, mode, inspected):
        with failing(mode), sharing():
            if inspected:
                return method(self, *arrays)
            values, bad = within_bounds(self)
            out = method(assigned(self, values), *arrays)
            return out if mode == "raise" else poisoned(out, bad)

    within = eqx.filter_jit(computed)  # a caller's program, to which options cannot be given

    @functools.cache
    def alone():
        jit: Any = eqx.filter_jit  # which passes on what it does not declare
        return jit(computed, compiler_options=options())

    @functools.wraps(method)
    def wrapper(self, *arrays):
        if _share.get() is not None:  # inside another figure of merit or `evaluate`: part of its program
            return method(self, *arrays)
        known = (type(None), range, str, bool)
        arrays = tuple(x if isinstance(x, known) else jnp.asarray(x) for x in arrays)
        inspected = not isinstance(self, Model) or self._inspected
        if failure_mode() == "nan" or any(isinstance(x, Tracer) for x in jax.tree.leaves((self, arrays))):
            return within(self, arrays, failure_mode(), inspected)
        out = alone()(self, arrays, "nan", inspected)
        if isinstance(self, Model) and self.warns and (warning := self.warnings({}).get("warning")):
            warnings.warn(warning, stacklevel=2)
        finite = all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(out))
        return out if finite else told(alone(), self, arrays, "tell", inspected)

    return wrapper


class Model(eqx.Module):
    """A device: fields are its parameters, methods marked with `merit` its figures of merit.

    Subclass it, declare fields with `parameter` (floats) and `setting` (static), write a method that builds the
    generator (decorated with `structured`), and mark the results with `merit`. Everything else (evaluation,
    gradients, optimisation, the command line) follows.

    Example:
        >>> import jax, qdiff as qd
        >>> class Damped(qd.Model):
        ...     gap: float = qd.parameter(1.0, unit="energy", low=0, open=True)
        ...     beta: float = qd.parameter(2.0, unit="1/energy", low=0, open=True)
        ...
        ...     @qd.structured
        ...     def generator(self):
        ...         qubit = qd.Space(qubit=qd.Spin()).qubit
        ...         bath = qd.BosonicBath(self.beta, 0.1)
        ...         return qd.Lindblad(self.gap / 2 * qubit.z, {"bath": qd.thermal_jumps(qubit.minus, self.gap, bath)})
        ...
        ...     @qd.merit(symbol="p", unit="1", source="two-level thermal state")
        ...     def excited(self):
        ...         "Population of the upper level."
        ...         generator = self.generator()
        ...         return qd.steady_state(generator).expect(generator.space.qubit.up)
        >>> device = Damped(beta=1.0)
        >>> round(float(device.excited()), 6)
        0.268941
        >>> round(float(jax.grad(lambda d: d.excited())(device).beta), 6)
        -0.196612
    """

    # Named sets of parameters, such as those of a figure of the paper.
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    # How many times as many points as it has starts `optimize` looks at before it chooses them: more where a figure of merit has ripples.
    screening: ClassVar[int] = 1
    # Whether `warnings` may have an entry "warning". A model whose words are notes only says that it
    # has none, and is spared the question at every figure of merit and at every point of a sweep.
    warns: ClassVar[bool] = True

    @classmethod
    def preset(cls, name: str, **changes):
        """The model with the parameters of a preset, and `changes` to them.

        Raises:
            ValueError: there is no such preset, or a parameter is not what it must be.
        """
        return cls(**{**cls.presets[known_name(name, cls.presets, "preset", cls.__name__)], **changes})

    # Whether the bounds of traced parameters are errors already, where the model was made. Not a field: a copy begins anew.
    _inspected: ClassVar[bool] = False

    def __check_init__(self):
        declared = _declared(type(self))
        for name, about in declared.items():
            given = getattr(self, name) is not None
            for other in about.instead_of:
                if given and getattr(self, other) is not None:
                    wanted = " and ".join(about.instead_of)
                    raise ValueError(f"{name} must be given instead of {wanted}, but was given together with {other}")
                if not given and getattr(self, other) is None:
                    object.__setattr__(self, other, declared[other].default)
        for name, about in declared.items():
            object.__setattr__(self, name, about.check(getattr(self, name)))
        values, _ = within_bounds(self)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if values and failure_mode() == "raise":
            object.__setattr__(self, "_inspected", True)

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The model's parameters and settings, by name, in order."""
        out = {}
        for f in dataclasses.fields(cls):
            if f.name.startswith("_"):
                continue
            about = {k: v for k, v in f.metadata.get("qdiff", {}).items() if k != "search"}
            static = bool(f.metadata.get("static", False))
            out[f.name] = Parameter(f.name, **{"default": f.default, "static": static, **about})
        return out

    @classmethod
    def merits(cls) -> dict[str, Merit]:
        """The model's figures of merit, by name, in the order of definition (base classes first)."""
        out: dict[str, Merit] = {}
        for base in reversed(cls.__mro__):
            for name, member in vars(base).items():
                about = getattr(getattr(member, "__wrapped__", member), "about", None) or getattr(member, "about", None)
                if isinstance(about, Merit):
                    out[name] = about
        return out

    @classmethod
    def default_search(cls) -> dict[str, tuple[float, float]]:
        """The parameters that `optimize` varies by default, with their bounds."""
        found = {f.name: f.metadata.get("qdiff", {}).get("search") for f in dataclasses.fields(cls)}
        return {name: search for name, search in found.items() if search is not None}

    def diagnostics(self) -> dict:
        """Numbers by name that say how accurate the solutions are; models override it.

        It is traced, as part of the program of the figures of merit.
        """
        return {}

    def warnings(self, numbers: dict) -> dict:
        """Remarks in words, by name, with the numbers that they speak of; models override it.

        `evaluate` shows it with the diagnostics, and `optimize` as the notes of an optimum. The entry "warning" says why
        results are to be taken with care; it comes with every figure of merit, as a Python warning.

        Args:
            numbers: the values of `diagnostics`. Empty wherever a solve would cost too much, as after a single figure of
                merit: what follows from the parameters alone is said all the same.
        """
        return {}

    def replace(self, **changes):
        """A copy with some parameters changed, or entries of arrays (`**{"J[1]": 2.0}`), checked like a new model.

        Of parameters that can only be given instead of each other, the new one replaces the old.
        """
        changes = whole(self, changes)
        for name, about in _declared(type(self)).items():
            if changes.get(name) is not None:
                changes = dict.fromkeys(about.instead_of) | changes
            elif any(changes.get(other) is not None for other in about.instead_of):
                changes = {name: None} | changes
        return dataclasses.replace(self, **changes)


@functools.cache
def _declared(kind: type[Model]) -> dict[str, Parameter]:
    """The parameters of a class of models, if those that take another one's place are declared as such."""
    found = kind.parameters()
    replaced = {other for about in found.values() for other in about.instead_of}
    optional = {name for name, about in found.items() if about.optional}
    if replaced != optional:
        raise TypeError(
            f"parameters of {kind.__name__} with optional=True must be those that others are declared instead_of, {sorted(replaced)}, "
            f"but are {sorted(optional)}"
        )
    return found


def as_number(name: str, value) -> Any:
    """The return value of a figure of merit, as an array.

    Raises:
        ValueError: it is neither a number nor an array of numbers.
    """
    kind = kind_of(value)
    if kind not in "biufc":
        raise ValueError(f"{name} must return a number or an array of numbers, but returned {value!r}")
    return jnp.asarray(value)
