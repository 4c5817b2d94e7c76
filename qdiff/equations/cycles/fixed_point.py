"""The fixed point of a linear map of states, its response and its slowest mode, without subtracting what is nearly equal.

The map is given as its distance from one, N = M - 1. Coherences are eliminated by one dense solve; what is left on the
populations conserves their sum, and is eliminated with pivots taken from the off-diagonal entries alone (Grassmann,
Taksar, Heyman). Where the map keeps populations only, it is a Markov chain, and nothing is subtracted at all.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import eigenpair, gth

# Coherences whose equation is worse conditioned than this are conserved to all that can be told.
_CONDITION = 1e14


class Chain(NamedTuple):
    """The solved chain: `fixed` (n,) with N x = 0 and unit trace, and `response` (n, n), K with N (K r) = -r for every
    r of zero trace, K r of zero trace."""

    fixed: jax.Array
    response: jax.Array


def solve(N, population: np.ndarray) -> Chain:
    """Solve the chain; NaN where the fixed point is not unique.

    Args:
        N: M - 1 (n, n), whose columns have zero trace. population: boolean (n,), which coordinates are populations.

    Differentiable in N, to any order, by the implicit function theorem.
    """
    p, c = np.flatnonzero(population), np.flatnonzero(~population)
    back = np.argsort(np.r_[p, c])
    if c.size:
        inverse = _inverse(N[c][:, c])
        gone = -inverse @ N[c][:, p]
        W = N[p][:, p] + N[p][:, c] @ gone
    else:
        W = N
    order = _order(lax.stop_gradient(W))
    there = jnp.argsort(order)
    W = W[order][:, order]
    x = gth.stationary(W)[there]
    K = gth.relaxation(W)[there][:, there]
    if c.size:
        left = jnp.concatenate([jnp.eye(p.size), gone])
        right = jnp.concatenate([jnp.eye(p.size), -N[p][:, c] @ inverse], axis=1)
        K = left @ K @ right
        K = K - jnp.pad(inverse, ((p.size, 0), (p.size, 0)))
        x = left @ x
    return Chain(x[back], K[back][:, back])


def _inverse(A):
    # The whole inverse, not a factorisation: the response needs it, too.
    inverse = jnp.linalg.inv(A)
    known = lax.stop_gradient((A, inverse))
    condition = jnp.linalg.norm(known[0], 1) * jnp.linalg.norm(known[1], 1)
    return jnp.where(condition < _CONDITION, inverse, jnp.nan)


def _order(W):
    """An order in which no state is eliminated (last to first) that cannot be left for those still there."""
    n = len(W)
    index = jnp.arange(n)

    # The structure does not tell the order: W is what is left once coherences are eliminated, and
    # its entries may vanish. So the state that is left fastest goes first, as a pivot.
    def step(k, carry):
        A, left, order = carry
        leaving = jnp.where(left[:, None] & (index[:, None] != index), A, 0.0)
        rate = jnp.where(left, jnp.sum(leaving, axis=0), -jnp.inf)
        at = jnp.argmax(rate)
        left = left.at[at].set(False)
        A = A + jnp.outer(jnp.where(left, A[:, at] / rate[at], 0.0), jnp.where(left, A[at], 0.0))
        return A, left, order.at[n - 1 - k].set(at)

    _, left, order = lax.fori_loop(0, n - 1, step, (W, jnp.ones(n, bool), jnp.zeros(n, int)))
    return order.at[0].set(jnp.argmax(left))


@jax.jit
def slowest(K):
    """The mode that decays last: 1 - lambda, with the eigenvalue lambda != 1 of M of largest modulus; complex.

    Args:
        K: the chain's response.

    Where the eigenvalue is simple, differentiable up to third order; else to first order, along the eigenvector that LAPACK gives.
    """
    n = len(K)
    fixed = lax.stop_gradient(K)
    kappa, V = jnp.linalg.eig(fixed)
    # K takes the fixed point to zero: that eigenvalue is no decay.
    size = jnp.abs(kappa)
    decays = size > 1e-14 * jnp.max(size)
    modulus = jnp.where(decays, jnp.abs(1 - 1 / jnp.where(decays, kappa, 1.0)), -jnp.inf)
    at = jnp.argmax(modulus)
    y, x = kappa[at], V[:, at]
    apart = jnp.min(jnp.where(jnp.arange(n) == at, jnp.inf, jnp.abs(kappa - y)))
    simple = apart > 1e-10 * jnp.max(size)
    # The left eigenvector, for a first derivative also where Newton's matrix would be singular.
    w = jnp.linalg.solve(V.T, (jnp.arange(n) == at).astype(complex))
    linear = w @ (K @ x)
    y, _ = eigenpair.refined(K, y, x, regular=simple)
    return 1 / jnp.where(simple, y, linear)
