"""The thermal state of a Hamiltonian."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from ..equations.lindblad.eigenbasis import blocks_of, eigenbasis, eigenvalues
from ..equations.lindblad.terms import hermitian
from ..linalg.expm_frechet import exponential_slope
from ..operators.checks import instance, real_number
from ..operators.operator import Operator
from ..operators.pattern import diagonal


def gibbs(H: Operator, beta) -> Operator:
    """The Gibbs state e^{-beta H} / Tr e^{-beta H}.

    Args:
        H: Hamiltonian, a Hermitian `Operator` [energy].
        beta: inverse temperature, a finite number of either sign [1/energy].

    Returns:
        A density matrix on the space of H, with the blocks that H has.

    Raises:
        ValueError: H is not Hermitian; beta is not one finite number.

    Differentiable in H and beta, forward and reverse, to second order, also where levels meet in whatever way.

    Accuracy: populations to 1e-15 of themselves and of beta times the energy.

    Example:
        >>> import qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> round(float(qd.thermo.gibbs(qubit.z, 0.5).diagonal()[0]), 6)
        0.268941
    """
    beta = real_number("beta", beta)
    instance("H", H, Operator)
    return _normalised(hermitian(H) * (-1.0 * beta))


@jax.custom_jvp
def _normalised(A: Operator) -> Operator:
    """e^A / Tr e^A."""
    basis = eigenbasis(A)
    populations = Operator(diagonal(A.size), jax.nn.softmax(basis.energies), A.space)
    return basis.frame @ populations @ basis.frame.dag


@_normalised.defjvp
def _normalised_jvp(primals, tangents):
    """(d e^A - rho Tr d e^A) / Tr e^A: without eigenvectors, which have derivatives only where levels stay apart."""
    (A,), (change,) = primals, tangents
    rho = _normalised(A)
    top = lax.stop_gradient(jnp.max(eigenvalues(A)))
    total = jnp.sum(jnp.exp(eigenvalues(A) - top))
    moved = jnp.zeros_like(rho.values)
    for (row, col, local), (_, _, tangent) in zip(blocks_of(A, A.values), blocks_of(A, change.values), strict=True):
        lowered = local - top * jnp.eye(local.shape[-1])
        # A level by itself is its own eigenvector: programs of product states need no LAPACK for their gradients.
        alone = local.shape[-1] == 1
        slope = (jnp.exp(lowered) * tangent if alone else jax.vmap(exponential_slope)(lowered, tangent)).ravel()
        at = rho.pattern.find(row, col)
        moved = moved.at[at[at >= 0]].add(slope[at >= 0].astype(moved.dtype))
    share = jnp.sum(jnp.where(rho.pattern.row == rho.pattern.col, jnp.real(moved), 0.0))
    out = (moved - rho.values * share) / total
    return rho, jax.tree.unflatten(jax.tree.structure(rho), [out])
