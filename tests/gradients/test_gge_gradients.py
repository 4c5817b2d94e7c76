"""Derivatives of the bulk rectifiers: modes against each other and differences, at vanishing channels, in batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd

RAMAN, RASHBA = qd.models.RamanRectifier, qd.models.RashbaRectifier
POINTS = [
    RAMAN(drive=0.3, beta=3.0, delta_im=-0.4, filling=0.7, length=48),
    RASHBA(drive=0.6, beta=1.5, dephasing_up=0.7, filling=0.8, length=48),
]


def names(model):
    return [name for name, about in type(model).parameters().items() if not about.static]


def current(model):
    return model.current()


@pytest.mark.parametrize("model", POINTS, ids=["raman", "rashba"])
def test_forward_reverse_and_differences(model):
    fields = names(model)
    reverse, forward = jax.jit(jax.grad(current))(model), jax.jit(jax.jacfwd(current))(model)
    value = jax.jit(lambda x: current(model.replace(**dict(zip(fields, x, strict=True)))))
    want = derivative(value, [float(getattr(model, f)) for f in fields])
    close([float(getattr(reverse, f)) for f in fields], want, 1e-8)
    close([float(getattr(reverse, f)) for f in fields], [float(getattr(forward, f)) for f in fields], 1e-13)


@pytest.mark.parametrize("model", POINTS, ids=["raman", "rashba"])
def test_second_order(model):
    """The Hessian is symmetric, and the derivative of the gradient."""
    fields = ("drive", "beta", "filling")

    def value(x):
        return current(model.replace(**dict(zip(fields, x, strict=True))))

    x = jnp.array([float(getattr(model, f)) for f in fields])
    H = np.asarray(jax.jit(jax.hessian(value))(x))
    close(H, H.T, 1e-12)
    close(H, derivative(jax.jit(jax.grad(value)), x), 1e-7)


def test_at_vanishing_channels():
    """One-sided differences agree with derivatives at drive = 0, at drive = 1 (Raman), and where one spin is not dephased."""
    cases = [
        (RAMAN(drive=0.0, length=64), "drive", 1),
        (RAMAN(drive=1.0, length=64), "drive", -1),
        (RASHBA(drive=0.0, length=64), "drive", 1),
        (RASHBA(drive=0.5, length=64, dephasing_up=1.0), "dephasing_up", -1),
        (RASHBA(drive=0.5, length=64, dephasing_up=0.0), "dephasing_up", 1),
        (RASHBA(drive=1.0, length=64, dephasing_up=0.5), "drive", -1),
    ]
    for model, name, side in cases:
        slope = jax.jit(jax.grad(current))(model)
        assert all(np.isfinite(float(getattr(slope, f))) for f in names(model)), name
        start, value = float(getattr(model, name)), jax.jit(lambda x, model=model, name=name: current(model.replace(**{name: x})))
        h = 1e-3 * side
        f = [float(value(start + k * h)) for k in range(5)]
        want = (-25 * f[0] + 48 * f[1] - 36 * f[2] + 16 * f[3] - 3 * f[4]) / (12 * h)
        assert float(getattr(slope, name)) == pytest.approx(want, rel=1e-4, abs=1e-10), (type(model).__name__, name)


def test_nothing_is_nan_where_derivatives_end():
    """At the kink, where the bands touch, and where the slope diverges: finite numbers, and a note of each."""
    cases = {
        "derivative_in_alpha_z": RASHBA(alpha_z=0.0, length=64),
        "ensemble": RASHBA(field=0.0, length=64),
        "derivative_in_drive": RASHBA(drive=1.0, length=64),
    }
    for note, model in cases.items():
        assert all(np.isfinite(float(x)) for x in jax.tree.leaves(jax.jit(jax.grad(current))(model))), note
        assert note in model.warnings({}) and note in qd.evaluate(model, "current").diagnostics
    both = RASHBA(alpha_y=0.0, alpha_z=0.0, field=0.0, length=64)
    assert all(np.isfinite(float(x)) for x in jax.tree.leaves(jax.jit(jax.grad(current))(both)))
    assert RASHBA().warnings({}) == {} and RAMAN().warnings({}) == {}
    # The kink: 0.247 |alpha_z| on both sides, for a chain long enough.
    slopes = [float(jax.grad(current)(RASHBA(alpha_z=z, length=2**15)).alpha_z) for z in (-2e-3, 2e-3)]
    assert slopes == pytest.approx([-0.247, 0.247], abs=5e-3)
    # The slope at drive = 1: 5.7 / sqrt(1 - drive).
    assert float(jax.grad(current)(RASHBA(drive=1 - 1e-6, length=2**15)).drive) > 1000


def test_batches():
    """vmap of values and of gradients, with a failed point as NaN among good ones."""
    drives = jnp.array([0.1, 0.5, 0.9])
    make = lambda x: RASHBA(drive=x, length=48)  # noqa: E731
    with qd.failures("nan"):
        values, slopes = jax.jit(jax.vmap(lambda x: jax.value_and_grad(lambda y: current(make(y)))(x)))(drives)
        bad = jax.jit(jax.vmap(lambda f: current(RASHBA(length=48).replace(filling=f))))(jnp.array([0.5, 2.5]))
    close(values, [float(current(make(float(x)))) for x in drives], 1e-13)
    close(slopes, [float(jax.grad(lambda y: current(make(y)))(float(x))) for x in drives], 1e-12)
    assert np.isfinite(bad[0]) and np.isnan(bad[1])


def test_gradients_of_arrays_of_weights():
    """Weights given as arrays, differentiated as parameters, at a random system against differences."""
    rng = np.random.default_rng(2)
    gain, loss = rng.uniform(0.2, 1, size=(2, 6)), rng.uniform(0.2, 1, size=(2, 6))

    def weights(parameters, modes):
        return {"a": qd.channels.Channel(parameters[0], parameters[1]), "b": qd.channels.Channel(tilt=modes)}

    def value(x):
        channels = qd.channels.Channels({"a": 0.5, "b": 0.5}, weights, jnp.linspace(-1, 1, 6), parameters=x.reshape(2, 2, 6)[:, 0])
        n = channels.steady_state(0.4).occupations()
        return jnp.sum(n * jnp.arange(6.0))

    x = np.stack([gain, loss]).ravel()
    close(jax.jit(jax.grad(value))(x), derivative(jax.jit(value), x), 1e-8)
