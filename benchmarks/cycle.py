"""Cycles of the spintronic engine: the limit cycle with its gradient, a long series of cycles, and selective trajectories.

The peer of the series is NumPy that steps the 8 x 8 map of the populations, one product of a matrix and a vector and one scalar
product per cycle; the map itself comes from SciPy's `expm` of the 12 x 12 generator, and its time is not counted. A ratio is peer
seconds over qdiff seconds. Compilation is apart.

    python benchmarks/cycle.py [--json] [--cycles 1000000] [--runs 10000] [--run-cycles 1000] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cycles", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--run-cycles", type=int, default=1000)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def peer_map(d: dict):
    """The map of the populations and the covector of Delta E, by hand: T = exp(G tau)[:8, :8], w = -2 gamma (Re 14 + Re 36)."""
    import numpy as np
    from scipy.linalg import expm

    G = np.zeros((12, 12))

    def jump(rate, pairs):
        for a, b in pairs:
            G[b, a] += rate
            G[a, a] -= rate

    left, right = [(0, 2), (1, 3), (4, 6), (5, 7)], [(0, 1), (2, 3), (4, 5), (6, 7)]
    jump(d["left_in"], left)
    jump(d["left_out"], [(b, a) for a, b in left])
    jump(d["right_in"], right)
    jump(d["right_out"], [(b, a) for a, b in right])
    jump(d["boson_up"], [(2, 4), (3, 5)])
    jump(d["boson_down"], [(4, 2), (5, 3)])
    delta, r, g = d["eps_down"] - d["eps_right"], (d["right_in"] + d["right_out"]) / 2, d["gamma"]
    for k, (low, high, detuning, loss, gain) in enumerate(
        (
            (1, 4, delta, r + d["left_in"] + d["boson_down"] / 2, d["left_out"]),
            (3, 6, delta + d["U"], r + d["left_out"] + d["boson_up"] / 2, d["left_in"]),
        )
    ):
        re, im = 8 + 2 * k, 9 + 2 * k
        other = 10 - 2 * k
        G[re, re] = G[im, im] = -loss
        G[re, im], G[im, re] = -detuning, detuning
        G[re, other] = G[im, other + 1] = gain
        G[im, high], G[im, low] = -g, g
        G[high, im], G[low, im] = 2 * g, -2 * g
    E = expm(G * d["tau"])
    return E[:8, :8], -2 * g * (E[8, :8] + E[10, :8])


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import jax
    import numpy as np
    from timing import check_equal, compiled, device, median_seconds, peak_mb, report, row

    import qdiff as qd

    seconds, compile_seconds, memory = {}, {}, {}
    model = qd.models.SpintronicEngine()
    names = [n for n, p in type(model).parameters().items() if not p.static]
    both, compile_seconds["limit_cycle_and_gradient"] = compiled(jax.value_and_grad(lambda m: m.energy_increment()), model)
    seconds["limit_cycle_and_gradient"] = median_seconds(both)

    run, compile_seconds["series"] = compiled(lambda m: m.series(given.cycles, "ud"), model)
    every = np.asarray(run())
    T, w = peer_map({n: float(getattr(model, n)) for n in names})

    def stepping():
        p, out = np.eye(8)[3], np.empty(given.cycles)
        for k in range(given.cycles):
            out[k] = w @ p
            p = T @ p
        return out

    start = time.perf_counter()
    peer = stepping()
    seconds["numpy stepping"] = time.perf_counter() - start
    check_equal("numpy", every[:1000], peer[:1000], relative=1e-9)
    check_equal("numpy, last cycles", every[-1000:], peer[-1000:], relative=1e-6)  # stepping loses the trace slowly
    seconds["series"] = median_seconds(run)
    memory["series"] = peak_mb()

    def follow():
        return jax.block_until_ready(model.trajectories(0, given.run_cycles, given.runs, "ud"))

    start = time.perf_counter()
    found = follow()
    first = time.perf_counter() - start
    late = np.asarray(found.given)[:, -1]
    if abs(late.mean() - float(model.energy_increment())) > 5 * late.std() / given.runs**0.5:
        raise SystemExit("the mean of the trajectories is not the limit cycle's")
    seconds["trajectories"] = median_seconds(follow, at_least=2, seconds=0.0)
    compile_seconds["trajectories"] = max(first - seconds["trajectories"], 0.0)
    memory["trajectories"] = peak_mb()
    result = {
        "name": "cycle",
        "device": device(),
        "seconds": seconds,
        "ratios": {"series": seconds["numpy stepping"] / seconds["series"]},
        "rows": [row("series of cycles", f"{given.cycles:.0e}", seconds["series"], "NumPy, stepping", seconds["numpy stepping"])],
        "compile_seconds": compile_seconds,
        "peak_mb": memory,
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
