"""What becomes of a number that turns out wrong at run time: an error with its reason, or NaN in a batch."""

from __future__ import annotations

import contextlib
import contextvars

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from .checks import choice

_on_failure: contextvars.ContextVar[str] = contextvars.ContextVar("on_failure", default="raise")


def failure_mode() -> str:
    """The mode that `failures` has set."""
    return _on_failure.get()


@contextlib.contextmanager
def failures(mode: str):
    """Within this context a failed solve raises ("raise", the default) or becomes NaN ("nan"), as batches want it.

    The mode counts when a function is traced, not when the compiled function runs.
    """
    choice("mode", mode, ("raise", "nan"))
    token = _on_failure.set(mode)
    try:
        yield
    finally:
        _on_failure.reset(token)


def failed(bad, reason: str, kind: type[Exception]):
    """Zero, unless `bad`: an error here and now if that is known, else one at run time, or NaN."""
    bad = lax.stop_gradient(bad)
    if failure_mode() == "nan":
        return jnp.where(bad, jnp.nan, 0.0)
    if isinstance(bad, Tracer):
        return eqx.error_if(jnp.zeros(()), bad, reason)
    if bad:
        raise kind(reason)
    return jnp.zeros(())
