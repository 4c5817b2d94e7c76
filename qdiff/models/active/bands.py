"""The two bands of a particle with spin on a ring in momentum space, and what two spin baths do to each momentum.

    H_k = eps_k - Delta_k . sigma,   eps_k = -2 w cos k,   Delta_k = eps - 2 d sin k,

with eps and d in the x-z plane. The hot bath couples to sigma_x, the cold one to sigma_z. Everything is written such
that nothing cancels at low temperatures and small bias, and that nothing but a direction is undefined where the bands
touch: D coth(D/T) and the like are even, analytic functions of D = |Delta_k|.

The band "up" has its spin along Delta_k and the lower energy eps_k - D.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from ...baths.occupation import thermal, x_coth
from ...linalg.trig import kept, sincos


class Bands(eqx.Module):
    """The device's bands and baths; every method takes momenta of any shape and returns arrays of that shape.

    Args:
        field: (x, z) components of eps [energy]. spin_orbit: those of d [energy]. hopping: w [energy].
        rates: gamma of the hot and of the cold bath [rate]. T: of the initial state and the phonons [energy].
        bias: T_hot - T_cold, around T [energy].
    """

    field: tuple[jax.Array, jax.Array]
    spin_orbit: tuple[jax.Array, jax.Array]
    hopping: jax.Array
    rates: tuple[jax.Array, jax.Array]
    T: jax.Array
    bias: jax.Array

    # ---- bands ------------------------------------------------------------------------------------------

    def dispersion(self, k):
        """eps_k [energy]."""
        return -2 * self.hopping * sincos(k)[1]

    def zeeman(self, k):
        """The components of Delta_k [energy]."""
        return tuple(e - 2 * d * sincos(k)[0] for e, d in zip(self.field, self.spin_orbit, strict=True))

    def splitting(self, k):
        """D = |Delta_k|, half the distance of the bands [energy]."""
        return self._polar(k)[0]

    def direction(self, k):
        """The unit vector h = Delta_k / D; along d where the bands touch."""
        return self._polar(k)[1]

    def _polar(self, k):
        x, z = self.zeeman(k)
        square = x**2 + z**2
        touching = square == 0
        D = jnp.sqrt(jnp.where(touching, 1.0, square))
        other = _unit(*self.spin_orbit)
        h = tuple(jnp.where(touching, o, c / D) for c, o in zip((x, z), other, strict=True))
        return kept(jnp.where(touching, 0.0, D)), tuple(map(kept, h))

    def along(self, k):
        """A = h . d cos k, the part of the velocity that is diagonal in the bands [energy]."""
        (x, z), (a, b) = self.direction(k), self.spin_orbit
        return (x * a + z * b) * sincos(k)[1]

    def across(self, k):
        """(h x d) cos k, the part that joins the bands [energy]."""
        (x, z), (a, b) = self.direction(k), self.spin_orbit
        return (z * a - x * b) * sincos(k)[1]

    def group_velocities(self, k):
        """The slopes of the bands, up and down [energy]."""
        v, A = 2 * self.hopping * sincos(k)[0], 2 * self.along(k)
        return v + A, v - A

    # ---- spin baths -------------------------------------------------------------------------------------

    def temperatures(self):
        """T_hot and T_cold [energy]."""
        return self.T + self.bias / 2, self.T - self.bias / 2

    def couplings(self, k):
        """xi of the hot and the cold bath, gamma |<up|sigma|down>|^2 [rate]."""
        x, z = self.direction(k)
        return self.rates[0] * z**2, self.rates[1] * x**2

    def flips(self, k):
        """The rates up -> down and down -> up [rate]; infinite where the bands touch."""
        up, down = self._flips(k)
        D = self.splitting(k)
        return up / (2 * D), down / (2 * D)

    def _flips(self, k):
        """`flips` times 2 D, finite where the bands touch [rate energy]."""
        D, baths = self.splitting(k), tuple(zip(self.couplings(k), self.temperatures(), strict=True))
        return tuple(sum(x * T * thermal(sign * 2 * D / T) for x, T in baths) for sign in (1, -1))

    def relaxation(self, k):
        """Gamma = sum xi_a coth(D/T_a), the decay rate of the polarisation [rate]."""
        return self._weighted(k) / self.splitting(k)

    def _weighted(self, k):
        """sum xi_a D coth(D/T_a), finite where the bands touch [rate energy]."""
        D = self.splitting(k)
        return sum(x * T * kept(x_coth(D / T)) for x, T in zip(self.couplings(k), self.temperatures(), strict=True))

    def polarisation(self, k):
        """The stationary r_z = <tau_z> of each momentum."""
        return self.splitting(k) * sum(self.couplings(k)) / self._weighted(k)

    def polarisation_slope(self, k):
        """dr_z/dk."""
        return jax.jvp(self.polarisation, (k,), (jnp.ones_like(k),))[1]

    def unpolarised(self, k):
        """1 - r_z^2 = 4 G_+ G_- / Gamma^2, without cancellation at low temperature."""
        up, down = self._flips(k)
        return up * down / self._weighted(k) ** 2

    def mean_velocity(self, k):
        """Tr[v rho_k] of the stationary spin of each momentum [energy]."""
        return 2 * self.hopping * sincos(k)[0] + 2 * self.polarisation(k) * self.along(k)

    def equilibrium_velocity(self, k):
        """Tr[v rho_k] of the spin in equilibrium at T, 2 w sin k + 2 tanh(D/T) A [energy]."""
        return 2 * self.hopping * sincos(k)[0] + 2 * jnp.tanh(self.splitting(k) / self.T) * self.along(k)

    def excess_velocity(self, k):
        """The bias's share of `mean_velocity`, 2 (r_z - tanh(D/T)) A, without cancellation [energy]."""
        return self.bias * self.excess_per_bias(k)

    def excess_per_bias(self, k):
        """`excess_velocity` over the bias [1]; a limit for vanishing bias exists."""
        (x, z), (a, b) = self.zeeman(k), self.spin_orbit
        return 2 * (x * a + z * b) * sincos(k)[1] * self._gain(k) / self._weighted(k)

    def unbalance(self, k):
        """How fast the bias moves the populations (2, ...) of up and down out of equilibrium, for one particle at k [rate]."""
        rate = self.bias / 2 * self._gain(k)
        return jnp.stack([rate, -rate])

    def _gain(self, k):
        """tanh(D/T) sum xi_a (coth(D/T) - coth(D/T_a)), over the bias [rate/energy]."""
        D = self.splitting(k)
        terms = zip((-0.5, 0.5), self.couplings(k), self.temperatures(), strict=True)
        return sum(half * xi * _coth_ratio(D, self.T, T) for half, xi, T in terms) / (self.T * x_coth(D / self.T))

    # ---- distributions ----------------------------------------------------------------------------------

    def log_weight(self, k):
        """The logarithm of Tr exp(-H_k/T), up to a constant."""
        D = self.splitting(k)
        return (D - self.dispersion(k)) / self.T + jnp.log1p(jnp.exp(-2 * D / self.T))


