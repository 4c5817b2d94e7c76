"""Complex products by three real ones, and Hermitian matrices as real ones."""

import jax.numpy as jnp
import numpy as np
import pytest

from qdiff.linalg.complex_product import congruence, packed, product, unpacked

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


@pytest.mark.parametrize("kind, digits", [(complex, 1e-13), (np.complex64, 1e-5)])
def test_products(kind, digits):
    A, B = random(7, 5), random(5, 6)
    found = product(jnp.asarray(A, kind), jnp.asarray(B, kind))
    assert found.dtype == kind
    assert np.abs(found - A @ B).max() < digits
    C = random(5, 5)
    assert np.abs(congruence(jnp.asarray(A, kind), jnp.asarray(C, kind)) - A @ C @ A.conj().T).max() < 10 * digits


def test_packing_keeps_scalar_products():
    X, Y = (C + C.conj().T for C in (random(6, 6), random(6, 6)))
    assert np.abs(unpacked(packed(jnp.asarray(X))) - X).max() < 1e-15
    assert abs(jnp.sum(packed(jnp.asarray(X)) * packed(jnp.asarray(Y))) - np.trace(X @ Y).real) < 1e-13
