"""Derivatives of the active particle: modes against each other and differences, second order, in batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd

NAMES = ("epsilon", "theta", "d_x", "d_z", "hopping", "gamma_hot", "gamma_cold", "T", "dT")
PHONONS = ("phonon_coupling", "phonon_range")
POINT = dict(epsilon=0.8, theta=0.9, d_x=0.3, d_z=-0.25, hopping=1.3, gamma_hot=0.3, gamma_cold=0.15, T=0.7, dT=0.4)
MODEL = qd.models.ActiveParticle(**POINT, points=36, phonon_range=0.12, phonon_exponent=4, cells=512)

# Differences of the figure of merit at hand; phonons matter to the relaxed velocity only. Drift and diffusion of exponent 4 are smooth.
MERITS = [("velocity", NAMES), ("velocity_relaxed", NAMES + PHONONS), ("velocity_drift_diffusion", NAMES), ("velocity_fluctuation", NAMES)]


@functools.cache
def programs(merit, names):
    def value(x):
        return getattr(MODEL.replace(**dict(zip(names, x, strict=True))), merit)()

    return jax.jit(value), jax.jit(jax.grad(value)), jax.jit(jax.jacfwd(value)), value


@pytest.mark.parametrize(("merit", "names"), MERITS, ids=[f for f, _ in MERITS])
def test_forward_reverse_and_differences(merit, names):
    value, reverse, forward, _ = programs(merit, names)
    x = np.array([float(getattr(MODEL, name)) for name in names])
    got = reverse(x)
    close(got, derivative(value, x, 4e-3), 1e-7)
    close(got, forward(x), 1e-11)
    # The comparison fails for a gradient that is off by a millionth.
    with pytest.raises(AssertionError):
        close(got * (1 + 1e-6), derivative(value, x, 4e-3), 1e-7)


@pytest.mark.slow
def test_second_order():
    """The Hessian of the velocity is symmetric, and the derivative of the gradient."""
    _, reverse, _, value = programs("velocity", NAMES)
    x = np.array([float(getattr(MODEL, name)) for name in NAMES])
    H = np.asarray(jax.jit(jax.hessian(value))(x))
    close(H, H.T, 1e-12)
    close(H, derivative(reverse, x), 1e-7)


@pytest.mark.slow
def test_second_order_of_the_relaxed_velocity():
    names = ("T", "theta", "phonon_range")
    _, reverse, _, value = programs("velocity_relaxed", names)
    x = np.array([float(getattr(MODEL, name)) for name in names])
    H = np.asarray(jax.jit(jax.hessian(value))(x))
    close(H, H.T, 1e-10)
    close(H, derivative(reverse, x, 4e-3), 1e-6)


def test_batches():
    """Gradients of many temperatures at once are those of each."""
    _, reverse, _, _ = programs("velocity", NAMES)
    x = np.array([float(getattr(MODEL, name)) for name in NAMES])
    rows = jnp.stack([jnp.asarray(x), jnp.asarray(x) * 1.1])
    many = jax.jit(jax.vmap(reverse))(rows)
    close(many, np.stack([reverse(r) for r in rows]), 1e-13)


def test_generic_route():
    """The gradient of `BlochModel.mean_velocity`, by the adjoint state, is that of the closed form."""
    k = MODEL.momenta

    def generic(model):
        return model.bloch_model().mean_velocity(k, lambda k, bands: bands.log_weight(k), chunk=10)

    slope, want = jax.jit(jax.grad(generic))(MODEL), jax.jit(jax.grad(lambda m: m.velocity()))(MODEL)
    for name in NAMES:
        close(getattr(slope, name), getattr(want, name), 1e-12, scale=1.0)
