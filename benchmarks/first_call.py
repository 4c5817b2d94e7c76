"""The first call of every figure of merit of every model: what a user waits for, tracing and compilation included.

Every figure of merit is called as a method, one after the other in one process, with JAX's caches cleared before each. The import of
JAX and the first use of its device are counted apart. There is no peer.

    python benchmarks/first_call.py [--json] [--model NAME ...] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os
import time
import warnings


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", nargs="*", help="command-line names of models; by default all")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    start = time.perf_counter()
    import jax
    from timing import device, peak_mb, report

    import qdiff as qd
    from qdiff.models import NAMES

    jax.block_until_ready(jax.numpy.ones(2) + 1)
    seconds = {"import, first use of the device": time.perf_counter() - start}
    for name in given.model or NAMES:
        model = getattr(qd.models, NAMES[name].split(":")[1])()
        for merit in type(model).merits():
            jax.clear_caches()
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what the model's equation is good for
                jax.block_until_ready(getattr(model, merit)())
            seconds[f"{name} {merit}"] = time.perf_counter() - start
    slowest = max(list(seconds)[1:], key=lambda k: seconds[k])
    over = [k for k, s in list(seconds.items())[1:] if s > 3]
    result = {
        "name": "first_call",
        "device": device(),
        "seconds": seconds,
        "ratios": {},
        "compile_seconds": {},
        "peak_mb": {"all": peak_mb()},
        "slowest": slowest,
        "over_three_seconds": over,
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
