"""Small full systems with rows exchanged, many at once: written out and in a loop, both directions, against their equations."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from qdiff.linalg import small_lu


def entries(A):
    """A (batch, m, m) entry by entry."""
    return [[jnp.asarray(A[:, i, j]) for j in range(A.shape[2])] for i in range(A.shape[1])]


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7])
def test_solves_with_a_matrix_and_its_transpose(m):
    """Random matrices, among them such that rows are exchanged several times in one column, and with zero pivots."""
    rng = np.random.default_rng(m)
    A = rng.normal(size=(200, m, m)) * np.exp(rng.uniform(-2, 2, (200, m, 1)))
    A[:20] *= 1 - np.eye(m) if m > 1 else 1
    A[20:40] = np.eye(m)[rng.permutation(m)]
    A[40:60, :, 0] = np.arange(1, m + 1)  # every row a better pivot than those before
    right = rng.normal(size=(200, m))
    for solve, matrix in zip(small_lu.solvers(entries(A)), (A, np.swapaxes(A, 1, 2)), strict=True):
        got = np.stack(solve(tuple(jnp.asarray(right[:, i]) for i in range(m))), axis=1)
        error = np.einsum("pij,pj->pi", matrix, got) - right
        size = np.einsum("pij,pj->pi", np.abs(matrix), np.abs(got))
        assert np.max(np.abs(error) / size) < 1e-14
    assert m in (1, 5, 7) or any(np.any(swap) for *_, swap in small_lu._written_out(entries(A))[1])


def test_an_exchange_undone():
    """Rows that went round in one column come back in the other order: the transpose of a permutation of three."""
    A = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    rows = [[jnp.asarray(x) for x in row] for row in A]
    assert [bool(swap) for p, _, swap in small_lu._written_out(rows)[1] if p == 0] == [True, True]
    solve_T = small_lu.solvers(rows)[1]
    close(solve_T(tuple(jnp.asarray(x) for x in (1.0, 2.0, 3.0))), np.linalg.solve(A.T, [1.0, 2.0, 3.0]), 1e-15)
