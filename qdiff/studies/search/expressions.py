"""Formulas of a model's figures of merit and parameters, as a user types them."""

from __future__ import annotations

import ast
import contextlib
import math
import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from ...models.base import Model
from ...models.parameters import known_name, place_of, value_at

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

# How deeply a formula may be nested: a sum of as many terms is nested so.
_DEEPEST = 100
ALLOWED = "numbers, names, entries such as J[1], + - * / **, parentheses, sqrt, exp, log, sin, cos, tan, tanh and abs"


def formula(kind: type[Model], node: ast.expr, owner: str, refusal: str) -> Callable[[Model], Any]:
    """The function of a model that a parsed expression stands for. Nothing is executed that is not in `ALLOWED`.

    Args:
        kind: whose figures of merit and continuous parameters the names are. node: the expression.
        owner: the argument it was given as, for messages. refusal: what to say of anything else.

    Raises:
        ValueError: a name that is neither, a setting, anything that is not allowed, numbers that make none.
    """
    function = _read(kind, node, owner, refusal)
    if any(isinstance(part, ast.Name) and part.id not in _FUNCTIONS for part in ast.walk(node)):
        return function
    number = math.nan
    with contextlib.suppress(ArithmeticError, TypeError):  # too large, a division by zero, a complex number
        number = float(function(None))  # type: ignore[arg-type]  (a formula without a name never looks at its model)
    if not math.isfinite(number):
        raise ValueError(f"{owner} must be of finite numbers, but {shortened(ast.unparse(node))} is none")
    return lambda model: number


def _read(kind: type[Model], node: ast.expr, owner: str, refusal: str) -> Callable[[Model], Any]:
    def again(node):
        return formula(kind, node, owner, refusal)

    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        value = node.value
        return lambda model: float(value)
    if isinstance(node, ast.Name):
        return _named(kind, node.id, owner)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return _entry(kind, node.value.id, ast.unparse(node).replace(" ", "").replace("[(", "[").replace(")]", "]"), owner)
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
    merits, parameters = kind.merits(), kind.parameters()
    known_name(name, [*merits, *parameters], "figure of merit or parameter", kind.__name__)
    if name in merits:
        return lambda model: getattr(model, name)()
    if parameters[name].static or parameters[name].is_array:
        raise ValueError(f"{owner} must be of merits and of parameters that are numbers and vary continuously, but {name} is not")
    return lambda model: getattr(model, name)


def _entry(kind: type[Model], name: str, label: str, owner: str) -> Callable[[Model], Any]:
    known_name(name, kind.parameters(), "parameter", kind.__name__)
    place_of(kind, label)
    return lambda model: value_at(model, label)


def parsed(text: str, owner: str) -> ast.expr | None:
    """The expression in a text, or None if it is none.

    Raises:
        ValueError: it is nested too deeply to be read.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    except (RecursionError, MemoryError):
        tree = None
    if tree is None or _deep(tree):
        raise ValueError(f"{owner} must be nested at most {_DEEPEST} deep, but {shortened(text)!r} is more")
    return tree


def _deep(tree: ast.expr) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [part for node in level for part in ast.iter_child_nodes(node)]
    return any(isinstance(node, ast.expr) for node in level)


def shortened(text: str) -> str:
    """The text, or its beginning if it is long, for a sentence."""
    return text if len(text) <= 100 else f"{text[:97]}..."
