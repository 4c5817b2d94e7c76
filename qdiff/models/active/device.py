"""An active quantum particle: heat that flows through the spin of a particle on a ring makes it move.

Penner, Viotti, Fazio, Arrachea, von Oppen, "Heat-to-motion conversion for quantum active matter" (2025). Equation
numbers are the paper's, those with an S its supplement's. Corrections to the printed text: H_k = eps_k - Delta_k . sigma
(the Fourier transform of Eq. 1), which reverses the sign of Eqs. (4), (S4)-(S6) and (S8); the baths couple to sigma_x and
sigma_z of the laboratory; (S2) has 2n + 1 in the denominator, (S18) and (S19) a factor 1/2, and (10) a factor 4 and
Gamma^2; (S20) lacks the flux around the ring.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from ...equations.bloch.equation import BlochModel
from ...equations.momentum.cells import Density
from ...equations.momentum.drift_diffusion import DriftDiffusion, finite_volumes, momenta
from ...equations.momentum.scattering import Scattering, reach_of
from ...operators.checks import checked_times
from ...results import Failure, check
from ..base import Model, compile_method, merit, parameter, setting, shared
from .bands import Bands, master_equation
from .phonons import RANGES, Phonons

_COLD = Failure("T must be above |dT|/2, or the cold bath has a temperature below zero")
_NO_OPTIMUM = Failure("the speed has no maximum between the coldest and the hottest temperature that were looked at")


class Distribution(NamedTuple):
    """Momenta k (n,), ascending; their weights (n,), which sum to one; and the density (n,), per unit of momentum."""

    k: jax.Array
    weight: jax.Array
    density: jax.Array


class ActiveParticle(Model):
    """A particle that hops on a ring with spin-orbit coupling, its spin between a hot and a cold bath, its momentum in a phonon bath.

    T_hot, T_cold = T +- dT/2, or T (1 +- bias_ratio/2) if that is given instead of dT. Phonons carry the momentum q at a rate
    phonon_coupling/points e^{-|q|/phonon_range} times |Omega|^{phonon_exponent - 1} |n(Omega)| times the overlap of the
    spins, Omega the energy gained; for exponent 1, where that diverges, |Omega|^0 stands for |Omega|/sqrt(Omega^2 + phonon_cutoff^2).

    Velocities are averages of d<x>/dt in units of the lattice constant. The secular master equation holds where the spin
    splitting is larger than the damping; outside, results come with a warning.

    Accuracy: `velocity` to 1e-13 of itself also where it is 1e-46; velocities of the drift-diffusion equation to 5e-15;
    those of the scattering model to 1e-12 of themselves at small bias.

    Example:
        >>> import jax, qdiff as qd
        >>> device = qd.models.ActiveParticle(dT=0.5)
        >>> f"{device.velocity():.12f}"
        '-0.025128930166'
        >>> f"{jax.grad(lambda d: d.velocity())(device).dT:.12f}"
        '-0.046840809432'
    """

    epsilon: float = parameter(1.0, unit="energy", text="Zeeman energy", low=0)
    theta: float = parameter(3 * np.pi / 4 - 0.01, unit="1", text="angle of the Zeeman field from x, towards z")
    d_x: float = parameter(0.6 / np.sqrt(2), unit="energy", text="spin-orbit coupling to sigma_x")
    d_z: float = parameter(0.6 / np.sqrt(2), unit="energy", text="spin-orbit coupling to sigma_z")
    hopping: float = parameter(2.0, unit="energy", text="hopping amplitude w_o")
    gamma_hot: float = parameter(0.2, unit="rate", text="damping by the hot bath, on sigma_x", low=0, open=True)
    gamma_cold: float = parameter(0.2, unit="rate", text="damping by the cold bath, on sigma_z", low=0, open=True)
    T: float = parameter(1.0, unit="energy", text="mean temperature, of phonons and initial state", low=0, open=True, search=(0.05, 10))
    dT: Any = parameter(0.01, unit="energy", text="T_hot - T_cold", optional=True)
    phonon_coupling: float = parameter(2.0, unit="rate", text="lambda_0, in units in which phonons have density 1", low=0, open=True)
    phonon_range: float = parameter(0.02, unit="1", text="momentum q_0 beyond which phonons decouple", low=0, open=True)
    phonon_cutoff: float = parameter(0.01, unit="energy", text="omega_c below which phonons are missing, for exponent 1", low=0, open=True)
    bias_ratio: Any = parameter(None, unit="1", text="dT/T, instead of dT", low=-2, high=2, instead_of="dT")
    phonon_exponent: int = setting(3, text="p, of the phonons' density of states", low=1, high=4)
    points: int = setting(1024, text="momenta N", low=8)
    spin_flips: bool = setting(True, text="whether phonons flip the spin", choices=(True, False))
    cells: int = setting(4096, text="finite volumes, and quadrature nodes, of the drift-diffusion equation", low=256)
    # How many momenta phonons can transfer: of the given range, because a traced one decides no
    # shape. A copy keeps it, traced or not; -1 where it is to be found.
    _reach: int = eqx.field(static=True, default=-1)

    def __post_init__(self):
        Model.__check_init__(self)  # what follows takes the parameters for what they must be
        if self.dT is None:
            if not isinstance(self.bias_ratio, Tracer) and not abs(float(self.bias_ratio)) < 2:
                raise ValueError(f"bias_ratio must be between -2 and 2, both excluded, but was {float(self.bias_ratio)!r}")
        elif not isinstance(self.T, Tracer) and not isinstance(self.dT, Tracer) and not abs(float(self.dT)) / 2 < float(self.T):
            raise ValueError(f"T must be above |dT|/2 = {abs(float(self.dT)) / 2!r}, but was {float(self.T)!r}")
        if self._reach < 0:
            known = not isinstance(self.phonon_range, Tracer)
            longest = RANGES * float(self.phonon_range) if known else np.inf
            self._reach = reach_of(self.points, min(longest, 2 * np.pi))

    def replace(self, **changes):
        """A copy with some parameters changed; as many phonon momenta, unless their range or the points change."""
        out = super().replace(**changes)
        return dataclasses.replace(out, _reach=-1) if changes.keys() & {"phonon_range", "points"} else out

    # ---- bands and rates --------------------------------------------------------------------------------

    @shared
    def bands(self) -> Bands:
        """The two bands and their baths, as functions of the momentum."""
        T = check(jnp.asarray(self.T, float), (jnp.abs(self._bias()) >= 2 * self.T, _COLD))
        return self._bands(T, self._bias())

    def bloch_model(self) -> BlochModel:
        """The master equation of each momentum, Eqs. (2), (3): jumps |up><down| and back, by the hot and the cold bath."""
        return BlochModel(master_equation, self.bands())

    def _bias(self):
        return self.T * self.bias_ratio if self.dT is None else jnp.asarray(self.dT, float)

    def _bands(self, T, bias) -> Bands:
        field = self.epsilon * jnp.cos(self.theta), self.epsilon * jnp.sin(self.theta)
        d, rates = (jnp.asarray(self.d_x), jnp.asarray(self.d_z)), (jnp.asarray(self.gamma_hot), jnp.asarray(self.gamma_cold))
        return Bands(field, d, jnp.asarray(self.hopping), rates, T, bias)

    @property
    def momenta(self) -> jax.Array:
        """k_j = -pi + 2 pi j/N (points,)."""
        return momenta(self.points)

    def _phonons(self) -> Phonons:
        return Phonons(self.phonon_coupling, self.phonon_range, self.phonon_cutoff, self.phonon_exponent, self.spin_flips)

    @shared
    def scattering(self) -> Scattering:
        """The rate equation of the populations of both bands, up and down: phonons, and flips of the spin by its baths."""
        return self._phonons().scattering(self.bands(), self.momenta, self._reach)

    @shared
    def drift_diffusion(self) -> DriftDiffusion:
        """The limit of short-ranged and weak phonons, Eq. (7), (S18), (S19)."""
        return self._phonons().drift_diffusion(self.bands())

    @shared
    def _relaxed(self):
        """Stationary populations (2, points) of the scattering model, and their difference to those of equilibrium.

        With W_0 the generator at equal temperatures and W_0 p_0 = 0, the difference solves W x = -(W - W_0) p_0; the right
        side holds what the bias does to each momentum, and nothing cancels.
        """
        return self.scattering().driven(self.bands().unbalance(self.momenta) * self._thermal())

    def _thermal(self):
        return jax.nn.softmax(self.bands().log_weight(self.momenta))

    @shared
    def _quadrature(self) -> Density:
        return self.drift_diffusion().steady_state(self.cells)

    def _velocities(self):
        """The group velocities of both bands (2, points)."""
        return jnp.stack(self.bands().group_velocities(self.momenta))

    def _persistent(self):
        """The velocity at equal temperatures: zero on a long ring, where what the sum leaves is rounding and is left out."""
        bands, k = self.bands(), self.momenta
        terms = self._thermal() * bands.equilibrium_velocity(k)
        total = jnp.sum(terms)
        return jnp.where(jnp.abs(total) > 1e-13 * jnp.sum(jnp.abs(terms)), total, 0.0)

    # ---- figures of merit -------------------------------------------------------------------------------

    @merit(symbol=r"\langle v \rangle", unit="energy", source="Eqs. (2), (S2)")
    def velocity(self):
        """Mean velocity once the spin is stationary and before the momentum relaxes."""
        bands, k = self.bands(), self.momenta
        return self._thermal() @ bands.excess_velocity(k) + self._persistent()

    @merit(symbol=r"\langle v \rangle^{(1)}", unit="energy", source="Eqs. (4), (S4), sign reversed")
    def velocity_linear_response(self):
        """`velocity` to first order in dT."""
        bands, k = self.bands(), self.momenta
        return -bands.bias / bands.T**2 * (self._thermal() @ (_share(*bands.couplings(k)) * _drive(bands, k)))

    @merit(symbol=r"\langle v \rangle_{t \to \infty}", unit="energy", source="Eqs. (6), (S38)")
    def velocity_relaxed(self):
        """Stationary velocity of the scattering model, with the spin and the momentum both relaxed."""
        return jnp.sum(self._relaxed()[1] * self._velocities()) + self._persistent()

    @merit(symbol=r"\langle v \rangle_{DD}", unit="energy", source="Eqs. (7), (S17)-(S19), with the flux")
    def velocity_drift_diffusion(self):
        """Stationary velocity of the drift-diffusion equation, the limit of weak phonons of short range."""
        r = self._quadrature()
        return r.weight @ self.bands().mean_velocity(r.k)

    @merit(symbol="t_s", unit="1/rate", source="Eq. (S1), at k = 0")
    def spin_relaxation_time(self):
        """1/Gamma at k = 0."""
        return 1 / self.bands().relaxation(jnp.zeros(()))

    @merit(symbol="t_m", unit="1/rate", source="slowest decay of Eq. (6)")
    def momentum_relaxation_time(self):
        """One over the slowest decay rate of the scattering model."""
        return 1 / self.scattering().relax()

    @merit(symbol="g(0)", unit="energy^2", source="Eq. (10), with the factor 4")
    def velocity_fluctuation(self):
        """<v^2> - <v>^2 before the momentum relaxes."""
        return jnp.real(self._correlation(jnp.zeros(1), self._distribution("thermal"))[0])

    @merit(symbol="T_{opt}", unit="energy", source="Fig. 2; Eq. (S7) is its limit")
    def optimal_temperature(self, bias_ratio=None):
        """The T of the largest |velocity| at fixed dT; at fixed dT/T if `bias_ratio` is given, here or in the model."""
        ratio = self.bias_ratio if bias_ratio is None else bias_ratio
        k = self.momenta

        def speed(T):
            """The velocity over what is held fixed: a limit for vanishing bias exists."""
            bands = self._bands(T, self.dT if ratio is None else ratio * T)
            weight = jax.nn.softmax(bands.log_weight(k))
            return (weight @ bands.excess_per_bias(k)) * (1.0 if ratio is None else T)

        scale = lax.stop_gradient(self.epsilon + 2 * jnp.hypot(self.d_x, self.d_z))
        least = lax.stop_gradient(jnp.abs(jnp.asarray(self.dT)) / 2) if ratio is None else 0.0
        grid = least + scale * jnp.geomspace(0.02, 20.0, 97)
        sizes = lax.stop_gradient(jnp.abs(lax.map(speed, grid)))
        at = jnp.argmax(sizes)
        inside = (at > 0) & (at < grid.size - 1)
        left, right = grid[jnp.maximum(at - 1, 0)], grid[jnp.minimum(at + 1, grid.size - 1)]
        sign = lax.stop_gradient(jnp.sign(speed(grid[at])))

        def slope(T):
            return jax.jvp(speed, (T,), (jnp.ones(()),))[1]

        def halve(_, bracket):
            a, b = bracket
            rising = sign * slope((a + b) / 2) > 0
            return jnp.where(rising, (a + b) / 2, a), jnp.where(rising, b, (a + b) / 2)

        def bisect(slope, _):
            return lax.fori_loop(0, 52, halve, (left, right))[0]

        T = lax.custom_root(slope, grid[at], bisect, lambda linear, y: y / linear(jnp.ones(())))
        return check(T, (~inside | ~jnp.isfinite(T), _NO_OPTIMUM))

    # ---- in time ----------------------------------------------------------------------------------------

    def velocity_trace(self, times, method: str = "bloch"):
        """<v>(t) (k,) from thermal equilibrium at T, when the baths of the spin are switched on at t = 0 [energy].

        Args:
            times: (k,), from zero up, in any order [1/rate].
            method: "bloch", the spin alone; "scattering", with phonons; "drift-diffusion", their limit, from a spin that
                is stationary at t = 0.
        """
        _chosen("method", method, ("bloch", "scattering", "drift-diffusion"))
        times = checked_times(times)
        return self._trace(times, method)

    @compile_method
    def _trace(self, times, method):
        bands, k = self.bands(), self.momenta
        if method == "bloch":
            part = -jnp.expm1(-bands.relaxation(k) * times[:, None])
            return part @ (self._thermal() * bands.excess_velocity(k)) + self._persistent()
        if method == "scattering":
            polarisation = jnp.tanh(bands.splitting(k) / bands.T)
            start = self._thermal() * jnp.stack([(1 + polarisation) / 2, (1 - polarisation) / 2])
            return jnp.einsum("tsk,sk->t", self.scattering().evolve(start, times), self._velocities())
        volumes = finite_volumes(self.drift_diffusion(), self.cells)
        k = volumes.momenta
        return volumes.evolve(jax.nn.softmax(bands.log_weight(k)), times) @ bands.mean_velocity(k)

    def velocity_correlation(self, times, distribution: str = "thermal"):
        """<v(t) v(0)> - <v>^2 (k,), complex, Eq. (10) [energy^2].

        Args:
            times: (k,), from zero up, in any order [1/rate].
            distribution: of the momenta at time zero: "thermal" or "drift-diffusion", with momenta that stay; or
                "relaxed", stationary in the scattering model, which then takes part in the motion.
        """
        _chosen("distribution", distribution, ("thermal", "drift-diffusion", "relaxed"))
        return self._correlations(checked_times(times), distribution)

    @compile_method
    def _correlations(self, times, distribution):
        if distribution == "relaxed":
            return self._correlation_relaxed(times)
        return self._correlation(times, self._distribution(distribution))

    def _correlation(self, times, momenta: Distribution):
        bands, (k, weight, _) = self.bands(), momenta
        t, D, Gamma, r = times[:, None], bands.splitting(k), bands.relaxation(k), bands.polarisation(k)
        v = bands.mean_velocity(k)
        turning = jnp.exp(-Gamma / 2 * t) * bands.across(k) ** 2 * lax.complex(jnp.cos(2 * D * t), -r * jnp.sin(2 * D * t))
        decaying = jnp.exp(-Gamma * t) * bands.unpolarised(k) * bands.along(k) ** 2
        spread = weight @ (v - weight @ v) ** 2
        return (4 * (turning + decaying)) @ weight.astype(complex) + spread

    def _correlation_relaxed(self, times):
        scattering, bands, k, v = self.scattering(), self.bands(), self.momenta, self._velocities()
        p = self._relaxed()[0]
        mean = jnp.sum(p * v)
        # The part without a mean: what is left of it at the end is zero.
        moved = scattering.evolve((v - mean) * p, times)
        diagonal = jnp.einsum("tsk,sk->t", moved, v)
        # Coherences decay with half of what leaves both states.
        decay = jnp.sum(scattering.leaving(), axis=0) / 2
        t, D = times[:, None], bands.splitting(k)
        phase = lax.complex(jnp.cos(2 * D * t), jnp.sin(2 * D * t))
        turning = jnp.exp(-decay * t) * 4 * bands.across(k) ** 2 * (p[0] * phase.conj() + p[1] * phase)
        return diagonal + jnp.sum(turning, axis=1)

    def momentum_distribution(self, method: str = "thermal", current: bool = True) -> Distribution:
        """How the momenta are distributed.

        Args:
            method: "thermal", before they relax; "relaxed", stationary in the scattering model; "drift-diffusion".
            current: for drift-diffusion, whether there is a flux around the ring; (S20) has none.
        """
        _chosen("method", method, ("thermal", "relaxed", "drift-diffusion"))
        return self._distribution(method, bool(current))

    @compile_method
    def _distribution(self, method, current=True) -> Distribution:
        if method == "drift-diffusion":
            equation = self.drift_diffusion()
            r = self._quadrature() if current else equation.steady_state(self.cells, current=False)
            return Distribution(r.k, r.weight, r.density)
        weight = self._thermal() if method == "thermal" else jnp.sum(self._relaxed()[0], axis=0)
        return Distribution(self.momenta, weight, weight * self.points / (2 * jnp.pi))

    @compile_method
    def bloch_functions(self, k) -> dict:
        """The functions of the momentum that the equations are made of, in arrays of k's shape, under the references' names.

        ek: eps_k. D: half the splitting. xh, xc: couplings xi to the hot and cold bath. G: Gamma_k. r, dr: r_z and its
        slope. vbar: mean velocity. u, d: group velocities of the bands up and down. A: h . d cos k.
        """
        b, k = self.bands(), jnp.asarray(k, float)
        xh, xc = b.couplings(k)
        u, d = b.group_velocities(k)
        return {
            "ek": b.dispersion(k),
            "D": b.splitting(k),
            "xh": xh,
            "xc": xc,
            "G": b.relaxation(k),
            "r": b.polarisation(k),
            "dr": b.polarisation_slope(k),
            "vbar": b.mean_velocity(k),
            "u": u,
            "d": d,
            "A": b.along(k),
        }

    # ---- how far to trust it ----------------------------------------------------------------------------

    def smallest_splitting(self) -> float:
        """2 Delta_min, the smallest distance of the bands over all momenta [energy]."""
        field = float(self.epsilon) * np.array([np.cos(float(self.theta)), np.sin(float(self.theta))])
        d = np.array([float(self.d_x), float(self.d_z)])
        s = np.clip(field @ d / (2 * d @ d), -1, 1) if d @ d > 0 else 0.0
        return float(2 * np.linalg.norm(field - 2 * s * d))

    def warnings(self, numbers: dict) -> dict:
        """The smallest splitting, and a warning where that is below the damping."""
        gap, gamma = self.smallest_splitting(), max(float(self.gamma_hot), float(self.gamma_cold))
        if gap >= gamma:
            return {"smallest_splitting": gap}
        warning = (
            "the secular master equation needs a spin splitting above the damping, "
            f"but 2 Delta_min = {gap:.4g} < gamma = {gamma:.4g}"
        )
        return {"smallest_splitting": gap, "warning": warning}


def _share(hot, cold):
    """(xi_h - xi_c)/(xi_h + xi_c)."""
    return (hot - cold) / (hot + cold)


def _drive(bands, k):
    """Delta . d cos k / cosh^2(D/T) [energy^2]."""
    decay = jnp.exp(-2 * bands.splitting(k) / bands.T)
    return bands.splitting(k) * bands.along(k) * 4 * decay / (1 + decay) ** 2


def _chosen(name: str, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, but was {value!r}")


# ---- limits, as closed forms ---------------------------------------------------------------------------------


def low_temperature_velocity(device: ActiveParticle):
    """(S5), sign reversed: T << |Delta| << hopping, -dT/T^2 (xi_h - xi_c)/(xi_h + xi_c) 4 eps.d e^{-2 eps/T} at k = 0 [energy]."""
    bands, k = device.bands(), jnp.zeros(())
    e, d = bands.field, bands.spin_orbit
    dot = e[0] * d[0] + e[1] * d[1]
    return -bands.bias / bands.T**2 * _share(*bands.couplings(k)) * 4 * dot * jnp.exp(-2 * device.epsilon / bands.T)


def intermediate_temperature_velocity(device: ActiveParticle):
    """(S6), sign reversed: |Delta|, T << hopping, -dT/T^2 (xi_h - xi_c)/(xi_h + xi_c) eps.d/cosh^2(eps/T) at k = 0 [energy]."""
    bands, k = device.bands(), jnp.zeros(())
    return -bands.bias / bands.T**2 * _share(*bands.couplings(k)) * _drive(bands, k)


def high_temperature_velocity(device: ActiveParticle):
    """(S8), sign reversed: |Delta| << hopping << T, -2 dT/T^3 w times the mean of cos k Delta.d cos k (xi_h - xi_c)/(xi_h + xi_c)."""
    bands, k = device.bands(), device.momenta
    mean = jnp.mean(_share(*bands.couplings(k)) * bands.hopping * jnp.cos(k) * bands.splitting(k) * bands.along(k))
    return -2 * bands.bias / bands.T**3 * mean


def optimal_temperature_limit(epsilon, fixed_ratio: bool = False):
    """(S7): the T with T = epsilon tanh(epsilon/T), optimal for |Delta|, T << hopping at fixed dT [energy].

    At fixed dT/T it is T = 2 epsilon tanh(epsilon/T). Differentiable in epsilon: T is proportional to it.
    """
    from scipy.optimize import brentq

    a = 2.0 if fixed_ratio else 1.0
    return epsilon * brentq(lambda T: T - a * np.tanh(1 / T), 0.1, 3.0, xtol=1e-16)
