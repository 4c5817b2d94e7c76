"""GMRES with refinement: to rounding from single precision, and in double precision where that does not do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qdiff.linalg.refined_gmres import Maps, refined_gmres

RNG = np.random.default_rng(0)
Q = np.linalg.qr(RNG.normal(size=(40, 40)))[0]
B = jnp.asarray(RNG.normal(size=40))


def maps(A, kind):
    A = jnp.asarray(A, kind)
    return Maps(lambda u: A @ u, lambda z: z)


def solved(A, begin, **settings):
    single = None if begin is None else (maps(A, jnp.float32), jnp.asarray(begin))
    scale = jnp.linalg.norm(A)
    return refined_gmres(B, maps(A, float), scale, restart=40, most=400, single=single, **settings)


def conditioned(condition):
    """Like a preconditioned equation: most eigenvalues near one, and two small ones."""
    return Q * np.r_[np.linspace(1, 2, 38), 1 / condition, 2 / condition] @ Q.T


@pytest.mark.parametrize("condition", [1e2, 1e6])
@pytest.mark.parametrize("begin", [None, False, True])
def test_a_solution_is_as_accurate_as_double_precision_is(condition, begin):
    A = conditioned(condition)
    found = solved(A, begin)
    assert found.good
    assert np.abs(A @ found.u - B).max() < 1e-14 * np.linalg.norm(A, 2) * np.abs(found.u).max()
    assert np.abs(found.left - (B - A @ found.u)).max() < 1e-14 * np.linalg.norm(A, 2) * np.abs(found.u).max()


def test_a_tolerance_ends_it_sooner():
    few = solved(conditioned(3), None, tolerance=1e-3)
    assert 1e-6 < jnp.linalg.norm(few.left) / few.size <= 1e-3
    assert few.steps < solved(conditioned(3), None).steps


def test_a_batch_of_both_kinds():
    A = jnp.stack([jnp.asarray(conditioned(c)) for c in (1e1, 1e6)])
    found = jax.vmap(lambda A: solved(A, True))(A)
    assert found.good.all()
    assert np.abs(jnp.einsum("kij,kj->ki", A, found.u) - B).max() < 1e-6


def test_what_is_not_solved_is_not_accepted():
    found = solved(conditioned(np.inf), True)
    assert not found.good
