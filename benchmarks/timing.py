"""What the benchmarks share: medians, compile times, peak memory, and how results are printed."""

from __future__ import annotations

import json
import platform
import resource
import sys
import time

import jax
import numpy as np


def median_seconds(call, *, at_least: int = 5, seconds: float = 2.0) -> float:
    """Median wall time of `call()`, repeated until `seconds` have passed, after one call that is not counted."""
    call()
    times, end = [], time.perf_counter() + seconds
    while len(times) < at_least or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def compiled(function, *args):
    """The function compiled for these arguments as a call without arguments, and the seconds that took."""
    start = time.perf_counter()
    program = jax.jit(function).lower(*args).compile()
    seconds = time.perf_counter() - start
    return (lambda: jax.block_until_ready(program(*args))), seconds


def peak_mb() -> float:
    """Largest resident memory of this process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def check_equal(name: str, value, peer, *, relative: float):
    """Stop the benchmark if a peer's answer differs: times of different answers mean nothing."""
    off = np.max(np.abs(np.asarray(value) - np.asarray(peer)) / np.max(np.abs(np.asarray(peer))))
    if not off <= relative:
        raise SystemExit(f"{name}: qdiff and the peer differ by {off:.2e} (relative), more than {relative:.0e}")


def row(what: str, size: str, seconds: float, peer: str, peer_seconds: float) -> dict:
    """One line of the table that `run.py` makes: what was timed at which size, here and by the peer."""
    return {"what": what, "size": size, "qdiff": seconds, "peer": peer, "peer_seconds": peer_seconds, "ratio": peer_seconds / seconds}


def exponent(sizes, seconds) -> float:
    """p of seconds ~ size^p, by least squares in the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def device() -> str:
    """The device JAX computes on, in words."""
    first = jax.devices()[0]
    return f"{first.platform}: {first.device_kind if first.platform != 'cpu' else platform.processor() or platform.machine()}"


def report(result: dict, as_json: bool):
    """A table, or one JSON line last on standard output."""
    if as_json:
        print(json.dumps(result))
        return
    print(f"{result['name']} on {result['device']}")
    for part in ("seconds", "processor_seconds", "ratios", "compile_seconds", "peak_mb", "growth"):
        print(f"\n{part}")
        for key, value in result.get(part, {}).items():
            print(f"  {key:<34} {value:12.4g}")
    sys.stdout.flush()
