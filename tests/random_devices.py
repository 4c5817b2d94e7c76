"""Random local devices, written twice: with the operators of qdiff, and with those of QuTiP.

Each function of DEVICES takes 16 numbers, as `draw` makes them, and returns a `Lindblad`; its namesake of ORACLES returns
H and for each bath its jumps [(rate, A, quanta)], as QuTiP objects and plain numbers.
"""

import functools

import jax.numpy as jnp
import numpy as np
import qutip as qt
from helpers import ohmic, rates

import qdiff as qd

STRENGTH, CUTOFF = 0.3, 4.0
# Fields and levels that coincide, or nearly, are as common as others.
SPECIAL = (1.0, 1.0, 1.0 + 1e-12, 1.0 + 1e-7, -1.0, 0.0)


def draw(rng):
    """16 numbers: x[:6] levels and fields, degenerate ones among them; x[6:12] couplings of either sign; x[12:] positive.

    No coupling is small, so that every stationary state is unique.
    """
    levels = np.where(rng.uniform(size=6) < 0.5, rng.choice(SPECIAL, 6), rng.uniform(-2, 2, 6))
    couplings = rng.choice([-1.0, 1.0], 6) * rng.uniform(0.2, 1.2, 6)
    return np.concatenate([levels, couplings, rng.uniform(0.3, 1.8, 4)])


def bath(beta):
    return qd.BosonicBath(beta, qd.baths.Ohmic(STRENGTH, CUTOFF))


def thermal(lower, omega, beta):
    """The namesake of `qd.thermal_jumps` at an Ohmic bath."""
    down, up = rates(beta, ohmic(STRENGTH, CUTOFF))
    return [(down(omega), lower, -1), (up(omega), lower.dag(), 1)]


def on(k, dims, op):
    return qt.tensor([op if j == k else qt.qeye(d) for j, d in enumerate(dims)])


# ---- three spins in tilted fields, all links between neighbours, dephasing in the middle --------------------


def spins(x):
    s = qd.Space(a=qd.Spin(), b=qd.Spin(), c=qd.Spin())
    a, b, c = s.a, s.b, s.c
    H = x[0] * a.z + x[1] * b.z + x[2] * c.z + x[3] * b.x + x[6] * a.x @ b.x + x[7] * a.y @ b.y
    H = H + x[8] * b.x @ c.x + x[9] * b.y @ c.y + x[10] * b.z @ c.z
    left, right = (qd.thermal_jumps(q.minus, w, bath(beta)) for q, w, beta in ((a, x[14], x[12]), (c, x[15], x[13])))
    return qd.Lindblad(H, {"left": left, "right": right, "noise": (x[11] ** 2, b.z)})


def spins_oracle(x):
    at = functools.partial(on, dims=(2, 2, 2))
    X, Y, Z, lower = ([at(k, op=op) for k in range(3)] for op in (qt.sigmax(), qt.sigmay(), qt.sigmaz(), qt.sigmam()))
    H = x[0] * Z[0] + x[1] * Z[1] + x[2] * Z[2] + x[3] * X[1] + x[6] * X[0] * X[1] + x[7] * Y[0] * Y[1]
    H += x[8] * X[1] * X[2] + x[9] * Y[1] * Y[2] + x[10] * Z[1] * Z[2]
    return H, {"left": thermal(lower[0], x[14], x[12]), "right": thermal(lower[2], x[15], x[13]), "noise": [(x[11] ** 2, Z[1], 0)]}


# ---- two anharmonic modes that exchange quanta --------------------------------------------------------------


def oscillators(x):
    s = qd.Space(a=qd.Boson(3), b=qd.Boson(3))
    hop = s.a.a @ s.b.a.dag
    H = x[0] * s.a.n + x[1] * s.b.n + x[2] * s.a.n @ s.a.n + x[3] * s.a.n @ s.b.n + x[6] * (hop + hop.dag)
    left, right = qd.thermal_jumps(s.a.a, x[14], bath(x[12])), qd.thermal_jumps(s.b.a, x[15], bath(x[13]))
    return qd.Lindblad(H, {"left": left, "right": [*right, (x[7] ** 2, s.b.n)]})


def oscillators_oracle(x):
    a, b = on(0, (3, 3), qt.destroy(3)), on(1, (3, 3), qt.destroy(3))
    na, nb = a.dag() * a, b.dag() * b
    H = x[0] * na + x[1] * nb + x[2] * na * na + x[3] * na * nb + x[6] * (a * b.dag() + a.dag() * b)
    return H, {"left": thermal(a, x[14], x[12]), "right": [*thermal(b, x[15], x[13]), (x[7] ** 2, nb, 0)]}


# ---- a rotor that a qubit pushes and that is driven and kicked ------------------------------------------------


def rotor(x):
    s = qd.Space(spin=qd.Spin(), wheel=qd.Rotor(-1, 2))
    w, push = s.wheel, s.spin.plus @ s.wheel.E
    H = x[0] * s.spin.z + x[1] * w.L2 + x[2] * w.L + x[6] * (push + push.dag) + x[7] * w.cos
    kicks = [(x[8] ** 2, w.cos), (x[9] ** 2, w.sin), (0.2, w.E + x[10] * w.L)]
    return qd.Lindblad(H, {"left": qd.thermal_jumps(s.spin.minus, x[14], bath(x[12])), "load": kicks})


