"""Quantum thermophoresis in its smallest form: two places of different temperature, joined by way of a third state.

Matos, Werlang, Valente, "Quantum thermophoresis", arXiv:2404.12346. Equation numbers are the paper's. Correction to the
printed text: above Eq. (11), <X'> = -Gamma n <X'> should be <X''> = -Gamma n <X'>.
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from ...baths.occupation import bose
from ...baths.reservoir import BosonicBath
from ...equations.lindblad.equation import Lindblad
from ...equations.lindblad.secular import secular
from ...equations.rates.equation import Rates, thermal_transitions
from ...equations.rates.evolve import checked_populations
from ...operators.space import Levels, Space
from ...operators.structure import structured
from ..base import Model, compile_method, merit, parameter, shared


class _ThreeLevel(Model):
    """States 1 and 2 at -d/2 and d/2, each joined to the apex by a bath of its own. Populations are ordered 1, 2, apex."""

    omega1: float = parameter(1.0, unit="energy", text="energy between state 1 and the apex", low=0, open=True)
    omega2: float = parameter(1.0, unit="energy", text="energy between state 2 and the apex", low=0, open=True)
    T1: float = parameter(2.0, unit="energy", text="temperature of the bath of state 1", low=0, open=True)
    T2: float = parameter(1.0, unit="energy", text="temperature of the bath of state 2", low=0, open=True)
    rate: float = parameter(1.0, unit="rate", text="spontaneous emission rate Gamma", low=0, open=True)
    distance: float = parameter(1.0, unit="length", text="distance d between states 1 and 2", low=0, open=True)

    # Where the apex lies: +1 above the two states (Lambda), -1 below them (V).
    apex: ClassVar[int] = 1

    @shared
    def occupations(self):
        """The Bose factors n1, n2 of the two transitions [1]."""
        return bose(self.omega1 / self.T1), bose(self.omega2 / self.T2)

    def baths(self):
        """The two baths, each with the constant spectral density Gamma."""
        return BosonicBath(1 / self.T1, self.rate), BosonicBath(1 / self.T2, self.rate)

    @structured
    def generator(self) -> Lindblad:
        """The master equation, Eqs. (4) and (5), baths "1" and "2"."""
        atom = Space(atom=Levels("1", "2", "apex")).atom
        H = -self.apex * (self.omega1 * atom.projector("1") + self.omega2 * atom.projector("2"))
        couplings = {k: atom.transition(k, "apex") for k in ("1", "2")}
        return secular(H, {k: (A + A.dag, bath) for (k, A), bath in zip(couplings.items(), self.baths(), strict=True)})

    @compile_method
    def rates(self) -> Rates:
        """The rate equation, Eq. (6), baths "1" and "2"."""
        omega = (self.omega1, self.omega2)
        ends = [(k, 2) if self.apex > 0 else (2, k) for k in (0, 1)]
        jumps = {str(k + 1): thermal_transitions(*ends[k], omega[k], self.baths()[k]) for k in (0, 1)}
        return Rates(-self.apex * jnp.stack([*map(jnp.asarray, omega), jnp.zeros(())]), jumps)

    @merit(symbol="P_n", unit="1", source="Eq. (6)")
    def populations(self):
        """Stationary populations (3,) of the states 1, 2 and the apex."""
        return self._steady()

    @shared
    def _steady(self):
        return self.rates().steady_state()

    @merit(symbol=r"\Delta_{ss}", unit="1", source="Eqs. (7), (8)")
    def imbalance(self):
        """P_2 - P_1 in the stationary state."""
        p = self._steady()
        return p[1] - p[0]

    @merit(symbol=r"\langle X \rangle", unit="length", source="Eq. (9)")
    def mean_position(self):
        """(d/2)(P_2 - P_1) in the stationary state."""
        return self.distance / 2 * self.imbalance()

    @merit(symbol="m^*", unit="1", source="Eq. (2)")
    def effective_mass(self):
        """m = 1/(2(n1 + n2) + 2) of the oscillator equation."""
        n1, n2 = self.occupations()
        return 1 / (2 * (n1 + n2) + 2)

    @merit(symbol=r"\Omega", unit="rate", source="Eqs. (10), (13)")
    def frequency(self):
        """Omega of the oscillator equation m X'' + Gamma X' + m Omega^2 X = F, which is always overdamped."""
        return self.rate * jnp.sqrt(self._stiffness())

    def _stiffness(self):
        """(Omega/Gamma)^2, as a sum of positive terms [1]."""
        n1, n2 = self.occupations()
        return 3 * n1 * n2 + n1 + n2 if self.apex > 0 else 3 * n1 * n2 + 2 * (n1 + n2) + 1

    @merit(symbol="F_q", unit="rate^2 length", source="Eqs. (2), (14)")
    def force(self):
        """The thermophoretic force -+(n2 - n1) m Gamma^2 d/2, to the cold for a Lambda and to the hot for a V system."""
        n1, n2 = self.occupations()
        return -self.apex * (n2 - n1) / 2 * self.effective_mass() * self.rate**2 * self.distance

    @merit(symbol=r"F_q^{(\mathrm{high\,T})}", unit="rate^2 length", source="Eq. (3)")
    def force_high_temperature(self):
        """-+(T'/T)(Gamma d)^2/6, the limit of `force_overdamped` for small gradients; 4/3 of that of `force`."""
        slope, mean = (self.T2 - self.T1) / self.distance, (self.T1 + self.T2) / 2
        return -self.apex * slope / mean * (self.rate * self.distance) ** 2 / 6

    @merit(symbol=r"F_q^{(11)}", unit="rate^2 length", source="Eq. (11), right-hand side")
    def force_overdamped(self):
        """-+(n2 - n1)/(3 n) Gamma^2 d/2, n = (n1 + n2)/2, of the overdamped equation at high temperature."""
        n1, n2 = self.occupations()
        return -self.apex * (n2 - n1) / (3 * (n1 + n2)) * self.rate**2 * self.distance

    @merit(symbol="J_1", unit="energy rate", source="Sec. on the Dufour effect, sign reversed")
    def heat_current_1(self):
        """Heat per time from the first bath into the system: zero, as each bath's transition balances by itself."""
        return self._heat()["1"]

    @merit(symbol="J_2", unit="energy rate", source="Sec. on the Dufour effect, sign reversed")
    def heat_current_2(self):
        """Heat per time from the second bath into the system: zero, as each bath's transition balances by itself."""
        return self._heat()["2"]

    def _heat(self):
        return self.rates().heat_currents(self._steady())

    @merit(symbol=r"\lambda_s", unit="rate", source="Eqs. (10), (13), roots")
    def slow_rate(self):
        """The smaller of the two decay rates."""
        return self.rate**2 * self._stiffness() / self.fast_rate()

    @merit(symbol=r"\lambda_f", unit="rate", source="Eqs. (10), (13), roots")
    def fast_rate(self):
        """The larger of the two decay rates."""
        n1, n2 = self.occupations()
        mean, half = (n1 + n2) / 2, 1 if self.apex > 0 else 0
        return self.rate * (2 * mean + 1 + jnp.sqrt((mean + half) ** 2 + 3 / 4 * (n2 - n1) ** 2))

    def evolution(self, times, initial):
        """The populations (k, 3) at `times` (k,) [1/rate], from the populations `initial` (3,)."""
        return self.rates().evolve(initial, times)

    def position_trace(self, times, initial):
        """<X>(t) (k,) at `times` (k,) [1/rate], from the populations `initial` (3,) of 1, 2, apex [length]; Eqs. (10), (13)."""
        p = self.evolution(times, initial)
        return self.distance / 2 * (p[:, 1] - p[:, 0])

    def dufour_currents(self, populations):
        """The heat that flows from the two baths INTO the system (2,) at given populations (3,): minus the paper's J_k."""
        return jnp.stack(list(self.rates().heat_currents(checked_populations(populations, 3, "populations")).values()))


class LambdaSystem(_ThreeLevel):
    """A particle with two ground states and one excited state between them: it collects at the colder one.

    Example:
        >>> import qdiff as qd
        >>> device = qd.models.LambdaSystem(T1=2.0, T2=1.0)
        >>> f"{device.imbalance():.12f}", f"{device.force():.12f}"
        ('0.199284505337', '0.076798971430')
    """


class VSystem(_ThreeLevel):
    """A particle with two excited states and one ground state below them: it collects at the hotter one.

    Example:
        >>> import qdiff as qd
        >>> f"{qd.models.VSystem(T1=2.0, T2=1.0).imbalance():.12f}"
        '-0.120872162493'
    """

    apex: ClassVar[int] = -1
