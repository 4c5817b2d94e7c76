"""Steady states of the rotor engine: one value, its gradient, and a batch of parameter points, against the peers.

Peers, on the full (4 N)^2-dimensional Liouvillian: SciPy's sparse LU (`splu`) of the matrix with a trace row,
factorisation and solve only, its assembly not counted; and QuTiP's `steadystate` in a Python loop, its operators
built once and the Liouvillian made for each point. qdiff is timed from the parameters to heat_current_hot, jitted,
assembly included, its compilation apart. A ratio is peer seconds over qdiff seconds.

    python benchmarks/rotor.py [--json] [--l-min -30] [--l-max 50] [--points 1000] [--levels 11 41 ...] [--device cpu|gpu]
"""

from __future__ import annotations

import argparse
import os


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--l-min", type=int, default=-30)
    parser.add_argument("--l-max", type=int, default=50)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--levels", type=int, nargs="*", default=[11, 41, 81, 161, 321], help="sizes at which the cost is measured")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    return parser.parse_args()


def qutip_parts(l_min: int, l_max: int):
    """The operators that QuTiP needs, built once, and functions of the parameters for H, jumps and figure of merit."""
    import numpy as np
    import qutip as qt

    n = l_max - l_min + 1
    one, rotor_one = qt.qeye(2), qt.qeye(n)
    up = qt.Qobj(np.diag(np.ones(n - 1), -1)).to("csr")
    momentum = qt.Qobj(np.diag(np.arange(l_min, l_max + 1.0))).to("csr")
    z1, z2 = qt.tensor(qt.sigmaz(), one, rotor_one), qt.tensor(one, qt.sigmaz(), rotor_one)
    m1, m2 = qt.tensor(qt.sigmam(), one, rotor_one), qt.tensor(one, qt.sigmam(), rotor_one)
    E, L = qt.tensor(one, one, up), qt.tensor(one, one, momentum)
    L2, push = L * L, m1.dag() * m2 * E
    push = push + push.dag()
    EL, EdL, excited2 = E * L, E.dag() * L, m2.dag() * m2

    def hamiltonian(d):
        return d["B1"] * z1 + d["B2"] * z2 + L2 / (2 * d["inertia"]) + d["lam"] * push

    def hot(d):
        n2 = 1 / np.expm1(2 * d["beta2"] * d["B2"])
        return (d["g"] * (1 + d["chi"])) ** 2, n2

    def jumps(d):
        n1, g1 = 1 / np.expm1(2 * d["beta1"] * d["B1"]), (d["g"] * (1 - d["chi"])) ** 2
        g2, n2 = hot(d)
        a, k = d["beta_load"] / (4 * d["inertia"]), np.sqrt(d["inertia"] * d["gamma"] / d["beta_load"])
        thermal = [np.sqrt(g1 * (n1 + 1)) * m1, np.sqrt(g1 * n1) * m1.dag(), np.sqrt(g2 * (n2 + 1)) * m2, np.sqrt(g2 * n2) * m2.dag()]
        return [*thermal, k * (E - a * EL), k * (E.dag() + a * EdL)]

    def merit(d, rho):
        g2, n2 = hot(d)
        excited = qt.expect(excited2, rho)
        return 2 * d["B2"] * g2 * (n2 * (1 - excited) - (n2 + 1) * excited)

    return hamiltonian, jumps, merit


