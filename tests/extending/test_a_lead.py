"""A lead of one's own: one that has a band, and no states outside of it."""

import jax.numpy as jnp
import pytest
from helpers import close
from jax.typing import ArrayLike

import qdiff as qd
from qdiff.operators.checks import Real, real_array

DOT = qd.Space(dot=qd.Fermions("c")).dot


class BandLead(qd.baths.AbstractLead):
    """Electrons at zero temperature and chemical potential mu, in a band of semielliptic density between -1 and 1."""

    mu: ArrayLike
    rate: ArrayLike
    arguments = {"mu": Real("mu"), "rate": Real("rate", low=0)}

    def _density(self, energy):
        energy = real_array("energy", energy)
        return self.rate * jnp.sqrt(jnp.maximum(1 - energy**2, 0.0)), energy < self.mu

    def into(self, energy, spin=0):
        density, filled = self._density(energy)
        return density * filled

    def out_of(self, energy, spin=0):
        density, filled = self._density(energy)
        return density * ~filled


def test_a_level_between_two_leads():
    """From a filled band into an empty one: the current is Gamma_L Gamma_R/(Gamma_L + Gamma_R), Gamma ~ sqrt(1 - e^2)."""
    e = 0.6
    jumps = {"left": qd.lead_jumps(DOT.c, e, BandLead(0.9, 1.0)), "right": qd.lead_jumps(DOT.c, e, BandLead(-0.9, 0.5))}
    generator = qd.Lindblad(e * DOT.n, jumps)
    state = qd.steady_state(generator)
    close(qd.current(state, DOT.n, "left"), 0.8 * 0.4 / 1.2, 1e-13)
    close(qd.heat_current(state, "left"), e * 0.8 * 0.4 / 1.2, 1e-13)


def test_what_is_no_lead_is_refused():
    with pytest.raises(TypeError, match=r"lead must be a lead such as FermionicLead\(beta, mu, rate\), but was 0.1"):
        qd.lead_jumps(DOT.c, 0.6, 0.1)
