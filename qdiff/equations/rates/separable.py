"""The rates of many baths at many energies, as a short sum of products.

For a system in which every level exchanges energy with every bath, the rates are a matrix, one entry for each energy
and each temperature. They are smooth in the logarithm of the temperature: e^{-E/T}, as a function of log T, is bounded
in the strip |Im log T| < pi/2, so that Chebyshev's interpolation between the lowest and the highest temperature
converges like rho^-r, log rho = asinh(pi / log(T_max/T_min)), whatever the energies.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...baths.occupation import thermal

# With 32 terms the error is rounding up to T_max/T_min = 10, 1e-13 at 20, 1e-11 at 50 and 3e-10 at 100.
TERMS = 32


def separable_rates(energy: Float[Array, "m"], temperature: Float[Array, "n"], terms: int = TERMS) -> tuple[Array, ...]:
    """What baths of unit Ohmic density absorb from and give to transitions of these energies, in separated form.

        emission   E/(1 - e^{-E/T})  =  sum_r down[r, m] right[r, n]
        absorption E/(e^{E/T} - 1)   =  sum_r up[r, m] right[r, n] scale[n]

    Args:
        energy: E, any sign [energy]. temperature: T, positive [energy]. terms: the number of products.

    Returns:
        down, up (terms, m), right (terms, n), scale (n,): e^{-E_min/T} of the lowest energy, if that is positive;
        and an estimate of the error of the interpolation, relative to the largest rate of each energy.

    Differentiable in both arguments: in the energies to rounding, in the temperatures to 1e-10 of the largest rate.
    """
    log = jnp.log(temperature)
    low, high = lax.stop_gradient(jnp.min(log)), lax.stop_gradient(jnp.max(log))
    # The interval is that of the temperatures at hand, not differentiated: another one would
    # interpolate the same function as well.
    # Rounding of the derivative grows as one over the width, so that equal temperatures still need an interval.
    centre, width = (low + high) / 2, jnp.maximum((high - low) / 2, 0.3)
    angle = np.pi * (np.arange(terms) + 0.5) / terms
    right = _chebyshev((log - centre) / width, terms)
    nodes = jnp.exp(centre + width * np.cos(angle))
    weights = np.cos(np.outer(np.arange(terms), angle)) * 2 / terms
    weights[0] /= 2
    weights = jnp.asarray(weights)

    ground = lax.stop_gradient(jnp.maximum(jnp.min(energy), 0.0))  # the least energy to climb
    x = energy / nodes[:, None]
    down = weights @ (nodes[:, None] * thermal(-x))
    up = weights @ (nodes[:, None] * scaled_absorption(x, ground / nodes[:, None]))
    # The last two Chebyshev coefficients tell the error, as they fall by a constant factor.
    size = jnp.max(jnp.abs(jnp.stack([down, up])), axis=(0, 2))
    return down, up, right, jnp.exp(-ground / temperature), jnp.sum(size[-2:]) / jnp.max(size)


def scaled_absorption(x, ground):
    """e^{ground} x/(e^x - 1) for 0 <= ground <= x, or for ground = 0 and any x: free of overflow and cancellation."""
    return jnp.where(x > 0, jnp.exp(-jnp.where(x > 0, x - ground, 0.0)) * thermal(-jnp.abs(x)), thermal(x))


def _chebyshev(x, terms: int):
    """T_0 .. T_{terms - 1} at x (n,), shape (terms, n)."""
    rows = [jnp.ones_like(x), x]
    for _ in range(terms - 2):
        rows.append(2 * x * rows[-1] - rows[-2])
    return jnp.stack(rows[:terms])
