"""The momenta of a periodic chain, with mirror images that are exact."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Momenta(NamedTuple):
    """cos k and sin k (n,) of the momenta of a chain [1]."""

    cos: jax.Array
    sin: jax.Array


def numbers(n: int):
    """m (n,), the integers from -floor(n/2) on: the momenta of n sites are k = 2 pi m / n."""
    return jnp.arange(n) - n // 2


def momenta(n: int) -> Momenta:
    """Cosine and sine of k = 2 pi m/n.

    Angles are folded below pi/4 first: sin is exactly odd, both vanish exactly where they must, and k and pi - k have
    cosines that are exactly opposite (for even n).
    """
    m = numbers(n)
    eighth = jnp.abs(m) * 8  # |k| in units of pi/(4 n)
    beyond = eighth > 2 * n  # |k| > pi/2
    eighth = jnp.where(beyond, 4 * n - eighth, eighth)
    steep = eighth > n  # above pi/4
    angle = jnp.where(steep, 2 * n - eighth, eighth) * (np.pi / (4 * n))
    c, s = jnp.cos(angle), jnp.sin(angle)
    c, s = jnp.where(steep, s, c), jnp.where(steep, c, s)
    return Momenta(jnp.where(beyond, -c, c), jnp.sign(m) * s)
