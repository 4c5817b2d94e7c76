"""Generic numbers that stand in for traced ones, so that structure can be seen before values exist.

An operator carries, beside its traced values, a few copies of them in which every parameter is replaced by a
random number. What cancels in all copies cancels for all values; what does not cancel there may not cancel
anywhere. The copies come from one of two places:

* A function decorated with `structured` is first called with random concrete parameters. The operators it
  builds then are the copies of those it builds from the parameters it was given, in the same order.
* Otherwise a traced number is taken as a random one of its own (the same wherever the same traced number is
  used), which can only overlook a cancellation, and a concrete number as what it is.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import weakref
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

PROBES = 3  # independent copies; an accidental coincidence in all of them has probability zero

_count = itertools.count()
_known: dict[int, tuple[Any, np.ndarray]] = {}
# While a `structured` function runs: the list that its copies are written to, or the iterator they are read from.
_record: contextvars.ContextVar = contextvars.ContextVar("record", default=None)
_replay: contextvars.ContextVar = contextvars.ContextVar("replay", default=None)


def is_constant(x) -> bool:
    """Whether the value of `x` is known now."""
    return not isinstance(x, Tracer)


def recording() -> bool:
    """Whether a `structured` function is being called with random parameters."""
    return _record.get() is not None


def generic(x) -> np.ndarray:
    """Copies of `x`, shape (PROBES, *x.shape): exact if its value is known, random and reproducible if traced."""
    key = id(x)
    if key not in _known:
        if is_constant(x):
            x = np.asarray(x)
            x = np.where(np.isfinite(x), x, 1.0)  # what is infinite or NaN keeps its place, to be refused when it is solved
            return np.broadcast_to(x, (PROBES, *x.shape))
        rng = np.random.default_rng(next(_count))
        value = rng.uniform(0.5, 1.5, (PROBES, *np.shape(x)))
        if np.issubdtype(x.dtype, np.complexfloating):
            value = value * np.exp(1j * rng.uniform(-1, 1, value.shape))
        remember(x, value)
    return _known[key][1]


def remember(x, value: np.ndarray):
    """Let `generic(x)` be `value` from now on."""
    key = id(x)
    _known[key] = (weakref.ref(x, lambda _: _known.pop(key, None)), value)


def vanishes(value: np.ndarray, size: np.ndarray, terms: int = 1) -> np.ndarray:
    """Where sums `value` (PROBES, ...) of terms with absolute sum `size` are zero up to rounding in all copies.

    Relative to the terms of the same sum only, so that a small number which nothing cancels is never dropped.
    """
    return np.all(np.abs(value) <= 64 * np.finfo(float).eps * max(terms, 1) * size, axis=0)


def sums_of(terms: np.ndarray, at: np.ndarray, size: int) -> np.ndarray:
    """out (copies, size) with out[:, at[t]] += terms[:, t]."""
    out = np.empty((len(terms), size), np.result_type(terms, float))
    for k, t in enumerate(terms):
        out[k] = np.bincount(at, np.real(t), size)
        if np.iscomplexobj(t):
            out[k] += 1j * np.bincount(at, np.imag(t), size)
    return out


def structured(build):
    """Let a function that builds a generator be probed at generic values of its parameters.

    `build(*arguments)` is called a few more times with every floating-point number in its arguments (models
    included) replaced by a random one between 0.3 and 0.9. What vanishes, coincides or is degenerate there does
    so for all parameters; what merely happens to at the given values does not count. Relations between
    parameters (a level at the sum of two others, one rate used twice) are seen, which they are not in
    undecorated traced code. `build` must call the same constructors in the same order each time.

    Example:
        >>> import qdiff as qd
        >>> @qd.structured
        ... def damped(omega, gamma):
        ...     mode = qd.Space(mode=qd.Boson(5)).mode
        ...     return qd.Lindblad(omega * mode.n, {"bath": (gamma, mode.a)})
        >>> qd.steady_state(damped(1.0, 0.1)).sector.size
        5
    """

    @functools.wraps(build)
    def wrapper(*args, **kwargs):
        if recording() or _replay.get() is not None:  # part of another structured function, which has the copies
            return build(*args, **kwargs)
        leaves, treedef = jax.tree.flatten((args, kwargs))
        copies = []
        for k in range(PROBES):
            rng = np.random.default_rng([17, k])
            fake = [_fake(rng, x) if _is_number(x) else x for x in leaves]
            fargs, fkwargs = jax.tree.unflatten(treedef, fake)
            token = _record.set([])
            try:
                with jax.ensure_compile_time_eval():
                    build(*fargs, **fkwargs)
                copies.append(_record.get())
            finally:
                _record.reset(token)
        token = _replay.set(iter(list(zip(*copies, strict=True))))
        try:
            return build(*args, **kwargs)
        finally:
            _replay.reset(token)

    return wrapper


def _fake(rng, x):
    value = rng.uniform(0.3, 0.9, np.shape(x))
    if isinstance(x, complex) or np.issubdtype(getattr(x, "dtype", float), np.complexfloating):
        value = value * np.exp(1j * rng.uniform(-1, 1, np.shape(x)))
    return value[()]


def _is_number(x) -> bool:
    return isinstance(x, (float, complex)) or (hasattr(x, "dtype") and np.issubdtype(x.dtype, np.inexact))


def align(ingredients: list[Any]) -> list[Any]:
    """Give operators and numbers the copies that the same call recorded at generic parameters, if there are any.

    Returns the list, in which operators may have been replaced by equal ones that know their copies.
    """
    if recording():
        for x in ingredients:
            known = getattr(x, "values", x)
            if is_constant(known) and not np.all(np.isfinite(np.asarray(known))):
                raise ValueError("a `structured` function must be finite for generic parameters between 0.3 and 0.9, where it is probed")
        _record.get().append(ingredients)
    elif _replay.get() is not None:
        copies = next(_replay.get())
        return [_aligned(x, [c[k] for c in copies]) for k, x in enumerate(ingredients)]
    return ingredients


def _aligned(x, copies):
    if not hasattr(x, "pattern"):
        if not isinstance(x, (int, float, complex, np.generic, np.ndarray)):
            remember(x, np.stack([np.asarray(c) for c in copies]))
        return x
    if any(not is_constant(c.values) for c in copies):
        raise ValueError("a `structured` function must take its traced parameters as arguments, not from its surroundings")
    # An entry that happens to vanish at the given values keeps its place.
    x = x.widened(copies)
    out = np.zeros((PROBES, x.pattern.nnz), complex)
    for k, c in enumerate(copies):
        out[k, x.pattern.find(c.pattern.row, c.pattern.col)] = np.asarray(c.values)
    return x.with_probe(out if np.any(np.imag(out)) else np.real(out))
