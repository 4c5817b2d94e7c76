"""Two qubits that drive a quantum rotor: engine, refrigerator and heat rectifier.

Leitch, Hammam, De Chiara, "Thermodynamics of hybrid quantum rotor devices" (2024). Equation numbers are the
paper's. Where the printed text leaves something open: the inertia is a parameter (default 1), the cutoff is a
fixed number (default 20, twice the larger field), Lamb shifts are omitted as in Eq. (A15).
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...baths.reservoir import BosonicBath
from ...baths.spectrum import Flat, Ohmic
from ...equations.lindblad.equation import Lindblad
from ...equations.lindblad.evolution import Evolution
from ...equations.lindblad.jumps import thermal_jumps
from ...equations.lindblad.secular import secular
from ...equations.lindblad.steady import State
from ...generator import evolve, steady_state
from ...operators.operator import Operator
from ...operators.pattern import diagonal
from ...operators.space import Rotor, Space, Spin
from ...operators.structure import structured
from ...thermo import engine, rectification
from ...thermo.counting import cumulants, fano_factor, uncertainty_ratio
from ...thermo.entropies import entropy_production
from ...thermo.flows import Ledger, current, currents, ledger
from ...thermo.gibbs_state import gibbs
from ...thermo.passive_states import ergotropy
from ..base import Model, compile_method, merit, parameter, setting, shared


class _RotorDevice(Model):
    """The system of Sec. II, H = H0 + HI, and the rotor's load, which both descriptions share."""

    warns: ClassVar[bool] = False

    B1: float = parameter(4.0, unit="energy", text="half the splitting of the cold qubit", low=0, open=True)
    B2: float = parameter(10.0, unit="energy", text="half the splitting of the hot qubit", low=0, open=True, search=(4.5, 14))
    lam: float = parameter(0.1, unit="energy", text="three-body coupling lambda", search=(0.02, 0.2))
    g: float = parameter(1.0, unit="sqrt(energy)", text="mean coupling to the baths; rates go as its square")
    chi: float = parameter(0.0, text="asymmetry of the couplings, g(1 -+ chi)", low=-1, high=1, search=(0, 0.98))
    inertia: float = parameter(1.0, unit="1/energy", text="moment of inertia I of the rotor", low=0, open=True)
    gamma: float = parameter(5e-5, unit="energy", text="friction rate of the load", low=0)
    beta1: float = parameter(0.1, unit="1/energy", text="inverse temperature of the cold bath", low=0, open=True)
    beta2: float = parameter(0.02, unit="1/energy", text="inverse temperature of the hot bath", low=0, open=True)
    beta_load: float = parameter(0.09, unit="1/energy", text="inverse temperature of the load", low=0, open=True)

    l_min: int = setting(-22, text="lowest angular momentum kept")
    l_max: int = setting(30, text="highest angular momentum kept")

    def __check_init__(self):
        if not self.l_min < self.l_max:
            raise ValueError(f"l_min must be below l_max, but l_min = {self.l_min} and l_max = {self.l_max}")

    @property
    def space(self) -> Space:
        return Space(cold=Spin(), hot=Spin(), wheel=Rotor(self.l_min, self.l_max))

    def uncoupled(self) -> Operator:
        """H0 = B1 sigma_1^z + B2 sigma_2^z + L^2/2I, Eq. (2) [energy]."""
        s = self.space
        return self.B1 * s.cold.z + self.B2 * s.hot.z + s.wheel.L2 / (2 * self.inertia)

    def interaction(self) -> Operator:
        """HI = lam (sigma_1^+ sigma_2^- e^{i phi} + h.c.), Eq. (3) [energy]."""
        s = self.space
        push = s.cold.plus @ s.hot.minus @ s.wheel.E
        return self.lam * (push + push.dag)

    def load(self):
        """The load of Eq. (17), its two operators recombined into one that pushes up and one that pushes down."""
        wheel, one = self.space.wheel, self.space.identity
        tilt = self.beta_load / (4 * self.inertia)
        rate = self.inertia * self.gamma / self.beta_load
        return [(rate, wheel.E @ (one - tilt * wheel.L)), (rate, wheel.E.dag @ (one + tilt * wheel.L))]

    def load_fixed_point(self) -> Operator:
        """ln of the load's stationary rotor state [1]: pi(l+1)/pi(l) = (1 - a l)^2 / (1 + a (l+1))^2, a = beta_load/4I."""
        low = np.arange(self.l_min, self.l_max)
        tilt = self.beta_load / (4 * self.inertia)
        steps = 2 * jnp.log(jnp.abs(1 - tilt * low)) - 2 * jnp.log(jnp.abs(1 + tilt * (low + 1)))
        log = jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)])
        levels = Operator(diagonal(self.space.wheel.factor.dim), log)
        return self.space.wheel.operator(levels)

    def couplings(self):
        """(g1^2, g2^2) with g_i = g (1 -+ chi), Eq. (15) [energy]."""
        return (self.g * (1 - self.chi)) ** 2, (self.g * (1 + self.chi)) ** 2


