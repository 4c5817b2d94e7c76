"""Bloch models: blocks assembled entry by entry against the general machinery, for any function of the momentum."""

import json
import os
import pathlib
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, dissipator, null_state, unitary

import qdiff as qd
from qdiff.equations.bloch.scalarise import Pair, entrywise


def three_bands(k, p):
    """A complex Hamiltonian and jumps that depend on k, built from operators."""
    atom = qd.Space(atom=qd.Levels("a", "b", "c")).atom
    up, round_ = atom.transition("b", "a"), atom.transition("c", "b")
    H = jnp.cos(k) * atom.projector("a") + p["gap"] * atom.projector("b") + (p["gap"] + jnp.sin(k)) * atom.projector("c")
    hop = p["hop"] * jnp.exp(1j * k)
    H = H + hop * up + jnp.conj(hop) * up.dag + 0.3 * (round_ + round_.dag)
    jumps = {"hot": [(0.4, up), (0.2 * (1 + jnp.sin(k) ** 2), up.dag)], "cold": [(0.7, round_.dag), (0.1, round_ + p["mix"] * up.dag)]}
    return H, jumps


def two_bands(k, p):
    H = jnp.array([[-2 * jnp.cos(k), p["x"] + 1j * p["y"] * jnp.sin(k)], [p["x"] - 1j * p["y"] * jnp.sin(k), jnp.tanh(jnp.cos(k))]])
    A = jnp.array([[0.0, 1.0], [0.2j * jnp.cos(k), 0.1]])
    return H, [(0.3 + 0.1 * jnp.cos(k), A), (p["rate"], A.conj().T)]


MODELS = [
    qd.bloch.BlochModel(three_bands, {"gap": 0.9, "hop": 0.4, "mix": 0.3}),
    qd.bloch.BlochModel(two_bands, {"x": 0.4, "y": 0.7, "rate": 0.2}),
]


