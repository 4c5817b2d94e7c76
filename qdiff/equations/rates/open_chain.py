"""Standing waves on an open chain: how much of every site there is in every level.

A chain of n sites with equal hopping has the levels phi_m(k) = sqrt(2/(n+1)) sin(pi m k/(n+1)), m, k = 1 .. n,
whatever the hopping. Site k holds the share w_mk = phi_m(k)^2 of level m, a matrix that is symmetric, doubly
stochastic, and in all but its diagonalisation a Fourier transform,

    w_mk = (1 - cos(2 pi m k/(n+1))) / (n+1).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def cosines(n: int) -> Float[np.ndarray, "n"]:
    """cos(pi m/(n+1)), m = 1 .. n: the levels of the chain in units of twice the hopping, opposite in pairs exactly."""
    m = np.arange(1, n + 1)
    # The sine of the distance from the middle keeps the pairs exactly opposite and the middle one exactly zero.
    return np.sin(np.pi * (n + 1 - 2 * m) / (2 * (n + 1)))


def shares(n: int) -> Float[np.ndarray, "n n"]:
    """The matrix w [m - 1, k - 1], with every entry to relative rounding and exact zeros at the nodes."""
    k = np.arange(1, n + 1)
    return _share(np.outer(k, k) % (n + 1), n, np)


def share(m, n: int) -> Float[Array, "n"]:
    """One row of w, for a level m that may be traced."""
    return _share((m * np.arange(1, n + 1)) % (n + 1), n, jnp)


def _share(turns, n: int, numpy):
    # w depends on m k modulo n + 1 only, and is the same at a turn and at its opposite: an angle below pi/2.
    turns = numpy.minimum(turns, n + 1 - turns)
    return 2 / (n + 1) * numpy.sin(np.pi * turns / (n + 1)) ** 2


def mix(x: Float[Array, "*r n"]) -> Float[Array, "*r n"]:
    """w x along the last axis, by one real Fourier transform of length n + 1: error about 1e-16 of the mean of x."""
    n = x.shape[-1]
    # A transform of n + 1, not a cosine transform of 2 (n + 1): w depends on m k modulo n + 1 only.
    padded = jnp.concatenate([jnp.zeros((*x.shape[:-1], 1)), x], axis=-1)
    half = jnp.real(jnp.fft.rfft(padded))
    sums = half[..., :1] - half[..., 1:]  # m = 1 .. (n + 1)/2; the others repeat them
    fold = np.minimum(np.arange(1, n + 1), n + 1 - np.arange(1, n + 1)) - 1
    return sums[..., fold] / (n + 1)
