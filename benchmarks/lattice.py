"""The thermophoretic lattice at 10, 100, 1000 and 20,000 sites: thermophoresis and its gradient, against the peers.

Peers: NumPy's dense solve of the 2N x 2N rate equation at N = 1000 (the solve only, its assembly not counted); and
QuTiP at N = 10, `bloch_redfield_tensor` of the whole master equation and the steady state of that tensor. qdiff is
timed from the parameters to the value and the gradient in all of them, jitted, its compilation apart; the peers give
the value only. A ratio is peer seconds over qdiff seconds.

    python benchmarks/lattice.py [--json] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os

SIZES = (10, 100, 1000, 20_000)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def dense_equation(h, g, T):
    """The rate equation of ground states and levels with its last row replaced by the sum, and S from its solution."""
    import numpy as np

    N = len(T)
    m = np.arange(1, N + 1)
    w = 2 / (N + 1) * np.sin(np.pi * np.outer(m, m) / (N + 1)) ** 2
    E = (h + 2 * g * np.cos(np.pi * m / (N + 1)))[:, None]
    down = np.sign(E) / -np.expm1(-E / T)
    up = down * np.exp(-E / T)
    W = np.zeros((2 * N, 2 * N))
    W[N:, :N], W[:N, N:] = w * up, (w * down).T
    W -= np.diag(W.sum(axis=0))
    W[-1] = 1
    right = np.zeros(2 * N)
    right[-1] = 1

    def thermophoresis(p):
        return (N + 1) / 2 - (p[:N] + w.T @ p[N:]) @ m

    return W, right, thermophoresis


def qutip_parts(h, g, T):
    """The Hamiltonian and the couplings of the whole lattice for QuTiP, and S from a density matrix."""
    import numpy as np
    import qutip as qt

    N = len(T)
    H = np.zeros((2 * N, 2 * N))
    H[N:, N:] = h * np.eye(N) + g * (np.eye(N, k=1) + np.eye(N, k=-1))

    def coupling(k):
        A = np.zeros((2 * N, 2 * N))
        A[k, N + k] = A[N + k, k] = 1
        return qt.Qobj(A)

    def spectrum(T):
        def gamma(w):
            # Frequency zero belongs to pairs of ground states, which no coupling joins.
            return 1 / abs(np.expm1(-w / T)) if abs(w) > 1e-12 else 0.0

        return gamma

    site = qt.Qobj(np.diag(np.tile(np.arange(1.0, N + 1), 2)))
    return qt.Qobj(H), [[coupling(k), spectrum(T[k])] for k in range(N)], lambda rho: (N + 1) / 2 - qt.expect(site, rho)


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import jax
    import numpy as np
    import qutip as qt
    from timing import check_equal, compiled, device, median_seconds, peak_mb, report, row

    import qdiff as qd

    seconds, compile_seconds, memory, values = {}, {}, {}, {}
    for N in SIZES:
        model = qd.models.ThermophoreticLattice(sites=N, g=1.3)
        program, compile_seconds[f"n{N}"] = compiled(jax.value_and_grad(lambda m: m.thermophoresis()), model)
        values[N] = float(program()[0])
        seconds[f"n{N}"] = median_seconds(program)
        memory[f"qdiff n{N}"] = peak_mb()

    rows = []
    for N in (10, 100, 1000):
        W, right, thermophoresis = dense_equation(1.0, 1.3, np.linspace(0.8, 0.4, N))
        check_equal(f"numpy {N}", values[N], thermophoresis(np.linalg.solve(W, right)), relative=1e-9)
        peer = seconds[f"numpy {N}, solve only"] = median_seconds(lambda W=W, right=right: np.linalg.solve(W, right))
        rows.append(row("lattice, value and gradient", f"{N} sites", seconds[f"n{N}"], "NumPy, solve only", peer))
    memory["numpy 1000"] = peak_mb()

    H, couplings, thermophoresis = qutip_parts(1.0, 1.3, np.linspace(0.8, 0.4, 10))

    def bloch_redfield():
        return thermophoresis(qt.steadystate(qt.bloch_redfield_tensor(H, couplings, sec_cutoff=1e-9, fock_basis=True)))

    check_equal("qutip 10", values[10], bloch_redfield(), relative=1e-7)
    seconds["qutip 10, tensor and steady state"] = median_seconds(bloch_redfield, at_least=3)
    memory["qutip 10"] = peak_mb()
    rows.append(row("lattice, value and gradient", "10 sites", seconds["n10"], "QuTiP", seconds["qutip 10, tensor and steady state"]))
    ratios = {
        "numpy_1000": seconds["numpy 1000, solve only"] / seconds["n1000"],
        "qutip_10": seconds["qutip 10, tensor and steady state"] / seconds["n10"],
    }
    result = {
        "name": "lattice",
        "device": device(),
        "seconds": seconds,
        "ratios": ratios,
        "rows": rows,
        "compile_seconds": compile_seconds,
        "peak_mb": memory,
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