class Powers(eqx.Module):
    """The rotor's powers in time (k,) [energy^2].

    Attributes:
        kinetic: d/dt <L^2>/2I, Eq. (30), the sum of the intrinsic power and the back-action.
        intrinsic: its part from the Hamiltonian, the working medium's force on the rotor, Eq. (32).
        net: d/dt <L>^2/2I, the kinetic power of the directed motion, Eq. (34).
        back_action: the part of the kinetic power from the baths, Eq. (33).
    """

    kinetic: jax.Array
    intrinsic: jax.Array
    net: jax.Array
    back_action: jax.Array


class RotorEngine(_RotorDevice):
    """The collision model with its local master equation, Sec. II A: engine, accelerator, refrigerator.

    Example:
        >>> import qdiff as qd
        >>> device = qd.models.RotorEngine(beta2=0.01)
        >>> device.operating_mode()
        'engine'
        >>> f"{device.efficiency():.6f}"
        '0.156603'
    """

    @structured
    def generator(self) -> Lindblad:
        """The generator of Eq. (13), baths "cold", "hot" and "load"."""
        s, (g1, g2) = self.space, self.couplings()
        return Lindblad(
            self.uncoupled() + self.interaction(),
            {
                "cold": thermal_jumps(s.cold.minus, 2 * self.B1, BosonicBath(self.beta1, Flat(g1))),
                "hot": thermal_jumps(s.hot.minus, 2 * self.B2, BosonicBath(self.beta2, Flat(g2))),
                "load": self.load(),
            },
        )

    @shared
    def steady(self) -> State:
        """The stationary state."""
        return steady_state(self.generator())

    def start(self) -> Operator:
        """The state that Figs. 6 to 8 start from: the qubits each at its bath's temperature, the rotor in l = 0."""
        qubit = Space(qubit=Spin()).qubit
        cold, hot = gibbs(self.B1 * qubit.z, self.beta1), gibbs(self.B2 * qubit.z, self.beta2)
        return self.space.state(cold=cold, hot=hot, wheel=0)

    def evolution(self, times) -> Evolution:
        """The states at `times` (k,) [1/energy], from `start` at time zero."""
        return evolve(self.generator(), self.start(), times)

    @shared
    def ledger(self) -> Ledger:
        """Heat (through H0) and work (through HI) of every bath, Eqs. (18) to (26) [energy^2]."""
        return ledger(self.steady(), self.uncoupled())

    @merit(symbol=r"\dot Q_1", unit="energy^2", source="Eq. (19)")
    def heat_current_cold(self):
        """Heat per time from the cold bath into the qubits."""
        return self.ledger().heat["cold"]

    @merit(symbol=r"\dot Q_2", unit="energy^2", source="Eq. (19)")
    def heat_current_hot(self):
        """Heat per time from the hot bath into the qubits."""
        return self.ledger().heat["hot"]

    @merit(symbol=r"\dot Q_r", unit="energy^2", source="Eq. (21)")
    def heat_current_load(self):
        """Heat per time from the load into the rotor."""
        return self.ledger().heat["load"]

    @merit(symbol=r"\dot W^{(Q)}", unit="energy^2", source="Eq. (24)")
    def power_qubits(self):
        """Work per time done on the system by the collisions with the qubits; negative for an engine."""
        work = self.ledger().work
        return work["cold"] + work["hot"]

    @merit(symbol=r"\dot W^{(r)}", unit="energy^2", source="Eq. (26)")
    def power_load(self):
        """Work per time done on the system by the local load."""
        return self.ledger().work["load"]

    @merit(symbol=r"\eta", unit="1", source="Eq. (37)")
    def efficiency(self):
        """-power_qubits / heat_current_hot; an efficiency in engine mode only."""
        return engine.efficiency(self.heat_current_hot(), self.power_qubits())

    @merit(symbol=r"\mathrm{COP}", unit="1", source="Eq. (38)")
    def cop(self):
        """heat_current_cold / power_qubits; a coefficient of performance in refrigerator mode only."""
        return engine.cop(self.heat_current_cold(), self.power_qubits())

    @merit(symbol=r"\langle L_z \rangle", unit="1", source="Sec. II")
    def angular_momentum(self):
        """Mean angular momentum of the rotor."""
        return self.steady().expect(self.space.wheel.L)

    @merit(symbol=r"\mathcal{E}", unit="energy", source="Eq. (35)")
    def ergotropy(self):
        """Work that a unitary on the whole device can extract."""
        return ergotropy(self.steady().rho, self.uncoupled() + self.interaction())

    @merit(symbol=r"\mathcal{E}_Q", unit="energy", source="Eq. (35)")
    def ergotropy_qubits(self):
        """Work that a unitary on the two qubits can extract; a kink where two populations cross."""
        pair = self.space.keep("cold", "hot")
        return ergotropy(self.steady().reduced("cold", "hot"), self.B1 * pair.cold.z + self.B2 * pair.hot.z)

    @merit(symbol=r"\mathcal{E}_r", unit="energy", source="Eq. (35)")
    def ergotropy_rotor(self):
        """Work that a unitary on the rotor can extract."""
        wheel = self.space.keep("wheel").wheel
        return ergotropy(self.steady().reduced("wheel"), wheel.L2 / (2 * self.inertia))

    @merit(symbol=r"\sigma", unit="energy", source="Spohn's form, with the load's true fixed point")
    def entropy_production(self):
        """Entropy produced per time, by Spohn's formula."""
        s = self.space
        fixed = {
            "cold": (self.beta1, self.B1 * s.cold.z),
            "hot": (self.beta2, self.B2 * s.hot.z),
            "load": (-1.0, self.load_fixed_point()),
        }
        return entropy_production(self.steady(), fixed)

    @shared
    def _counts_hot(self):
        """The first two cumulants of the heat from the hot bath, 2 B2 a quantum."""
        return cumulants(self.steady(), "hot", order=2)

    @merit(symbol="S_2", unit="energy^3", source="full counting statistics of 2 B2 per quantum")
    def current_noise_hot(self):
        """Growth rate of the variance of the heat taken from the hot bath."""
        return self._counts_hot()[1]

    @merit(symbol=r"S_2 / |\dot Q_2|", unit="energy", source="full counting statistics of 2 B2 per quantum")
    def fano_factor_hot(self):
        """Noise of the heat from the hot bath over its mean; 2 B2 for independent quanta, a pole where the heat vanishes."""
        return fano_factor(self.heat_current_hot(), self.current_noise_hot())

    @merit(symbol=r"S_2 \sigma / \dot Q_2^2", unit="1", source="thermodynamic uncertainty relation, >= 2 for classical processes")
    def uncertainty_ratio_hot(self):
        """Noise of the heat from the hot bath times entropy production over its mean squared; a pole where the heat vanishes."""
        return uncertainty_ratio(self.heat_current_hot(), self.current_noise_hot(), self.entropy_production())

    @merit(symbol=r"\langle L_z^2 \rangle / 2I", unit="energy", source="Eq. (2)")
    def kinetic_energy(self):
        """Mean kinetic energy of the rotor."""
        return self.steady().expect(self.space.wheel.L2) / (2 * self.inertia)

    @merit(symbol=r"\langle H_I \rangle", unit="energy", source="Eq. (3)")
    def interaction_energy(self):
        """Mean energy of the three-body coupling."""
        return self.steady().expect(self.interaction())

    @merit(symbol="P_{s_1 s_2}", unit="1", source="Sec. IV A")
    def qubit_populations(self):
        """Populations (4,) of the qubits' states uu, ud, du, dd (cold qubit first)."""
        return self.steady().populations("cold", "hot")

    @merit(symbol="P_l", unit="1", source="Appendix B")
    def rotor_populations(self, times=None):
        """Populations (l_max - l_min + 1,) of the rotor's levels; given times (k,), at each of them (k, ...) (Figs. 6, 7)."""
        return self.steady().populations("wheel") if times is None else self.evolution(times).populations("wheel")

    @compile_method
    def powers(self, times) -> Powers:
        """The rotor's powers at `times` (k,) [1/energy], from `start` at time zero, Eqs. (30) to (34) (Fig. 8)."""
        L, L2, H = self.space.wheel.L, self.space.wheel.L2, self.uncoupled() + self.interaction()

        def at(state):
            def change(observable):
                """How fast the Hamiltonian, and the baths together, change an observable."""
                baths = sum(currents(state, observable).values(), jnp.zeros(()))
                return state.expect(1j * (H @ observable - observable @ H)), baths

            intrinsic, back_action = (rate / (2 * self.inertia) for rate in change(L2))
            return Powers(intrinsic + back_action, intrinsic, state.expect(L) * sum(change(L)) / self.inertia, back_action)

        return self.evolution(times).map(at)

    def operating_mode(self) -> str:
        """engine, refrigerator, accelerator, heater or none, by the signs of the flows (Table I)."""
        return engine.MODES[int(engine.mode(*self._mode_flows()))]

    @compile_method
    def _mode_flows(self):
        return self.heat_current_hot(), self.heat_current_cold(), self.power_qubits()

    @compile_method
    def diagnostics(self) -> dict:
        """Those of the steady state, and which of efficiency and COP has a meaning in the operating mode."""
        mode = engine.mode(*self._mode_flows())
        return {
            **self.steady().diagnostics(),
            "first_law_residual": self.ledger().imbalance,
            "operating_mode": mode,
            "efficiency_meaningful": mode == engine.MODES.index("engine"),
            "cop_meaningful": mode == engine.MODES.index("refrigerator"),
        }

    def warnings(self, numbers: dict) -> dict:
        """The operating mode by its name."""
        mode = numbers.get("operating_mode")
        return {} if mode is None else {"operating_mode": engine.MODES[int(mode)]}


