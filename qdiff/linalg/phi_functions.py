"""What a constant generator does in a given time: exp(G t) as its distance from one, and its integrals over the time.

With h = t/2^s short enough for a Taylor series, everything is doubled s times. The diagonal is carried as exp(G t) - 1 and
what leaves the diagonal as products of propagators, so that slow exchanges beside fast ones, and short times, keep their
relative accuracy; the trace of every column is corrected after each doubling, by rounding only.
"""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from .expm import conserving, polynomial

# The norm of G h; the remainder of the series, 0.5^17/17!, is far below rounding.
_SHORT, _DEGREE = 0.5, 16

# The longest time is 0.5 * 2^60 = 6e17 over the norm of G.
MOST = 60


class Passage(NamedTuple):
    """What a time t does: `change` = e^{Gt} - 1, `mean` = the integral of e^{Gs} over 0 < s < t, `twice` = that of `mean`."""

    change: Float[Array, "n n"]
    mean: Float[Array, "n n"]
    twice: Float[Array, "n n"]


def passage(G: Float[Array, "n n"], trace: Float[np.ndarray, "n"], time) -> Passage:
    """e^{Gt} - 1 and its integrals.

    Args:
        G: the generator [rate]. trace: the trace as a covector, which G conserves. time: t, above zero [1/rate].

    Differentiable in G and t, to any order, forward and reverse. NaN for times beyond 6e17 over the norm of G, and for
    times that are not above zero.
    """
    norm = lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(G), axis=0)))
    wanted = jnp.ceil(jnp.log2(norm * lax.stop_gradient(time) / _SHORT))
    time = jnp.where((time > 0) & (wanted <= MOST), time, jnp.nan)
    doublings = jnp.clip(jnp.nan_to_num(wanted), 0, MOST)
    h = time * jnp.exp2(-doublings)
    A, one = G * h, jnp.eye(len(G))
    # phi_k = sum_j A^j / (j + k)!, and phi_{k-1} = 1/(k-1)! + A phi_k.
    second = _series(A)
    first = one + A @ second
    start = _corrected(Passage(A @ first, h * first, h**2 * second), trace, h)

    # A scan of fixed length, most of whose steps do nothing: a loop that ends when it may has no
    # reverse derivative.
    def double(carry, k):
        return lax.cond(k < doublings, lambda c: (_doubled(c[0], c[1], trace), 2 * c[1]), lambda c: c, carry), None

    return lax.scan(double, (start, h), jnp.arange(MOST))[0][0]


def _series(A):
    """sum_j A^j / (j + 2)! to the degree 16."""
    return polynomial(A, [1 / factorial(j + 2) for j in range(_DEGREE + 1)])


def _doubled(now: Passage, t, trace) -> Passage:
    n = len(now.change)
    one = jnp.eye(n)
    E = now.change + one
    moved = E @ jnp.concatenate([E, now.mean, now.twice], axis=1)
    # (1 + c)^2 - 1 on the diagonal, which keeps the digits of a small c. Off it, products of
    # propagators have only terms that are not negative for rates, where 2 c + c^2 would subtract.
    stay = 2 * jnp.diag(now.change) + jnp.sum(now.change * now.change.T, axis=1)
    change = jnp.where(one == 1, stay[:, None], moved[:, :n])
    out = Passage(change, now.mean + moved[:, n : 2 * n], now.twice + t * now.mean + moved[:, 2 * n :])
    return _corrected(out, trace, 2 * t)


def _corrected(now: Passage, trace, t) -> Passage:
    return Passage(
        conserving(now.change, trace, 0.0), conserving(now.mean, trace, t * trace), conserving(now.twice, trace, t**2 / 2 * trace)
    )
