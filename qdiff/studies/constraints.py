"""Inequalities between parameters that a search keeps to."""

from __future__ import annotations

import ast
import dataclasses
import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp

from ..models.base import Model, known_name

_OPERATIONS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable] = {name: getattr(jnp, name) for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "tanh")}
_FUNCTIONS["abs"] = jnp.abs


@dataclasses.dataclass(frozen=True)
class Constraint:
    """function(model) <= 0, a differentiable real number. text: as it was given."""

    text: str
    function: Callable[[Model], Any]


def constraints_of(kind: type[Model], given: Iterable[str | Callable] | str | None) -> tuple[Constraint, ...]:
    """The constraints of a search.

    Args:
        given: strings such as "x**2 + y**2 <= 1", of the model's parameters, numbers, + - * / **, parentheses and the
            functions sqrt, exp, log, sin, cos, tan, tanh and abs; or functions of the model that must not be positive.

    Raises:
        ValueError: a string that is not one inequality of these, an unknown parameter, a setting.
    """
    return tuple(_read(kind, entry) for entry in ([given] if isinstance(given, str) else given or ()))


def _read(kind: type[Model], entry) -> Constraint:
    if callable(entry):
        return Constraint(getattr(entry, "__name__", "constraint"), entry)
    what = f"constraints must be inequalities such as 'x**2 + y**2 <= 1' or functions of the model, but has {entry!r}"
    try:
        tree = ast.parse(entry.strip(), mode="eval").body if isinstance(entry, str) else None
    except SyntaxError:
        tree = None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not isinstance(tree.ops[0], (ast.LtE, ast.GtE)):
        raise ValueError(what)
    sides = [_compiled(kind, side, what) for side in (tree.left, tree.comparators[0])]
    less, more = sides if isinstance(tree.ops[0], ast.LtE) else reversed(sides)
    return Constraint(entry.strip(), lambda model: less(model) - more(model))


def _compiled(kind: type[Model], node: ast.expr, what: str) -> Callable[[Model], Any]:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        number = float(node.value)
        return lambda model: number
    if isinstance(node, ast.Name):
        name = known_name(node.id, kind.parameters(), "parameter", kind.__name__)
        if kind.parameters()[name].static or kind.parameters()[name].array:
            raise ValueError(f"constraints must be between parameters that are numbers and vary continuously, but {name} is not")
        return lambda model: getattr(model, name)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right, apply = _compiled(kind, node.left, what), _compiled(kind, node.right, what), _OPERATIONS[type(node.op)]
        return lambda model: apply(left(model), right(model))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATIONS:
        inner, apply = _compiled(kind, node.operand, what), _OPERATIONS[type(node.op)]
        return lambda model: apply(inner(model))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
        if node.func.id in _FUNCTIONS:
            inner, apply = _compiled(kind, node.args[0], what), _FUNCTIONS[node.func.id]
            return lambda model: apply(inner(model))
    raise ValueError(what)
