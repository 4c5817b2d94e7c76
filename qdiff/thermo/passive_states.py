"""Ergotropy: the work that a unitary can extract."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ..equations.lindblad.eigenbasis import eigenbasis, eigenvalues
from ..equations.lindblad.states import FOLLOWED, density_matrix
from ..equations.lindblad.terms import hermitian
from ..operators.operator import Operator


def ergotropy(rho: Any, H: Operator):
    """Tr[H rho] - sum_k r_k e_k, populations r in descending and energies e in ascending order [energy].

    Args:
        rho: a state in the forms that `evolve` takes. H: Hamiltonian, on the same space [energy].

    Returns:
        Scalar, exactly zero for a passive state and never negative beyond rounding.

    Raises:
        TypeError, ValueError: rho is no density matrix, H no Hermitian `Operator`, or they act on different spaces.

    Differentiable except at its kinks, where two populations (or two energies) change order; there the
    derivative is that of one of the two sides.

    Source: Allahverdyan, Balian, Nieuwenhuizen, Europhys. Lett. 67, 565 (2004).
    """
    if not isinstance(H, Operator):
        raise TypeError(f"H must be an Operator, but was {type(H).__name__}")
    rho = density_matrix("rho", rho, H.space, H.size, near=FOLLOWED)
    basis = eigenbasis(hermitian(H))
    order = jnp.argsort(basis.energies)
    populations = jnp.real((basis.frame.dag @ rho @ basis.frame).diagonal())[order]
    # Differences of populations first: energies may be large where populations are small.
    return basis.energies[order] @ (populations - jnp.sort(eigenvalues(rho))[::-1])
