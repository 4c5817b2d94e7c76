"""Shared by all tests: programs compiled quickly, 64-bit numbers, JAX's caches cleared before they fill the memory, counts."""

import gc
import os
import pathlib
import resource

import quick

# Before JAX starts; the notebooks are compiled as users do.
os.environ["XLA_FLAGS"] = quick.flags()
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")  # programs that do not say where they are from: 5 % of a test

import jax
import pytest
from counted import counted, pytest_runtest_setup, pytest_terminal_summary  # noqa: F401
from jaxtyping import install_import_hook

# The array kernels declare their shapes and types; the tests hold them to it.
with install_import_hook(
    [
        "qdiff.baths.occupation",
        "qdiff.baths.separable",
        "qdiff.operators.standing",
        "qdiff.operators.sums",
        "qdiff.solvers.compensated",
        "qdiff.solvers.elimination",
        "qdiff.solvers.lanes",
        "qdiff.solvers.linear",
        "qdiff.solvers.rate_evolution",
    ],
    "beartype.beartype",
):
    import qdiff  # noqa: F401
    from qdiff.baths import occupation, separable  # noqa: F401
    from qdiff.operators import standing, sums  # noqa: F401
    from qdiff.solvers import compensated, elimination, lanes, linear, rate_evolution  # noqa: F401


# Tracing makes many objects and little garbage: as it is by default, Python's collector takes a tenth to a fifth of a test's time.
gc.collect()
gc.freeze()
gc.set_threshold(200_000, 20, 100)


# Whole models, run without coverage.py, which makes tests a third slower (Python 3.11). Lines that only these run are in not_run.toml.
NOT_COUNTED = {"papers", "physics", "gradients", "oracles", "devices", "test_work.py"}


def pytest_collection_modifyitems(items):
    for item in items:
        if NOT_COUNTED & {item.path.name, item.path.parent.name}:
            item.add_marker("no_cover")


def resident() -> float:
    """Bytes of this process in memory now; the most there have been, where only that is told."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True, scope="module")
def bounded_memory():
    yield
    if resident() > 6e9:
        jax.clear_caches()
        gc.collect()
