"""Formulas of a model's figures and parameters, as a user types them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
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

ALLOWED = "numbers, names, + - * / **, parentheses, sqrt, exp, log, sin, cos, tan, tanh and abs"


def formula(kind: type[Model], node: ast.expr, owner: str, refusal: str) -> Callable[[Model], Any]:
    """The function of a model that a parsed expression stands for. Nothing is executed that is not in `ALLOWED`.

    Args:
        kind: whose figures and continuous parameters the names are. node: the expression.
        owner: the argument it was given as, for messages. refusal: what to say of anything else.

    Raises:
        ValueError: a name that is neither, a setting, anything that is not allowed.
    """

    def again(node):
        return formula(kind, node, owner, refusal)

    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        number = float(node.value)
        return lambda model: number
    if isinstance(node, ast.Name):
        return _named(kind, node.id, owner)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right, apply = again(node.left), again(node.right), _OPERATIONS[type(node.op)]
        return lambda model: apply(left(model), right(model))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATIONS:
        inner, apply = again(node.operand), _OPERATIONS[type(node.op)]
        return lambda model: apply(inner(model))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
        if node.func.id in _FUNCTIONS:
            inner, apply = again(node.args[0]), _FUNCTIONS[node.func.id]
            return lambda model: apply(inner(model))
    raise ValueError(refusal)


def _named(kind: type[Model], name: str, owner: str) -> Callable[[Model], Any]:
    figures, parameters = kind.figures(), kind.parameters()
    known_name(name, [*figures, *parameters], "figure or parameter", kind.__name__)
    if name in figures:
        return lambda model: getattr(model, name)()
    if parameters[name].static or parameters[name].array:
        raise ValueError(f"{owner} must be of figures and of parameters that are numbers and vary continuously, but {name} is not")
    return lambda model: getattr(model, name)


def parsed(text: str) -> ast.expr | None:
    """The expression in a text, or None if it is none."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # nested too deeply, or with a null character
        return None
