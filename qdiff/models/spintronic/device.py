"""The spintronic engine: two quantum dots between two magnetic leads, powered by measuring one of them.

Lamblin and Bowen, "Quantum measurement spintronic engine powered by quantum coherence enhanced by bosonic catalysis",
Phys. Rev. B 109, 165423 (2024). Equation numbers are the paper's. Corrections to the printed text: the second term of
every hopping is gamma* c'^dag c; Eq. (24) has the opposite sign and a further term; in Eq. (25) Delta (Delta + U) is taken
off r (r + s); the efficiency is -W_el/Delta E.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...baths.lead import GivenLead
from ...equations.cycles import fixed_point
from ...equations.cycles.cycle import Cycle
from ...equations.cycles.limit_cycle import LimitCycle
from ...equations.cycles.strokes import Free, Measurement
from ...equations.cycles.trajectory import Trajectories, replay, trajectories
from ...equations.lindblad.equation import Lindblad
from ...equations.lindblad.jumps import lead_jumps
from ...equations.lindblad.reach import reach
from ...generator import steady_state
from ...operators.fermions import Fermions
from ...operators.operator import Operator
from ...operators.pattern import Pattern, diagonal
from ...operators.space import Space
from ...operators.structure import structured
from ...results import Failure, check
from ...thermo.entropies import dephasing_entropy, pair_entropy
from ...thermo.flows import currents
from ..base import Model, compile_method, merit, parameter, setting, shared

# The paper's basis (14), left dot first: |u0> has a spin up on the left dot and nothing on the right one.
LABELS = ("00", "0d", "u0", "ud", "d0", "dd", "20", "2d")
# Where its states stand here, and the coherences rho_14 and rho_36, the only ones that populations reach.
_STATE = np.array([0, 1, 4, 5, 2, 3, 6, 7])
_PAIRS = ((1, 4), (3, 6))
_OFF = Pattern(8, np.array([1, 2, 5, 6]), np.array([2, 1, 6, 5]))

HBAR = 6.582119569509066e-13  # meV s
MEV = 1.602176634e-22  # J

SPACE = Space(left=Fermions("up", "down"), right=Fermions("down"))


def _observables() -> dict[str, Operator]:
    up, down, right = SPACE.left.n_up, SPACE.left.n_down, SPACE.right.n
    both = up @ down
    return {
        "n_R": right,
        "n_down": down,
        "n_up": up,
        "charge_left": up + down,
        "spin_left": up - down,
        "left_not_empty": up + down - both,
        "left_doubly_occupied": both,
        "charge_total": up + down + right,
        "spin_total": up - down - right,
        "n_down_plus_n_R": down + right,
    }


OBSERVABLES = _observables()


class EngineCycle(eqx.Module):
    """The limit cycle of the engine. States in the order of the paper's basis, |00>, |0d>, |u0>, |ud>, |d0>, |dd>, |20>, |2d>.

    Attributes:
        populations_before, populations_after: before and after the measurement (8,) [1].
        coherences_before, coherences_after: rho_14 and rho_36 (2,), complex [1].
        energy_increment: Delta E, what the measurement gives [energy].
        entropy_before, entropy_after: von Neumann entropies [1]. entropy_change: Delta S, after minus before, computed as a
            sum of positive terms [1].
        critical_temperature: T_c = Delta E/Delta S; NaN without bosons, where both vanish [energy].
        duration: tau [1/energy].
    """

    populations_before: jax.Array
    populations_after: jax.Array
    coherences_before: jax.Array
    coherences_after: jax.Array
    energy_increment: jax.Array
    entropy_before: jax.Array
    entropy_after: jax.Array
    entropy_change: jax.Array
    critical_temperature: jax.Array
    duration: jax.Array

    def work_bound(self, T):
        """W_th = -Delta E + T Delta S, Eq. (17): no less work can be done on the engine in a stroke at temperature T [energy]."""
        return -self.energy_increment + T * self.entropy_change

    def efficiency_bound(self, T):
        """-W_th/Delta E = 1 - T/T_c, which the efficiency -W_el/Delta E cannot exceed, Eq. (20) [1]."""
        return -self.work_bound(T) / self.energy_increment

    def power_bound(self, T):
        """-W_th/tau, which the power -W_el/tau cannot exceed, Eq. (21); at most Delta E/tau [energy rate]."""
        return -self.work_bound(T) / self.duration


class Flows(eqx.Module):
    """Currents into the dots without any measurement: particles [rate] and heat [energy rate]."""

    particles_left: jax.Array
    particles_right: jax.Array
    heat_left: jax.Array
    heat_right: jax.Array
    heat_bosons: jax.Array


class SpintronicEngine(Model):
    """Two quantum dots in series between spin-selecting leads; measuring one of them destroys the coherence between them.

    The left dot holds spins up and down, the right dot spins down. Spins down hop between the dots with amplitude gamma; spins up
    enter and leave through the left lead, spins down of the right dot through the right lead; bosons flip the spin on the left dot.
    A cycle is free motion for the time tau, and then a measurement, Eqs. (9), (12), (13). All flows are per cycle and positive into
    the dots. hbar = k_B = 1; `watts` and `seconds` convert.

    Without bosons, and wherever boson_up left_in right_out = boson_down left_out right_in (the affinity is zero), a product state
    is left as it is by everything, and nothing flows: the engine needs bosons. Every flow is computed from the distance to that
    state. eps_up and exchange have no influence but on how heat is shared.

    Accuracy: energy_increment to 1e-12 of itself or better where U, gamma <= 1000 and tau <= 1, derivatives to 1e-9.

    Example:
        >>> import qdiff as qd
        >>> engine = qd.models.SpintronicEngine()
        >>> f"{engine.energy_increment():.10f}"
        '0.5476081543'
        >>> f"{qd.models.SpintronicEngine.preset('fig7').energy_increment():.9e}"
        '6.734127078e-04'
    """

    eps_up: float = parameter(-3.0, unit="meV", text="energy of spin up on the left dot")
    eps_down: float = parameter(8.0, unit="meV", text="energy of spin down on the left dot")
    eps_right: float = parameter(1.0, unit="meV", text="energy of spin down on the right dot")
    exchange: float = parameter(8.0, unit="meV", text="J, interaction of spins down on both dots")
    U: float = parameter(1000.0, unit="meV", text="Coulomb repulsion on the left dot", search=(0, 2000), scale="log")
    gamma: float = parameter(1000.0, unit="meV", text="hopping between the dots; its sign does not matter")
    left_in: float = parameter(0.1, unit="meV", text="T_L^-, rate of spins up in from the left lead", low=0)
    left_out: float = parameter(0.1, unit="meV", text="T_L^+, rate of spins up out to the left lead", low=0)
    right_in: float = parameter(0.1, unit="meV", text="T_R^-, rate of spins down in from the right lead", low=0)
    right_out: float = parameter(0.1, unit="meV", text="T_R^+, rate of spins down out to the right lead", low=0)
    boson_up: float = parameter(0.005, unit="meV", text="Lambda^-, rate of bosons flipping up to down", low=0)
    boson_down: float = parameter(0.01, unit="meV", text="Lambda^+, rate of bosons flipping down to up", low=0)
    tau: float = parameter(1.0, unit="1/meV", text="duration of a cycle", low=0, open=True, search=(1e-4, 10), scale="log")
    measurement_strength: float = parameter(1.0, text="1 for a projective measurement, less for a weak one", low=0, high=1)
    measured: str = setting("n_R", text="what is measured", choices=tuple(OBSERVABLES))

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "fig3": {"gamma": 0.1, "right_in": 0.01, "right_out": 0.01, "boson_up": 0.0, "boson_down": 0.0},
        "fig4": {"boson_up": 0.0, "boson_down": 0.0},
        "fig5": {"boson_up": 0.0, "boson_down": 0.0},
        "fig6": {},
        "fig7": {"left_out": 0.2, "boson_up": 0.0101, "tau": 1e-3},
    }
    # The power has ripples in tau, of period 2 pi/sqrt((Delta + U)^2 + 4 gamma^2).
    screening: ClassVar[int] = 16
    warns: ClassVar[bool] = False

    # ---- the device -------------------------------------------------------------------------------------

    @structured
    def generator(self) -> Lindblad:
        """The master equation (12) with the Hamiltonian (9), baths "left", "right" and "bosons"."""
        left, right = SPACE.left, SPACE.right
        hop = left.down.dag @ right.down
        H = self.eps_up * left.n_up + self.eps_down * left.n_down + self.eps_right * right.n
        H = H + self.gamma * (hop + hop.dag) + self.exchange * (left.n_down @ right.n) + self.U * (left.n_up @ left.n_down)
        flip = left.down.dag @ left.up
        jumps = {
            "left": lead_jumps(left.up, self.eps_up, GivenLead(self.left_in, self.left_out)),
            "right": lead_jumps(right.down, self.eps_right, GivenLead(self.right_in, self.right_out)),
            "bosons": [(self.boson_up, flip), (self.boson_down, flip.dag)],
        }
        return Lindblad(H, jumps)

    def measurement(self) -> Measurement:
        """The measurement that ends each cycle."""
        return Measurement(OBSERVABLES[self.measured], self.measurement_strength)

    def cycle(self) -> Cycle:
        """The strokes: free motion, then the measurement."""
        strokes = [Free(self.generator(), self.tau), self.measurement()]
        return Cycle(strokes, reference=self.product_state(), disturbing=("bosons",))

    def product_state(self) -> Operator:
        """The state that leads, hopping and measurement leave as it is: each mode filled as its lead alone would fill it.

        A mode whose lead is closed is filled as the bosons would have it.
        """
        up, down = self._fillings()
        empty = jnp.stack([1 - up, 1 - down])
        full = jnp.stack([up, down])
        p = jnp.stack([empty, full], axis=1)
        return _diagonal(jnp.kron(jnp.kron(p[0], p[1]), p[1]))

    def _fillings(self):
        def share(a, b):
            return jnp.where(a + b > 0, a / jnp.where(a + b > 0, a + b, 1.0), 0.0), a + b > 0

        left, open_left = share(self.left_in, self.left_out)
        right, open_right = share(self.right_in, self.right_out)
        by_right, some = share(self.boson_down * right, self.boson_up * (1 - right))
        by_left, any_ = share(self.boson_up * left, self.boson_down * (1 - left))
        defined = (open_left | (open_right & some)) & (open_right | (open_left & any_))
        undefined = jnp.where(defined, 0.0, jnp.nan)
        return jnp.where(open_left, left, by_right) + undefined, jnp.where(open_right, right, by_left) + undefined

    @shared
    def _limit(self) -> LimitCycle:
        return self.cycle().steady_state()

    # ---- figures of merit -------------------------------------------------------------------------------

    @merit(symbol=r"\Delta E", unit="meV", source="Eq. (16)")
    def energy_increment(self):
        """Energy that the measurement gives to the dots in each cycle, -<C> before a projective measurement of one dot."""
        return self._limit().measured

    @merit(symbol="P", unit="meV^2", source="Eq. (21), P_max")
    def power(self):
        """Delta E / tau, the largest power that could be drawn; `watts` converts."""
        return self._limit().measured / self.tau

    @merit(symbol="A", unit="1", source="log ratio of the rates around the loop left lead, bosons, right lead")
    def affinity(self):
        """ln[boson_up left_in right_out / (boson_down left_out right_in)], the force behind the current; undefined (NaN) without bosons."""
        forward = jnp.stack([self.boson_up, self.left_in, self.right_out])
        backward = jnp.stack([self.boson_down, self.left_out, self.right_in])
        undefined = jnp.any(forward <= 0) & jnp.any(backward <= 0)
        a, b = (jnp.where(undefined, 1.0, v) for v in (forward, backward))
        return jnp.where(undefined, jnp.nan, jnp.sum(_log(a)) - jnp.sum(_log(b)))

    @merit(symbol="N_L", unit="1", source="Eq. (12), left lead")
    def particles_left(self):
        """Electrons from the left lead into the dots per cycle."""
        return self._limit().exchanged(SPACE.left.n_up)["left"]

    @merit(symbol="N_B", unit="1", source="Eq. (12), bosons")
    def particles_boson(self):
        """Spins that the bosons flip from up to down per cycle, net."""
        return self._limit().exchanged(SPACE.left.n_down)["bosons"]

    @merit(symbol="Q_L", unit="meV", source="Eq. (12), left lead")
    def heat_left(self):
        """Energy from the left lead into the dots per cycle."""
        return self._limit().heat["left"]

    @merit(symbol="Q_R", unit="meV", source="Eq. (12), right lead")
    def heat_right(self):
        """Energy from the right lead into the dots per cycle."""
        return self._limit().heat["right"]

    @merit(symbol="Q_B", unit="meV", source="Eq. (12), bosons")
    def heat_bosons(self):
        """Energy from the bosons into the dots per cycle."""
        return self._limit().heat["bosons"]

    @merit(symbol="n_c", unit="cycles", source="second eigenvalue of the map of one cycle")
    def cycles_to_converge(self):
        """Cycles in which the slowest deviation from the limit cycle falls by e, -1/ln|lambda_2|."""
        return self._limit().cycles_to_converge

    @merit(symbol=r"\Sigma", unit="1", source="affinity times current")
    def entropy_production(self):
        """Affinity times particles_left, per cycle; zero without bosons."""
        A, N = self.affinity(), self.particles_left()
        flowing = ((self.boson_up > 0) | (self.boson_down > 0)) & (N != 0)
        # Where a rate is zero the affinity may be infinite: it then has no derivative, and must not spoil those of others.
        bounded = flowing & jnp.isfinite(A)
        infinite = jax.lax.stop_gradient(jnp.where(flowing, A, 0.0) * jnp.where(flowing, N, 0.0))
        return jnp.where(bounded, jnp.where(bounded, A, 0.0) * N, infinite)

    @compile_method
    def diagnostics(self) -> dict:
        """How well energy is conserved in a cycle, and the smallest population of its states."""
        end = self._limit()
        return {"imbalance": end.imbalance, "smallest_population": jnp.min(end.x[:, end.coordinates.is_population])}

    def warnings(self, numbers: dict) -> dict:
        """Without bosons, that the affinity is undefined."""
        if float(self.boson_up) or float(self.boson_down):
            return {}
        return {"affinity": "undefined without bosons: nothing flows in the limit cycle, whatever the leads"}

    # ---- the limit cycle and its limits -----------------------------------------------------------------

    @compile_method
    def limit_cycle(self) -> EngineCycle:
        """The limit cycle: states before and after the measurement, entropies, and the bounds (17) to (21); an `EngineCycle`."""
        end = self._limit()
        after, before = (self._in_paper_order(end.coordinates.operator(x, SPACE)) for x in end.x)
        squared, factors = jnp.abs(before[1]) ** 2, self._factors()
        change = entropy = jnp.zeros(())
        for k, (i, j) in enumerate(_PAIRS):
            change = change + dephasing_entropy(before[0][i], before[0][j], squared[k], factors[k] ** 2)
            entropy = entropy + pair_entropy(before[0][i], before[0][j], squared[k])
        for i in (0, 2, 5, 7):
            entropy = entropy + pair_entropy(before[0][i], jnp.zeros(()), jnp.zeros(()))
        bosons = (self.boson_up > 0) | (self.boson_down > 0)
        T_c = jnp.where(bosons & (change > 0), end.measured / jnp.where(change > 0, change, 1.0), jnp.nan)
        return EngineCycle(
            before[0], after[0], before[1], after[1], end.measured, entropy, entropy + change, change, T_c, jnp.asarray(self.tau)
        )

    def _factors(self):
        """The factors by which the measurement multiplies rho_14 and rho_36 (2,)."""
        return jnp.where(np.array(_told(self.measured)), 1 - self.measurement_strength, 1.0)

    @staticmethod
    def _in_paper_order(rho: Operator):
        matrix = rho.dense()[_STATE][:, _STATE]
        return jnp.real(jnp.diag(matrix)), jnp.stack([matrix[i, j] for i, j in _PAIRS])

    @compile_method
    def long_stroke_increment(self):
        """Delta E for tau to infinity: what measuring the stationary state gives [meV]."""
        generator = self.generator()
        state = steady_state(generator)
        return state.sector.covector(generator.H) @ (self.measurement().change(state.sector) @ state.x)

    @compile_method
    def plateau_power(self):
        """Delta E/tau in the limit of fast hopping between frequent measurements, gamma to infinity and then tau to 0 [meV^2].

        The states that hopping joins are then equally populated; leads and bosons act on a chain of six.

        Raises:
            ValueError: the measurement tells one of the two pairs of joined states apart, but not the other.
        """
        told = _told(self.measured)
        if told[0] != told[1]:
            raise ValueError(
                f"the limit of fast hopping needs a measurement that acts alike on both coherences, but measured is {self.measured!r}"
            )
        generator = self.generator()
        sector = reach(generator)
        at = np.flatnonzero(sector.is_population)
        moved = jax.vmap(lambda x: sector.act_by_label(generator, x))(np.eye(sector.size)[at])
        W = dict(zip(sector.labels, jnp.moveaxis(moved[:, :, at], 0, 2), strict=True))
        lump = np.array([0, 1, 2, 3, 1, 4, 3, 5])[np.argsort(_STATE)]
        member = (np.arange(6)[:, None] == lump).astype(float)
        share = (member / member.sum(axis=1, keepdims=True)).T
        product = jnp.real(self.product_state().diagonal())
        energy = jnp.real(generator.H.diagonal())
        driven = W["bosons"] @ product
        chained = fixed_point.solve(member @ sum(W.values()) @ share, np.ones(6, bool))
        power = -(energy @ (sum(W.values()) @ (share @ (chained.response @ (member @ driven))) + driven))
        power = jnp.where(self.measurement_strength > 0, power, 0.0) if told[0] else 0.0 * power
        return check(power, (~jnp.isfinite(power), _PLATEAU))

    @compile_method
    def unmeasured_flows(self) -> Flows:
        """Currents in the stationary state without any measurement, per time; `Flows`."""
        generator = self.generator()
        state = steady_state(generator)
        heat = currents(state, generator.H)
        left, right = currents(state, SPACE.left.n_up)["left"], currents(state, SPACE.right.n)["right"]
        return Flows(left, right, heat["left"], heat["right"], heat["bosons"])

    @compile_method
    def perturbative_increment(self, mu):
        """Delta E for weak hopping and long strokes without bosons, Eq. (24) as corrected, to second order in gamma [meV].

        Args:
            mu: the probability that the left dot held a spin down when the stroke began, between 0 and 1.
        """
        s, m, r = self.left_in + self.left_out, self.left_in, (self.right_in + self.right_out) / 2
        beta = mu * self.right_out - (1 - mu) * self.right_in
        delta, U = self.eps_down - self.eps_right, self.U
        det = (r * (r + s) - delta * (delta + U)) ** 2 + ((s + 2 * r) * delta + (m + r) * U) ** 2
        braces = (s + r) ** 2 * (s * delta + m * U) + (s * delta + (s - m) * U) * delta * (delta + U)
        return -beta * self.gamma**2 / (s * r * det) * braces

    # ---- from an initial state on -----------------------------------------------------------------------

    def coherence_energy(self, initial):
        """-<C> at the end of one stroke [meV], Figs. 4 and 6(b).

        Args:
            initial: the state at its beginning: a label of the basis such as "ud" or "|ud>", or the 12 coordinates p_0 .. p_7,
                Re rho_14, Im rho_14, Re rho_36, Im rho_36, in the paper's order.
        """
        return self._coherence_energy(_twelve(initial))

    @compile_method
    def _coherence_energy(self, initial):
        cycle = self.cycle()
        coordinates = cycle.coordinates()
        x = coordinates.coordinates(_density(initial))
        x = x + cycle.parts(coordinates)[0].change @ x
        hop = SPACE.left.down.dag @ SPACE.right.down
        return -self.gamma * (coordinates.covector(hop + hop.dag) @ x)

    def series(self, cycles, initial):
        """Delta E of single cycles, from an initial state on [meV].

        Args:
            cycles: the numbers of the cycles, counted from 1, an integer array (k,), each up to 2e9 at the cost of its logarithm; or a
                Python integer N for all cycles from 1 to N.
            initial: see `coherence_energy`.

        Returns:
            (k,) or (N,).
        """
        if isinstance(cycles, (int, np.integer)) and not isinstance(cycles, bool):
            return self._all(_twelve(initial), range(int(cycles)))
        return self._some(_twelve(initial), _whole(cycles))

    @compile_method
    def _all(self, initial, every):
        return self.cycle().evolve(_density(initial)).measured(len(every))

    @compile_method
    def _some(self, initial, cycles):
        return self.cycle().evolve(_density(initial)).measured(cycles)

    def trajectories(self, key, cycles: int, count: int, initial) -> Trajectories:
        """Runs with selective measurements; `Trajectories`, whose `given` is -<C> before each measurement.

        Args:
            key: a JAX random key or an integer seed. cycles, count: how many cycles and runs. initial: see `coherence_energy`.
        """
        return trajectories(self.cycle(), key, cycles, count, _density(_twelve(initial)))

    def trajectory(self, uniforms, initial) -> Trajectories:
        """One run with given random numbers (cycles,) between 0 and 1; the largest value of what is measured comes first.

        Args:
            uniforms: see `equations.cycles.trajectory.replay`. initial: see `coherence_energy`.
        """
        return replay(self.cycle(), uniforms, _density(_twelve(initial)))

    # ---- units ------------------------------------------------------------------------------------------

    @staticmethod
    def watts(power):
        """A power in meV^2, which is meV^2/hbar, in W."""
        return power * MEV / HBAR

    @staticmethod
    def seconds(time):
        """A time in 1/meV, which is hbar/meV, in s."""
        return time * HBAR


_PLATEAU = Failure("the plateau power is not defined: the chain of six states has several stationary states")


def _told(measured: str) -> tuple[bool, bool]:
    """Whether a measurement tells the states of each coherent pair apart."""
    values = np.real(np.asarray(OBSERVABLES[measured].diagonal()))[_STATE]
    (a, b), (c, d) = _PAIRS
    return bool(values[a] != values[b]), bool(values[c] != values[d])


def _log(x):
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), -jnp.inf)


def _diagonal(p) -> Operator:
    return Operator(diagonal(8), p, SPACE)


def _twelve(initial):
    """The 12 coordinates of an initial state that was given by its label or by them."""
    if isinstance(initial, str):
        name = initial.strip().removeprefix("|").removesuffix(">")
        if name not in LABELS:
            raise ValueError(f"initial must be one of {', '.join(LABELS)} or the 12 real coordinates, but was {initial!r}")
        return jnp.asarray(np.arange(12.0) == LABELS.index(name), float)
    if np.shape(initial) != (12,):
        raise ValueError(f"initial must be one of {', '.join(LABELS)} or the 12 real coordinates, but has shape {np.shape(initial)}")
    return jnp.asarray(initial, float)


def _density(x) -> Operator:
    """The density matrix with the paper's coordinates x (12,)."""
    p, r14, r36 = x[:8][np.argsort(_STATE)], x[8] + 1j * x[9], x[10] + 1j * x[11]
    return _diagonal(p + 0j) + Operator(_OFF, jnp.stack([r14, r14.conj(), r36, r36.conj()]), SPACE)


def _whole(cycles):
    array = cycles if hasattr(cycles, "dtype") else np.asarray(cycles)
    if array.dtype.kind not in "iu":
        raise ValueError(f"cycles must be an integer or an array of them, but was {cycles!r}")
    return array
