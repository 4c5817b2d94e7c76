"""What a search is after: a figure of merit, a formula of several, or a function of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax.numpy as jnp

from ...models.base import Merit, Model, as_number, known_name
from ..store.fingerprint import Same
from .expressions import ALLOWED, formula, parsed, shortened


@dataclasses.dataclass(frozen=True)
class Objective:
    """A real number that a model has.

    Attributes:
        about: its name, symbol and unit. key: the same for the same objective. function: model -> the number.
        given: whether it was given as a function.
    """

    about: Merit
    key: Hashable
    function: Callable[[Model], Any]
    given: bool = False

    def __call__(self, model: Model):
        """The number, ().

        Raises (while tracing):
            ValueError: it is not a real number.
        """
        value = as_number(self.about.name, self.function(model))
        if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
            what = f"{self.about.name} has shape {value.shape} and type {value.dtype}"
            raise ValueError(f"merit must be a real number to be optimized, but {what}")
        return value


def objective(kind: type[Model], given: str | Mapping[str, float] | Callable) -> Objective:
    """The objective of a search.

    Args:
        given: the name of a figure of merit; a formula of figures of merit and parameters such as
            "0.3*rectification + 0.7*heat_flow"; weights, name -> number, of a sum of figures of merit;
            or a differentiable function of the model.

    Raises:
        ValueError: an unknown name, or none of these.
    """
    if callable(given):
        name = getattr(given, "__name__", "objective")
        return Objective(Merit(name, "F", "1", "", (given.__doc__ or "").partition("\n")[0]), Same(given), given, True)
    if isinstance(given, Mapping):
        names = [known_name(name, kind.merits(), "figure of merit", kind.__name__) for name in given]
        try:
            given = " + ".join(f"{float(weight)!r}*{name}" for name, weight in zip(names, given.values(), strict=True))
        except (TypeError, ValueError):
            raise ValueError(f"merit must be weights, name -> number, if it is a dictionary, but was {given!r}") from None
    shown = shortened(given) if isinstance(given, str) else given
    what = f"merit must be the name of a figure of merit or a formula ({ALLOWED}), but was {shown!r}"
    if not isinstance(given, str):
        raise ValueError(what)
    if given.isidentifier():
        about = kind.merits()[known_name(given, kind.merits(), "figure of merit", kind.__name__)]
        return Objective(about, given, lambda model: getattr(model, given)())
    tree = parsed(given, "merit")
    if tree is None:
        raise ValueError(what)
    return Objective(Merit(given, "F", "1", "", f"the formula {given}"), given, formula(kind, tree, "merit", what))
