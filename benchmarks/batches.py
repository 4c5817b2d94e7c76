"""Batches of systems too wide for lanes, by `jax.vmap` against a loop over single jitted calls; alone and beside busy processes.

Sixteen drives of a Kerr oscillator with 10 to 63 levels, whose sector of 100 to 3969 coordinates is eliminated level by level, and
of a system with dense matrices, which is factorised as a whole: photons or energy, and the gradient in all parameters.
Batch and loop are checked equal and timed in turn, first with nothing beside them that this program started, then with two
processes that do nothing but count. Peer besides the loop: QuTiP, one by one, its operators given, value only, at 30 levels.
A ratio is the loop's (or QuTiP's) seconds over the batch's.

    python benchmarks/batches.py [--json] [--levels 10 20 30 45 63] [--dense 16 30] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time

BATCH, BUSY = 16, 2
DETUNING, KERR, LOSS = 0.3, 0.2, 1.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--levels", type=int, nargs="*", default=[10, 20, 30, 45, 63], help="of the oscillators")
    parser.add_argument("--dense", type=int, nargs="*", default=[16, 30], help="levels of the systems with dense matrices")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


@contextlib.contextmanager
def busy(count: int):
    """So many processes that count without an end."""
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in beside:
            process.kill()
            process.wait()


def medians(calls: dict, *, at_least: int = 5, seconds: float = 4.0) -> dict:
    """Median wall and processor seconds of each call, name -> (wall, processor), timed in turn so that all meet the same load."""
    import numpy as np

    times = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while len(next(iter(times.values()))) < at_least or time.perf_counter() < end:
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call()
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: tuple(np.median(found, axis=0).tolist()) for name, found in times.items()}


def oscillator(levels: int):
    """Photons of a driven Kerr oscillator as a function of (drive, kerr, loss)."""
    import qdiff as qd

    a = qd.Space(a=qd.Boson(levels)).a.a
    n = a.dag @ a

    def photons(p):
        drive, kerr, loss = p
        return qd.steady_state(qd.Lindblad(DETUNING * n + kerr * n @ n + drive * (a + a.dag), {"loss": (loss, a)})).expect(n)

    return photons


def dense(levels: int):
    """Energy of a system whose Hamiltonian and jump join all levels, as a function of (strength, second part, rate)."""
    import numpy as np

    import qdiff as qd

    rng = np.random.default_rng(levels)
    space = qd.Space(s=qd.Levels(*map(str, range(levels))))
    one, two, jump = rng.normal(size=(3, levels, levels)) + 1j * rng.normal(size=(3, levels, levels))
    one, two, jump = (space.operator(m) for m in (one + one.conj().T, two + two.conj().T, jump))

    def energy(p):
        strength, second, rate = p
        H = strength * one + second * two
        return qd.steady_state(qd.Lindblad(H, {"bath": (rate, jump)})).expect(one)

    return energy


def calls(merit):
    """Name -> call: value, and value and gradient, each as a batch and as a loop; checked equal. And the values."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from timing import check_equal

    points = jnp.stack([jnp.linspace(0.5, 2.0, BATCH), jnp.full(BATCH, KERR), jnp.full(BATCH, LOSS)], axis=1)
    members, found = list(points), {}
    for what, function in {"value": merit, "value and gradient": jax.value_and_grad(merit)}.items():
        one, many = jax.jit(function), jax.jit(jax.vmap(function))
        found[f"{what}, batch"] = lambda many=many: jax.block_until_ready(many(points))
        found[f"{what}, loop"] = lambda one=one: [jax.block_until_ready(one(p)) for p in members]
        batch, loop = found[f"{what}, batch"](), found[f"{what}, loop"]()
        for mine, others in zip(jax.tree.leaves(batch), zip(*map(jax.tree.leaves, loop), strict=True), strict=True):
            check_equal(what, mine, np.stack(others), relative=1e-9)
    return found, np.asarray(found["value, batch"]())


def qutip_photons(levels: int):
    """Photons at all drives, one by one."""
    import numpy as np
    import qutip as qt

    a = qt.destroy(levels)
    n = a.dag() * a
    fixed, drive = DETUNING * n + KERR * n * n, a + a.dag()
    return lambda: [qt.expect(n, qt.steadystate(fixed + F * drive, [np.sqrt(LOSS) * a])) for F in np.linspace(0.5, 2.0, BATCH)]


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    from timing import check_equal, device, peak_mb, report, row

    seconds, processor, ratios, memory, rows = {}, {}, {}, {}, []
    systems = [("oscillator", oscillator, k) for k in given.levels] + [("dense", dense, k) for k in given.dense]
    for kind, build, levels in systems:
        timed, values = calls(build(levels))
        size = f"{levels**2} coordinates" + (", dense" if kind == "dense" else "")
        if kind == "oscillator" and levels == 30:
            peer = qutip_photons(levels)
            check_equal("QuTiP", values, peer(), relative=1e-6)
            timed["QuTiP"] = peer
        for beside in (0, BUSY):
            with busy(beside):
                found = medians(timed)
            where = f"{size}, {beside} busy beside"
            seconds |= {f"{name}, {where}": wall for name, (wall, _) in found.items()}
            processor |= {f"{name}, {where}": cpu for name, (_, cpu) in found.items()}
            also = f"{size}; {beside} busy processes beside" if beside else size
            for what in ("value", "value and gradient"):
                batch, loop = found[f"{what}, batch"][0], found[f"{what}, loop"][0]
                ratios[f"{what}, {where}"] = loop / batch
                rows.append(row(f"batch of {BATCH}, {what}", also, batch, "loop over single calls", loop))
            if "QuTiP" in found:
                batch, peer_seconds = found["value, batch"][0], found["QuTiP"][0]
                ratios[f"QuTiP, {where}"] = peer_seconds / batch
                rows.append(row(f"batch of {BATCH}, value", also, batch, "QuTiP, one by one", peer_seconds))
        memory[size] = peak_mb()
    result = {"name": "batches", "device": device(), "seconds": seconds, "processor_seconds": processor, "ratios": ratios, "rows": rows}
    report({**result, "peak_mb": memory}, given.json)


if __name__ == "__main__":
    main()
