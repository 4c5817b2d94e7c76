"""Scattering between momenta: jumps of bounded momentum transfer between a few bands on a ring of momenta."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...operators.checks import real_array


class Scattering(eqx.Module):
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
        own = jnp.eye(self.bands)[:, :, None]
        stays = self.rate[self.reach] * own
        return jnp.sum(self.rate, axis=(0, 1)) - jnp.sum(stays, axis=0)

    def act(self, p):
        """dp/dt of p (bands, N): what flows in minus what flows out."""
        flow = jnp.einsum("mabk,bk->mak", self.rate, p)
        return jnp.sum(arriving(flow), axis=0) - jnp.sum(self.rate, axis=(0, 1)) * p

    def act_T(self, f):
        """The adjoint: how fast the mean of f (bands, N) grows from each state, sum over its jumps of rate (f' - f)."""
        rise = ahead(f, self.reach)[:, :, None] - f
        return jnp.einsum("mabk,mabk->bk", self.rate, rise)

    def matrix(self):
        """The generator as a matrix (bands N, bands N), band by band [rate]."""
        n, b, r = self.size, self.bands, self.reach
        k = np.arange(n)
        transfer = (k[:, None] - k + n // 2) % n - n // 2
        there = np.abs(transfer) <= r
        R = self.rate[np.where(there, transfer + r, 0), :, :, np.broadcast_to(k, (n, n))]
        W = jnp.where(there[..., None, None], R, 0.0).transpose(2, 0, 3, 1).reshape(b * n, b * n)
        W = W - jnp.diag(jnp.diag(W))
        return W - jnp.diag(jnp.sum(W, axis=0))


def ahead(x: Float[Array, "*lead N"], reach: int) -> Float[Array, "m *lead N"]:
    """x at the momenta k + m, m = -reach .. reach, as the first axis; by slices and reshapes only."""
    n, count = x.shape[-1], 2 * reach + 1
    around = jnp.concatenate([x[..., n - reach :], x, x[..., :reach]], axis=-1)
    length = n + 2 * reach
    tiled = jnp.broadcast_to(around[None], (count, *around.shape))
    tiled = jnp.moveaxis(tiled, 0, -2).reshape(*x.shape[:-1], count * length)
    tiled = jnp.concatenate([tiled, jnp.zeros((*x.shape[:-1], count))], axis=-1)
    rows = tiled.reshape(*x.shape[:-1], count, length + 1)[..., :n]
    return jnp.moveaxis(rows, -2, 0)


def arriving(y: Float[Array, "m *lead N"]) -> Float[Array, "m *lead N"]:
    """y[m, ..., k - m] for every m = -reach .. reach: what started m momenta before, by slices and reshapes only."""
    count, n = y.shape[0], y.shape[-1]
    reach = count // 2
    around = jnp.concatenate([y[..., n - reach :], y, y[..., :reach]], axis=-1)
    length = n + 2 * reach
    flat = jnp.moveaxis(around, 0, -2).reshape(*y.shape[1:-1], count * length)
    flat = lax.slice_in_dim(flat, 2 * reach, 2 * reach + count * (length - 1), axis=-1)
    rows = flat.reshape(*y.shape[1:-1], count, length - 1)[..., :n]
    return jnp.moveaxis(rows, -2, 0)


def overlaps(h, reach: int):
    """|<s_k|s'_{k+m}>|^2 of states polarised along and against the unit vectors h.

    Args:
        h: the components of h, each (N,).

    Returns:
        (2 reach + 1, N) of equal polarisation, (1 + h.h')/2, and of opposite, (1 - h.h')/2 = |h x h'|^2 / (2 (1 + h.h')),
        which does not cancel for neighbours.
    """
    others = [ahead(c, reach) for c in h]
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
