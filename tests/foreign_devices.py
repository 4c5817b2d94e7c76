"""Four devices from the public API, each beside the same device built independently in QuTiP or NumPy.

An entry is (build, reference, parameters): `build(*parameters)` returns a `Lindblad`; `reference(*parameters)`
returns the Hamiltonian, the Liouvillian of every bath (row-major, NumPy), by name.
"""

import jax.numpy as jnp
import numpy as np
import qutip as qt
from helpers import davies, ohmic, rates

import qdiff as qd


def row_major(L):
    """QuTiP stacks columns; here rows are stacked."""
    n = round(L.shape[0] ** 0.5)
    return L.full().reshape((n,) * 4).transpose(1, 0, 3, 2).reshape(n * n, n * n)


def bath_of(pairs):
    """A bath's Liouvillian in QuTiP from (rate, jump) pairs."""
    return row_major(sum(r * qt.lindblad_dissipator(A) for r, A in pairs))


# ---- a driven damped qubit --------------------------------------------------------------------------------


def driven_qubit(detuning, drive, phase, rate, beta):
    q = qd.Space(q=qd.Spin()).q
    H = detuning / 2 * q.z + drive * (jnp.cos(phase) * q.x + jnp.sin(phase) * q.y)
    bath = qd.BosonicBath(beta, qd.baths.Flat(rate))
    return qd.Lindblad(H, {"bath": qd.thermal_jumps(q.minus, 1.0, bath), "noise": (0.1 * rate, q.z)})


def driven_qubit_reference(detuning, drive, phase, rate, beta):
    up, dn = qt.basis(2, 0), qt.basis(2, 1)
    minus = dn * up.dag()
    H = detuning / 2 * qt.sigmaz() + drive * (np.cos(phase) * qt.sigmax() + np.sin(phase) * qt.sigmay())
    n = 1 / np.expm1(beta)
    return H.full(), {"bath": bath_of([(rate * (n + 1), minus), (rate * n, minus.dag())]), "noise": bath_of([(0.1 * rate, qt.sigmaz())])}


# ---- two coupled oscillators between two baths ------------------------------------------------------------

N = 3


def modes():
    return qd.Space(left=qd.Boson(N), right=qd.Boson(N))


def oscillators(w1, w2, g, beta1, beta2, kappa):
    s = modes()
    a, b = s.left.a, s.right.a
    H = w1 * s.left.n + w2 * s.right.n + g * (a.dag @ b + b.dag @ a)
    left, right = qd.BosonicBath(beta1, qd.baths.Ohmic(kappa)), qd.BosonicBath(beta2, qd.baths.Ohmic(kappa, 5.0))
    return qd.Lindblad(H, {"left": qd.thermal_jumps(a, w1, left), "right": qd.thermal_jumps(b, w2, right)})


def _qutip_modes(w1, w2, g):
    a, b = qt.tensor(qt.destroy(N), qt.qeye(N)), qt.tensor(qt.qeye(N), qt.destroy(N))
    return a, b, w1 * a.dag() * a + w2 * b.dag() * b + g * (a.dag() * b + b.dag() * a)


def oscillators_reference(w1, w2, g, beta1, beta2, kappa):
    a, b, H = _qutip_modes(w1, w2, g)
    out = {}
    for name, op, w, (down, up) in (("left", a, w1, rates(beta1, ohmic(kappa))), ("right", b, w2, rates(beta2, ohmic(kappa, 5.0)))):
        out[name] = bath_of([(down(w), op), (up(w), op.dag())])
    return H.full(), out


def global_oscillators(w1, w2, g, beta1, beta2, kappa):
    s = modes()
    a, b = s.left.a, s.right.a
    H = w1 * s.left.n + w2 * s.right.n + g * (a.dag @ b + b.dag @ a)
    left, right = qd.BosonicBath(beta1, qd.baths.Ohmic(kappa)), qd.BosonicBath(beta2, qd.baths.Ohmic(kappa, 5.0))
    return qd.secular(H, {"left": (s.left.x, left), "right": (b, right)})


def global_oscillators_reference(w1, w2, g, beta1, beta2, kappa):
    a, b, H = (x.full() for x in _qutip_modes(w1, w2, g))
    left, right = rates(beta1, ohmic(kappa)), rates(beta2, ohmic(kappa, 5.0))
    return H, {"left": davies(H, a + a.conj().T, left[0]), "right": davies(H, b, *right)}


# ---- a three-qubit absorption refrigerator ----------------------------------------------------------------


def _fridge(E1, E3, g):
    s = qd.Space(cold=qd.Spin(), hot=qd.Spin(), work=qd.Spin())
    three = s.cold.plus @ s.hot.minus @ s.work.plus
    return s, E1 * s.cold.up + (E1 + E3) * s.hot.up + E3 * s.work.up + g * (three + three.dag)


def fridge(E1, E3, g, bc, bh, bw, rate):
    s, H = _fridge(E1, E3, g)
    gaps, betas = {"cold": E1, "hot": E1 + E3, "work": E3}, {"cold": bc, "hot": bh, "work": bw}
    return qd.Lindblad(H, {k: qd.thermal_jumps(getattr(s, k).minus, gaps[k], qd.BosonicBath(betas[k], rate)) for k in s.factors})


