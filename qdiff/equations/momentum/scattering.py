"""Scattering between momenta: jumps of bounded momentum transfer between a few bands on a ring of momenta."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...generator import AbstractGenerator
from ...linalg import ring
from ...operators.checks import real_array


class Scattering(AbstractGenerator):
    """The rate equation of populations p[s, k] of `bands` bands at N momenta on a ring,

        dp[s', k+m]/dt = sum over s and |m| <= reach of  rate[m, s', s, k] p[s, k]  -  what leaves.

    Args:
        rate: (2 reach + 1, bands, bands, N): of the jumps from (s, k) to (s', k + m), m = -reach .. reach, indices of k
            cyclic [rate]. Entries from a state to itself count for nothing.

    Raises:
        ValueError: the shape is none of these, or the reach is not shorter than half the ring.

    Differentiable in the rates.
    """

    rate: jax.Array = eqx.field(converter=lambda rate: real_array("rate", rate))

    def __check_init__(self):
        shape = jnp.shape(self.rate)
        if len(shape) != 4 or shape[0] % 2 == 0 or shape[1] != shape[2]:
            raise ValueError(f"rate must have shape (2 reach + 1, bands, bands, N), but has shape {shape}")
        if shape[0] < 3 or not shape[1]:
            raise ValueError(f"rate must have a reach of at least 1 and at least one band, but has shape {shape}")
        if shape[0] > shape[3]:
            raise ValueError(f"the reach must be shorter than half of the {shape[3]} momenta, but was {shape[0] // 2}")

    @property
    def reach(self) -> int:
        return self.rate.shape[0] // 2

    @property
    def bands(self) -> int:
        return self.rate.shape[1]

    @property
    def size(self) -> int:
        """The number of momenta."""
        return self.rate.shape[3]

    def leaving(self):
        """The rate at which each state is left (bands, N)."""
        return ring.leaving(self.rate)

    def act(self, p):
        """dp/dt of p (bands, N): what flows in minus what flows out."""
        return ring.act(self.rate, p)

    def act_T(self, f):
        """The adjoint: how fast the mean of f (bands, N) grows from each state, sum over its jumps of rate (f' - f)."""
        return ring.act_T(self.rate, f)

    def matrix(self):
        """The generator as a matrix (bands N, bands N), band by band [rate]."""
        return ring.matrix(self.rate)

    def steady_state(self) -> jax.Array:
        """The stationary populations p (bands, N), normalised to one.

        By elimination without subtraction, arc by arc (`linalg.cyclic_elimination`): O(N reach^2).

        Returns:
            p (bands, N) [1].

        Raises:
            SolveError: at run time, if a rate is negative or not finite, or the state is not unique.

        Differentiable in the rates, forward and reverse, to any order, by the implicit function theorem.

        Accuracy: every population to 1e-13 of itself.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> hops = qd.momentum.Scattering(jnp.stack([jnp.full(8, 2.0), jnp.zeros(8), jnp.full(8, 1.0)])[:, None, None, :])
            >>> [round(float(p), 12) for p in hops.steady_state()[0, :2]]
            [0.125, 0.125]
        """
        from .scattering_steady import stationary_scattering

        return stationary_scattering(self.rate)

    def driven(self, source) -> tuple[jax.Array, jax.Array]:
        """The stationary populations p (bands, N), and how much they differ from others that are known.

        Where W_0 p_0 = 0 is known, p - p_0 solves W x = -(W - W_0) p_0: what is small stays accurate.

        Args:
            source: (W - W_0) p_0 (bands, N), with sum zero [rate].

        Returns:
            p and x with W x = -source and sum zero, to about 1e-12 of its own largest entry, also where the bands exchange
            particles 1e9 times as fast as momenta relax.

        Raises, differentiable: as `steady_state`.
        """
        from .scattering_steady import driven_scattering

        return driven_scattering(self.rate, source)

    def evolve(self, initial, times, *, method: str | None = None) -> jax.Array:
        """e^{Wt} x (k, bands, N) from x (bands, N), which need not be populations.

        Args:
            initial: x (bands, N).
            times: (k,), from zero up, in any order [1/rate].
            method: "dense" squares the propagator (`linalg.expm`): O(N^3) for all times together. "rational" is a
                rational function of the generator, in eight solves of O(N reach^2) for each time. None: what takes fewer
                operations.

        Returns:
            e^{Wt} x (k, bands, N), in the unit of x.

        Raises:
            ValueError: `initial` or `times` have a wrong shape or entries that are not finite, or there is no such method.

        Differentiable in the rates, in x and in the times, forward, reverse and to any order.

        Accuracy: 1e-12 of the largest entry; "rational", 1e-11.
        """
        from .scattering_steady import evolve_scattering

        return evolve_scattering(self.rate, initial, times, method)

    def relax(self) -> jax.Array:
        """The slowest decay rate: of the eigenvalues of the generator the one closest to zero.

        By Arnoldi's method on the inverse, which is known without subtraction.

        Returns:
            A scalar [rate].

        Raises:
            SolveError: at run time, if it is not found: the slowest decays are too close to each other, or oscillate.

        Differentiable in the rates, forward and reverse, to any order; beyond the first, NaN where other decays are as
        slow.

        Accuracy: 1e-12 of itself.
        """
        from .scattering_gap import slowest_scattering

        return slowest_scattering(self.rate)


def overlaps(h, reach: int):
    """|<s_k|s'_{k+m}>|^2 of states polarised along and against the unit vectors h.

    Args:
        h: the components of h, each (N,).

    Returns:
        (2 reach + 1, N) of equal polarisation, (1 + h.h')/2, and of opposite, (1 - h.h')/2 = |h x h'|^2 / (2 (1 + h.h')),
        which does not cancel for neighbours.
    """
    others = [ring.ahead(c, reach) for c in h]
    cosine = sum(c * o for c, o in zip(h, others, strict=True))
    cross = sum((h[i] * others[j] - h[j] * others[i]) ** 2 for i in range(len(h)) for j in range(i))
    near = cosine > 0
    return (1 + cosine) / 2, jnp.where(near, cross / (2 * (1 + jnp.where(near, cosine, 0.0))), (1 - cosine) / 2)


def reach_of(n: int, longest: float) -> int:
    """How many momenta 2 pi/n a jump of at most `longest` spans, less than half the ring.

    Rounded up to a multiple of eight; and where that is a third of the ring or more, all that is less than half of it,
    because leaving out the rest would save nothing.
    """
    reach = 8 * int(np.ceil(longest * n / (16 * np.pi)))
    return reach if 3 * reach <= n else (n - 1) // 2
