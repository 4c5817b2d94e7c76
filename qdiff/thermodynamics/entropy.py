"""Entropy and entropy production."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp

from ..generators.eigenbasis import eigenvalues
from ..generators.lindblad import Lindblad
from ..operators.operator import Operator
from ..solvers.steady import State
from .flows import currents


def entropy(rho: Operator):
    """The von Neumann entropy -Tr[rho ln rho] of a density matrix, a scalar [1, nats].

    Empty levels count as zero; so do eigenvalues that rounding made negative. The derivative is infinite where
    an eigenvalue leaves zero.
    """
    p = eigenvalues(rho)
    positive = p > 0
    return -jnp.sum(jnp.where(positive, p * jnp.log(jnp.where(positive, p, 1.0)), 0.0))


def entropy_production(motion: Lindblad, state: State, fixed_points: Mapping[str, Operator]):
    """Spohn's entropy production of a stationary state, sum_b Tr[ln(pi_b) L_b rho] [rate].

    Non-negative when each L_b is a Lindblad generator with L_b pi_b = 0. For a thermal bath of a global
    equation ln pi_b = -beta_b H, and its term is -beta_b times the heat current.

    Args:
        fixed_points: for every bath b, the operator ln pi_b up to a multiple of the identity [1].
    """
    if set(fixed_points) != set(motion.jumps):
        raise ValueError(f"fixed_points must name the baths {sorted(motion.jumps)}, but names {sorted(fixed_points)}")
    return jnp.stack([currents(motion, state, log)[b] for b, log in fixed_points.items()]).sum()