class Run(eqx.Module):
    """One run of the rectifier: flows of heat and work [energy^2], rotor and qubit properties."""

    heat_cold: jax.Array
    heat_hot: jax.Array
    heat_load: jax.Array
    work_load: jax.Array
    imbalance: jax.Array
    angular_momentum: jax.Array
    kinetic_energy: jax.Array
    interaction_energy: jax.Array
    entropy_production: jax.Array
    qubit_populations: jax.Array
    rotor_populations: jax.Array


class RotorRectifier(_RotorDevice):
    """The spin-boson model with its global master equation, Sec. II B: a heat rectifier.

    `forward` has the hot bath (beta2) at the second qubit, `reverse` has beta1 and beta2 exchanged and all else
    unchanged. The spectral densities are g_i^2 omega Omega^2 / (omega^2 + Omega^2).

    Example:
        >>> import qdiff as qd
        >>> f"{qd.models.RotorRectifier(chi=0.3, beta2=0.01, l_min=-30, l_max=50).rectification():.6f}"
        '0.736082'
    """

    g: float = parameter(0.5, text="mean coupling to the baths; rates go as its square, and as the frequency")
    cutoff: float = parameter(20.0, unit="energy", text="cutoff Omega of the spectral densities", low=0, open=True)
    alpha: float = parameter(0.5, text="weight of rectification against flow in the performances", low=0, high=1)
    l_max: int = setting(35, text="highest angular momentum kept")
    negative: str = setting("odd", text="what lines of negative Bohr frequency do", choices=("odd", "drop"))

    @structured
    def generator(self, beta_cold, beta_hot) -> Lindblad:
        """The generator of Eqs. (27) and (A15) with the given inverse temperatures at the two qubits."""
        s, (g1, g2) = self.space, self.couplings()
        return secular(
            self.uncoupled() + self.interaction(),
            {
                "cold": (s.cold.minus, BosonicBath(beta_cold, Ohmic(g1, self.cutoff))),
                "hot": (s.hot.minus, BosonicBath(beta_hot, Ohmic(g2, self.cutoff))),
            },
            {"load": self.load()},
            negative=self.negative,
        )

    def steady(self, beta_cold=None, beta_hot=None) -> State:
        """The stationary state; of the forward run, unless other inverse temperatures are given."""
        cold = self.beta1 if beta_cold is None else beta_cold
        return steady_state(self.generator(cold, self.beta2 if beta_hot is None else beta_hot))

    def _run(self, beta_cold, beta_hot) -> Run:
        state = self.steady(beta_cold, beta_hot)
        s = self.space
        H = self.uncoupled() + self.interaction()
        flows = currents(state, H)
        load_heat = current(state, self.uncoupled(), "load")
        fixed = {"cold": (beta_cold, H), "hot": (beta_hot, H), "load": (-1.0, self.load_fixed_point())}
        return Run(
            heat_cold=flows["cold"],
            heat_hot=flows["hot"],
            heat_load=load_heat,
            work_load=current(state, self.interaction(), "load"),
            imbalance=sum(flows.values(), jnp.zeros(())),
            angular_momentum=state.expect(s.wheel.L),
            kinetic_energy=state.expect(s.wheel.L2) / (2 * self.inertia),
            interaction_energy=state.expect(self.interaction()),
            entropy_production=entropy_production(state, fixed),
            qubit_populations=state.populations("cold", "hot"),
            rotor_populations=state.populations("wheel"),
        )

    def _both(self, function):
        """function(beta_cold, beta_hot) for the forward and the reverse run, in one batch."""
        betas = jnp.stack([jnp.asarray(self.beta1), jnp.asarray(self.beta2)])
        return jax.vmap(function)(betas, betas[::-1])

    @shared
    def _runs(self) -> Run:
        return self._both(self._run)

    @compile_method
    def _each(self) -> tuple[Run, Run]:
        return _separate(self._runs())

    def forward(self) -> Run:
        """The run with the hot bath at the second qubit."""
        return self._each()[0]

    def reverse(self) -> Run:
        """The run with the two temperatures exchanged."""
        return self._each()[1]

    @merit(symbol=r"\dot Q", unit="energy^2", source="Eq. (29)")
    def heat_current_forward(self):
        """Heat per time from the hot bath, at the second qubit, into the system."""
        return self._runs().heat_hot[0]

    @merit(symbol=r"\dot Q^{(swap)}", unit="energy^2", source="Eq. (29)")
    def heat_current_reverse(self):
        """Heat per time from the hot bath, now at the first qubit, into the system."""
        return self._runs().heat_cold[1]

    @merit(symbol="R", unit="1", source="Eq. (39)")
    def rectification(self):
        """|Q - Q_swap| / |Q + Q_swap|."""
        return rectification.rectification(self.heat_current_forward(), self.heat_current_reverse())

    @merit(symbol="J", unit="energy", source="Eq. (40)")
    def heat_flow(self):
        """max(|Q|, |Q_swap|) / (lam g^2)."""
        return rectification.flow(self.heat_current_forward(), self.heat_current_reverse()) / (self.lam * self.g**2)

    @merit(symbol=r"\Gamma_\alpha", unit="1", source="Eq. (41)")
    def performance(self):
        """alpha R + (1 - alpha) J."""
        return rectification.performance(self.alpha, self.rectification(), self.heat_flow())

    @merit(symbol=r"\langle L_z \rangle", unit="1", source="Eq. (42)")
    def angular_momentum_forward(self):
        """Mean angular momentum of the forward run."""
        return self._runs().angular_momentum[0]

    @merit(symbol=r"\langle L_z^{(swap)} \rangle", unit="1", source="Eq. (42)")
    def angular_momentum_reverse(self):
        """Mean angular momentum of the reverse run."""
        return self._runs().angular_momentum[1]

    @merit(symbol=r"R_\mathrm{angular}", unit="1", source="Eq. (42)")
    def angular_rectification(self):
        """|L - L_swap| / |L + L_swap|, signed momenta: above 1 if they differ in sign, a pole where they are opposite."""
        return rectification.rectification(self.angular_momentum_forward(), self.angular_momentum_reverse())

    @merit(symbol=r"J_\mathrm{angular}", unit="1", source="Eq. (43)")
    def angular_flow(self):
        """max(|L|, |L_swap|)."""
        return rectification.flow(self.angular_momentum_forward(), self.angular_momentum_reverse())

    @merit(symbol=r"\Gamma_{\alpha,\mathrm{angular}}", unit="1", source="Eq. (44)")
    def angular_performance(self):
        """alpha R_angular + (1 - alpha) J_angular."""
        return rectification.performance(self.alpha, self.angular_rectification(), self.angular_flow())

    @merit(symbol=r"\sigma", unit="energy", source="Spohn's form, with the load's true fixed point")
    def entropy_production(self):
        """Entropy produced per time in the forward run, by Spohn's formula."""
        return self._runs().entropy_production[0]

    @merit(symbol=r"\langle L_z^2 \rangle / 2I", unit="energy", source="Eq. (2)")
    def kinetic_energy(self):
        """Mean kinetic energy of the rotor in the forward run."""
        return self._runs().kinetic_energy[0]

    @merit(symbol=r"\langle H_I \rangle", unit="energy", source="Eq. (3)")
    def interaction_energy(self):
        """Mean energy of the three-body coupling in the forward run."""
        return self._runs().interaction_energy[0]

    @merit(symbol="P_{s_1 s_2}", unit="1", source="Sec. IV A")
    def qubit_populations(self):
        """Populations (4,) of the qubits' states uu, ud, du, dd (cold qubit first) in the forward run."""
        return self._runs().qubit_populations[0]

    @merit(symbol="P_l", unit="1", source="Appendix B")
    def rotor_populations(self):
        """Populations (l_max - l_min + 1,) of the rotor's levels in the forward run."""
        return self._runs().rotor_populations[0]

    def operating_mode(self) -> str:
        """The mode of the forward run, by the signs of its flows (Table I), with the load's work."""
        run = self.forward()
        return engine.MODES[int(engine.mode(run.heat_hot, run.heat_cold, run.work_load))]

    @compile_method
    def diagnostics(self) -> dict:
        """Those of the two runs, forward and reverse."""
        states = self._both(lambda *betas: self.steady(*betas).diagnostics())
        found = {**states, "first_law_residual": self._runs().imbalance}
        return dict(zip(("forward", "reverse"), _separate(found), strict=True))


def _separate(runs):
    """The two members of a batch of two runs."""
    return tuple(jax.tree.map(lambda x, k=k: x[k], runs) for k in (0, 1))
