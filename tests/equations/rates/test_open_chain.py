"""Standing waves of an open chain, against its eigenvectors."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from qdiff.equations.rates import open_chain


@pytest.mark.parametrize("n", [1, 2, 5, 10, 11, 100])
def test_shares_are_the_eigenvectors_squared(n):
    e, v = np.linalg.eigh(np.eye(n, k=1) + np.eye(n, k=-1))
    close(np.sort(2 * open_chain.cosines(n)), e, 1e-14, scale=1.0)
    w = open_chain.shares(n)
    close(w, (v[:, ::-1] ** 2).T, 1e-13)
    close(w.sum(0), np.ones(n), 1e-14)
    assert np.array_equal(w, w.T) and np.array_equal(w, w[::-1]) and np.array_equal(w, w[:, ::-1])
    assert np.array_equal(open_chain.cosines(n), -open_chain.cosines(n)[::-1])


def test_nodes_are_exact():
    """On eleven sites the ninth level has nodes at sites 4 and 8."""
    assert np.flatnonzero(open_chain.shares(11)[8] == 0).tolist() == [3, 7]


@pytest.mark.parametrize("n", [2, 9, 10, 257])
def test_the_fast_product(n):
    x = jnp.asarray(np.random.default_rng(n).normal(size=(3, n)))
    close(open_chain.mix(x), x @ open_chain.shares(n), 1e-14)
    with pytest.raises(AssertionError, match="differs by"):
        close(open_chain.mix(x * (1 + 1e-12)), x @ open_chain.shares(n), 1e-14)


def test_one_row():
    for m in (1, 4, 12):
        close(open_chain.share(m, 12), open_chain.shares(12)[m - 1], 1e-15)
