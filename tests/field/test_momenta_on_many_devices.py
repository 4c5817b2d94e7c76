"""A figure of merit that is a mean over momenta, on one device, four, and two processes; and how many momenta a GPU takes at once.

The system is a chain of two-level cells, H(k) = a sin(k) z + 0.3 x, with a jump down of rate 0.1 (1 + cos(k)^2) and one up of
rate 0.03, weighted by exp(-cos(k) / T). The right values are sums over momenta in NumPy: the null vector of each 4 x 4
generator, by least squares, and dH/dk by hand.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative, dissipator, unitary

import qdiff as qd
from qdiff.equations.bloch import weighted_mean

DOWN = np.array([[0.0, 1.0], [0.0, 0.0]])
X, Z = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])
T = np.linspace(0.5, 2.0, 7)


def cell(k, p):
    H = p["a"] * jnp.sin(k) * Z + 0.3 * X
    return H, [(0.1 * (1 + jnp.cos(k) ** 2), DOWN), (0.03, DOWN.T)]


class Chain(qd.Model):
    T: float = qd.parameter(1.0, low=0, open=True)
    a: float = qd.parameter(1.3)

    @qd.merit(symbol="v", unit="1", source="a test")
    def drift(self):
        k = jnp.linspace(-3, 3, 301)
        return qd.bloch.BlochModel(cell, {"a": self.a, "T": self.T}).mean_velocity(k, lambda k, p: -jnp.cos(k) / p["T"])


def right(T, a=1.3):
    k = np.linspace(-3, 3, 301)
    v = []
    for at in k:
        G = unitary(a * np.sin(at) * Z + 0.3 * X) + 0.1 * (1 + np.cos(at) ** 2) * dissipator(DOWN) + 0.03 * dissipator(DOWN.T)
        trace = np.eye(2).reshape(1, 4)
        rho = np.linalg.lstsq(np.concatenate([G, trace]), np.array([0, 0, 0, 0, 1.0]), rcond=None)[0].reshape(2, 2)
        v.append(np.trace(a * np.cos(at) * Z @ rho).real)
    w = np.exp(-np.cos(k) / T)
    return w @ v / w.sum()


DEVICES = """
import json, sys, jax
import qdiff as qd
from test_momenta_on_many_devices import Chain, T
assert jax.local_device_count() == 4
data = qd.sweep(Chain(), "drift", T=T, gradient=True)
best = qd.optimize(Chain(), "drift", {"T": (0.5, 2.0)}, starts=3, steps=2)
print(json.dumps([data.drift.values.tolist(), data.d_drift_d_a.values.tolist(), best.value, best.parameters["T"]]))
"""


def surroundings(**more):
    here = pathlib.Path(__file__).parent
    paths = [str(here), str(here.parent), *sys.path]
    return {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def test_four_devices_sweep_and_search_a_mean_of_momenta():
    """Each point's mean is taken on the device that has the point."""
    environment = surroundings(XLA_FLAGS="--xla_force_host_platform_device_count=4")
    said = subprocess.run([sys.executable, "-c", DEVICES], check=True, env=environment, capture_output=True, text=True).stdout
    drift, slope, largest, where = json.loads(said)
    wanted = np.array([right(t) for t in T])
    close(drift, wanted, 1e-12)
    h = 1e-3
    differences = [(8 * (right(t, 1.3 + h) - right(t, 1.3 - h)) - right(t, 1.3 + 2 * h) + right(t, 1.3 - 2 * h)) / (12 * h) for t in T]
    close(slope, differences, 1e-9)
    assert where == 2.0  # the drift rises with the temperature
    close(largest, wanted[-1], 1e-12)


def test_what_the_functions_close_over_is_differentiated():
    """Of a function and a weight that take numbers from outside: under `jit` as well, and to second order."""

    def drift(x):
        model = qd.bloch.BlochModel(lambda k, p: cell(k, {"a": x[1]}))
        return model.mean_velocity(jnp.linspace(-3, 3, 301), lambda k, p: -jnp.cos(k) / x[0], chunk=50)

    x = np.array([1.0, 1.3])
    close(drift(jnp.asarray(x)), np.array(right(*x)), 1e-12)
    slope = derivative(lambda x: right(*x), x)
    close(jax.jit(jax.grad(drift))(jnp.asarray(x)), slope, 1e-8)
    close(jax.jit(jax.jacfwd(drift))(jnp.asarray(x)), slope, 1e-8)
    close(jax.jit(jax.hessian(drift))(jnp.asarray(x))[0], derivative(lambda x: derivative(lambda y: right(*y), x)[0], x), 1e-6)


