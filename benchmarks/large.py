"""Stationary states of large systems in matrix form, value and gradient in all parameters, beside QuTiP's direct `steadystate`.

kerr_pair_14: two coupled, driven Kerr modes of 14 levels. xyz_7: an XYZ chain of seven spins, damped everywhere, in a tilted
field. xxz_8: an XXZ chain of eight spins driven at its ends. spins_9: the XYZ chain with nine. random_1000: a random Hamiltonian
with three random dense jumps. QuTiP, which has no gradient, is timed for the value alone, once: it takes minutes.

    python benchmarks/large.py [CASE...] [--json] [--no-qutip] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os
import time

CASES = ("kerr_pair_14", "xyz_7", "xyz_8", "xxz_8", "spins_9", "random_1000")
PEERS = ("kerr_pair_14", "xyz_7", "xxz_8")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"which of {', '.join(CASES)}; by default all")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--no-qutip", action="store_true")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]!r}; there are {', '.join(CASES)}")
    return given


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import jax
    import jax.numpy as jnp
    from timing import check_equal, compiled, device, exponent, peak_mb, report, row

    import qdiff as qd

    seconds, compile_seconds, memory, ratios, rows = {}, {}, {}, {}, []
    for name in given.cases or CASES:
        model, parameters = {
            "kerr_pair_14": lambda: (kerr_pair(qd, 14), [0.3, 0.1, 0.7, 0.4, 1.0]),
            "xyz_7": lambda: (xyz(qd, 7), [1.0, 0.7, 0.4, 0.3, 0.1]),
            "xyz_8": lambda: (xyz(qd, 8), [1.0, 0.7, 0.4, 0.3, 0.1]),
            "xxz_8": lambda: (xxz(qd, 8), [1.0, 0.7, 0.6, 0.5]),
            "spins_9": lambda: (xyz(qd, 9), [1.0, 0.7, 0.4, 0.3, 0.1]),
            "random_1000": lambda: (random(qd, 1000), [1.0, 0.5, 0.4, 0.6]),
        }[name]()
        p = jnp.array(parameters)

        def measured(p, model=model):
            generator, observable = model(p)
            return qd.steady_state(generator).expect(observable)

        call, compile_seconds[name] = compiled(jax.value_and_grad(measured), p)
        # Runs of seconds and minutes need no repetition but the one that warms up, and that only if it is short.
        value, seconds[name] = once(call)
        if seconds[name] < 30:
            value, seconds[name] = once(call)
        memory[name] = peak_mb()
        if name in PEERS and not given.no_qutip:
            peer, took = qutip(*model(p))
            check_equal(name, value[0], peer, relative=1e-7)
            seconds[f"{name}, QuTiP"] = took
            ratios[name] = took / seconds[name]
            label = {"kerr_pair_14": "two modes of 14 levels", "xyz_7": "7 spins", "xxz_8": "8 spins, driven at the ends"}[name]
            rows.append(row("steady state and gradient", label, seconds[name], "QuTiP direct, value only", took))
    chains = [(n, seconds[c]) for n, c in ((128, "xyz_7"), (256, "xyz_8"), (512, "spins_9")) if c in seconds]
    growth = {"spins, in dimension": exponent(*zip(*chains, strict=True))} if len(chains) > 1 else {}
    result = {"name": "large", "device": device(), "seconds": seconds, "ratios": ratios, "compile_seconds": compile_seconds}
    report(result | {"peak_mb": memory, "growth": growth, "rows": rows}, given.json)


def once(call):
    """What a call returns, and how long it took."""
    start = time.perf_counter()
    out = call()
    return out, time.perf_counter() - start


def kerr_pair(qd, levels: int):
    space = qd.Space(a=qd.Boson(levels), b=qd.Boson(levels))
    a, b = space.a.a, space.b.a

    def model(p):
        kerr = p[1] * (a.dag @ a.dag @ a @ a + b.dag @ b.dag @ b @ b)
        H = -p[0] * (space.a.n + space.b.n) + kerr + p[2] * (a + a.dag) + p[3] * (a.dag @ b + b.dag @ a)
        return qd.Lindblad(H, {"a": (p[4], a), "b": (0.8, b)}), space.a.n

    return model


def _spins(qd, n: int):
    space = qd.Space(**{f"s{k}": qd.Spin() for k in range(n)})
    return [getattr(space, f"s{k}") for k in range(n)]


def xyz(qd, n: int):
    s = _spins(qd, n)

    def model(p):
        H = sum((p[0] * a.x @ b.x + p[1] * a.y @ b.y + p[2] * a.z @ b.z for a, b in zip(s, s[1:], strict=False)), p[3] * s[0].x)
        H = H + sum(((0.5 + 0.05 * k) * a.z for k, a in enumerate(s[1:])), 0.5 * s[0].z)
        return qd.Lindblad(H, {f"bath{k}": (p[4] * (1 + 0.1 * k), a.minus) for k, a in enumerate(s)}), s[2].up

    return model


def xxz(qd, n: int):
    s = _spins(qd, n)

    def model(p):
        bonds = [p[0] * (a.x @ b.x + a.y @ b.y) + p[1] * a.z @ b.z for a, b in zip(s, s[1:], strict=False)]
        jumps = {"left": [(p[2], s[0].plus), (0.2, s[0].minus)], "right": [(0.3, s[-1].plus), (p[3], s[-1].minus)]}
        return qd.Lindblad(sum(bonds[1:], bonds[0]), jumps), s[2].up

    return model


def random(qd, d: int):
    import numpy as np

    rng = np.random.default_rng(0)
    matrices = rng.normal(size=(4, d, d)) + 1j * rng.normal(size=(4, d, d))
    H = qd.Operator.from_dense((matrices[0] + matrices[0].conj().T) / np.sqrt(8 * d))
    jumps = [qd.Operator.from_dense(C / np.sqrt(2 * d)) for C in matrices[1:]]
    observable = qd.Operator.from_dense(np.diag(np.arange(d) / d))

    def model(p):
        return qd.Lindblad(p[0] * H, {f"bath{k}": (p[k + 1], C) for k, C in enumerate(jumps)}), observable

    return model


def qutip(generator, observable):
    """The same expectation value by QuTiP's direct solver, and how long it took, the Liouvillian included."""
    import numpy as np
    import qutip as qt

    H, M = (qt.Qobj(np.asarray(op)) for op in (generator.H, observable))
    jumps = [np.sqrt(float(j.rate)) * qt.Qobj(np.asarray(j.operator)) for label in generator.labels for j in generator.jumps[label]]
    start = time.perf_counter()
    rho = qt.steadystate(H.to("CSR"), [j.to("CSR") for j in jumps], method="direct")
    return qt.expect(M, rho), time.perf_counter() - start


if __name__ == "__main__":
    main()