@pytest.mark.parametrize("model", MODELS)
def test_steady_states(model):
    k = jnp.array([-2.0, 0.3, 1.1])
    rho = model.steady_state(k)
    v = model.steady_velocity(k)
    for one, state, speed in zip(k, rho, v, strict=True):
        H, rates, A = model.parts(one)
        L = unitary(H) + sum(float(r) * dissipator(a) for r, a in zip(rates, A, strict=True))
        want = null_state(L)
        close(state, want, 1e-13)
        h = 1e-4
        slope = (np.asarray(model.parts(one + h)[0]) - np.asarray(model.parts(one - h)[0])) / (2 * h)
        close(model.velocity(one), slope, 1e-7)
        close(speed, np.trace(np.asarray(model.velocity(one)) @ want).real, 1e-12, scale=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_derivatives(model):
    """Forward, reverse and second order, of the mean over a grid that is no multiple of the chunk; against differences."""
    k = jnp.linspace(-3, 3, 23)

    @partial(jax.jit, static_argnums=1)
    def mean(p, chunk=5):
        return qd.bloch.BlochModel(model.function, p).mean_velocity(k, lambda k, p: p[sorted(p)[0]] * jnp.cos(k), chunk=chunk)

    p = jax.tree.map(jnp.asarray, model.parameters)
    close(mean(p), mean(p, 23), 1e-14, scale=1.0)
    slope = jax.jit(jax.grad(mean))
    forward, reverse = jax.jit(jax.jacfwd(mean))(p), slope(p)
    curvature = jax.jit(jax.hessian(mean))(p)
    for name in p:
        h = 1e-5
        high, low = ({**p, name: p[name] + s} for s in (h, -h))
        close(forward[name], (mean(high) - mean(low)) / (2 * h), 1e-7, scale=1.0)
        close(forward[name], reverse[name], 1e-13, scale=1.0)
        close(curvature[name][name], (slope(high)[name] - slope(low)[name]) / (2 * h), 1e-6, scale=1.0)
    many = jax.vmap(lambda x: mean({**p, name: x}))(jnp.array([0.1, 0.2]))
    close(many[1], mean({**p, name: jnp.asarray(0.2)}), 1e-13, scale=1.0)


def test_weights_of_any_size():
    """Weights that differ by 1e300 from chunk to chunk do not overflow."""
    model, k = MODELS[1], jnp.linspace(-3, 3, 64)
    v = model.steady_velocity(k)
    log_weight = 900 * jnp.cos(k)
    got = model.mean_velocity(k, lambda k, p: 900 * jnp.cos(k), chunk=4)
    close(got, jax.nn.softmax(log_weight) @ v, 1e-12)


def test_entry_by_entry():
    """Every kind of array operation, against `jax.vmap`; what is zero for all is known to be."""

    def function(x, a, b):
        m = jnp.zeros((3, 3)).at[0, 1].set(x * a[0]).at[1, 2].add(b)
        m = m + jnp.diag(jnp.array([1.0, x, 2.0]))
        z = m.astype(complex) * jnp.exp(1j * x)
        c = jnp.concatenate([a, jnp.stack([x, b])])[::-1]
        e = jnp.einsum("ij,j->i", m, c[:3]) + jnp.linalg.solve(m + jnp.eye(3), c[:3])
        return m @ m.T, z, c.sum(), e, jnp.where(x > 0, a, -a), jnp.sort(c)

    x, a, b = jnp.linspace(-0.5, 1, 5), jnp.array([0.3, 2.0]), jnp.asarray(0.7)
    want = jax.vmap(lambda x: function(x, a, b))(x)
    got = entrywise(function, (a, b), x)
    for cells, array in zip(got, want, strict=True):
        for at in np.ndindex(*cells.shape):
            e = cells[at]
            value = e.re + 1j * jnp.asarray(e.im) if isinstance(e, Pair) else e
            close(jnp.broadcast_to(value, x.shape), array[(slice(None), *at)], 1e-13, scale=1.0)
    assert got[0][2, 0] == 0.0 and isinstance(got[1][1, 0], Pair | float)


def test_refused():
    k = jnp.linspace(0, 1, 3)
    with pytest.raises(ValueError, match=r"at least one jump"):
        qd.bloch.BlochModel(lambda k, p: (jnp.eye(2) * k, [])).steady_velocity(k)
    with pytest.raises(ValueError, match=r"shape \(n, n\) with n at least 2, but it has shape \(2,\)"):
        qd.bloch.BlochModel(lambda k, p: (jnp.ones(2) * k, [(1.0, jnp.eye(2))])).steady_velocity(k)
    with pytest.raises(ValueError, match=r"Hamiltonian's shape \(2, 2\), but one has \(3, 3\)"):
        qd.bloch.BlochModel(lambda k, p: (jnp.eye(2) * k, [(1.0, jnp.eye(3))])).steady_velocity(k)
    with pytest.raises(ValueError, match=r"shape \(points,\), but has shape \(\)"):
        MODELS[0].steady_velocity(0.5)


DEVICES = """
import json
import jax, jax.numpy as jnp
import qdiff as qd
from test_equation import mean_at
assert jax.local_device_count() == 3
print(json.dumps([x.tolist() for x in jax.value_and_grad(mean_at)(jnp.asarray(0.4))]))
"""


def mean_at(x):
    """Of 100 momenta, which neither three devices nor chunks of eight divide evenly, with weights over 200 decades."""
    model = qd.bloch.BlochModel(two_bands, {"x": x, "y": 0.7, "rate": 0.2})
    return model.mean_velocity(jnp.linspace(-3, 3, 100), lambda k, p: 250 * p["x"] * jnp.cos(k - 0.5), chunk=8)


def test_all_devices_share_the_momenta():
    """Three devices give the number of one, and its derivative."""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=3", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(pathlib.Path(__file__).parent), *sys.path]))
    found = subprocess.run([sys.executable, "-c", DEVICES], check=True, env=environment, capture_output=True, text=True).stdout
    value, slope = jax.value_and_grad(mean_at)(jnp.asarray(0.4))
    close(json.loads(found)[0], value, 1e-13)
    close(json.loads(found)[1], slope, 1e-12, 1.0)
    assert abs(slope) > 1e-3


def test_products_of_operators_and_integers_entry_by_entry():
    """Products of operators that depend on the momentum, numbers of them taken by index, and whole numbers; against `jax.vmap`."""
    atom = qd.Space(atom=qd.Levels("a", "b", "c")).atom
    ladder = atom.transition("b", "a") + 2 * atom.transition("c", "b")

    def function(x, scale):
        A = ladder * jnp.exp(1j * x) * scale
        H = A @ A.dag + x * A.dag @ A
        return H.dense(), jnp.stack([x > 0, x < 0]).astype(int), jnp.take(jnp.stack([x, 2 * x]), jnp.array([1, 0, 1]), mode="fill")

    x = jnp.linspace(-0.5, 1, 4)

    def both(scale):
        want = jax.vmap(lambda x: function(x, scale))(x)
        return want, entrywise(lambda x: function(x, scale), (), x)  # `scale` is a traced constant of the function

    def values(scale):
        want, got = both(scale)
        full = [
            jnp.stack([jnp.broadcast_to(e.re + 1j * e.im if isinstance(e, Pair) else e, x.shape) for e in cells.ravel()], axis=-1)
            for cells in got
        ]
        return [w.reshape(len(x), -1) for w in want], full

    for want, got in zip(*jax.jit(values)(jnp.asarray(0.7)), strict=True):
        close(got, want, 1e-14, 1.0)
