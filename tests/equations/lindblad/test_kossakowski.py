"""Correlated couplings made independent: sum_k d_k B_k B_k^T is the correlation again, and what is none is NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.equations.lindblad.kossakowski import independent

ATOM = qd.Space(atom=qd.Levels(4)).atom
H = sum((k * ATOM.projector(k) for k in range(1, 4)), 0 * ATOM.projector(0))
BATH = qd.BosonicBath(1.0, 0.1)


def again(C):
    """The correlation of projectors, from the independent couplings that it is made into."""
    n = len(C)
    parts = independent("bath", ([ATOM.projector(k) for k in range(n)], BATH, C), H)
    vectors = jnp.stack([jnp.diagonal(A.dense())[:n] for A, _, _ in parts])
    return jnp.einsum("k,ka,kb->ab", jnp.stack([jnp.asarray(d) for _, _, d in parts]), vectors, vectors)


def positive(n, rank, seed=0):
    B = np.random.default_rng(seed).normal(size=(n, rank))
    return B @ B.T


@pytest.mark.parametrize(
    "C", [positive(4, 4), positive(4, 2), positive(3, 1), np.diag([1.0, 0.0, 2.0, 0.5]), -0.5 * np.eye(3) + 0.5 + np.eye(3)]
)
def test_they_make_the_correlation(C):
    """Known or traced, of full rank or not."""
    close(again(C), C, 1e-13)
    close(jax.jit(again)(C), C, 1e-13)


@pytest.mark.parametrize("off", [0.3, -0.3])
def test_traced_matrices_that_are_no_correlations(off):
    """A vanishing variance with correlations of either sign, and a matrix that is not symmetric."""
    for C in ([[0.0, off], [off, 1.0]], [[1.0, off], [0.0, 1.0]]):
        assert not np.any(np.isfinite(np.asarray(jax.jit(again)(np.array(C)))[0, 0]))
