"""GMRES: exact in as many steps as there are eigenvalues, and it says when it stalls."""

import jax.numpy as jnp
import numpy as np

from qdiff.linalg.gmres import gmres

RNG = np.random.default_rng(0)
Q = np.linalg.qr(RNG.normal(size=(30, 30)))[0]
B = jnp.asarray(RNG.normal(size=30))


def solved(A, **settings):
    return gmres(lambda x: jnp.asarray(A) @ x, B, 1e-12, **{"restart": 20, "most": 100, **settings})


def test_three_eigenvalues_take_three_steps():
    A = Q * np.repeat([1.0, 2.0, 5.0], 10) @ Q.T
    found = solved(A)
    assert found.iterations == 3
    assert found.residual < 1e-12
    assert np.abs(A @ found.x - B).max() < 1e-12


def test_restarts_go_on_from_where_they_were():
    A = np.eye(30) + 0.3 * RNG.normal(size=(30, 30)) / np.sqrt(30)
    found = solved(A, restart=5)
    assert found.iterations > 5
    assert np.abs(found.x - np.linalg.solve(A, B)).max() < 1e-10


def test_a_singular_operator_leaves_a_residual():
    """At least what is out of reach, plus rounding of a solution that has grown: it is computed, and no recurrence's."""
    A = Q * np.append(0.0, np.linspace(1, 2, 29)) @ Q.T
    found = solved(A)
    out_of_reach = abs(Q[:, 0] @ B) / np.linalg.norm(B)
    assert found.residual > 0.99 * out_of_reach


def test_zero_has_the_solution_zero():
    found = gmres(lambda x: 2 * x, jnp.zeros(4), 1e-12, restart=3, most=9)
    assert found.iterations == 0
    assert (found.x == 0).all()