PROCESSES = """
import sys, jax
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", 2, int(sys.argv[3]))
import jax.numpy as jnp, numpy as np
import qdiff as qd
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from test_momenta_on_many_devices import Chain, T, cell
alone = float(Chain().drift()) if sys.argv[3] == "0" else None
data = qd.sweep(Chain(), "drift", T=T, out=sys.argv[1])
mesh = Mesh(np.array(jax.devices()), ("k",))
k = np.linspace(-3, 3, 301)[:300]
spread = jax.make_array_from_callback(k.shape, NamedSharding(mesh, PartitionSpec("k")), lambda at: k[at])
mean = lambda k: qd.bloch.BlochModel(cell, {"a": 1.3}).mean_velocity(k, lambda k, p: -jnp.cos(k))
with jax.set_mesh(mesh):
    traced = jax.jit(mean)(spread)
print(alone, float(mean(k)), float(mean(spread)), float(traced))
"""


@pytest.mark.slow
def test_two_processes_sweep_a_mean_of_momenta(tmp_path):
    """A process alone uses its own devices; momenta that are spread over both are summed by both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", PROCESSES, str(tmp_path / "data.nc"), port]
    run = [subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE, text=True, env=surroundings(XLA_FLAGS="")) for k in (0, 1)]
    said = [p.communicate(timeout=240)[0].splitlines()[-1].split() for p in run]  # gloo may print before
    assert [p.returncode for p in run] == [0, 0]
    close(float(said[0][0]), right(1.0), 1e-12)
    assert said[1][0] == "None"
    here, both, traced = ([float(s[column]) for s in said] for column in (1, 2, 3))
    assert here[0] == here[1]
    close(both, np.array(here), 1e-13)
    close(traced, np.array(here), 1e-13)
    import xarray

    with xarray.open_dataset(tmp_path / "data.nc", engine="h5netcdf") as found:
        close(found.drift.values, np.array([right(t) for t in T]), 1e-12)


def device(platform, stats):
    return types.SimpleNamespace(platform=platform, memory_stats=lambda: stats)


H200 = {"bytes_limit": 106 * 2**30, "bytes_in_use": 2 * 2**30}


@pytest.mark.parametrize(
    "levels, compiled, stats",
    # Bytes of temporaries with the gradient, of 2^22 momenta, that XLA's compiler for an H200 tells; None: not compiled.
    [(2, 3.6, H200), (3, 10.7, H200), (4, 40.1, H200), (6, None, H200), (6, None, {"bytes_limit": 16 * 2**30})],
)
def test_momenta_at_once_fit_the_memory_of_a_gpu(monkeypatch, levels, compiled, stats):
    """They take at most a quarter of what is free, and at least a twentieth."""
    asked = []
    monkeypatch.setattr(jax, "local_devices", lambda: [device("gpu", stats)])
    monkeypatch.setattr(weighted_mean._Sum, "__call__", lambda self, parameters, k: asked.append(self.chunk) or jnp.ones(2))
    model = qd.bloch.BlochModel(lambda k, p: (jnp.cos(k) * np.eye(levels), [(1.0, np.eye(levels, k=1))]))
    model.mean_velocity(jnp.zeros(2**22 + 1), lambda k, p: 0 * k)
    # From 3 levels on memory grows as the factors do, (n^2 - 1)^2.
    each = (compiled or 10.7 * (levels**2 - 1) ** 2 / 64) * 2**30 / 2**22
    taken, free = asked[0] * each, stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    assert free / 20 < taken <= free / 4 or (asked[0] == 2**22 and taken <= free / 4)


def test_momenta_at_once_elsewhere(monkeypatch):
    """A CPU's cache decides, whatever its memory; a GPU that does not tell its memory gets what three levels need of it."""
    assert weighted_mean.suited(1e9) == 1024
    monkeypatch.setattr(jax, "local_devices", lambda: [device("gpu", None)])
    assert weighted_mean.suited(2**11) == 2**22 and weighted_mean.suited(2**16) == 2**17
