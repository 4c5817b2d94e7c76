"""Time evolution of the rotor engine from its initial state, and the gradient of an observable at the last time.

From thermal qubits and the rotor in l = 0; <L> and <sigma_1^z> saved at the given times. Peers: dynamiqs' `mesolve`, jitted,
in each of its layouts (dense, diagonals) and with each of two explicit methods (Tsit5, Dopri8), and QuTiP's `mesolve` with each
of its methods that fits; the fastest of each counts. All are asked for the same tolerances, and are checked equal to ten
times these first. qdiff and dynamiqs are timed from the parameters, generator included, compilation apart; QuTiP is given
its operators. A ratio is peer seconds over qdiff seconds.

    python benchmarks/evolve.py [--json] [--l-min -3] [--l-max 3] [--last 50] [--points 101] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os

from rotor import qutip_parts

RTOL, ATOL = 1e-8, 1e-10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--l-min", type=int, default=-3)
    parser.add_argument("--l-max", type=int, default=3)
    parser.add_argument("--last", type=float, default=50.0, help="last time [1/energy]")
    parser.add_argument("--points", type=int, default=101)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def dynamiqs_parts(l_min: int, l_max: int, layout, times):
    """`evolution(model, method)` of the same device by dynamiqs, in one of its layouts."""
    import dynamiqs as dq
    import jax.numpy as jnp
    import numpy as np

    hamiltonian, _, _ = qutip_parts(l_min, l_max)
    names = ("B1", "B2", "inertia", "lam")

    def fixed(op):
        return dq.asqarray(np.asarray(op.full()), layout=layout)

    def one(**d):
        return fixed(hamiltonian({"B1": 0.0, "B2": 0.0, "inertia": np.inf, "lam": 0.0, **d}))

    z1, z2, kinetic, push = (one(**{n: 1.0}) for n in names)
    _, jumps, _ = qutip_parts(l_min, l_max)
    unit = {"B1": 1.0, "B2": 1.0, "beta1": 1.0, "beta2": 1.0, "g": 1.0, "chi": 0.0, "inertia": 1.0, "gamma": 1.0}
    thermal = [fixed((c / np.max(np.abs(c.full()))).to("csr")) for c in jumps({**unit, "beta_load": 1.0})[:4]]
    flat = [fixed(c) for c in jumps({**unit, "beta_load": 1e-300, "gamma": 1e-300})[4:]]  # E and its adjoint
    sides = (jumps({**unit, "beta_load": b, "gamma": b})[4:] for b in (4.0, 1e-300))
    tilted = [fixed((c - f).to("csr")) for c, f in zip(*sides, strict=True)]  # -E L and E^+ L
    seen = [fixed(qutip_momentum(l_min, l_max)), z1]
    n = l_max - l_min + 1

    def evolution(m, method):
        n1, n2 = 1 / jnp.expm1(2 * m.beta1 * m.B1), 1 / jnp.expm1(2 * m.beta2 * m.B2)
        g1, g2 = (m.g * (1 - m.chi)) ** 2, (m.g * (1 + m.chi)) ** 2
        rates = (g1 * (n1 + 1), g1 * n1, g2 * (n2 + 1), g2 * n2)
        H = m.B1 * z1 + m.B2 * z2 + kinetic / m.inertia + m.lam * push
        a, k = m.beta_load / (4 * m.inertia), jnp.sqrt(m.inertia * m.gamma / m.beta_load)
        c_ops = [jnp.sqrt(r) * c for r, c in zip(rates, thermal, strict=True)]
        c_ops += [k * (f + a * t) for f, t in zip(flat, tilted, strict=True)]
        qubits = [jnp.diag(jnp.stack([n, n + 1]) / (2 * n + 1)) for n in (n1, n2)]
        wheel = jnp.diag(jnp.zeros(n).at[-l_min].set(1.0))
        rho = jnp.kron(jnp.kron(*qubits), wheel).astype(complex)
        done = dq.mesolve(H, c_ops, rho, times, exp_ops=seen, method=method, save_states=False, progress_meter=False)
        return done.expects.real

    return evolution


def qutip_momentum(l_min: int, l_max: int):
    import numpy as np
    import qutip as qt

    return qt.tensor(qt.qeye(2), qt.qeye(2), qt.Qobj(np.diag(np.arange(l_min, l_max + 1.0)))).to("csr")


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import dynamiqs as dq
    import jax
    import jax.numpy as jnp
    import numpy as np
    import qutip as qt
    from timing import check_equal, compiled, device, median_seconds, peak_mb, report, row

    import qdiff as qd

    dq.set_precision("double")
    seconds, compile_seconds, memory = {}, {}, {}
    model = qd.models.RotorEngine(l_min=given.l_min, l_max=given.l_max)
    times = np.linspace(0, given.last, given.points)
    s = model.space

    def evolution(m):
        return jnp.stack(qd.evolve(m.generator(), m.start(), times, expect=[s.wheel.L, s.cold.z], states=False).expectations)

    def last(m):
        return qd.evolve(m.generator(), m.start(), times[-1], expect=s.wheel.L, states=False).expectations[-1]

    def numbers(gradient):
        return np.array([float(getattr(gradient, n)) for n, p in type(model).parameters().items() if not p.static])

    value, compile_seconds["value"] = compiled(evolution, model)
    seconds["qdiff value"] = median_seconds(value)
    both, compile_seconds["value_and_gradient"] = compiled(jax.value_and_grad(last), model)
    seconds["qdiff value and gradient"] = median_seconds(both)
    memory["qdiff"] = peak_mb()
    ours, slope = np.asarray(value()), numbers(both()[1])

    fastest = {"value": np.inf, "gradient": np.inf, "qutip": np.inf}
    for name, layout in {"dense": dq.dense, "diagonals": dq.dia}.items():
        peer = dynamiqs_parts(given.l_min, given.l_max, layout, times)
        for kind in (dq.method.Tsit5, dq.method.Dopri8):
            method, label = kind(rtol=RTOL, atol=ATOL), f"dynamiqs {name} {kind.__name__}"
            call, compile_seconds[label] = compiled(lambda m, peer=peer, method=method: peer(m, method), model)
            check_equal(label, ours, call(), relative=1e-6)
            seconds[label] = median_seconds(call, at_least=3)
            fastest["value"] = min(fastest["value"], seconds[label])

            def final(m, peer=peer, method=method):
                return peer(m, method)[0, -1]

            label += " gradient"
            call, compile_seconds[label] = compiled(jax.value_and_grad(final), model)
            check_equal(label, slope, numbers(call()[1]), relative=1e-5)
            seconds[label] = median_seconds(call, at_least=3)
            fastest["gradient"] = min(fastest["gradient"], seconds[label])
    memory["dynamiqs"] = peak_mb()

    hamiltonian, jumps, _ = qutip_parts(given.l_min, given.l_max)
    d = {n: float(getattr(model, n)) for n, p in type(model).parameters().items() if not p.static}
    H, c_ops = hamiltonian(d), jumps(d)
    rho = qt.Qobj(np.asarray(model.start().dense()), dims=H.dims)
    momentum, z1 = qutip_momentum(given.l_min, given.l_max), hamiltonian({**d, "B1": 1.0, "B2": 0.0, "lam": 0.0, "inertia": np.inf})
    for method in ("adams", "bdf", "lsoda", "dop853", "vern7", "vern9", "diag"):
        options = {"method": method, "store_states": False}
        if method != "diag":
            options |= {"rtol": RTOL, "atol": ATOL, "nsteps": 10_000_000}

        def solve(options=options):
            return np.array(qt.mesolve(H, rho, times, c_ops, e_ops=[momentum, z1], options=options).expect)

        check_equal(f"qutip {method}", ours, solve(), relative=1e-6)
        seconds[f"qutip {method}"] = median_seconds(solve, at_least=3, seconds=1)
        fastest["qutip"] = min(fastest["qutip"], seconds[f"qutip {method}"])
    memory["qutip"] = peak_mb()
    ratios = {
        "dynamiqs": fastest["value"] / seconds["qdiff value"],
        "qutip": fastest["qutip"] / seconds["qdiff value"],
        "dynamiqs_gradient": fastest["gradient"] / seconds["qdiff value and gradient"],
    }
    size = f"{given.l_max - given.l_min + 1} levels"
    ours = seconds["qdiff value"], seconds["qdiff value and gradient"]
    rows = [
        row("evolution", size, ours[0], "dynamiqs", fastest["value"]),
        row("evolution", size, ours[0], "QuTiP", fastest["qutip"]),
        row("evolution and gradient", size, ours[1], "dynamiqs", fastest["gradient"]),
    ]
    result = {"name": "evolve", "device": device(), "seconds": seconds, "ratios": ratios, "rows": rows}
    report({**result, "compile_seconds": compile_seconds, "peak_mb": memory}, given.json)


if __name__ == "__main__":
    main()
