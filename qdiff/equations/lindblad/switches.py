"""Where a function of time jumps or kinks, read off its own program.

Between two such times the function is smooth. They are found in its jaxpr: every operation that looks at a number and
answers with a choice (a comparison, `floor`, an integer from a float, `where`, `abs`, `max`, `searchsorted`, the index
of a bin) is a *switch*, and it can change its answer only where its argument crosses zero or an integer. `Program`
evaluates the function together with its switches, and evaluates it again with their answers kept as they were: what
remains is smooth and may be continued beyond the jump, so that no step ever looks at the wrong side of one.

How an intermediate value depends on time decides what can be said of a switch: where its argument is a straight line
in time between earlier switches, its crossing times are exact and have derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

# How a value depends on time: not at all; only through the answers of switches; as a straight line between them; as
# any function between them.
FIXED, STEPS, LINE, CURVE = range(4)

# Operations that keep a straight line straight, whatever else they do.
_STRAIGHT = frozenset(
    """neg reshape squeeze expand_dims broadcast_in_dim transpose slice rev real imag conj copy copy_p
    reduce_sum cumsum pad concatenate add sub add_any stack split take_static sum_static stop_gradient
    optimization_barrier complex""".split()
)
_PRODUCTS = ("mul", "dot_general")  # of a straight line and what does not move
_INDEXED = ("dynamic_slice", "gather", "dynamic_update_slice", "scatter", "scatter-add", "select_n")
_CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint")
# Checks: their comparisons are made at every time, and are no features of the function.
_CHECKS = ("allowed_rates", "refused_argument", "refused_rates")
_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne", "lt_to", "le_to")


class Value(NamedTuple):
    """An intermediate value: how it depends on time, and after how many generations of switches."""

    value: Any
    level: int = FIXED
    stage: int = 0


@dataclass(frozen=True)
class Switch:
    """One array of switches: `argument` crosses zero, or (`integers`) any integer, where an answer changes."""

    argument: Any
    integers: bool
    level: int
    stage: int


class Inputs(NamedTuple):
    """What a program is called with beside the time: the numbers, and whatever follows from them alone."""

    numbers: Any
    fixed: Any = None


class Program:
    """A function of time with its switches.

    Args:
        function: of (t, *numbers), which returns a tree of arrays.
        numbers: examples of what it is called with.
    """

    def __init__(self, function: Callable, numbers):
        self._closed, shape = jax.make_jaxpr(function, return_shape=True)(jnp.zeros(()), *numbers)
        self._tree = jax.tree.structure(shape)
        self.level = FIXED  # of the result: set below
        self.kinds: list[Switch] = []  # argument: its shape

        def look(t, *numbers):
            run = self._run(t, Inputs(numbers))
            self.level = max((v.level for v in run.results), default=FIXED)
            for s in run.switches:
                shape = jax.ShapeDtypeStruct(jnp.shape(s.argument), float)
                self.kinds.append(Switch(shape, s.integers, s.level, s.stage))
            return t

        jax.eval_shape(look, jnp.zeros(()), *numbers)

    @property
    def has_traced_constants(self) -> bool:
        """Whether it holds numbers that are neither known now nor among `numbers`."""
        return any(isinstance(c, Tracer) for c in self._closed.consts)

    def prepared(self, numbers) -> Inputs:
        """The inputs with all that does not depend on time computed once, out of every loop."""
        return Inputs(numbers, self._run(jnp.zeros(()), Inputs(numbers)).fixed)

    def __call__(self, t, inputs: Inputs, answers=None):
        """The function at a time; with `answers`, as it would go on if no switch changed them."""
        return jax.tree.unflatten(self._tree, [v.value for v in self._run(t, inputs, answers).results])

    def arguments(self, t, inputs: Inputs, answers=None) -> list:
        """The arguments of all switches at a time."""
        return [s.argument for s in self._run(t, inputs, answers).switches]

    def answers(self, t, inputs: Inputs) -> list:
        """The answers of all switches at a time."""
        return [lax.stop_gradient(a) for a in self._run(t, inputs).answers]

    def _run(self, t, inputs: Inputs, answers=None):
        run = _Run(answers, inputs.fixed)
        given = [Value(t, LINE), *(Value(n) for n in inputs.numbers)]
        consts = [Value(c) for c in self._closed.consts]
        run.results = run.evaluate(self._closed.jaxpr, consts, given)
        return run


class _Run:
    """One evaluation: gathers switches, their answers and what is fixed, or takes the answers and what is fixed as given."""

    def __init__(self, answers=None, fixed=None):
        self.switches: list[Switch] = []
        self.answers: list = []
        self.fixed: list = []
        self.results: list[Value] = []
        self._answers = None if answers is None else iter(answers)
        self._fixed = None if fixed is None else iter(fixed)

    def evaluate(self, jaxpr, consts, given) -> list[Value]:
        env = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *given), strict=True))

        def read(v):
            return Value(v.val) if hasattr(v, "val") else env[v]

        for eqn in jaxpr.eqns:
            for var, out in zip(eqn.outvars, self._apply(eqn, [read(v) for v in eqn.invars]), strict=True):
                env[var] = out
        return [read(v) for v in jaxpr.outvars]

    def _switch(self, argument, answer: Callable, inputs, integers=False) -> Value:
        """The answer of a switch, which stands still between the crossings of its argument."""
        level, stage = max(v.level for v in inputs), max(v.stage for v in inputs)
        self.switches.append(Switch(argument, integers, level, stage))
        now = answer() if self._answers is None else next(self._answers)
        self.answers.append(now)
        return Value(now, STEPS, stage + 1)

    def _apply(self, eqn, inputs: list[Value]) -> list[Value]:
        name = eqn.primitive.name
        values = [v.value for v in inputs]
        level = max((v.level for v in inputs), default=FIXED)
        stage = max((v.stage for v in inputs), default=0)
        moving = level >= LINE
        if moving and name in _CALLS and eqn.params.get("name") in _CHECKS:
            return [Value(o, STEPS, stage) for o in _bind(eqn, values)]
        if moving and name in _CALLS:
            if eqn.params.get("name") == "searchsorted" and inputs[0].level < LINE:
                return [self._searched(eqn, inputs)]
            inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
            consts = getattr(inner, "consts", ())
            return self.evaluate(getattr(inner, "jaxpr", inner), [Value(c) for c in consts], inputs)
        if moving and name == "cond":
            return self._branches(eqn, inputs)
        if moving and (rule := _RULES.get(name)) is not None:
            found = rule(self, eqn, inputs)
            if found is not None:
                return [found]
        outs = next(self._fixed) if level == FIXED and self._fixed is not None else _bind(eqn, values)
        if level == FIXED:
            self.fixed.append(outs)
        return [Value(o, _level(name, eqn, inputs), stage) for o in outs]

    def _searched(self, eqn, inputs) -> Value:
        """`searchsorted`: the answer changes where the query passes an entry of the sorted array."""
        known, query = (v.value for v in inputs[:2])
        return self._switch(jnp.asarray(query)[..., None] - known, lambda: _bind(eqn, (v.value for v in inputs))[0], inputs)

    def _branches(self, eqn, inputs) -> list[Value]:
        """`cond` and `switch`: the index is an answer already. Branches with switches of their own are all evaluated."""
        index, given = inputs[0], inputs[1:]
        looked = _Run()
        results = [looked.evaluate(b.jaxpr, [Value(c) for c in b.consts], given) for b in eqn.params["branches"]]
        stage = max(v.stage for v in inputs)
        if not looked.switches:
            outs = _bind(eqn, [v.value for v in inputs])
            levels = [max(v.level for v in r) for r in zip(*results, strict=True)]
            return [Value(o, max(level, index.level), stage) for o, level in zip(outs, levels, strict=True)]
        results = [self.evaluate(b.jaxpr, [Value(c) for c in b.consts], given) for b in eqn.params["branches"]]
        at = jnp.clip(jnp.asarray(index.value, jnp.int32), 0, len(results) - 1)
        outs = []
        for choices in zip(*results, strict=True):
            out = lax.select_n(at, *(jnp.asarray(c.value) for c in choices))
            stage = max(index.stage, *(c.stage for c in choices))
            outs.append(Value(out, max(index.level, *(c.level for c in choices)), stage))
        return outs


def _bind(eqn, values) -> list:
    out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else [out]


def _level(name: str, eqn, inputs: list[Value]) -> int:
    """How the result of an operation without switches depends on time."""
    levels = [v.level for v in inputs]
    top = max(levels, default=FIXED)
    if top < LINE or top == CURVE or name in _STRAIGHT:
        return top
    straight = (
        (name in _PRODUCTS and sum(n >= LINE for n in levels) == 1)
        or (name == "div" and levels[1] < LINE)
        or (name in _INDEXED and not any(_whole(v.aval.dtype) and n >= LINE for v, n in zip(eqn.invars, levels, strict=True)))
        or (name == "convert_element_type" and not _whole(eqn.outvars[0].aval.dtype))
        or (name == "integer_pow" and eqn.params["y"] == 1)
    )
    return LINE if straight else CURVE


def _whole(dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_)


# ---- operations that choose -------------------------------------------------------------------------------------


def _compared(run, eqn, inputs):
    a, b = (v.value for v in inputs)
    if jnp.iscomplexobj(a):
        return None
    a, b = (x.astype(float) if _whole(x.dtype) else x for x in (jnp.asarray(a), jnp.asarray(b)))
    return run._switch(a - b, lambda: eqn.primitive.bind(*(v.value for v in inputs), **eqn.params), inputs)


def _rounded(shift):
    def rule(run, eqn, inputs):
        (x,) = (v.value for v in inputs)
        return run._switch(x + shift, lambda: eqn.primitive.bind(x, **eqn.params), inputs, integers=True)

    return rule


def _converted(run, eqn, inputs):
    (x,) = (v.value for v in inputs)
    dtype = eqn.outvars[0].aval.dtype
    if not _whole(dtype) or _whole(jnp.asarray(x).dtype) or jnp.iscomplexobj(x):
        return None
    return run._switch(x, lambda: eqn.primitive.bind(x, **eqn.params), inputs, integers=dtype != jnp.bool_)


def _sign(run, eqn, inputs):
    (x,) = (v.value for v in inputs)
    return None if jnp.iscomplexobj(x) else run._switch(x, lambda: eqn.primitive.bind(x), inputs)


def _absolute(run, eqn, inputs):
    (x,) = inputs
    if jnp.iscomplexobj(x.value):
        return None
    low = run._switch(x.value, lambda: x.value < 0, inputs)
    return Value(jnp.where(low.value, -x.value, x.value), x.level, low.stage)


def _larger(run, eqn, inputs):
    a, b = inputs
    first = run._switch(a.value - b.value, lambda: a.value > b.value, inputs)
    pair = (a, b) if eqn.primitive.name == "max" else (b, a)
    out = jnp.where(first.value, pair[0].value, pair[1].value)
    return Value(out, max(a.level, b.level), first.stage)


def _clamped(run, eqn, inputs):
    low, x, high = inputs
    below = run._switch(x.value - low.value, lambda: x.value < low.value, (low, x))
    above = run._switch(x.value - high.value, lambda: x.value > high.value, (x, high))
    out = jnp.where(below.value, low.value, jnp.where(above.value, high.value, x.value))
    return Value(out, max(v.level for v in inputs), max(below.stage, above.stage))


def _remainder(run, eqn, inputs):
    x, y = inputs
    turns = run._switch(x.value / y.value, lambda: jnp.trunc(x.value / y.value), inputs, integers=True)
    out = x.value - y.value * turns.value
    return Value(out, x.level if y.level < LINE else CURVE, turns.stage)


_RULES: dict[str, Callable] = {
    **dict.fromkeys(_COMPARISONS, _compared),
    "floor": _rounded(0.0),
    "ceil": _rounded(0.0),
    "round": _rounded(0.5),
    "convert_element_type": _converted,
    "sign": _sign,
    "abs": _absolute,
    "max": _larger,
    "min": _larger,
    "clamp": _clamped,
    "rem": _remainder,
}
