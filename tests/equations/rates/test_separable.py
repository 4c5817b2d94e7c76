"""Rates in separated form, against the rates themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.equations.rates.separable import scaled_absorption, separable_rates


@jax.jit
def joined(E, T):
    down, up, right, scale, error = separable_rates(E, T)
    return down.T @ right, (up.T @ right) * scale, error


@pytest.mark.parametrize("low, high, accuracy", [(0.4, 0.4, 1e-14), (0.1, 1.0, 1e-14), (0.05, 1, 2e-13), (0.02, 1, 5e-11)])
def test_accuracy(low, high, accuracy):
    """Relative to the largest rate; the reported error is of the true one's size, and never far below it."""
    E = jnp.linspace(-1.6, 3.6, 53)
    T = jnp.asarray(np.random.default_rng(0).uniform(low, high, 200)).at[:2].set(jnp.array([low, high]))
    down, up, error = joined(E, T)
    bath = qd.BosonicBath(1 / T, qd.baths.Ohmic(1.0))
    worst = max(float(jnp.abs(a - b).max() / b.max()) for a, b in ((down, bath.emission(E[:, None])), (up, bath.absorption(E[:, None]))))
    assert worst < accuracy and error < 10 * accuracy
    assert worst < 10 * error + 1e-14


def test_a_range_that_is_too_wide_is_seen():
    down, _, error = joined(jnp.linspace(0.5, 1.5, 20), jnp.geomspace(1e-3, 1.0, 50))
    want = qd.BosonicBath(1 / jnp.geomspace(1e-3, 1.0, 50), qd.baths.Ohmic(1.0)).emission(jnp.linspace(0.5, 1.5, 20)[:, None])
    assert error > 1e-7 and jnp.abs(down - want).max() > 1e-8


def test_cold_absorption_keeps_its_digits():
    """All energies positive: e^-60 at the coldest site, relative to itself."""
    E, T = jnp.linspace(1.2, 1.3, 9), jnp.linspace(0.02, 0.05, 11)
    up = joined(E, T)[1]
    want = qd.BosonicBath(1 / T, qd.baths.Ohmic(1.0)).absorption(E[:, None])
    assert float(want.min()) < 1e-26
    close(up / want, np.ones((9, 11)), 2e-13)


def test_scaled_absorption():
    x = np.array([-800.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 800.0])
    close(scaled_absorption(x, 0.0), [800.0, 1 / -np.expm1(-1.0), 1 + 5e-10, 1.0, 1 - 5e-10, 1 / np.expm1(1.0), 0.0], 1e-15)
    close(scaled_absorption(800.0, 790.0), 800 * np.exp(-10.0), 1e-14)
    slope = jax.vmap(jax.grad(lambda x: scaled_absorption(x, 0.0)))(x)
    assert np.all(np.isfinite(slope)) and abs(slope[3] + 0.5) < 1e-15


def test_derivatives():
    """In energies and temperatures, against those of the rates themselves; equal temperatures included."""

    def exact(E, T):
        bath = qd.BosonicBath(1 / T, qd.baths.Ohmic(1.0))
        return bath.emission(E[:, None]), bath.absorption(E[:, None])

    slopes = jax.jit(lambda E, T: tuple(jax.jacfwd(f, argnums=(0, 1))(E, T) for f in (lambda E, T: joined(E, T)[:2], exact)))
    E = jnp.linspace(-0.7, 1.9, 7)
    for T in (jnp.linspace(0.3, 0.9, 5), jnp.full(5, 0.4)):
        got, want = slopes(E, T)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            # At the ends of the interval a polynomial of degree 31 turns rounding (1e-15) into 31^3 times that in its slope.
            close(a, b, 1e-10)
