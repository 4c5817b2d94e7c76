"""Fermionic leads: the rates at which electrons enter a mode and leave it."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from ..operators.checks import Checked, Real, kind_of, real_array
from .occupation import fermi


class AbstractLead(Checked):
    """A reservoir of electrons: rates in and out at every energy and spin; `FermionicLead` and `GivenLead` are two."""

    @abc.abstractmethod
    def into(self, energy, spin=0) -> Any:
        """The rate at which an electron enters an empty mode [rate], any shape of energy [energy]."""

    @abc.abstractmethod
    def out_of(self, energy, spin=0) -> Any:
        """The rate at which an electron leaves a filled mode [rate], any shape of energy [energy]."""


class FermionicLead(AbstractLead):
    """Free electrons of two spins, that tunnel into and out of localized modes.

    For a mode of energy epsilon and spin sigma = +1 (up), -1 (down) or 0,

        into(epsilon, sigma)   = Gamma f,      out_of(epsilon, sigma) = Gamma (1 - f),
        f = 1/(e^{beta (epsilon - mu - sigma m)} + 1),

    with the spin potential m, half the difference of the chemical potentials of the two spins. Their ratio is
    e^{-beta (epsilon - mu - sigma m)} exactly; both are non-negative.

    Args:
        beta: inverse temperature, not negative; 0 fills every mode by half [1/energy].
        mu: chemical potential [energy].
        rate: the tunnelling rate Gamma, not negative [rate].
        spin_potential: m [energy].

    Raises:
        TypeError, ValueError: one of them is no such number. Traced, it makes rates that are NaN, which every solver refuses
            with this reason.

    Differentiable in everything, also where e^{beta epsilon} would overflow.

    Example:
        >>> import qdiff as qd
        >>> lead = qd.FermionicLead(beta=2.0, mu=0.5, rate=0.1)
        >>> float(lead.into(0.5)), f"{lead.into(3.0) / lead.out_of(3.0):.12f}"  # e^-5
        (0.05, '0.006737946999')
    """

    beta: ArrayLike
    mu: ArrayLike
    rate: ArrayLike
    spin_potential: ArrayLike
    arguments = {
        "beta": Real("beta", low=0),
        "mu": Real("mu"),
        "rate": Real("rate", low=0),
        "spin_potential": Real("spin_potential"),
    }

    def __init__(self, beta, mu=0.0, rate=1.0, spin_potential=0.0):
        self.beta, self.mu, self.rate, self.spin_potential = beta, mu, rate, spin_potential

    def into(self, energy, spin=0):
        """Rate at which an electron enters an empty mode [rate], any shape of energy [energy]."""
        return self.rate * fermi(self._bias(energy, spin))

    def out_of(self, energy, spin=0):
        """Rate at which an electron leaves a filled mode [rate], any shape of energy [energy]."""
        return self.rate * fermi(-self._bias(energy, spin))

    def _bias(self, energy, spin):
        if kind_of(spin) not in "iu" or np.ndim(spin) or spin not in (-1, 0, 1):
            raise ValueError(f"spin must be 1 (up), -1 (down) or 0, but was {spin!r}")
        return self.beta * (real_array("energy", energy) - self.mu - spin * self.spin_potential)


class GivenLead(AbstractLead):
    """A lead whose rates are given directly, the same for every mode: `into` and `out_of`, not negative [rate].

    Raises:
        TypeError, ValueError: one of them is no such number. Traced, it makes rates that are NaN, which every solver refuses
            with this reason.
    """

    into_rate: ArrayLike
    out_rate: ArrayLike
    arguments = {"into_rate": Real("into", low=0), "out_rate": Real("out_of", low=0)}

    def __init__(self, into, out_of):
        self.into_rate, self.out_rate = into, out_of

    def into(self, energy=0.0, spin=0):
        """Rate at which an electron enters an empty mode [rate]."""
        return self.into_rate

    def out_of(self, energy=0.0, spin=0):
        """Rate at which an electron leaves a filled mode [rate]."""
        return self.out_rate
