"""The bounds of a model's parameters where these are traced: one error that names the parameter, or NaN in a batch."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..results import check, failure_mode, unless


def within_bounds(model) -> tuple[dict[str, Any], Any]:
    """The traced parameters by name, as what follows may use them, and whether any is not what it must be.

    Within `failures("nan")` those that are not are NaN, without a callback to the host. Otherwise the program ends with the
    sentence of the first of them: one check for all, because each costs some ten microseconds in every call.
    """
    parameters = type(model).parameters()
    traced = {name: v for name, about in parameters.items() if not about.static and isinstance(v := getattr(model, name), Tracer)}
    wrong = {name: parameters[name].wrong(v) for name, v in traced.items()}
    if not traced:
        return {}, False
    bad = {name: jnp.stack([f.there for f in found]).any() for name, found in wrong.items()}
    any_bad = jnp.stack(list(bad.values())).any()
    if failure_mode() == "nan":
        return {name: unless(v, bad[name]) for name, v in traced.items()}, any_bad
    one = check(jnp.ones(()), *(found for several in wrong.values() for found in several))
    return {name: v * one for name, v in traced.items()}, any_bad


def poisoned(out, bad):
    """Every real or complex number in `out`, NaN where `bad`: a comparison of parameters lets NaN pass silently."""
    return jax.tree.map(lambda x: unless(x, bad) if eqx.is_inexact_array(x) else x, out)
