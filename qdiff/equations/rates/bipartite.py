"""Two sets of states that exchange probability with each other only: sites and levels.

The ground states of a lattice (degenerate, one for each bath) and the levels of its excited states are such sets. What
the structure gives: either set can be eliminated without solving anything, one of them may be exchanged with infinitely
fast, and the rates need not be stored as a matrix.
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from . import open_chain
from .equation import Rates


class Kernel(eqx.Module):
    """A non-negative matrix, one row for each level and one column for each site."""

    @abc.abstractmethod
    def to_levels(self, x) -> jax.Array:
        """The matrix times x (sites,), shape (levels,)."""

    @abc.abstractmethod
    def to_sites(self, y) -> jax.Array:
        """The transposed matrix times y (levels,), shape (sites,)."""

    @abc.abstractmethod
    def row(self, m) -> jax.Array:
        """The entries (sites,) of one level, which may be traced."""


class Dense(Kernel):
    """A kernel given as a matrix (levels, sites): no operation with it subtracts."""

    matrix: jax.Array

    def to_levels(self, x):
        return self.matrix @ x

    def to_sites(self, y):
        return y @ self.matrix

    def row(self, m):
        return self.matrix[m]


class StandingWaves(Kernel):
    """The kernel sum_r left[r, m] w_mk right[r, k], with w the shares of standing waves (`equations.rates.open_chain`).

    Applied by Fourier transforms in O(r n log n), without a matrix. Args: left, right (terms, n).
    """

    left: jax.Array
    right: jax.Array

    def to_levels(self, x):
        return jnp.sum(self.left * open_chain.mix(self.right * x), axis=0)

    def to_sites(self, y):
        return jnp.sum(self.right * open_chain.mix(self.left * y), axis=0)

    def row(self, m):
        return (self.left[:, m] @ self.right) * open_chain.share(m + 1, self.right.shape[1])


class Exchange(eqx.Module):
    """The rate equation of sites k and levels m that exchange probability,

        k -> m at the rate  up_mk / slowness_m,      m -> k at the rate  down_mk / slowness_m.

    Args:
        up, down: `Kernel`s [energy times rate].
        slowness: (levels,), not negative [energy]. Zero is an infinitely fast exchange with every site that the level
            is joined to; one level at a time may have it. `inverse` and what is built on it are smooth there.
        energies: of the levels (levels,), those of the sites being zero [energy].
        heat: energies over slowness (levels,), which stays finite [1].
    """

    up: Kernel
    down: Kernel
    slowness: jax.Array
    energies: jax.Array
    heat: jax.Array

    def levels_from(self, p_sites):
        """The level populations (levels,) that are in balance with these site populations; the slowness does not matter."""
        return self.up.to_levels(p_sites) / self.down.to_levels(jnp.ones_like(p_sites))

    def fastest(self):
        """The number of the level with the fastest exchange, and the speeds (levels,) of the others relative to it, its own zero.

        What is exactly zero slow counts as slow by 1e-150 of the slowest: the limit, to rounding.
        """
        # Speeds relative to the fastest: an infinite one never appears, and the limit is approached
        # smoothly, with a derivative from the side where the slowness is positive.
        first = jnp.argmin(self.slowness)
        rest = jnp.arange(self.slowness.size) != first
        least = self.slowness[first] + 1e-150 * jax.lax.stop_gradient(jnp.max(self.slowness))
        return first, jnp.where(rest, least / jnp.where(rest, self.slowness, 1.0), 0.0)

    def leaving(self):
        """How fast each site is left (sites,), in units of the fastest level's speed [energy times rate]."""
        first, speed = self.fastest()
        return self.up.row(first) + self.up.to_sites(speed)

    def sites_from(self, p_levels):
        """The site populations (sites,) that are in balance with these level populations."""
        if isinstance(self.up, Dense) and isinstance(self.down, Dense):
            _, _, speed = self._speeds()
            return (p_levels @ (speed * self.down.matrix)) / jnp.sum(speed * self.up.matrix, axis=0)
        first, speed = self.fastest()
        return (self.down.row(first) * p_levels[first] + self.down.to_sites(speed * p_levels)) / self.leaving()

    def heat_currents(self, p_sites, p_levels):
        """The heat that flows into the system at each site (sites,), sum_m E_m (flow up - flow down) [energy times rate]."""
        return self.up.to_sites(self.heat) * p_sites - self.down.to_sites(self.heat * p_levels)

    def imbalance(self, p_sites, p_levels):
        """The largest net flow out of balance, of any state relative to all that flows through that state [1]."""
        back, p = self.sites_from(p_levels), self.levels_from(p_sites)
        return jnp.maximum(jnp.max(jnp.abs(back / p_sites - 1)), jnp.max(jnp.abs(p / p_levels - 1)))

    def rates(self) -> Rates:
        """The same as `Rates`, sites before levels and a bath for each site; for dense kernels.

        An infinite speed is 1e30 times the slowest here.
        """
        assert isinstance(self.up, Dense) and isinstance(self.down, Dense)
        up, down = self.up.matrix, self.down.matrix
        levels, sites = up.shape
        m = sites + np.arange(levels)
        speed = 1 / (self.slowness + 1e-30 * jax.lax.stop_gradient(jnp.max(self.slowness)))
        jumps = {f"site {k + 1}": _both(np.full(levels, k), m, speed * up[:, k], speed * down[:, k]) for k in range(sites)}
        return Rates(jnp.concatenate([jnp.zeros(sites), self.energies]), jumps)

    def through_sites(self):
        """The rates (levels, levels), [to, from], between levels once the sites are eliminated; for dense kernels.

            Q_m'm = sum_k (up_m'k / slowness_m') (down_mk / slowness_m) / sum_n (up_nk / slowness_n)

        Nothing is subtracted. Where a level is infinitely fast, every site that it is joined to leads to it first: with
        each site's own fastest level taken out of its sum, all terms are finite and smooth in the slowness.
        """
        assert isinstance(self.up, Dense) and isinstance(self.down, Dense)
        up, down = self.up.matrix, self.down.matrix
        rest, inverse, speed = self._speeds()
        share = 1 / jnp.sum(speed * up, axis=0)
        return (up * inverse) @ (share * speed * down).T + jnp.where(rest, 0.0, up) @ (share * inverse * down).T

    def _speeds(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """For every level and site: whether it is not the site's fastest, one over its slowness (zero for the fastest and
        where nothing is joined), and its speed relative to the fastest."""
        assert isinstance(self.up, Dense) and isinstance(self.down, Dense)
        # For each site by itself: a level that is infinitely fast, but not joined to this site,
        # must not count as its fastest.
        joined = self.up.matrix > 0
        slow = jnp.broadcast_to(self.slowness[:, None], joined.shape)
        rest = jnp.arange(slow.shape[0])[:, None] != jnp.argmin(jnp.where(joined, slow, jnp.inf), axis=0)
        other = rest & (joined | (self.down.matrix > 0))
        inverse = jnp.where(other, 1 / jnp.where(other, slow, 1.0), 0.0)
        least = jnp.sum(jnp.where(rest, 0.0, slow), axis=0)
        return rest, inverse, jnp.where(rest, least * inverse, 1.0)


def _both(k, m, up, down):
    return [(k, m, up), (m, k, down)]
