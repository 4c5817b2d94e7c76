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
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

# Copies at random numbers: what coincides by accident in all of them has probability zero. The second has the first's numbers
# mirrored, so that any two of them come in both orders, as levels do that cross.
PROBES = 3

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


def replaying() -> bool:
    """Whether a `structured` function is being called with the given parameters, so that generic copies are exact."""
    return _replay.get() is not None


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
        value[1] = 2.0 - value[0]
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
    return np.all(rounding(value, size, terms), axis=0)


def rounding(value: np.ndarray, size: np.ndarray, terms: int = 1) -> np.ndarray:
    """Where such sums are zero up to rounding, copy by copy."""
    return np.abs(value) <= 64 * np.finfo(float).eps * max(terms, 1) * size


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
    included) replaced by a random one between 0.3 and 0.9, any two of them in both orders. What vanishes,
    coincides or is degenerate there does so for all parameters; what merely happens to at the given values does
    not count. Relations between
    parameters (a level at the sum of two others, one rate used twice) are seen, which they are not in
    undecorated traced code. `build` must call the same constructors in the same order each time.

    An integer counts as such a number too, if `build` takes a random one in its place and then puts at least the
    same entries into operators of the same sizes; otherwise (a number of levels, an index) it stays as it is.

    Raises:
        TypeError: `build` is no function.
        ValueError: `build` is not finite at the random numbers, or uses a traced number that is not an argument.

    Example:
        >>> import qdiff as qd
        >>> @qd.structured
        ... def damped(omega, gamma):
        ...     mode = qd.Space(mode=qd.Boson(5)).mode
        ...     return qd.Lindblad(omega * mode.n, {"bath": (gamma, mode.a)})
        >>> qd.steady_state(damped(1.0, 0.1)).sector.size
        5
    """

    if not callable(build):
        raise TypeError(f"build must be a function that builds a generator, but was {build!r}")

    @functools.wraps(build)
    def wrapper(*args, **kwargs):
        if recording() or replaying():  # part of another structured function, which has the copies
            return build(*args, **kwargs)
        leaves, treedef = jax.tree.flatten((args, kwargs))
        call = functools.partial(_recorded, build, leaves, treedef)
        varied = _parameters(call, leaves)
        copies = [call(varied, k) for k in range(PROBES)]
        token = _replay.set(iter(list(zip(*copies, strict=True))))
        try:
            return build(*args, **kwargs)
        finally:
            _replay.reset(token)

    return wrapper


def _fake(rng, x, mirrored: bool):
    value = rng.uniform(0.3, 0.9, np.shape(x))
    value = 1.2 - value if mirrored else value
    if isinstance(x, complex) or np.issubdtype(getattr(x, "dtype", float), np.complexfloating):
        phase = rng.uniform(-1, 1, np.shape(x))
        value = value * np.exp(-1j * phase if mirrored else 1j * phase)
    return value[()]


def _recorded(build, leaves, treedef, varied, copy: int) -> list[list]:
    """The ingredients of all constructors that `build` calls with the leaves `varied` replaced by random numbers."""
    rng = np.random.default_rng([17, 0 if copy == 1 else copy])
    fakes = [_fake(rng, x, copy == 1) if k in varied else x for k, x in enumerate(leaves)]
    fargs, fkwargs = jax.tree.unflatten(treedef, fakes)
    token = _record.set([])
    try:
        with jax.ensure_compile_time_eval():
            build(*fargs, **fkwargs)
        return _record.get()
    finally:
        _record.reset(token)


def _parameters(call, leaves) -> set[int]:
    """Which of the arguments' leaves are parameters, to be replaced by random numbers."""
    varied = {k for k, x in enumerate(leaves) if _kind(x) in "fc" or (_kind(x) in "iu" and not is_constant(x))}
    whole = {k for k, x in enumerate(leaves) if _kind(x) in "iu"} - varied
    if not whole:
        return varied
    kept = call(varied, 0)

    def fits(more):
        try:
            tried = call(varied | more, 0)
        except (TypeError, ValueError, LookupError, AttributeError):
            return False
        return len(tried) == len(kept) and all(map(_covers, tried, kept))

    return varied | (whole if fits(whole) else {k for k in whole if len(whole) > 1 and fits({k})})


def _covers(tried: list, kept: list) -> bool:
    """Whether the ingredients of one constructor have the sizes of others and at least their entries."""

    def covers(x, y):
        if not hasattr(x, "pattern") or not hasattr(y, "pattern"):
            return np.shape(x) == np.shape(y)
        return x.size == y.size and bool(np.all(x.pattern.find(y.pattern.row, y.pattern.col) >= 0))

    return len(tried) == len(kept) and all(map(covers, tried, kept))


def _kind(x) -> str:
    """The NumPy kind of a number or an array; none of a truth value and of what is no number."""
    dtype = getattr(x, "dtype", None)
    if dtype is not None:
        return dtype.kind if isinstance(dtype, np.dtype) else "O"
    kinds = {} if isinstance(x, bool) else {"i": int, "f": float, "c": complex}
    return next((kind for kind, of in kinds.items() if isinstance(x, of)), "O")


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
    elif replaying():
        copies = next(_replay.get())
        return [_aligned(x, [c[k] for c in copies]) for k, x in enumerate(ingredients)]
    return ingredients


def _aligned(x, copies):
    if not hasattr(x, "pattern"):
        if odd := next((np.shape(c) for c in copies if np.shape(c) != np.shape(x)), None):
            raise ValueError(
                "a `structured` function must make numbers of the same shapes whatever its parameters, "
                f"but shape {np.shape(x)} here is {odd} at generic ones"
            )
        value = np.stack([np.asarray(c) for c in copies])
        if is_constant(x) and np.all(value == np.asarray(x)):
            return x
        x = jnp.asarray(x)  # what can be remembered: Python's and NumPy's numbers cannot
        remember(x, value)
        return x
    if any(not is_constant(c.values) for c in copies):
        raise ValueError("a `structured` function must take its traced parameters as arguments, not from its surroundings")
    # An entry that happens to vanish at the given values keeps its place.
    x = x.widened(copies)
    out = np.zeros((PROBES, x.pattern.nnz), complex)
    for k, c in enumerate(copies):
        out[k, x.pattern.find(c.pattern.row, c.pattern.col)] = np.asarray(c.values)
    return x.with_probe(out if np.any(np.imag(out)) else np.real(out))
