"""The active particle on grids of 1e3 to 1e6 momenta (1e8 on a GPU): the generic Bloch route, value and gradient.

For every momentum the 4x4 generator is assembled from the Hamiltonian and the jump operators and solved for its steady
state, and the velocity is summed with thermal weights: `BlochModel.mean_velocity`. Timed jitted, its compilation apart: the value,
and the value with the gradient in all parameters. Peers, at 1e6 momenta and for the value alone: NumPy's vectorised closed
form, and NumPy's `linalg.solve` of the same 4x4 blocks in one batch (the solve only). The bound is the time in which this
machine reads k and writes r_z, 16 bytes a momentum, once, at its copying speed. A ratio is peer seconds over qdiff seconds
for value and gradient together. Beside them, without a peer: the relaxed velocity of the scattering model at 1000 momenta
with phonons of range 0.02, and the velocity of drift and diffusion on 1e5 cells, value and gradient.

    python benchmarks/kgrid.py [--json] [--device cpu|gpu] [--devices 2] [--most 1000000]
"""

from __future__ import annotations

import argparse
import os


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--devices", type=int, help="how many devices to split the CPU into (one a core)")
    parser.add_argument("--most", type=int, help="the largest number of momenta (1e6 on a CPU, 1e8 on a GPU)")
    return parser.parse_args()


def closed_form(p, k):
    """<v> of the closed form, vectorised NumPy."""
    import numpy as np

    s, c = np.sin(k), np.cos(k)
    x, z = p.epsilon * np.cos(p.theta) - 2 * p.d_x * s, p.epsilon * np.sin(p.theta) - 2 * p.d_z * s
    square = x * x + z * z
    D = np.sqrt(square)
    hot, cold = p.gamma_hot * z * z / square, p.gamma_cold * x * x / square
    r = (hot + cold) / (hot / np.tanh(D / (p.T + p.dT / 2)) + cold / np.tanh(D / (p.T - p.dT / 2)))
    v = 2 * p.hopping * s + 2 * r * c * (x * p.d_x + z * p.d_z) / D
    w = (2 * p.hopping * c + D) / p.T + np.log1p(np.exp(-2 * D / p.T))
    w = np.exp(w - w.max())
    return w @ v / w.sum()


