"""Shared by all tests: programs compiled quickly, 64-bit numbers, JAX's caches cleared before they fill the memory, counts."""

import contextlib
import ctypes
import gc
import os
import pathlib
import resource

import lines_run
import quick

# Before JAX starts; the notebooks are compiled as users do.
os.environ["XLA_FLAGS"] = quick.flags()
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")  # programs that do not say where they are from: 5 % of a test

import jax
import pytest
from counted import counted, pytest_runtest_setup, pytest_terminal_summary  # noqa: F401
from jaxtyping import install_import_hook

LINES = lines_run.Lines(lines_run.FOLDER) if lines_run.FOLDER else None  # before qdiff is imported

# The array kernels declare their shapes and types; the tests hold them to it. (Either a file's lines are counted or its types checked.)
with contextlib.nullcontext() if LINES else install_import_hook(
    [
        "qdiff.baths.occupation",
        "qdiff.equations.rates.evolve",
        "qdiff.equations.rates.open_chain",
        "qdiff.equations.rates.separable",
        "qdiff.linalg.batched_blocks",
        "qdiff.linalg.block_tridiagonal",
        "qdiff.linalg.double_double",
        "qdiff.linalg.gather",
        "qdiff.linalg.gth",
    ],
    "beartype.beartype",
):
    import qdiff  # noqa: F401
    from qdiff.baths import occupation  # noqa: F401
    from qdiff.equations.rates import evolve, open_chain, separable  # noqa: F401
    from qdiff.linalg import batched_blocks, block_tridiagonal, double_double, gather, gth  # noqa: F401


# Tracing makes many objects and little garbage: as it is by default, Python's collector takes a tenth to a fifth of a test's time.
gc.collect()
gc.freeze()
gc.set_threshold(200_000, 20, 100)


def pytest_configure(config):
    if LINES:
        config.pluginmanager.register(LINES)


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
    if resident() > 3e9:
        jax.clear_caches()
        gc.collect()
        # What was freed goes back to the system: else it counts as resident, and every module after this one clears the caches.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
