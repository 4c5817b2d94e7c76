"""How XLA compiles what qdiff compiles itself: programs as fast, in two thirds of the time."""

from __future__ import annotations

import functools
from typing import Any

import jax

# What LLVM does beyond its first level, and one emitter for each fused loop, take a third of the compilation on a CPU or more.
# Without them programs of one system run as fast as with them, to the noise of a measurement.
_FAST: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}


@functools.cache
def options(level: int = 1) -> dict[str, Any]:
    """Options for `compiler_options` of `jax.jit` and for `Lowered.compile`.

    Args:
        level: of LLVM's optimisation; 1 for programs that run often, 0 for those that run once.
    """
    wanted = {**_FAST, "xla_backend_optimization_level": level}
    return {name: value for name, value in wanted.items() if _known(name, value)}


def _known(name: str, value: Any) -> bool:
    """Whether this jaxlib has such an option: names of options come and go."""
    try:
        jax.jit(lambda: 0).lower().compile({name: value})
    except jax.errors.JaxRuntimeError:
        return False
    return True
