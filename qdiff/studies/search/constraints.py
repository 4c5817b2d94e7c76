"""Inequalities that a search keeps to."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import jax.numpy as jnp

from ...models.base import Model, as_number
from ..store.fingerprint import Same
from .expressions import formula, parsed, shortened


@dataclasses.dataclass(frozen=True)
class Constraint:
    """function(model) <= 0, a differentiable real number. text: as it was given. key: the same for the same constraint.

    given: whether it was given as a function.
    """

    text: str
    key: Hashable
    function: Callable[[Model], Any]
    given: bool = False

    def __call__(self, model: Model):
        """The number, ().

        Raises (while tracing):
            ValueError: it is not a real number.
        """
        value = as_number(self.text, self.function(model))
        if value.shape != () or jnp.issubdtype(value.dtype, jnp.complexfloating):
            raise ValueError(f"constraints must be real numbers, but {self.text!r} has shape {value.shape} and type {value.dtype}")
        return value.astype(float)


def constraints_of(kind: type[Model], given: Iterable[str | Callable] | str | None) -> tuple[Constraint, ...]:
    """The constraints of a search.

    Args:
        given: strings such as "x**2 + y**2 <= 1", of the model's parameters, entries such as J[1], figures of merit, numbers, + - * / **,
            parentheses and the functions sqrt, exp, log, sin, cos, tan, tanh and abs; or functions of the model that must not
            be positive.

    Raises:
        ValueError: a string that is not one inequality of these, an unknown name, a setting.
    """
    several = [given] if isinstance(given, str) else () if given is None else given
    if not isinstance(several, Iterable):
        raise ValueError(f"constraints must be inequalities or functions of the model, one or several, but was {given!r}")
    return tuple(_read(kind, entry) for entry in several)


def _read(kind: type[Model], entry) -> Constraint:
    if callable(entry):
        return Constraint(getattr(entry, "__name__", "constraint"), Same(entry), entry, True)
    shown = shortened(entry) if isinstance(entry, str) else entry
    what = f"constraints must be inequalities such as 'x**2 + y**2 <= 1' or functions of the model, but has {shown!r}"
    tree = parsed(entry, "constraints") if isinstance(entry, str) else None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not isinstance(tree.ops[0], (ast.LtE, ast.GtE)):
        raise ValueError(what)
    sides = [formula(kind, side, "constraints", what) for side in (tree.left, tree.comparators[0])]
    less, more = sides if isinstance(tree.ops[0], ast.LtE) else reversed(sides)
    return Constraint(entry.strip(), entry.strip(), lambda model: less(model) - more(model))
