"""Entropy and entropy production."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from ..generators.eigenbasis import eigenvalues
from ..generators.lindblad import Lindblad
from ..operators.checks import known
from ..operators.operator import Operator
from ..solvers.steady import State
from .flows import currents


def density_matrix(rho: Operator) -> Operator:
    """`rho`, if it is a Hermitian operator; of traced numbers this is taken for granted."""
    if not isinstance(rho, Operator):
        hint = "; give state.rho" if isinstance(rho, State) else ""
        raise TypeError(f"rho must be a density matrix, an Operator, but was {type(rho).__name__}{hint}")
    if known(rho.values) and np.all(np.isfinite(np.asarray(rho.values))) and not rho.is_hermitian:
        raise ValueError(f"rho must be Hermitian, but differs from its adjoint by {np.abs((rho - rho.dag).values).max():.3g}")
    return rho


def entropy(rho: Operator):
    """The von Neumann entropy -Tr[rho ln rho] of a density matrix, a scalar [1, nats].

    Empty levels count as zero; so do eigenvalues that rounding made negative. The derivative is infinite where
    an eigenvalue leaves zero. NaN of a state that is NaN.

    Args:
        rho: a density matrix, such as `state.rho` or `state.reduced("qubit")`.

    Raises:
        TypeError, ValueError: rho is no Hermitian `Operator`.

    Example:
        >>> import qdiff as qd
        >>> round(float(qd.entropy(qd.Space(q=qd.Spin()).identity / 2)), 6)
        0.693147
    """
    p = eigenvalues(density_matrix(rho))
    empty = p <= 0
    return -jnp.sum(jnp.where(empty, 0.0, p * jnp.log(jnp.where(empty, 1.0, p))))


def entropy_production(motion: Lindblad, state: State, fixed_points: Mapping[str, Operator]):
    """Spohn's entropy production of a stationary state, sum_b Tr[ln(pi_b) L_b rho] [rate].

    Non-negative when each L_b is a Lindblad generator with L_b pi_b = 0. For a thermal bath of a global
    equation ln pi_b = -beta_b H, and its term is -beta_b times the heat current.

    Args:
        fixed_points: for every bath b, the operator ln pi_b up to a multiple of the identity [1].

    Raises:
        TypeError, ValueError: `fixed_points` does not map exactly the names of the baths to operators.
    """
    if not isinstance(fixed_points, Mapping):
        raise TypeError(f"fixed_points must map the name of each bath to an Operator, but was {type(fixed_points).__name__}")
    if set(fixed_points) != set(motion.jumps):
        raise ValueError(f"fixed_points must name the baths {sorted(motion.jumps)}, but names {sorted(fixed_points)}")
    return jnp.stack([currents(motion, state, log)[b] for b, log in fixed_points.items()]).sum()
