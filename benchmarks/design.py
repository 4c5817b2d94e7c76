"""One whole optimisation: the rotor engine's heat current over three parameters, from the same starts, against SciPy.

Peer: SciPy's `minimize` (L-BFGS-B, gradients by differences, which is what there is without derivatives) around QuTiP's
`steadystate`, its operators built once. qdiff is timed as its user sees it: `qd.optimize` with 4 starts, compilation of all
its programs included; and once more, when they are compiled. A ratio is peer seconds over qdiff seconds.

    python benchmarks/design.py [--json] [--levels 16 81] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os
import time

from rotor import qutip_parts

BOX = {"B2": (4.0, 20.0), "lam": (0.02, 0.1), "chi": (-0.9, 0.9)}
STARTS = 4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--levels", type=int, nargs="*", default=[16, 81], help="sizes of the rotor")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    from timing import device, peak_mb, report, row

    rows, seconds, ratios, compile_seconds, evaluations, excess = [], {}, {}, {}, {}, {}
    for levels in given.levels:
        size = f"{levels} levels"
        best, first, again, (count, peer), reached = both(levels)
        seconds |= {f"qdiff, first, {size}": first, f"qdiff, again, {size}": again, f"scipy and qutip, {size}": peer}
        ratios |= {f"first, {size}": peer / first, f"again, {size}": peer / again}
        compile_seconds[size] = first - again
        evaluations[size] = {"qdiff": best.evaluations, "scipy": count}
        excess[size] = float(best.value - reached)
        what = "whole optimisation, compilation"
        rows.append(row(f"{what} included", f"{size}, {STARTS} starts", first, "SciPy L-BFGS-B and QuTiP", peer))
        rows.append(row(f"{what} done", f"{size}, {STARTS} starts", again, "SciPy L-BFGS-B and QuTiP", peer))
    result = {
        "name": "design",
        "device": device(),
        "seconds": seconds,
        "ratios": ratios,
        "compile_seconds": compile_seconds,
        "peak_mb": {"all": peak_mb()},
        "evaluations": evaluations,
        "excess": excess,
        "rows": rows,
    }
    report(result, given.json)


def both(levels: int):
    """The optimum and seconds of qdiff, twice; evaluations and seconds of the peer, and the largest value that it found."""
    import numpy as np
    import qutip as qt
    from scipy.optimize import minimize
    from timing import check_equal

    import qdiff as qd

    l_min = -(3 * levels) // 8
    l_max = l_min + levels - 1
    model = qd.models.RotorEngine(l_min=l_min, l_max=l_max)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        best = qd.optimize(model, "heat_current_hot", BOX, starts=STARTS)
        times.append(time.perf_counter() - start)

    hamiltonian, jumps, merit = qutip_parts(l_min, l_max)
    fixed = {n: float(getattr(model, n)) for n, p in type(model).parameters().items() if not p.static}
    names, (low, high) = list(BOX), np.array(list(BOX.values())).T
    count = 0

    def loss(u):
        nonlocal count
        count += 1
        d = {**fixed, **dict(zip(names, low + (high - low) * u, strict=True))}
        # The current is small: in its own unit, or SciPy takes it for flat.
        return -100 * merit(d, qt.steadystate(hamiltonian(d), jumps(d)))

    begin = np.stack([(best.starts["begin"][n] - lo) / (hi - lo) for n, (lo, hi) in BOX.items()], axis=1)
    start = time.perf_counter()
    found = [minimize(loss, u, method="L-BFGS-B", bounds=[(0, 1)] * len(names)) for u in begin]
    peer = time.perf_counter() - start
    reached = max(-f.fun / 100 for f in found)
    check_equal("largest value", best.value, reached, relative=1e-5)
    return best, *times, (count, peer), reached


if __name__ == "__main__":
    main()
