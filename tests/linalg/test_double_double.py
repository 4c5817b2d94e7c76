"""Sums and products in doubled precision, against exact fractions."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from helpers import close

from qdiff.linalg import double_double


def exact(x):
    return [Fraction(float(v)) for v in np.ravel(x)]


def test_sums_and_products_know_their_rounding_errors():
    """Rounded result and error together are the sum and the product, to the last bit."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=500) * 10.0 ** rng.integers(-8, 8, 500) for _ in range(2))
    for combined, of in ((double_double._two_sum, Fraction.__add__), (double_double._two_product, Fraction.__mul__)):
        rounded, error = map(np.asarray, combined(jnp.asarray(a), jnp.asarray(b)))
        want = [of(x, y) for x, y in zip(exact(a), exact(b), strict=True)]
        assert [x + y for x, y in zip(exact(rounded), exact(error), strict=True)] == want
        assert np.any(error != 0)


def test_total():
    """Sums that cancel to less than their rounding, of an even and of an odd number of terms."""
    rng = np.random.default_rng(1)
    for count in (1, 2, 3, 5, 8, 11):
        high = rng.normal(size=(4, count))
        high = np.concatenate([high, -high * (1 + 1e-15 * rng.normal(size=high.shape)), 1e-18 * rng.normal(size=(4, 1))], axis=1)[:, ::-1]
        low = 1e-17 * rng.normal(size=high.shape)
        want = np.array([float(sum(exact(row))) for row in np.concatenate([high, low], axis=1)])
        close(double_double.total(jnp.asarray(high), jnp.asarray(low)) / want, np.ones(4), 1e-10)