def blocks(p, k):
    """The generators of all momenta with one equation replaced by the trace (points, 4, 4), and the right-hand side."""
    import numpy as np

    s = np.sin(k)
    x, z = p.epsilon * np.cos(p.theta) - 2 * p.d_x * s, p.epsilon * np.sin(p.theta) - 2 * p.d_z * s
    D = np.hypot(x, z)
    hx, hz = x / D, z / D
    sigma = [np.array(m, complex) for m in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
    eye = np.eye(2)

    def kron(A, B):
        return np.einsum("kij,klm->kiljm", A, B).reshape(len(k), 4, 4)

    ones = np.broadcast_to(eye, (len(k), 2, 2))
    H = -x[:, None, None] * sigma[0] - z[:, None, None] * sigma[2]
    G = -1j * (kron(H, ones) - kron(ones, H.transpose(0, 2, 1)))
    lower = (hz[:, None, None] * sigma[0] - hx[:, None, None] * sigma[2] + 1j * sigma[1]) / 2
    up = sum(g * h * h / np.expm1(2 * D / T) for g, h, T in ((p.gamma_hot, hz, p.T + p.dT / 2), (p.gamma_cold, hx, p.T - p.dT / 2)))
    down = up + p.gamma_hot * hz**2 + p.gamma_cold * hx**2
    for rate, A in ((down, lower), (up, lower.conj().transpose(0, 2, 1))):
        K = A.conj().transpose(0, 2, 1) @ A
        G = G + rate[:, None, None] * (kron(A, A.conj()) - 0.5 * kron(K, ones) - 0.5 * kron(ones, K.transpose(0, 2, 1)))
    # rho = (p_up, p_down, Re, Im) of the coherence: a real matrix.
    basis = np.array([[1, 0, 0, 0], [0, 0, 1, 1j], [0, 0, 1, -1j], [0, 1, 0, 0]])
    G = np.real(np.linalg.inv(basis) @ G @ basis)
    G[:, 1] = [1, 1, 0, 0]
    right = np.zeros((len(k), 4, 1))
    right[:, 1] = 1
    return G, right, basis


def velocity_of(p, k, states, basis):
    """<v> from the solutions of the blocks."""
    import numpy as np

    rho = (states @ basis.T).reshape(-1, 2, 2)
    s, c = np.sin(k), np.cos(k)
    V = np.array([[p.d_z, p.d_x], [p.d_x, -p.d_z]])
    v = 2 * p.hopping * s + 2 * c * np.real(np.einsum("ij,kji->k", V, rho))
    D = np.hypot(p.epsilon * np.cos(p.theta) - 2 * p.d_x * s, p.epsilon * np.sin(p.theta) - 2 * p.d_z * s)
    w = (2 * p.hopping * c + D) / p.T + np.log1p(np.exp(-2 * D / p.T))
    w = np.exp(w - w.max())
    return w @ v / w.sum()


def main():
    given = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if given.device == "cpu" else "cuda,cpu")
    import jax
    import jax.numpy as jnp
    import numpy as np
    from timing import check_equal, compiled, device, exponent, median_seconds, peak_mb, report, row

    import qdiff as qd

    if given.device == "cpu":
        jax.config.update("jax_num_cpu_devices", given.devices or os.cpu_count())
    most = given.most or (10**8 if given.device == "gpu" else 10**6)
    model = qd.models.ActiveParticle(dT=0.5)

    def velocity(model, k):
        return model.bloch_model().mean_velocity(k, lambda k, bands: bands.log_weight(k))

    seconds, compile_seconds, memory, rate = {}, {}, {}, {}
    sizes = [10**e for e in range(3, 9) if 10**e <= most]
    numbers = jax.tree.map(float, model)
    for N in sizes:
        k = jnp.linspace(-jnp.pi, jnp.pi, N, endpoint=False)
        value, compile_seconds[f"value {N:.0e}"] = compiled(velocity, model, k)
        both, compile_seconds[f"gradient {N:.0e}"] = compiled(jax.value_and_grad(velocity), model, k)
        check_equal(f"closed form {N:.0e}", value(), closed_form(numbers, np.asarray(k[:: max(1, N // 10**6)])), relative=1e-10)
        seconds[f"value {N:.0e}"] = median_seconds(value)
        seconds[f"value and gradient {N:.0e}"] = median_seconds(both)
        rate[f"value and gradient {N:.0e}"] = N / seconds[f"value and gradient {N:.0e}"]
        memory[f"qdiff {N:.0e}"] = peak_mb()
    short, fine = qd.models.ActiveParticle(points=1000, phonon_range=0.02), qd.models.ActiveParticle(cells=10**5)
    for name, merit, particle in (
        ("scattering 1000", "velocity_relaxed", short),
        ("drift-diffusion 1e5", "velocity_drift_diffusion", fine),
    ):
        both, compile_seconds[name] = compiled(jax.value_and_grad(lambda m, merit=merit: getattr(m, merit)()), particle)
        seconds[f"{name}, value and gradient"] = median_seconds(both)
    ratios, rows = {}, []
    for N in [n for n in sizes if n <= 10**6]:
        k = np.linspace(-np.pi, np.pi, N, endpoint=False)
        ours = f"value and gradient {N:.0e}"
        form = seconds[f"numpy closed form {N:.0e}"] = median_seconds(lambda k=k: closed_form(numbers, k))
        out = np.empty_like(k)
        seconds[f"read k, write r_z {N:.0e}"] = median_seconds(lambda out=out, k=k: np.copyto(out, k))
        G, right, basis = blocks(numbers, k)
        found = velocity_of(numbers, k, np.linalg.solve(G, right)[..., 0], basis)
        check_equal("numpy blocks", closed_form(numbers, k), found, relative=1e-10)
        solve = median_seconds(lambda G=G, right=right: np.linalg.solve(G, right), at_least=3)
        seconds[f"numpy blocks, solve only {N:.0e}"] = solve
        memory[f"numpy blocks {N:.0e}"] = peak_mb()
        short_name = f"{N:.0e}".replace("e+0", "e")
        ratios |= {f"numpy_{short_name}": form / seconds[ours], f"numpy_blocks_{short_name}": solve / seconds[ours]}
        ratios[f"bandwidth_{short_name}"] = seconds[f"read k, write r_z {N:.0e}"] / seconds[ours]
        rows.append(row("momenta, value and gradient", f"{N} blocks", seconds[ours], "NumPy, solve of the blocks only", solve))
        rows.append(row("momenta, value and gradient", f"{N} blocks", seconds[ours], "NumPy, closed form, value only", form))
    result = {
        "name": "kgrid",
        "device": device(),
        "devices": len(jax.devices()),
        "points_per_second": rate,
        "seconds": seconds,
        "ratios": ratios,
        "compile_seconds": compile_seconds,
        "peak_mb": memory,
        "rows": rows,
        "growth": {"k-points beyond 1e4": exponent(sizes[1:], [seconds[f"value and gradient {n:.0e}"] for n in sizes[1:]])},
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