def rotor_oracle(x):
    at = functools.partial(on, dims=(2, 4))
    L, E = at(1, op=qt.num(4) - 1), at(1, op=qt.Qobj(np.diag(np.ones(3), -1)))
    cos, sin, push = (E + E.dag()) / 2, (E - E.dag()) / 2j, at(0, op=qt.sigmap()) * E
    H = x[0] * at(0, op=qt.sigmaz()) + x[1] * L * L + x[2] * L + x[6] * (push + push.dag()) + x[7] * cos
    kicks = [(x[8] ** 2, cos, 0), (x[9] ** 2, sin, 0), (0.2, E + x[10] * L, 0)]
    return H, {"left": thermal(at(0, op=qt.sigmam()), x[14], x[12]), "load": kicks}


# ---- an interacting dot with pairing and a level beside it, between two leads ---------------------------------


def fermions(x):
    s = qd.Space(dot=qd.Fermions("up", "down"), level=qd.Fermions("c"))
    up, down, c = s.dot.up, s.dot.down, s.level.c
    hop, spin, pair = up.dag @ c, down.dag @ c, up @ down
    H = x[0] * s.dot.n_up + x[1] * s.dot.n_down + x[2] * s.level.n + x[3] * s.dot.n_up @ s.dot.n_down
    H = H + x[6] * (hop + hop.dag) + 1j * x[7] * (spin - spin.dag) + x[8] * (pair + pair.dag)
    hot, cold = qd.FermionicLead(x[12], x[4], x[9] ** 2), qd.FermionicLead(x[13], x[5], x[10] ** 2, 0.3)
    return qd.Lindblad(
        H, {"left": [*qd.lead_jumps(up, x[14], hot), *qd.lead_jumps(down, x[15], cold, -1)], "right": qd.lead_jumps(c, x[15], hot)}
    )


def fermions_oracle(x):
    up, down, c = (qt.fdestroy(3, k) for k in range(3))
    n = [f.dag() * f for f in (up, down, c)]
    H = x[0] * n[0] + x[1] * n[1] + x[2] * n[2] + x[3] * n[0] * n[1]
    H += x[6] * (up.dag() * c + c.dag() * up) + 1j * x[7] * (down.dag() * c - c.dag() * down) + x[8] * (up * down + down.dag() * up.dag())

    def lead(f, energy, beta, mu, rate):
        filled = rate / (np.exp(beta * (energy - mu)) + 1)
        return [(rate - filled, f, -1), (filled, f.dag(), 1)]

    left = [*lead(up, x[14], x[12], x[4], x[9] ** 2), *lead(down, x[15], x[13], x[5] - 0.3, x[10] ** 2)]
    return H, {"left": left, "right": lead(c, x[15], x[12], x[4], x[9] ** 2)}


# ---- five levels in one complex block, complex jumps ----------------------------------------------------------

_TURNS = np.random.default_rng(11).normal(size=(2, 5, 5)) + 1j * np.random.default_rng(12).normal(size=(2, 5, 5))


def _matrices(x):
    lib = np if isinstance(x, np.ndarray) else jnp
    steps = x[6:10] + 1j * x[8:12]
    lower = np.diag([1.0, -0.5, 2.0, 0.7], 1)
    return lib.diag(x[:5]) + lib.diag(steps, 1) + lib.diag(steps.conj(), -1), lower, _TURNS[0] / 3, lower + x[5] * _TURNS[1] / 3


def levels(x):
    s = qd.Space(atom=qd.Levels(5))
    H, lower, turn, other = _matrices(x)
    down, up = qd.thermal_jumps(s.operator(lower), x[14], bath(x[12]))
    left = [down, up, qd.Jump(x[13], s.operator(turn), quanta=2.0)]
    return qd.Lindblad(s.operator(H), {"left": left, "right": (x[15], s.operator(other))})


def levels_oracle(x):
    H, lower, turn, other = (qt.Qobj(m) for m in _matrices(x))
    return H, {"left": [*thermal(lower, x[14], x[12]), (x[13], turn, 2)], "right": [(x[15], other, 0)]}


# ---- a driven qubit in a driven mode --------------------------------------------------------------------------


def driven(x):
    s = qd.Space(spin=qd.Spin(), mode=qd.Boson(4))
    swap = s.spin.plus @ s.mode.a
    H = x[0] * s.spin.z + x[1] * s.mode.n + x[6] * (swap + swap.dag) + x[7] * s.spin.y + x[8] * s.mode.x + x[2] * s.mode.p
    left, right = qd.thermal_jumps(s.spin.minus, x[14], bath(x[12])), qd.thermal_jumps(s.mode.a, x[15], bath(x[13]))
    return qd.Lindblad(H, {"left": left, "right": right})


def driven_oracle(x):
    at = functools.partial(on, dims=(2, 4))
    lower, a = at(0, op=qt.sigmam()), at(1, op=qt.destroy(4))
    H = x[0] * at(0, op=qt.sigmaz()) + x[1] * a.dag() * a + x[6] * (lower.dag() * a + a.dag() * lower) + x[7] * at(0, op=qt.sigmay())
    H += x[8] * (a + a.dag()) - 1j * x[2] * (a - a.dag())
    return H, {"left": thermal(lower, x[14], x[12]), "right": thermal(a, x[15], x[13])}


DEVICES = {f.__name__: f for f in (spins, oscillators, rotor, fermions, levels, driven)}
ORACLES = {name: globals()[name + "_oracle"] for name in DEVICES}
