"""A X + X A^dag - i omega X = C, by eigenvectors and by Schur's form, against the matrix of d^2 rows."""

import jax.numpy as jnp
import numpy as np
import pytest

from qdiff.linalg.lyapunov import eigenvectors, lyapunov

RNG = np.random.default_rng(0)


def normal_enough(d=12):
    return RNG.normal(size=(d, d)) + 1j * RNG.normal(size=(d, d)) - 6 * np.eye(d)


def defective(d=12):
    """A Jordan block: one eigenvector."""
    return -np.eye(d) * (1 + 0.5j) + np.eye(d, k=1)


@pytest.mark.parametrize("omega", [0.0, 1.7])
@pytest.mark.parametrize("matrix, triangular", [(normal_enough, False), (defective, True)])
def test_both_equations(matrix, triangular, omega):
    A = matrix()
    C = RNG.normal(size=A.shape) + 1j * RNG.normal(size=A.shape)
    solver = lyapunov(jnp.asarray(A), eigenvectors(jnp.asarray(A)))
    assert bool(solver.triangular) == triangular
    # A sum of eigenvalues is shifted by 1e-10 of the largest.
    X, Y = solver.solve(C, omega), solver.solve_adjoint(C, omega)
    assert np.abs(A @ X + X @ A.conj().T - 1j * omega * X - C).max() < 1e-7 * np.abs(X).max()
    assert np.abs(A.conj().T @ Y + Y @ A + 1j * omega * Y - C).max() < 1e-7 * np.abs(Y).max()


def test_the_slowest_eigenvector_of_a_block():
    A = np.zeros((18, 18), complex)
    A[:6, :6], A[6:, 6:] = normal_enough(6) + 5 * np.eye(6), normal_enough()
    for inside in (np.arange(18) < 6, np.arange(18) >= 6):
        v = eigenvectors(jnp.asarray(A)).slowest(inside)
        w = np.vdot(v, A @ v)
        assert np.abs(A @ v - w * v).max() < 1e-12
        assert abs(w.real - np.linalg.eigvals(A[np.ix_(inside, inside)]).real.max()) < 1e-12
