"""Currents of any operator, against dense algebra."""

import numpy as np
from helpers import close

import qdiff as qd
from qdiff.thermo.counting_charges import carried


def driven():
    space = qd.Space(a=qd.Spin(), b=qd.Spin())
    H = 0.5 * space.a.z + 0.8 * space.b.z + 0.3 * space.a.x + 0.2 * (space.a.plus @ space.b.minus + space.a.minus @ space.b.plus)
    hot = qd.thermal_jumps(space.a.minus, 1.0, qd.BosonicBath(0.3, 0.2))
    cold = qd.thermal_jumps(space.b.minus, 1.6, qd.BosonicBath(2.0, 0.1))
    return space, qd.Lindblad(H, {"hot": hot, "cold": cold})


def moved(generator, bath, rho):
    """What a bath does to a state."""
    out = np.zeros_like(rho)
    for jump in generator.jumps[bath]:
        A = np.asarray(jump.operator.dense())
        N = A.conj().T @ A
        out = out + float(jump.rate) * (A @ rho @ A.conj().T - (N @ rho + rho @ N) / 2)
    return out


def test_currents_of_operators():
    """Hermitian or not, bath by bath; heat and work of a ledger are the currents of the two parts of H."""
    space, generator = driven()
    state = qd.steady_state(generator)
    rho = np.asarray(state.rho.dense())
    for op in (space.a.z, space.a.minus, (1 + 2j) * space.b.plus + space.a.x, 1j * space.a.minus):
        for bath in generator.jumps:
            want = np.trace(np.asarray(op.dense()) @ moved(generator, bath, rho))
            close(qd.current(state, op, bath), want if abs(want.imag) > 1e-12 else want.real, 1e-12, 1.0)
    H0 = 0.5 * space.a.z + 0.8 * space.b.z
    flows = qd.ledger(state, H0)
    for bath in generator.jumps:
        close(flows.heat[bath], np.trace(np.asarray(H0.dense()) @ moved(generator, bath, rho)).real, 1e-13, 1.0)
        close(flows.work[bath], np.trace(np.asarray((generator.H - H0).dense()) @ moved(generator, bath, rho)).real, 1e-13, 1.0)
    assert abs(float(flows.imbalance)) < 1e-13 and abs(float(flows.heat["hot"])) > 1e-3


def test_what_a_bath_can_carry():
    """Energy, quanta and a charge of thermal jumps, one number for each jump."""
    space, generator = driven()
    close(carried(generator, "hot"), np.array([-1.0, 1.0]), 1e-14)
    close(carried(generator, "cold", "quanta"), np.array([-1.0, 1.0]), 1e-14)
    close(carried(generator, "cold", 0.5 * space.a.z + 0.8 * space.b.z), np.array([-1.6, 1.6]), 1e-14)
    close(carried(generator, "cold", [0.25, 4.0]), np.array([0.25, 4.0]), 1e-14)


def test_what_a_lead_carries():
    """One electron and its energy with each jump, either way."""
    dot = qd.Space(dot=qd.Fermions("c")).dot
    generator = qd.Lindblad(0.5 * dot.n, {"lead": qd.lead_jumps(dot.c, 0.5, qd.FermionicLead(2.0, 0.1, 0.3))})
    close(carried(generator, "lead", "quanta"), np.array([-1.0, 1.0]), 1e-15)
    close(carried(generator, "lead"), np.array([-0.5, 0.5]), 1e-15)
    close(carried(generator, "lead", dot.n), np.array([-1.0, 1.0]), 1e-15)
