"""Quantum thermophoresis: a particle on a chain of sites at different temperatures, by jumps through its baths.

Matos, Werlang, Valente, "Quantum thermophoresis", arXiv:2404.12346. Equation numbers are the paper's. `three_levels`
has the same in its smallest form.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...baths.reservoir import BosonicBath
from ...baths.spectrum import Ohmic
from ...equations.lindblad.equation import Lindblad
from ...equations.lindblad.jumps import thermal_jumps
from ...equations.lindblad.secular import secular
from ...equations.rates import open_chain
from ...equations.rates.bipartite import Dense, Exchange, StandingWaves
from ...equations.rates.bipartite_steady import exchange_populations
from ...equations.rates.equation import Rates
from ...equations.rates.evolve import checked_populations
from ...equations.rates.gap import slowest_decay
from ...equations.rates.separable import separable_rates
from ...generator import evolve
from ...operators.checks import checked_times
from ...operators.operator import Operator
from ...operators.pattern import diagonal
from ...operators.space import Levels, Space
from ...operators.structure import structured
from ...results import Failure, check
from ..base import Model, compile_method, merit, parameter, setting, shared


class LatticePopulations(eqx.Module):
    """Where the particle is, at one time or (k, ...) at several.

    Attributes:
        ground_populations: of the sites' ground states (sites,). level_populations: of the excited levels (sites,), in
            the order of `level_energies`. site_populations: of each site, its ground and excited state together (sites,).
    """

    ground_populations: jax.Array
    level_populations: jax.Array
    site_populations: jax.Array

    @property
    def mean_site(self):
        """<k>, the sites numbered from 1."""
        return self.site_populations @ np.arange(1.0, self.site_populations.shape[-1] + 1)


_NO_HOPPING = Failure("g must not be 0: without hopping the sites are separate, and each has a stationary state of its own")
_NO_TEMPERATURE = Failure("temperatures must be above 0")
_UNRESOLVED = Failure(
    "the rates of more than 256 sites are not resolved: the highest temperature must be within a factor of 100 of the lowest"
)

# Up to this size sites are eliminated as a matrix, every population to relative rounding; beyond it they are swept.
_DENSE = 256
# A local equation has about sites^2/2 coherences to follow in time.
_LOCAL = 32


class ThermophoreticLattice(Model):
    """A particle on a chain of two-level sites, each with a bath of its own; excited states hop with amplitude g.

    Sites k = 1 .. N run from the left (hot, T_left) to the right (cold, T_right), in equal steps of temperature or as
    `temperatures` (N,) says instead. Levels m = 1 .. N have E_m = h + 2 g cos(pi m/(N+1)) above the ground states. The
    steady state does not depend on `rate`.

    With a flat spectrum, rates diverge where a level crosses the ground states (E_m = 0). Populations stay continuous
    and have a kink: derivatives at a crossing are those on the side E_m > 0, and `warnings` says between which crossings
    the parameters lie. Derivatives of `relaxation_gap` and `evolution` lose digits next to one, about 1e-16 (h/E_m)^2.
    The secular equation itself holds where |E_m| is well above sqrt(rate T).

    The local master equation has jumps at the bare energy h. Its steady state does not depend on g or the rate.

    Accuracy: populations to 1e-13 of themselves; beyond 256 sites to 1e-13 of the largest where the temperatures are
    within a factor of 20 of each other, 1e-10 within a factor of 100, beyond which it is refused.

    Example:
        >>> import qdiff as qd
        >>> device = qd.models.ThermophoreticLattice(g=1.3)
        >>> f"{device.thermophoresis():.10f}"
        '0.0889653916'
        >>> int(device.site_populations().argmax()) + 1
        3
    """

    h: float = parameter(1.0, unit="energy", text="energy of an excited site", low=0, open=True)
    g: float = parameter(0.5, unit="energy", text="hopping between excited sites; not 0, its sign does not matter", search=(0.05, 3.4))
    T_left: Any = parameter(0.8, unit="energy", text="temperature at site 1", low=0, open=True, search=(0.4, 4), optional=True)
    T_right: Any = parameter(0.4, unit="energy", text="temperature at the last site", low=0, open=True, optional=True)
    rate: float = parameter(1.0, unit="rate", text="Gamma, or the Ohmic strength", low=0, open=True)
    temperatures: Any = parameter(
        None,
        unit="energy",
        text="of each site, instead of T_left and T_right",
        low=0,
        open=True,
        array="profile",
        instead_of=("T_left", "T_right"),
    )
    sites: int = setting(10, text="number of sites", low=2)
    spectrum: str = setting("flat", text="spectral density of the baths", choices=("flat", "ohmic"))
    master_equation: str = setting("global", text="jumps between eigenstates or within sites", choices=("global", "local"))

    warns: ClassVar[bool] = False

    def __check_init__(self):
        Model.__check_init__(self)
        if self.temperatures is not None and np.shape(self.temperatures) != (self.sites,):
            raise ValueError(f"temperatures must be one for each site, shape ({self.sites},), but has shape {np.shape(self.temperatures)}")
        if not isinstance(self.g, Tracer) and float(self.g) == 0:
            raise ValueError(f"g must not be 0: without hopping the sites are separate, and there are {self.sites} stationary states")

    # ---- what there is ----------------------------------------------------------------------------------

    def profile(self):
        """The temperature of each site (sites,) [energy]."""
        if self.temperatures is not None:
            return jnp.asarray(self.temperatures)
        s = jnp.asarray(np.arange(self.sites) / (self.sites - 1))
        return self.T_left * (1 - s) + self.T_right * s

    @merit(symbol="E_m", unit="energy", source="Sec. on the N-site model")
    def level_energies(self):
        """Energies (sites,) of the excited levels above the ground states, E_m = h + 2 g cos(pi m/(N+1)), m = 1 .. N."""
        return self.h + 2 * self.g * jnp.asarray(open_chain.cosines(self.sites))

    @structured
    def generator(self) -> Lindblad:
        """The whole master equation, Eqs. (4) and (5), baths "site 1" and so on: for small lattices, as a check."""
        N, T = self.sites, self.profile()
        lattice = Space(lattice=Levels(*(f"g{k + 1}" for k in range(N)), *(f"e{k + 1}" for k in range(N)))).lattice
        excited = reduce(add, (lattice.projector(f"e{k}") for k in range(1, N + 1)))
        hops = reduce(add, (lattice.transition(f"e{k}", f"e{k + 1}") for k in range(1, N)))
        H = self.h * excited + self.g * (hops + hops.dag)
        lower = {f"site {k}": lattice.transition(f"g{k}", f"e{k}") for k in range(1, N + 1)}
        baths = [self._bath(T[k]) for k in range(N)]
        if self.master_equation == "local":
            return Lindblad(H, {k: thermal_jumps(A, self.h, b) for (k, A), b in zip(lower.items(), baths, strict=True)})
        return secular(H, {k: (A + A.dag, b) for (k, A), b in zip(lower.items(), baths, strict=True)})

    def _bath(self, T) -> BosonicBath:
        """The bath at temperature T, or several of them."""
        return BosonicBath(1 / T, self.rate if self.spectrum == "flat" else Ohmic(self.rate))

    def exchange(self, T=None) -> Exchange:
        """The global equation for the populations of ground states and levels: exact, whatever the state.

        A flat density is an Ohmic one sped up by 1/|E_m|, at every site alike.
        """
        E, T = self.level_energies(), self.profile() if T is None else T
        if self.sites <= _DENSE:
            bath, w = BosonicBath(1 / T, Ohmic(self.rate)), open_chain.shares(self.sites)
            up, down = Dense(jnp.asarray(w * bath.absorption(E[:, None]))), Dense(jnp.asarray(w * bath.emission(E[:, None])))
        else:
            left_down, left_up, right, scale, error = separable_rates(E, T)
            scale = check(scale, (error > 1e-9, _UNRESOLVED))
            up, down = StandingWaves(self.rate * left_up, right * scale), StandingWaves(self.rate * left_down, right)
        if self.spectrum == "ohmic":
            return Exchange(up, down, jnp.ones_like(E), E, E)
        # The side E > 0 is where derivatives are taken at E = 0.
        return Exchange(up, down, jnp.where(E >= 0, E, -E), E, jnp.where(E >= 0, 1.0, -1.0))

    @compile_method
    def rates(self) -> Rates:
        """The global equation as a rate equation of 2N states: ground states 1 .. N, then levels 1 .. N."""
        if self.master_equation == "local":
            raise ValueError('master_equation must be "global" for a rate equation, but was "local", which has coherences')
        self._small("a rate equation stored as a matrix", _DENSE)
        return self.exchange().rates()

    # ---- where the particle goes ------------------------------------------------------------------------

    @shared
    def steady(self) -> LatticePopulations:
        """The stationary populations."""
        T = self.profile()
        T = check(T, (jnp.asarray(self.g) == 0, _NO_HOPPING), (jnp.any(T <= 0), _NO_TEMPERATURE))
        if self.master_equation == "local":
            # What each site's bath balances by itself: p_g/p_e = e^{h/T}, the excited block a multiple of the identity.
            x = self.h / T
            weight = jnp.exp(x - jnp.max(x))
            one = jnp.full(self.sites, jnp.exp(-jnp.max(x)))
            total = jnp.sum(weight) + jnp.sum(one)
            return LatticePopulations(weight / total, one / total, (weight + one) / total)
        return self._with_sites(*exchange_populations(self.exchange(T)))

    def _with_sites(self, ground, level):
        """The populations with those of the sites, P_k = p_gk + sum_m w_mk p_m."""
        if self.sites <= _DENSE:
            return LatticePopulations(ground, level, ground + level @ open_chain.shares(self.sites))
        return LatticePopulations(ground, level, ground + open_chain.mix(level))

    @merit(symbol=r"\langle k \rangle", unit="1", source="Fig. 2")
    def mean_site(self):
        """Mean site sum_k k P_k, numbered from 1."""
        return self.steady().mean_site

    @merit(symbol="S", unit="1", source="Fig. 2")
    def thermophoresis(self):
        """(N + 1)/2 - <k>: positive towards the hot end, which is negative thermophoresis."""
        # From the middle, so that nothing of order N cancels.
        offset = np.arange(self.sites) - (self.sites - 1) / 2
        return -self.steady().site_populations @ offset

    @merit(symbol=r"\lambda_1", unit="rate", source="slowest decay of Eq. (4)")
    def relaxation_gap(self):
        """The slowest decay rate of the populations (up to 256 sites), or of the local equation (up to 32)."""
        if self.master_equation == "local":
            self._small("the relaxation gap of the local equation", _LOCAL)
            return slowest_decay(self.generator())
        self._small("the relaxation gap", _DENSE)
        return self.rates().relax()

    @merit(symbol="P_k", unit="1", source="Fig. 2")
    def site_populations(self):
        """Populations (sites,) of the sites, ground and excited states together."""
        return self.steady().site_populations

    @merit(symbol="p_{g_k}", unit="1", source="Sec. on the N-site model")
    def ground_populations(self):
        """Populations (sites,) of the sites' ground states."""
        return self.steady().ground_populations

    @merit(symbol="p_m", unit="1", source="Sec. on the N-site model")
    def level_populations(self):
        """Populations (sites,) of the excited levels, in the order of level_energies."""
        return self.steady().level_populations

    @merit(symbol="-J_k", unit="energy rate", source="Sec. on the Dufour effect, sign reversed")
    def heat_currents(self):
        """Heat per time (sites,) from each site's bath into the system."""
        state = self.steady()
        return self._heat(state.ground_populations, state.level_populations)

    def _heat(self, ground, excited):
        if self.master_equation == "local":
            bath = self._bath(self.profile())
            return self.h * (bath.absorption(self.h) * ground - bath.emission(self.h) * excited)
        return self.exchange().heat_currents(ground, excited)

    def dufour_currents(self, populations):
        """The heat that flows from each site's bath INTO the system (sites,) at given populations: the Dufour effect.

        Args:
            populations: (2 sites,), of the ground states and then of the levels (of the excited sites, for the local
                equation) [1].
        """
        p = checked_populations(populations, 2 * self.sites, "populations")
        return self._heat(p[: self.sites], p[self.sites :])

    def evolution(self, times, initial) -> LatticePopulations:
        """The populations at `times` (k,) [1/rate], from those at time zero, without coherences between them.

        Args:
            times: from zero up. initial: (2 sites,), of the ground states and then of the levels (of the excited sites,
                for the local equation) [1].

        Returns:
            `LatticePopulations` with a first axis (k,). Up to 256 sites, or 32 for the local equation.

        The populations of ground states and levels are exact for every initial state with these populations; those of
        the sites also have a decaying part of the coherences between levels, which are taken to be zero at the start.
        """
        N = self.sites
        initial = checked_populations(initial, 2 * N, "initial")
        if self.master_equation == "global":
            p = self.rates().evolve(initial, times)
            return jax.vmap(self._with_sites)(p[:, :N], p[:, N:])
        self._small("the evolution of the local equation", _LOCAL)
        times = checked_times(times)
        order = jnp.argsort(times)
        run = evolve(self.generator(), Operator(diagonal(2 * N), initial), times[order])
        rho = run.map(lambda state: state.dense())[jnp.argsort(order)]
        waves = jnp.sqrt(open_chain.shares(N)) * _signs(N)
        levels = jnp.einsum("mk,tkl,ml->tm", waves, jnp.real(rho[:, N:, N:]), waves)
        sites = jnp.real(jnp.diagonal(rho, axis1=1, axis2=2))
        return LatticePopulations(sites[:, :N], levels, sites[:, :N] + sites[:, N:])

    def _small(self, what: str, limit: int):
        if self.sites > limit:
            raise ValueError(f"sites must be at most {limit} for {what}, but was {self.sites}; name the merits that you need instead")

    # ---- how far to trust it ----------------------------------------------------------------------------

    @compile_method
    def diagnostics(self) -> dict:
        """How close a level is to the ground states, and how well populations and heat are balanced."""
        out = {"smallest_level_distance": jnp.min(jnp.abs(self.level_energies()))}
        if self.master_equation == "global":
            state, exchange = self.steady(), self.exchange()
            out["imbalance"] = exchange.imbalance(state.ground_populations, state.level_populations)
            out["first_law_residual"] = jnp.sum(self.heat_currents())
            if self.sites > _DENSE:
                out["interpolation_error"] = separable_rates(self.level_energies(), self.profile())[-1]
        return out

    def crossings(self) -> np.ndarray:
        """The |g| at which a level crosses the ground states, ascending [energy]."""
        c = np.abs(open_chain.cosines(self.sites))
        return np.unique(float(self.h) / (2 * c[c > 0]))

    def warnings(self, numbers: dict) -> dict:
        """Between which level crossings the parameters lie, if they have any effect, and which derivatives exist there."""
        if self.spectrum != "flat" or self.master_equation != "global":
            return {}
        g, at = abs(float(self.g)), self.crossings()
        E = float(self.h) + 2 * float(self.g) * open_chain.cosines(self.sites)
        m = int(np.argmin(np.abs(E)))
        k = int(np.sum(at <= g))
        bounds = [float(at[k - 1]) if k else 0.0, float(at[k]) if k < at.size else float("inf")]
        close = abs(E[m]) < 1e-9 * np.abs(E).max()
        side = f"one-sided, for E_{m + 1} > 0: level {m + 1} crosses the ground states here" if close else "two-sided"
        return {"g_interval": bounds, "levels_below_ground": int(np.sum(E < 0)), "derivatives": side}


def _signs(N: int) -> np.ndarray:
    """The signs of sin(pi m k/(N+1))."""
    k = np.arange(1, N + 1)
    return np.where(np.outer(k, k) % (2 * (N + 1)) <= N + 1, 1.0, -1.0)