def _unit(x, z):
    square = x**2 + z**2
    size = jnp.sqrt(jnp.where(square == 0, 1.0, square))
    return jnp.where(square == 0, 0.0, x / size), jnp.where(square == 0, 1.0, z / size)


def _coth_ratio(D, T, other):
    """D (coth(D/T) - coth(D/T')) / (T - T'), positive: no step subtracts, and none overflows.

    With n the Bose factor, n(x) - n(y) = n(x) (n(y) + 1) (1 - e^{x - y}) = n(y) (n(x) + 1) (e^{y - x} - 1).
    """
    x, y = 2 * D / T, 2 * D / other
    gap = 2 * D * (T - other) / (T * other)
    colder = gap >= 0
    up, down = jnp.where(colder, gap, 0.0), jnp.where(colder, 0.0, gap)
    return jnp.where(colder, thermal(x) * thermal(-y) / thermal(-up), thermal(y) * thermal(-x) / thermal(down))


def master_equation(k, bands: Bands):
    """H_k and the jumps of both baths, in the basis of sigma_z."""
    x, z = bands.zeeman(k)
    hx, hz = bands.direction(k)
    eps = bands.dispersion(k)
    H = jnp.array([[eps - z, -x], [-x, eps + z]])
    # |up><down| = (e . sigma + i sigma_y)/2 with e = (h_z, 0, -h_x).
    lower = jnp.array([[-hx, hz + 1], [hz - 1, hx]]) / 2
    D = bands.splitting(k)
    jumps = {}
    for name, xi, T in zip(("hot", "cold"), bands.couplings(k), bands.temperatures(), strict=True):
        up = xi * T * kept(thermal(2 * D / T)) / (2 * D)
        jumps[name] = [(up + xi, lower), (up, lower.T)]
    return H, jumps
