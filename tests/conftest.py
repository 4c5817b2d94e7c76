"""Shared by all tests: 64-bit numbers, and JAX's compile caches cleared before they fill the memory."""

import gc
import resource

import jax
import pytest

import qdiff  # noqa: F401  (switches JAX to 64 bit)


@pytest.fixture(autouse=True, scope="module")
def bounded_memory():
    yield
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 6e6:  # kB
        jax.clear_caches()
        gc.collect()
