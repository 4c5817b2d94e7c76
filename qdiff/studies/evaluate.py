"""All figures of merit of one device, their gradients, and how far to trust them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..models.base import Model, as_number, known_name, names_of, sharing
from ..models.compiling import options
from ..results import failing, failures, told


@runtime_checkable
class Explained(Protocol):
    """A model whose diagnostics come in two parts, of which the first joins the program of the figures of merit."""

    def checks(self) -> dict:
        """Numbers, traced like a figure of merit."""
        ...

    def remarks(self, checks: dict) -> dict:
        """What the values of the numbers say."""
        ...


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        parameters: every parameter and setting by name, as Python numbers and words.
        merits: the figures of merit by name, as NumPy scalars and arrays.
        gradients: of every real scalar figure of merit by name, its derivative with respect to every float parameter by
            name (that of an array, an array); empty unless asked for. A parameter that is None has none.
        diagnostics: what the model says of the accuracy of its solutions.
    """

    parameters: dict[str, Any]
    merits: dict[str, Any]
    gradients: dict[str, dict[str, Any]]
    diagnostics: dict[str, Any]


def evaluate(model: Model, merits: Iterable[str] | str | None = None, *, gradient: bool = False) -> Evaluation:
    """Figures of merit of a device, all in one compiled program that solves for each state once.

    Args:
        model: the device, with concrete values.
        merits: names of figures of merit; all that the model declares if None.
        gradient: whether to differentiate the real scalar figures of merit with respect to every float parameter. In forward
            mode, all parameters in one batch: that compiles in about two thirds of the time of reverse mode.

    Returns:
        `Evaluation`. A figure of merit that is NaN or infinite by itself, such as the efficiency of a machine that does not
        move, is returned so.

    Raises:
        ValueError: a name is not a figure of merit of this model.
        NotUnique, SolveError: a state that a figure of merit needs could not be solved for.

    Example:
        >>> import qdiff as qd
        >>> found = qd.evaluate(qd.models.RotorEngine(beta2=0.01), ["efficiency", "angular_momentum"])
        >>> {name: round(float(value), 6) for name, value in found.merits.items()}
        {'efficiency': 0.156603, 'angular_momentum': 4.98575}
        >>> found.diagnostics["operating_mode"]
        'engine'
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a Model such as qdiff.models.RotorEngine(), but was {type(model).__name__}")
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(model)):
        raise TypeError("evaluate needs a model with concrete values; in a traced function call the merits' methods")
    known = type(model).merits()
    wanted = tuple(known) if merits is None else names_of("merits", merits)
    names = tuple(known_name(name, known, "figure of merit", type(model).__name__) for name in wanted)

    explained = _explained(model)
    values, slopes, checks = _compiled()(model, names, gradient)
    values = {name: np.asarray(values[name])[()] for name in names}
    _refuse_failed(model, tuple(name for name, value in values.items() if not np.all(np.isfinite(value))))
    return Evaluation(
        parameters={name: _plain(getattr(model, name)) for name in type(model).parameters()},
        merits=values,
        gradients={name: _by_parameter(slopes[name]) for name in names if name in slopes},
        diagnostics=jax.tree.map(_plain, explained.remarks(checks) if explained else model.diagnostics()),
    )


@functools.cache
def _compiled():
    # The program runs for milliseconds, once; compiling it takes seconds.
    return jax.jit(_program, static_argnums=(1, 2), compiler_options=options(0))


def _program(model, names, gradient):
    """Values, gradients, and what the model traces of its diagnostics."""

    def scalars(model):
        with failures("nan"), sharing():
            values = {name: as_number(name, getattr(model, name)()) for name in names}
            explained = _explained(model)
            checks = explained.checks() if explained else {}
        real = {name: value for name, value in values.items() if value.ndim == 0 and jnp.issubdtype(value.dtype, jnp.floating)}
        return real, (values, checks)

    if gradient:
        slopes, (values, checks) = jax.jacfwd(scalars, has_aux=True)(model)
    else:
        slopes, (values, checks) = {}, scalars(model)[1]
    return values, slopes, checks


def _explained(model: Model) -> Explained | None:
    """The model, if its diagnostics come in two parts and were not replaced as a whole."""
    whole = type(model).diagnostics is not Model.diagnostics
    return model if not whole and isinstance(model, Explained) else None


def _refuse_failed(model, names):
    """Raise SolveError, with its reason, if one of these figures of merit is not finite because a solve failed."""

    @eqx.filter_jit
    def again(model):
        with failing("tell"), sharing():
            return {name: getattr(model, name)() for name in names}

    if names:
        told(again, model)


def _by_parameter(slope) -> dict[str, Any]:
    found = {name: getattr(slope, name) for name, about in type(slope).parameters().items() if not about.static}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value):
    """A traced result as a Python number or NumPy array; words stay."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array
