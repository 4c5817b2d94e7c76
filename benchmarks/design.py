"""One whole optimisation: the rotor engine's heat current over three parameters, from the same starts, against SciPy.

Peer: SciPy's `minimize` (L-BFGS-B, gradients by differences, which is what there is without derivatives) around QuTiP's
`steadystate`, its operators built once. qdiff is timed as its user sees it: `qd.optimize` with 4 starts, compilation of all
its programs included; and once more, when they are compiled. A ratio is peer seconds over qdiff seconds, compilation included.

    python benchmarks/design.py [--json] [--l-min -5] [--l-max 10] [--device cpu|gpu]
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
    parser.add_argument("--l-min", type=int, default=-5)
    parser.add_argument("--l-max", type=int, default=10)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import numpy as np
    import qutip as qt
    from scipy.optimize import minimize
    from timing import check_equal, device, peak_mb, report, row

    import qdiff as qd

    model = qd.models.RotorEngine(l_min=given.l_min, l_max=given.l_max)

    def ours():
        start = time.perf_counter()
        best = qd.optimize(model, "heat_current_hot", BOX, starts=STARTS)
        return best, time.perf_counter() - start

    best, first = ours()
    _, again = ours()
    memory = {"qdiff": peak_mb()}

    hamiltonian, jumps, figure = qutip_parts(given.l_min, given.l_max)
    fixed = {n: float(getattr(model, n)) for n, p in type(model).parameters().items() if not p.static}
    names, (low, high) = list(BOX), np.array(list(BOX.values())).T
    count = 0

    def loss(u):
        nonlocal count
        count += 1
        d = {**fixed, **dict(zip(names, low + (high - low) * u, strict=True))}
        # The current is small: in its own unit, or SciPy takes it for flat.
        return -100 * figure(d, qt.steadystate(hamiltonian(d), jumps(d)))

    begin = np.stack([(best.starts["begin"][n] - lo) / (hi - lo) for n, (lo, hi) in BOX.items()], axis=1)
    start = time.perf_counter()
    found = [minimize(loss, u, method="L-BFGS-B", bounds=[(0, 1)] * len(names)) for u in begin]
    peer = time.perf_counter() - start
    reached = max(-f.fun / 100 for f in found)
    check_equal("largest value", best.value, reached, relative=1e-5)
    seconds = {"qdiff, first": first, "qdiff, again": again, "scipy and qutip": peer, "scipy and qutip, one evaluation": peer / count}
    size = f"{given.l_max - given.l_min + 1} levels, {STARTS} starts"
    result = {
        "name": "design",
        "device": device(),
        "seconds": seconds,
        "ratios": {"first": peer / first, "again": peer / again},
        "compile_seconds": {"all programs": first - again},
        "peak_mb": {**memory, "with peer": peak_mb()},
        "evaluations": {"qdiff": best.evaluations, "scipy": count},
        "excess": float(best.value - reached),
        "rows": [row("whole optimisation, compilation included", size, first, "SciPy L-BFGS-B and QuTiP", peer)],
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
