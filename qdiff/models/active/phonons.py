"""Phonons that scatter a particle with two bands between momenta: the rates, and their limit of short range."""

from __future__ import annotations

import dataclasses
from math import factorial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...baths.occupation import omega_bose
from ...equations.momentum.drift_diffusion import DriftDiffusion
from ...equations.momentum.scattering import Scattering, overlaps
from ...linalg.ring import ahead
from ...results import Failure, check
from .bands import Bands

# Jumps by more than this many ranges q_0 have e^-45 = 3e-20 of the largest rate.
RANGES = 45

_STALE = Failure(
    "phonon_range is more than 1.5 times the one that this device was made with, which decides how far phonons scatter: "
    "make it with the largest"
)


@dataclasses.dataclass(frozen=True)
class Phonons:
    """A bath of phonons with an exponential range, at the temperature T of the bands.

    The rate of the jump from (k, s) to (k + q, s') is coupling/N e^{-|q|/range} |<s_k|s'_{k+q}>|^2 Omega/(e^{Omega/T} - 1)
    times |Omega|^(exponent - 2), Omega the energy gained; for exponent 1, (Omega^2 + cutoff^2)^(-1/2).

    Args:
        coupling: lambda_0 [rate]. range: q_0. cutoff: omega_c [energy]. exponent: p, 1 to 4. flips: whether jumps from one
            band to the other count.
    """

    coupling: Any
    range: Any
    cutoff: Any
    exponent: int
    flips: bool

    def scattering(self, bands: Bands, k, reach: int) -> Scattering:
        """The rate equation at momenta k (N,), for jumps by up to `reach` of them, with what the baths of the spin do."""
        N = k.size
        q = 2 * np.pi * np.arange(-reach, reach + 1) / N
        beyond = jnp.exp(-(reach + 1) * 2 * np.pi / N / self.range) > 1e-13
        scale = check(jnp.asarray(self.range, float), (beyond & (reach < (N - 1) // 2), _STALE))
        D, eps = bands.splitting(k), bands.dispersion(k)
        energy = jnp.stack([eps - D, eps + D])
        gain = ahead(energy, reach)[:, :, None] - energy
        same, flip = overlaps(bands.direction(k), reach)
        flip = flip if self.flips else jnp.zeros_like(flip)
        overlap = jnp.stack([jnp.stack([same, flip], axis=1), jnp.stack([flip, same], axis=1)], axis=1)
        coupling = self.coupling / N * jnp.exp(-np.abs(q) / scale) * (q != 0)
        rate = coupling[:, None, None, None] * overlap * omega_bose(gain, 1 / bands.T) * self._density(gain)
        down, up = bands.flips(k)
        return Scattering(rate.at[reach, 1, 0].add(down).at[reach, 0, 1].add(up))

    def _density(self, omega):
        """|omega|^(p - 2), the phonons' density of states over omega^2 [energy^(p - 2)]."""
        p = self.exponent
        if p == 1:
            return 1 / jnp.sqrt(omega**2 + self.cutoff**2)
        return jnp.abs(omega) ** (p - 2) if p == 3 else omega ** (p - 2)

    def drift_diffusion(self, bands: Bands) -> DriftDiffusion:
        """The limit of a short range and a weak coupling."""
        p = self.exponent
        # The mean of lambda_q q^p over q.
        strength = self.coupling * factorial(p) * self.range ** (p + 1) / (2 * jnp.pi)

        def parts(k):
            """Group velocities and polarisation, and |u|^(p - 2), |w|^(p - 2): both times |u w| for p = 1."""
            u, w = bands.group_velocities(k)
            a, b = jnp.abs(u), jnp.abs(w)
            powers = (b, a) if p == 1 else (a ** (p - 2), b ** (p - 2)) if p == 3 else (u ** (p - 2), w ** (p - 2))
            return u, w, bands.polarisation(k), powers

        def slope(k):
            u, w, r, (a, b) = parts(k)
            drift = (1 + r) * u * a + (1 - r) * w * b + bands.T * bands.polarisation_slope(k) * (a - b)
            return drift / (bands.T * ((1 + r) * a + (1 - r) * b))

        def resistance(k):
            u, w, r, (a, b) = parts(k)
            return 2 * (a * b if p == 1 else 1.0) / (strength * bands.T * ((1 + r) * a + (1 - r) * b))

        return DriftDiffusion(slope, resistance, tuple(lambda k, s=s: bands.group_velocities(k)[s] for s in (0, 1)))
