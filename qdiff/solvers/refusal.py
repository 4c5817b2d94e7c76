"""How a solve that failed says so at run time: an error with its reason, or NaN in a batch."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from .steady import SolveError, failure_mode

_known: set[str] = set()


def refuse(x, reasons: tuple[str, ...], *failed):
    """x, if none of the conditions `failed` holds; else the reason of the first that does, as `failures` wants it."""
    _known.update(reasons)
    which = jnp.stack([lax.stop_gradient(f) for f in failed])
    bad = jnp.any(which)
    if failure_mode() == "nan":
        return jnp.where(bad, jnp.nan, x)
    if isinstance(bad, Tracer):
        return eqx.branched_error_if(x, bad, jnp.argmax(which), reasons)
    if bad:
        raise SolveError(reasons[int(jnp.argmax(which))])
    return x


def refusal_reason(error: Exception) -> str | None:
    """Which of the reasons given so far a runtime error of a compiled program reports, if any."""
    return max((reason for reason in _known if reason in str(error)), key=len, default=None)  # one may be the end of another
