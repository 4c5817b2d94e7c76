"""Elimination without subtraction, for rate equations (Grassmann, Taksar, Heyman).

Gaussian elimination of a rate matrix, with every pivot taken as the sum of the rates that leave a state for those not
yet eliminated instead of as a diagonal entry: nothing is ever subtracted, and every population is found to relative
rounding, however small it is and however slow the slowest rate.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

# What `factor` returns: the generator W = -above @ below, with the zero at the first pivot replaced by one.
Factors = tuple[Float[Array, "n n"], Float[Array, "n n"]]


def factor(R: Float[Array, "n n"]) -> Factors:
    """The triangular factors of the generator with rates R[to, from]; the diagonal of R is not looked at.

    States are eliminated from the last to the first.
    """
    n = R.shape[0]
    index = jnp.arange(n)

    # Masks, because shapes in a loop cannot shrink: three times the operations of an elimination of
    # what is left, in one step that is compiled once, for any number of states.
    def step(k, A):
        k = n - 1 - k
        rest = index < k
        leaving = jnp.where(rest, A[:, k], 0.0)
        out = jnp.sum(leaving)
        share, row = leaving / out, jnp.where(rest, A[k], 0.0)
        A = A + share[:, None] * row
        return A.at[:, k].set(jnp.where(rest, share, jnp.where(index == k, out, A[:, k])))

    A = lax.fori_loop(0, n - 1, step, R)
    above = jnp.eye(n) - jnp.triu(A, 1)
    below = jnp.diag(jnp.where(index == 0, 1.0, jnp.diag(A))) - jnp.tril(A, -1)
    return above, below


def stationary(R: Float[Array, "n n"]) -> Float[Array, "n"]:
    """The p (n,) with sum_j (R_ij p_j - R_ji p_i) = 0 and sum p = 1, every entry to relative rounding.

    NaN if a state cannot be left for those before it, as when the stationary state is not unique.
    """
    return _solved(R)[0]


@jax.custom_jvp
def _solved(R):
    factors = factor(R)
    return _populations(factors), factors


@_solved.defjvp
def _solved_jvp(primals, tangents):
    (R,), (dR,) = primals, tangents
    p, factors = _solved(R)
    return (p, factors), (_response(R, p, factors, -act(dR, p)), jax.tree.map(jnp.zeros_like, factors))


def _populations(factors: Factors):
    x = solve_triangular(factors[1], (jnp.arange(len(factors[1])) == 0).astype(float), lower=True)
    return x / jnp.sum(x)


def act(R, p):
    """dp/dt (n,): what flows in minus what flows out."""
    R = R - jnp.diag(jnp.diag(R))
    return R @ p - jnp.sum(R, axis=0) * p


def _response(R, p, factors, right):
    """The inverse of W - s p 1^T, which is W's own on what has no sum, applied to `right`; differentiable in R."""
    p = lax.stop_gradient(p)
    # s p 1^T moves the eigenvalue zero to -s, of the size of the others, and touches nothing that
    # has no sum: the equation that is differentiated is regular, and its solution the same.
    s = lax.stop_gradient(jnp.max(R))
    first = jnp.arange(p.size) == 0
    above, below = factors

    def solve(_, r):
        # The first population is left free by the elimination; it is fixed afterwards, by the sum.
        total = jnp.sum(r)
        r = solve_triangular(above, r - total * p, lower=False, unit_diagonal=True)
        x = solve_triangular(below, -jnp.where(first, 0.0, r), lower=True)
        return x - p * (jnp.sum(x) + total / s)

    def solve_T(_, v):
        total = p @ v
        y = solve_triangular(below, -(v - total), lower=True, trans=1)
        z = solve_triangular(above, jnp.where(first, 0.0, y), lower=False, unit_diagonal=True, trans=1)
        return z - (p @ z + total / s)

    return lax.custom_linear_solve(lambda x: act(R, x) - s * p * jnp.sum(x), right, solve, solve_T)


def relaxation(R: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """K (n, n) with K r = -W^-1 r for every r of zero sum, and K p = 0 for the stationary p.

    How long each deviation lasts: the integral of e^{Wt} - p 1^T over all times. Its largest eigenvalue is one over the
    slowest decay rate. Differentiable in R.
    """
    p, factors = _solved(R)
    eye = jnp.eye(p.size)
    columns = jax.vmap(lambda r: _response(R, p, factors, r))(eye - p)
    return -columns.T
