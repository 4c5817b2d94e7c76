"""Sines and cosines against fifty digits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from helpers import close

from qdiff.linalg.trig import kept, sincos


def off(x):
    """The largest errors of sin x and cos x, in units of the last place of each."""
    errors = []
    for got, exact in zip(jax.jit(sincos)(x), (mpmath.sin, mpmath.cos), strict=True):
        with mpmath.workdps(50):
            errors.append(max(float(abs(exact(float(a)) - float(b)) / np.spacing(abs(b))) for a, b in zip(x, np.asarray(got), strict=True)))
    return errors


def test_accuracy():
    """Two units in the last place up to 1e9, also next to multiples of pi/2, where one of them vanishes."""
    rng = np.random.default_rng(0)
    x = np.concatenate([np.linspace(-np.pi, np.pi, 1001), np.arange(-40, 40) * np.pi / 2, rng.uniform(-1e9, 1e9, 500), [1e-300, 1e-9]])
    assert max(off(x)) < 2
    x = x[np.abs(x) > 1e-9]  # four units beside zero are denormal, and count as zero
    assert max(off(x + np.spacing(x) * 4)) < 2
    s, c = sincos(np.array([0.0, np.nan, np.inf, -np.inf, 1e30]))
    assert s[0] == 0 and c[0] == 1 and np.all(np.isnan(s[1:4])) and np.all(np.isnan(c[1:4])) and abs(s[4]) <= 1


def test_derivatives():
    x = jnp.linspace(-4, 4, 9)
    third = jax.vmap(jax.grad(jax.grad(jax.grad(lambda x: sincos(x)[0]))))
    close(third(x), -np.cos(x), 1e-15)
    close(jax.vmap(jax.grad(lambda x: kept(x) ** 3))(x), 3 * np.asarray(x) ** 2, 1e-15)
    assert np.isnan(kept(jnp.asarray(jnp.nan))) and kept(jnp.asarray(jnp.inf)) == jnp.inf
