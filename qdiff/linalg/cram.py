"""The exponential of a generator from linear solves alone: the best rational approximation on the negative axis."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax

# e^z = a_0 prod_l (1 + 2 Re[a_l/(z - theta_l)]) on z <= 0 to 2e-16: Chebyshev rational approximation of order 16 in its
# incomplete partial fractions. M. Pusa, Nucl. Sci. Eng. 182, 297 (2016), table of coefficients.
_LIMIT = 2.124853710495224e-16
_RESIDUES = np.array(
    [
        5.464930576870210e3 - 3.797983575308356e4j,
        9.045112476907548e1 - 1.115537522430261e3j,
        2.344818070467641e2 - 4.228020157070496e2j,
        9.453304067358312e1 - 2.951294291446048e2j,
        7.283792954673409e2 - 1.205646080220011e5j,
        3.648229059594851e1 - 1.155509621409682e2j,
        2.547321630156819e1 - 2.639500283021502e1j,
        2.394538338734709e1 - 5.650522971778156e0j,
    ]
)
_POLES = np.array(
    [
        3.509103608414918 + 8.436198985884374j,
        5.948152268951177 + 3.587457362018322j,
        -5.264971343442647 + 16.22022147316793j,
        1.419375897185666 + 10.92536348449672j,
        6.416177699099435 + 1.194122393370139j,
        4.993174737717997 + 5.996881713603942j,
        -1.413928462488886 + 13.49772569889275j,
        -10.84391707869699 + 19.27744616718165j,
    ]
)


def exponential(shifted: Callable, x, t):
    """e^{W t} x of a real matrix W whose eigenvalues lie near the negative real axis, by eight complex solves.

    Args:
        shifted: (t, theta, y) -> the solution z of (t W - theta) z = y, for a complex number theta, at its own accuracy.
        x: real array (n,). t: time, scalar, not negative; t = 0 gives x to 1e-13.

    Differentiable as far as `shifted` is.

    Accuracy: about 1e-13 of |x| for a W that is symmetric, 5e-12 for one with a strong drift, whatever the product of its norm and
    the time; of eigenvalues with imaginary parts comparable to their distance from zero, less.
    """

    # A product of factors, each acting on what the last one gave: all eight terms of a sum could be
    # solved for side by side, but round more. Squaring, as in `expm`, needs dense matrices; here
    # each pole is one solve with the structure that the generator has, however long the time.
    def factor(y, pole):
        residue, theta = pole
        return y + 2 * jnp.real(residue * shifted(t, theta, y.astype(complex))), None

    y, _ = lax.scan(factor, x, (jnp.asarray(_RESIDUES), jnp.asarray(_POLES)))
    return _LIMIT * y
