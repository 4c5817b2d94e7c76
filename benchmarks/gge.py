"""Generalised Gibbs ensembles of 1e2 to 1e6 sites (1e8 on a GPU): the steady current and its gradient in all parameters.

Peer: NumPy's evaluation of the printed equation at 1e2 to 1e4 modes, the sum over all pairs of momenta in blocks of rows,
against one right-hand side of qdiff. Both are timed from the Lagrange parameters to their derivatives; qdiff is jitted, its
compilation apart. `growth` is the exponent between 1e4 and the longest chain: 1 is linear.

    python benchmarks/gge.py [--json] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os

SIZES = (100, 1000, 10_000, 100_000, 1_000_000)
PEERS = (100, 1000, 10_000)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def printed(lagrange, q, beta, delta, delta_prime, drive, speed, block=500):
    """d lambda/dt by Eqs. (10) to (12) of the paper, every pair of momenta, in blocks of rows."""
    import numpy as np

    energy, occupied = -2 * np.cos(q), np.exp(-lagrange)
    out = np.empty_like(q)
    for start in range(0, q.size, block):
        rows = slice(start, start + block)
        p = q[rows, None]
        up = np.exp(beta * (energy - energy[rows, None]) / 2)
        into = abs(1 + delta * np.exp(-1j * p)) ** 2 * abs(1 - delta_prime * np.exp(1j * q)) ** 2
        back = abs(1 + delta * np.exp(-1j * q)) ** 2 * abs(1 - delta_prime * np.exp(1j * p)) ** 2
        force = (1 - drive) * (up * occupied - occupied[rows, None] / up) + drive * (into * occupied - back * occupied[rows, None])
        out[rows] = -speed / q.size * (1 + occupied[rows]) / occupied[rows] * (force / (1 + occupied)).sum(axis=1)
    return out


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import jax
    import numpy as np
    from timing import check_equal, compiled, device, median_seconds, peak_mb, report, row

    import qdiff as qd

    seconds, compile_seconds, memory, growth, values = {}, {}, {}, {}, {}
    sizes = SIZES if given.device == "cpu" else (*SIZES, 10_000_000, 100_000_000)
    for name, kind in (("raman", qd.models.RamanRectifier), ("rashba", qd.models.RashbaRectifier)):
        for n in sizes:
            key = f"{name} 1e{len(str(n)) - 1}"
            program, compile_seconds[key] = compiled(jax.value_and_grad(lambda m: m.current()), kind(length=n))
            values[key] = float(program()[0])
            seconds[key] = median_seconds(program)
            memory[key] = peak_mb()
        first, last = f"{name} 1e4", f"{name} 1e{len(str(sizes[-1])) - 1}"
        growth[name] = float(np.log(seconds[last] / seconds[first]) / np.log(sizes[-1] / 1e4))
        # Sums over modes have converged long before the longest chain.
        check_equal(f"{name}, longest chain", values[last], values[first], relative=1e-11)

    rows = []
    for n in PEERS:
        model = qd.models.RamanRectifier(length=n)
        q = 2 * np.pi / n * (np.arange(n) - n // 2)
        lagrange = 0.3 + 0.7 * np.sin(q + 0.2) + 0.5 * np.cos(2 * q)
        key = f"right-hand side 1e{len(str(n)) - 1}"

        def peer(lagrange=lagrange, q=q):
            return printed(lagrange, q, 2.0, 1 + 1j, 1 + 0.5j, 0.5, 0.05)

        program, compile_seconds[key] = compiled(lambda m, x: m.rates(x).lagrange_parameters, model, lagrange)
        check_equal(key, program(), peer(), relative=1e-11)
        seconds[key] = median_seconds(program)
        seconds["numpy " + key] = median_seconds(peer, at_least=3)
        rows.append(row("right-hand side of the chain", f"{n} modes", seconds[key], "NumPy, all pairs", seconds["numpy " + key]))
    result = {
        "name": "gge",
        "device": device(),
        "seconds": {**seconds, "steady_and_gradient_1e6": seconds["raman 1e6"], "rashba_1e6": seconds["rashba 1e6"]},
        "ratios": {"numpy_rhs_1e4": seconds["numpy right-hand side 1e4"] / seconds["right-hand side 1e4"]},
        "compile_seconds": compile_seconds,
        "peak_mb": memory,
        "rows": rows,
        "growth": growth,
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
