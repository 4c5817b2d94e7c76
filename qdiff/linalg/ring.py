"""Jumps of bounded length on a ring: what moves between a few bands at N places, and the generator of it.

Rates are one array, rate (2 reach + 1, bands, bands, N): rate[reach + m, s', s, k] of the jumps from (s, k) to (s', k + m), indices
of k cyclic. Entries from a state to itself count for nothing.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def ahead(x: Float[Array, "*lead N"], reach: int) -> Float[Array, "m *lead N"]:
    """x at the places k + m, m = -reach .. reach, as the first axis; by slices and reshapes only."""
    n, count = x.shape[-1], 2 * reach + 1
    around = jnp.concatenate([x[..., n - reach :], x, x[..., :reach]], axis=-1)
    length = n + 2 * reach
    # Copies in a row, cut again into rows that are one longer: each starts one place further on
    # than the last. A gather would read the indices of all (2 reach + 1) N entries from memory, and
    # slices one by one would make a program as long as the reach.
    tiled = jnp.broadcast_to(around[None], (count, *around.shape))
    tiled = jnp.moveaxis(tiled, 0, -2).reshape(*x.shape[:-1], count * length)
    tiled = jnp.concatenate([tiled, jnp.zeros((*x.shape[:-1], count))], axis=-1)
    rows = tiled.reshape(*x.shape[:-1], count, length + 1)[..., :n]
    return jnp.moveaxis(rows, -2, 0)


def arriving(y: Float[Array, "m *lead N"]) -> Float[Array, "m *lead N"]:
    """y[m, ..., k - m] for every m = -reach .. reach: what started m places before, by slices and reshapes only."""
    count, n = y.shape[0], y.shape[-1]
    reach = count // 2
    around = jnp.concatenate([y[..., n - reach :], y, y[..., :reach]], axis=-1)
    length = n + 2 * reach
    flat = jnp.moveaxis(around, 0, -2).reshape(*y.shape[1:-1], count * length)
    flat = lax.slice_in_dim(flat, 2 * reach, 2 * reach + count * (length - 1), axis=-1)
    rows = flat.reshape(*y.shape[1:-1], count, length - 1)[..., :n]
    return jnp.moveaxis(rows, -2, 0)


def leaving(rate):
    """The rate at which each state is left (bands, N)."""
    own = jnp.eye(rate.shape[1])[:, :, None]
    stays = rate[rate.shape[0] // 2] * own
    return jnp.sum(rate, axis=(0, 1)) - jnp.sum(stays, axis=0)


def act(rate, p):
    """dp/dt of p (bands, N): what flows in minus what flows out."""
    flow = jnp.einsum("mabk,bk->mak", rate, p)
    return jnp.sum(arriving(flow), axis=0) - jnp.sum(rate, axis=(0, 1)) * p


def act_T(rate, f):
    """The adjoint: how fast the mean of f (bands, N) grows from each state, sum over its jumps of rate (f' - f)."""
    rise = ahead(f, rate.shape[0] // 2)[:, :, None] - f
    return jnp.einsum("mabk,mabk->bk", rate, rise)


def matrix(rate):
    """The generator as a matrix (bands N, bands N), band by band."""
    n, b, r = rate.shape[3], rate.shape[1], rate.shape[0] // 2
    k = np.arange(n)
    transfer = (k[:, None] - k + n // 2) % n - n // 2
    there = np.abs(transfer) <= r
    R = rate[np.where(there, transfer + r, 0), :, :, np.broadcast_to(k, (n, n))]
    W = jnp.where(there[..., None, None], R, 0.0).transpose(2, 0, 3, 1).reshape(b * n, b * n)
    W = W - jnp.diag(jnp.diag(W))
    return W - jnp.diag(jnp.sum(W, axis=0))