def sparse_lu(d: dict, l_min: int, l_max: int) -> tuple[float, float]:
    """Seconds of SciPy's sparse LU of the whole Liouvillian with a trace row, its solve only; and the heat current it finds."""
    import numpy as np
    import qutip as qt
    import scipy.sparse as sp
    from scipy.sparse.linalg import splu
    from timing import median_seconds

    hamiltonian, jumps, merit = qutip_parts(l_min, l_max)
    H, c_ops = hamiltonian(d), jumps(d)
    L = qt.liouvillian(H, c_ops).data_as("csr_matrix").tolil()
    dim = H.shape[0]
    L[0, :] = 0
    L[0, np.arange(dim) * (dim + 1)] = 1
    L, right = sp.csc_matrix(L), np.zeros(dim * dim, complex)
    right[0] = 1
    rho = qt.Qobj(splu(L).solve(right).reshape(dim, dim, order="F"), dims=H.dims)
    return median_seconds(lambda: splu(L).solve(right)), merit(d, rho)


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import jax
    import jax.numpy as jnp
    import numpy as np
    import qutip as qt
    from timing import check_equal, compiled, device, exponent, median_seconds, peak_mb, report, row

    import qdiff as qd

    if given.device == "cpu":
        jax.config.update("jax_num_cpu_devices", os.cpu_count())  # a batch goes to all cores
    seconds, compile_seconds, memory, rows = {}, {}, {}, []
    model = qd.models.RotorEngine(l_min=given.l_min, l_max=given.l_max)
    names = [n for n, p in type(model).parameters().items() if not p.static]
    rng = np.random.default_rng(0)
    factor = rng.uniform(0.9, 1.1, (given.points, len(names)))
    at = np.array([float(getattr(model, n)) for n in names])
    grid = np.where(np.array(names) == "chi", rng.uniform(-0.3, 0.3, factor.shape), at * factor)
    batch = jax.tree.map(jnp.asarray, _stacked(model, names, grid))

    def value(m):
        return m.heat_current_hot()

    one, compile_seconds["value"] = compiled(value, model)
    seconds["qdiff value"] = median_seconds(one)
    both, compile_seconds["value_and_gradient"] = compiled(jax.value_and_grad(value), model)
    seconds["qdiff value and gradient"] = median_seconds(both)
    memory["qdiff"] = peak_mb()
    chunk = min(_CHUNK[given.device], given.points)
    mesh = jax.make_mesh((len(jax.devices()),), ("points",))
    spread = jax.sharding.PartitionSpec("points")

    def on_one_device(models):
        return jax.lax.map(value, models, batch_size=chunk)

    with qd.failures("nan"):
        on_all = jax.shard_map(on_one_device, mesh=mesh, in_specs=spread, out_specs=spread, check_vma=False)
        many, compile_seconds["batch"] = compiled(on_all, jax.device_put(batch, jax.sharding.NamedSharding(mesh, spread)))
    seconds[f"qdiff batch of {given.points}"] = median_seconds(many)
    memory["qdiff with batch"] = peak_mb()

    d = dict(zip(names, at, strict=True))
    # The same device with fewer and with more levels of the rotor: how the cost grows, and the peers where they are quick enough.
    sizes = {n: (-(3 * n) // 8, -(3 * n) // 8 + n - 1) for n in given.levels}
    for n, (low, high) in sizes.items():
        smaller = qd.models.RotorEngine(l_min=low, l_max=high)
        call, compile_seconds[f"value, {n} levels"] = compiled(value, smaller)
        seconds[f"qdiff value, {n} levels"] = median_seconds(call)
        both_there, compile_seconds[f"value and gradient, {n} levels"] = compiled(jax.value_and_grad(value), smaller)
        seconds[f"qdiff value and gradient, {n} levels"] = median_seconds(both_there)
        if n < 81:
            peer, answer = sparse_lu(d, low, high)
            check_equal(f"scipy, {n} levels", call(), answer, relative=1e-7)
            rows.append(row("steady state", f"{n} levels", seconds[f"qdiff value, {n} levels"], "SciPy splu, solve only", peer))
            ours = seconds[f"qdiff value and gradient, {n} levels"]
            rows.append(row("steady state and gradient", f"{n} levels", ours, "SciPy splu, solve only, value only", peer))

    hamiltonian, jumps, merit = qutip_parts(given.l_min, given.l_max)
    seconds["scipy splu, solve only"], answer = sparse_lu(d, given.l_min, given.l_max)
    check_equal("scipy", one(), answer, relative=1e-7)
    memory["scipy splu"] = peak_mb()

    def loop(points):
        out = []
        for k in range(points):
            d = dict(zip(names, grid[k], strict=True))
            H, c_ops = hamiltonian(d), jumps(d)
            out.append(merit(d, qt.steadystate(H, c_ops)))
        return np.array(out)

    few = min(5, given.points)
    check_equal("qutip", np.asarray(many())[:few], loop(few), relative=1e-6)
    seconds["qutip steadystate, per point"] = median_seconds(lambda: loop(few), at_least=3) / few
    memory["qutip"] = peak_mb()
    ratios = {
        "value": seconds["scipy splu, solve only"] / seconds["qdiff value"],
        "value_and_gradient": seconds["scipy splu, solve only"] / seconds["qdiff value and gradient"],
        "batch": seconds["qutip steadystate, per point"] * given.points / seconds[f"qdiff batch of {given.points}"],
    }
    levels = f"{given.l_max - given.l_min + 1} levels"
    splu_, qutip_ = seconds["scipy splu, solve only"], seconds["qutip steadystate, per point"]
    batch_ = seconds[f"qdiff batch of {given.points}"]
    rows += [
        row("steady state", levels, seconds["qdiff value"], "SciPy splu, solve only", splu_),
        row("steady state", levels, seconds["qdiff value"], "QuTiP", qutip_),
        row("steady state and gradient", levels, seconds["qdiff value and gradient"], "SciPy splu, solve only, value only", splu_),
        row(f"batch of {given.points}", levels, batch_, "QuTiP, one by one", qutip_ * given.points),
    ]
    result = {
        "name": "rotor",
        "rows": rows,
        "growth": {
            f"rotor levels, {what}": exponent(list(sizes)[1:], [seconds[f"qdiff {what}, {n} levels"] for n in list(sizes)[1:]])
            for what in ("value", "value and gradient")
        },
        "device": device(),
        "seconds": seconds,
        "ratios": ratios,
        "compile_seconds": compile_seconds,
        "peak_mb": memory,
    }
    report(result, given.json)


# Points solved at a time: few enough for the caches of a CPU, many enough to fill a GPU.
_CHUNK = {"cpu": 4, "gpu": 1000}


def _stacked(model, names, grid):
    """A batch of models: one array of parameter values in each leaf."""
    import equinox as eqx

    return eqx.tree_at(lambda m: [getattr(m, n) for n in names], model, [grid[:, k] for k in range(len(names))])


if __name__ == "__main__":
    main()
