"""The thermal state of a Hamiltonian."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ..generators.eigenbasis import eigenbasis
from ..generators.lindblad import hermitian
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

    Differentiable in H and beta, except at a conical point of H.

    Accuracy: populations to 1e-15 of themselves and of beta times the energy.

    Example:
        >>> import qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> round(float(qd.gibbs(qubit.z, 0.5).diagonal()[0]), 6)
        0.268941
    """
    real_number("beta", beta)
    instance("H", H, Operator)
    basis = eigenbasis(hermitian(H))
    populations = Operator(diagonal(H.size), jax.nn.softmax(-jnp.asarray(beta) * basis.energies), H.space)
    return basis.frame @ populations @ basis.frame.dag
