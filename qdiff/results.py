"""What becomes of a number that turns out wrong: an error now, an error when the program runs, or NaN in a batch.

Every solve and every check of a traced argument ends in `check`. Which of the three it does is decided when a function is
traced, by `failures`. A kind of failure is a value, `Failure`: it is defined beside the solve that can fail, and whoever
catches the error finds it as `error.failure`.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import itertools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer


class SolveError(RuntimeError):
    """A solve failed at run time; the message says why and what to try.

    Attributes:
        failure: the kind of failure, where it is one that the package knows.
    """

    failure: Failure | None = None


class NotUnique(ValueError):
    """There are several stationary states."""


@jax.tree_util.register_static  # so that compiled functions can return it
@dataclasses.dataclass(frozen=True)
class Failure:
    """A kind of failure.

    Args:
        sentence: why, and what to try.
        error: the exception it becomes; a `ValueError` where an argument is wrong.
    """

    sentence: str
    error: type[Exception] = SolveError

    def exception(self, time: float = np.inf) -> Exception:
        """The error to raise, at a time if that is finite."""
        error: Any = self.error(f"{self.sentence} (at t = {time:.6g})" if np.isfinite(time) else self.sentence)
        error.failure = self
        return error


class Found(NamedTuple):
    """Whether there is a failure, boolean of any shape, and which; at what time, if it belongs to one."""

    there: Any
    failure: Failure
    time: Any = np.inf


# "tell" is what `told` traces with: NaN, and a record of what failed.
_mode: contextvars.ContextVar[str] = contextvars.ContextVar("on_failure", default="raise")


def failure_mode() -> str:
    """What `failures` asks for: "raise" or "nan"; or "tell", within `told`."""
    return _mode.get()


@contextlib.contextmanager
def failures(mode: str):
    """Within this context a failed solve raises ("raise", the default) or becomes NaN ("nan"), as batches want it.

    The mode counts when a function is traced, not when the compiled function runs.
    """
    if not isinstance(mode, str) or mode not in ("raise", "nan"):
        raise ValueError(f'mode must be "raise" or "nan", but was {mode!r}')
    with failing(mode):
        yield


@contextlib.contextmanager
def failing(mode: str):
    """As `failures`, with "tell" too."""
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def unless(x, bad) -> Any:
    """x, NaN where `bad`, in value and derivative. By a product: a derivative would take no notice of `where`, and be zero."""
    return x * jnp.where(bad, jnp.nan, 1.0)


def check(x, *found: Found | tuple[Any, Failure], causes: Callable[[], list[Found]] | None = None):
    """x, if none of the failures is there; else what `failures` asks for.

    Args:
        x: an array that whatever follows depends on. For NaN, all of it becomes NaN or, for a failure that has the shape of x
            itself, the entries where it is.
        found: the first one that is there is reported, so that causes stand before consequences.
        causes: what may have led to any of them, and is reported before them. A function, because it is looked for only if
            one of them is there: nothing of it runs otherwise.

    Raises:
        The exception of the failure, if the numbers are known; else Equinox's runtime error with its sentence.
    """
    seen = [Found(*f) for f in found]
    mode = failure_mode()
    if mode == "raise" and not any(isinstance(f.there, Tracer) for f in seen):
        if any(np.any(f.there) for f in seen):
            raise next(f.failure.exception(float(f.time)) for f in [*_found(causes), *seen] if np.any(f.there))
        return x
    if mode == "raise":
        return _raised(x, seen, causes)
    flags = [lax.stop_gradient(jnp.asarray(f.there)) for f in seen]
    if mode == "tell":
        failed = jnp.any(_any(seen))
        everything = [*(f._replace(there=f.there & failed) for f in _found(causes)), *seen]
        _record(tuple(f.failure for f in everything), _any(everything), [f.time for f in everything])
    whole = [flag for flag in flags if flag.ndim == 0]
    x = unless(x, jnp.any(jnp.stack(whole))) if whole else x
    for flag in flags:
        x = unless(x, flag) if flag.ndim else x
    return x


def _found(causes: Callable[[], list[Found]] | None) -> list[Found]:
    return [] if causes is None else causes()


def _any(found: list[Found]):
    return jnp.stack([jnp.any(lax.stop_gradient(f.there)) for f in found])


def _raised(x, seen: list[Found], causes: Callable[[], list[Found]] | None):
    """x, or Equinox's error when the program runs."""
    there = _any(seen)
    failed, everything = jnp.any(there), seen
    if causes is None:
        index = jnp.argmax(there)
    else:
        found: list[Found] = []

        def first():
            found.extend([*causes(), *seen])
            return jnp.argmax(_any(found))

        index = lax.cond(failed, first, lambda: jnp.zeros((), int))
        everything = found
    # A factor, so that derivatives depend on it, too: a gradient that needs no value would otherwise be computed without the check.
    one = jnp.ones((), jnp.result_type(x))
    return x * eqx.branched_error_if(one, failed, index, [f.failure.sentence for f in everything])


# ---- why a compiled program failed ----------------------------------------------------------------------

_places = itertools.count()
_recorded: list[tuple[int, Failure, float]] = []
_one_at_a_time = threading.RLock()


def _record(kinds: tuple[Failure, ...], there, times: list):
    """When the program runs, note the first failure that is there under this check's number in the order of tracing."""
    place = next(_places)

    def note(there, times):
        if there.any():
            first = int(np.argmax(there))
            _recorded.append((place, kinds[first], float(times[first])))

    jax.debug.callback(note, there, jnp.stack([jnp.asarray(t, float) for t in times]))


def told(program: Callable, *args):
    """program(*args), where the program was traced within `failing("tell")`; what failed first in it is raised.

    What is checked first is what is traced first, so that a failure is reported and not what follows from it.
    """
    with _one_at_a_time:
        _recorded.clear()
        out = jax.block_until_ready(program(*args))
        jax.effects_barrier()
        if _recorded:
            _, failure, time = min(_recorded, key=lambda record: record[0])
            raise failure.exception(time)
    return out


def require_float64():
    """Refuse 32-bit numbers.

    Raises:
        ValueError: JAX_ENABLE_X64 turned 64-bit numbers off.
    """
    if not jax.config.read("jax_enable_x64"):
        raise ValueError("qdiff needs 64-bit numbers (condition numbers are of order 1e6), but JAX_ENABLE_X64 turned them off")
