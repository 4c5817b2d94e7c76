"""Sums and takes at static places outside of compiled programs: the same numbers on every device, without asking for another."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from qdiff.linalg.gather import sum_into, take

AT = np.array([2, 0, 2, 1])


def check():
    values = jnp.array([1.0, 2.0, 4.0, 8.0])
    close(sum_into(values, AT, 4), [2.0, 8.0, 5.0, 0.0], 1e-16)
    close(take(values, AT), [4.0, 1.0, 4.0, 2.0], 1e-16)
    close(jax.jit(lambda v: sum_into(v, AT, 4))(values), [2.0, 8.0, 5.0, 0.0], 1e-16)


def test_no_backend_is_asked_for(monkeypatch):
    """Where JAX_PLATFORMS=cuda there is no CPU backend, and asking for it ends in "Unknown backend"."""

    def devices(backend=None):
        raise RuntimeError(f"Unknown backend {backend}")

    monkeypatch.setattr(jax, "devices", devices)
    check()


def test_arrays_elsewhere_go_through_a_program(monkeypatch):
    """An array whose device is not a CPU must not be fetched to it: its own device computes."""

    class Gpu:
        platform = "gpu"

    values = jnp.array([1.0, 2.0, 4.0, 8.0])
    monkeypatch.setattr(type(values), "devices", lambda self: {Gpu()})
    monkeypatch.setattr(np, "add", None)  # what NumPy's sum would use
    close(sum_into(values, AT, 4), [2.0, 8.0, 5.0, 0.0], 1e-16)


@pytest.mark.parametrize("device", [0, 1])
def test_results_stay_where_their_arguments_are(device):
    """On either of two CPU devices: an array put there is taken from there, to there."""
    code = (
        "import jax, numpy as np, qdiff; from qdiff.linalg.gather import sum_into, take\n"
        f"x = jax.device_put(np.array([1.0, 2.0]), jax.devices()[{device}])\n"
        "y, z = sum_into(x, np.array([1, 1]), 2), take(x, np.array([1]))\n"
        "print(*(d.id for a in (y, z) for d in a.devices()), y.committed, y.tolist(), z.tolist())"
    )
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == f"{device} {device} True [0.0, 3.0] [2.0]", done.stderr
