"""Mean, noise and third cumulant of the quanta from the rotor engine's hot bath, and the gradient of the noise of the heat.

Peers, on the full (4 N)^2-dimensional Liouvillian: QuTiP's `countstat_current_noise` (its default, sparse and direct, which
is its fastest here) and the same recursion with SciPy's sparse LU (`splu`): one factorisation and two solves. Both are
given the Liouvillian, the stationary state and the superoperators of the jumps, none of which is timed. qdiff is timed from
the parameters, jitted, stationary state included, its compilation apart. A ratio is peer seconds over qdiff seconds.

    python benchmarks/counting.py [--json] [--l-min -3] [--l-max 3] [--no-qutip] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os

from rotor import qutip_parts


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--l-min", type=int, default=-3)
    parser.add_argument("--l-max", type=int, default=3)
    parser.add_argument("--no-qutip", action="store_true", help="leave QuTiP out, which takes minutes beyond ten levels")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import jax
    import numpy as np
    import qutip as qt
    import scipy.sparse as sp
    from scipy.sparse.linalg import splu
    from timing import check_equal, compiled, device, median_seconds, peak_mb, report, row

    import qdiff as qd

    seconds, compile_seconds, memory = {}, {}, {}
    model = qd.models.RotorEngine(l_min=given.l_min, l_max=given.l_max)

    def cumulants(m):
        state = m.steady()
        return qd.cumulants(state, "hot", "quanta", order=3)

    value, compile_seconds["value"] = compiled(cumulants, model)
    seconds["qdiff three cumulants"] = median_seconds(value)
    both, compile_seconds["value_and_gradient"] = compiled(jax.value_and_grad(lambda m: m.current_noise_hot()), model)
    seconds["qdiff noise and gradient"] = median_seconds(both)
    memory["qdiff"] = peak_mb()

    hamiltonian, jumps, _ = qutip_parts(given.l_min, given.l_max)
    d = {n: float(getattr(model, n)) for n, p in type(model).parameters().items() if not p.static}
    H, c_ops = hamiltonian(d), jumps(d)
    L, rho = qt.liouvillian(H, c_ops), qt.steadystate(H, c_ops)
    down, up = (qt.sprepost(c, c.dag()) for c in c_ops[2:4])

    def qutip():
        mean, noise, third = qt.countstat_current_noise(L, c_ops[2:4], rhoss=rho, I_ops=[up - down], J_ops=[up + down])
        return np.array([mean[0], noise[0, 0, 0].real, third[0, 0].real])

    if not given.no_qutip:
        check_equal("qutip", value(), qutip(), relative=1e-8)
        seconds["qutip countstat_current_noise"] = median_seconds(qutip, at_least=3)

    trace = np.eye(H.shape[0]).ravel()
    pinned = L.data_as("csr_matrix").tolil()
    pinned[0, :] = trace
    pinned, x = sp.csc_matrix(pinned), rho.full().ravel(order="F")
    net, total = (up - down).data_as("csr_matrix"), (up + down).data_as("csr_matrix")

    def scipy():
        lu = splu(pinned)

        def response(r):
            r[0] = 0  # the equation that the trace has replaced
            return lu.solve(r)

        c1 = trace @ (net @ x)
        y = response(c1 * x - net @ x)
        c2 = trace @ (total @ x + 2 * (net @ y))
        z = response(2 * (c1 * y - net @ y) + c2 * x - total @ x)
        return np.array([c1, c2, trace @ (net @ x + 3 * (total @ y) + 3 * (net @ z))]).real

    check_equal("scipy", value(), scipy(), relative=1e-8)
    seconds["scipy splu"] = median_seconds(scipy)
    memory["with peers"] = peak_mb()
    ratios = {
        "value": seconds["scipy splu"] / seconds["qdiff three cumulants"],
        "value_and_gradient": seconds["scipy splu"] / seconds["qdiff noise and gradient"],
    }
    if not given.no_qutip:
        ratios["qutip"] = seconds["qutip countstat_current_noise"] / seconds["qdiff three cumulants"]
    size = f"{given.l_max - given.l_min + 1} levels"
    rows = [
        row("three cumulants", size, seconds["qdiff three cumulants"], "SciPy splu", seconds["scipy splu"]),
        row("noise and gradient", size, seconds["qdiff noise and gradient"], "SciPy splu, value only", seconds["scipy splu"]),
    ]
    if not given.no_qutip:
        peer = seconds["qutip countstat_current_noise"]
        rows.append(row("three cumulants", size, seconds["qdiff three cumulants"], "QuTiP", peer))
    result = {"name": "counting", "device": device(), "seconds": seconds, "ratios": ratios, "rows": rows}
    report({**result, "compile_seconds": compile_seconds, "peak_mb": memory}, given.json)


if __name__ == "__main__":
    main()
