"""Fermionic leads: detailed balance, filling, spin potential, rates given directly."""

import jax
import numpy as np
import pytest
from helpers import close

import qdiff as qd


@pytest.mark.parametrize("energy", [-400.0, -3.0, 0.2, 5.0, 30.0, 400.0])
def test_detailed_balance(energy):
    """into/out_of = e^{-beta (eps - mu - sigma m)}, and they add up to Gamma, to rounding far above the Fermi edge too."""
    lead = qd.FermionicLead(beta=1.7, mu=0.2, rate=0.3, spin_potential=0.5)
    for spin in (1, -1, 0):
        x = 1.7 * (energy - 0.2 - 0.5 * spin)
        close(lead.into(energy, spin) + lead.out_of(energy, spin), 0.3, 1e-15)
        if abs(x) < 700:
            close(np.log(lead.into(energy, spin)) - np.log(lead.out_of(energy, spin)), -x, 1e-13, max(abs(x), 1.0))
    slope = jax.grad(lambda e: lead.into(e))(energy)
    f = lead.into(energy) / 0.3
    close(slope, -1.7 * 0.3 * f * (1 - f), 1e-12, 1e-300 + abs(float(slope)))


def test_a_spin_potential_fills_spins_differently():
    """One dot with two spins at one lead: each spin is filled by the Fermi factor of its own potential."""
    dot = qd.Space(dot=qd.Fermions("up", "down")).dot
    lead = qd.FermionicLead(2.0, 0.1, 0.3, spin_potential=0.4)
    jumps = {"lead": [*qd.lead_jumps(dot.up, 0.5, lead, 1), *qd.lead_jumps(dot.down, 0.5, lead, -1)]}
    state = qd.steady_state(qd.Lindblad(0.5 * dot.n, jumps))
    close(state.expect(dot.n_up), 1 / (np.exp(2 * (0.5 - 0.1 - 0.4)) + 1), 1e-14)
    close(state.expect(dot.n_down), 1 / (np.exp(2 * (0.5 - 0.1 + 0.4)) + 1), 1e-14)


def test_rates_given_directly():
    lead = qd.baths.GivenLead(into=0.2, out_of=0.6)
    assert (lead.into(3.0), lead.out_of(3.0)) == (0.2, 0.6)
    dot = qd.Space(dot=qd.Fermions("c")).dot
    close(qd.steady_state(qd.Lindblad(dot.n, {"lead": qd.lead_jumps(dot.c, 1.0, lead)})).expect(dot.n), 0.25, 1e-15)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: qd.FermionicLead(-1.0), "beta must be a finite number of at least 0, but was -1"),
        (lambda: qd.FermionicLead(1.0, 0.0, -0.1), "rate must be a finite number of at least 0, but was -0.1"),
        (lambda: qd.baths.GivenLead(-0.1, 0.1), "into must be a finite number of at least 0, but was -0.1"),
        (lambda: qd.FermionicLead(1.0).into(0.3, 2), "spin must be 1"),
    ],
)
def test_wrong_use_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()
