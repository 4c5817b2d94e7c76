"""Arrays that can be differentiated in one direction only, and say so when they are asked for the other.

JAX's own errors for that speak of its internals, wherever they happen to arise.
"""

from __future__ import annotations

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

# Primitives, and not a `custom_jvp` that raises: reverse differentiation, too, begins with the rule
# for tangents. Only a tangent that is evaluated, and never transposed, tells that the direction is
# forward.
_value, _tangent = Primitive("one_way"), Primitive("one_way_tangent")


def no_forward(tree, reason: str):
    """The arrays as they are; forward differentiation through them raises TypeError(reason). For a function's inputs."""
    return jax.tree.map(lambda x: _value.bind(x, forward=reason, reverse=None), tree)


def no_reverse(tree, reason: str):
    """The arrays as they are; reverse differentiation through them raises TypeError(reason). For a function's outputs."""
    return jax.tree.map(lambda x: _value.bind(x, forward=None, reverse=reason), tree)


def _evaluate(x, *, forward, reverse):
    """A tangent that is evaluated, not transposed: this is forward differentiation."""
    if forward is not None:
        raise TypeError(forward)
    return x


def _transpose(cotangent, _, *, forward, reverse):
    if reverse is not None:
        raise TypeError(reverse)
    return (cotangent,)


def _differentiate(primals, tangents, **reasons):
    (x,), (dx,) = primals, tangents
    return _value.bind(x, **reasons), dx if type(dx) is ad.Zero else _tangent.bind(dx, **reasons)


def _batch_value(arguments, axes, **reasons):
    return _value.bind(arguments[0], **reasons), axes[0]


def _batch_tangent(arguments, axes, **reasons):
    _evaluate(arguments[0], **reasons)
    return _tangent.bind(arguments[0], **reasons), axes[0]


def _refuse_nothing(x, **_):
    return x


_value.def_impl(_refuse_nothing)
_value.def_abstract_eval(_refuse_nothing)
ad.primitive_jvps[_value] = _differentiate
batching.primitive_batchers[_value] = _batch_value
mlir.register_lowering(_value, mlir.lower_fun(_refuse_nothing, multiple_results=False))

_tangent.def_impl(_evaluate)
_tangent.def_abstract_eval(_refuse_nothing)
ad.deflinear2(_tangent, _transpose)
batching.primitive_batchers[_tangent] = _batch_tangent
mlir.register_lowering(_tangent, mlir.lower_fun(_evaluate, multiple_results=False))
