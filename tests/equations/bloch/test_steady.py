"""Small systems solved entry by entry, all momenta at once: factors, and both directions, against LAPACK."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from qdiff.equations.bloch.steady import _back, _factor, _forth


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_solves_with_a_matrix_and_its_transpose(m):
    """Random matrices, among them such that rows are exchanged several times in one column, and with zero pivots."""
    rng = np.random.default_rng(m)
    A = rng.normal(size=(200, m, m)) * np.exp(rng.uniform(-2, 2, (200, m, 1)))
    A[:20, 0, 0] = 0 if m > 1 else 1
    A[20:40] = np.eye(m)[rng.permutation(m)]
    A[40:60, :, 0] = np.arange(1, m + 1)  # every row a better pivot than those before
    right = rng.normal(size=(200, m))
    factors = _factor([[jnp.asarray(A[:, i, j]) for j in range(m)] for i in range(m)])
    for solve, matrix in ((_forth, A), (_back, np.swapaxes(A, 1, 2))):
        got = np.stack(solve(factors, [jnp.asarray(right[:, i]) for i in range(m)]), axis=1)
        error = np.einsum("pij,pj->pi", matrix, got) - right
        size = np.einsum("pij,pj->pi", np.abs(matrix), np.abs(got))
        assert np.max(np.abs(error) / size) < 1e-14
    assert m == 1 or any(np.any(swap) for column in factors[1] for swap in column)


def test_an_exchange_undone():
    """Rows that went round in one column come back in the other order: the transpose of a permutation of three."""
    A = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    factors = _factor([[jnp.asarray(x) for x in row] for row in A])
    assert [bool(s) for s in factors[1][0]] == [True, True]
    close(_back(factors, [jnp.asarray(x) for x in (1.0, 2.0, 3.0)]), np.linalg.solve(A.T, [1.0, 2.0, 3.0]), 1e-15)