def global_fridge(E1, E3, g, bc, bh, bw, rate):
    s, H = _fridge(E1, E3, g)
    betas = {"cold": bc, "hot": bh, "work": bw}
    return qd.secular(H, {k: (getattr(s, k).x, qd.BosonicBath(betas[k], qd.baths.Ohmic(rate))) for k in s.factors})


def _qutip_fridge(E1, E3, g):
    up, dn = qt.basis(2, 0), qt.basis(2, 1)
    lower = {}
    for k, name in enumerate(("cold", "hot", "work")):
        lower[name] = qt.tensor(*[dn * up.dag() if j == k else qt.qeye(2) for j in range(3)])
    three = lower["cold"].dag() * lower["hot"] * lower["work"].dag()
    gaps = {"cold": E1, "hot": E1 + E3, "work": E3}
    return lower, gaps, sum(gaps[k] * lower[k].dag() * lower[k] for k in gaps) + g * (three + three.dag())


def fridge_reference(E1, E3, g, bc, bh, bw, rate):
    lower, gaps, H = _qutip_fridge(E1, E3, g)
    n = {k: 1 / np.expm1(b * gaps[k]) for k, b in (("cold", bc), ("hot", bh), ("work", bw))}
    return H.full(), {k: bath_of([(rate * (n[k] + 1), lower[k]), (rate * n[k], lower[k].dag())]) for k in gaps}


def global_fridge_reference(E1, E3, g, bc, bh, bw, rate):
    lower, _, H = _qutip_fridge(E1, E3, g)
    betas = {"cold": bc, "hot": bh, "work": bw}
    out = {k: davies(H.full(), (lower[k] + lower[k].dag()).full(), rates(betas[k], ohmic(rate))[0]) for k in betas}
    return H.full(), out


# ---- a lambda-type three-level maser with two degenerate ground states ------------------------------------


def _maser_operators(r):
    atom = qd.Space(atom=qd.Levels("g1", "g2", "e")).atom
    down1, down2 = atom.transition("g1", "e"), atom.transition("g2", "e")
    return atom, down1 + r * down2, down1 - 0.5 * down2


def global_maser(E, r, bc, bh, kappa):
    atom, cold, hot = _maser_operators(r)
    H = E * atom.projector("e")
    return qd.secular(
        H, {"cold": (cold + cold.dag, qd.BosonicBath(bc, qd.baths.Ohmic(kappa))), "hot": (hot, qd.BosonicBath(bh, qd.baths.Ohmic(0.3)))}
    )


def global_maser_reference(E, r, bc, bh, kappa):
    cold, hot = np.zeros((2, 3, 3))
    cold[0, 2], cold[1, 2], hot[0, 2], hot[1, 2] = 1, r, 1, -0.5
    H = np.diag([0, 0, E])
    return H, {"cold": davies(H, cold + cold.T, rates(bc, ohmic(kappa))[0]), "hot": davies(H, hot, *rates(bh, ohmic(0.3)))}


def driven_maser(E, r, bc, bh, kappa, drive, detuning):
    atom, cold, hot = _maser_operators(r)
    push = atom.transition("e", "g1")
    H = detuning * atom.projector("e") + drive * (push + push.dag)
    baths = {"cold": (cold, qd.BosonicBath(bc, qd.baths.Ohmic(kappa))), "hot": (hot, qd.BosonicBath(bh, qd.baths.Ohmic(0.3)))}
    return qd.Lindblad(H, {k: qd.thermal_jumps(op, E, bath) for k, (op, bath) in baths.items()})


def driven_maser_reference(E, r, bc, bh, kappa, drive, detuning):
    g1, g2, e = (qt.basis(3, k) for k in range(3))
    cold, hot = (g1 + r * g2) * e.dag(), (g1 - 0.5 * g2) * e.dag()
    H = detuning * e * e.dag() + drive * (e * g1.dag() + g1 * e.dag())
    (cd, cu), (hd, hu) = rates(bc, ohmic(kappa)), rates(bh, ohmic(0.3))
    return H.full(), {"cold": bath_of([(cd(E), cold), (cu(E), cold.dag())]), "hot": bath_of([(hd(E), hot), (hu(E), hot.dag())])}


DEVICES = {
    "driven_qubit": (driven_qubit, driven_qubit_reference, (0.7, 0.4, 0.6, 0.3, 1.2)),
    "oscillators": (oscillators, oscillators_reference, (1.0, 1.3, 0.25, 0.8, 2.0, 0.1)),
    "global_oscillators": (global_oscillators, global_oscillators_reference, (1.0, 1.3, 0.25, 0.8, 2.0, 0.1)),
    "fridge": (fridge, fridge_reference, (1.0, 0.7, 0.15, 1.3, 1.0, 0.4, 0.05)),
    "global_fridge": (global_fridge, global_fridge_reference, (1.0, 0.7, 0.15, 1.3, 1.0, 0.4, 0.05)),
    "global_maser": (global_maser, global_maser_reference, (1.1, 0.6, 1.5, 0.4, 0.2)),
    "driven_maser": (driven_maser, driven_maser_reference, (1.1, 0.6, 1.5, 0.4, 0.2, 0.35, 0.2)),
}
