"""Entropy and entropy production."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from ..generators.eigenbasis import eigenvalues
from ..generators.lindblad import Lindblad
from ..operators.checks import instance, known, real_number
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


def free_energy(rho: Operator, H: Operator, T):
    """The free energy Tr[H rho] - T S(rho) of any state at temperature T, a scalar [energy].

    What it falls by bounds the work that can be drawn while the state changes in contact with a bath at T.

    Args:
        rho: a density matrix. H: the Hamiltonian [energy]. T: temperature [energy].

    Raises:
        TypeError, ValueError: rho is no Hermitian `Operator`.

    Example:
        >>> import qdiff as qd
        >>> q = qd.Space(q=qd.Spin())
        >>> round(float(qd.free_energy(q.identity / 2, q.q.up, 2.0)), 6)
        -0.886294
    """
    T = jnp.asarray(real_number("T", T, several=True))
    return jnp.real((H @ density_matrix(rho)).trace()) - T * entropy(rho)


def pair_entropy(p, q, squared):
    """The share -Tr[B ln B] of a block B = [[p, c], [c*, q]] of a density matrix in its entropy, with |c|^2 = squared [1]."""
    mean, half = (p + q) / 2, (p - q) / 2
    away = half**2 + squared
    root = jnp.where(away > 0, jnp.sqrt(jnp.where(away > 0, away, 1.0)), 0.0)
    high = mean + root
    low = jnp.where(high > 0, (p * q - squared) / jnp.where(high > 0, high, 1.0), 0.0)
    return _share(high) + _share(low)


def _share(p):
    return jnp.where(p > 0, -p * jnp.log(jnp.where(p > 0, p, 1.0)), 0.0)


def dephasing_entropy(p, q, squared, factor):
    """What `pair_entropy` rises by when |c|^2 = squared falls to factor * squared, with relative accuracy however small that is [1].

    The accuracy is that of p q - |c|^2: 1e-15, and less only for blocks so nearly pure that p q - |c|^2 has lost digits.

        integral of atanh(R/m)/R over |c|^2,   m = (p + q)/2,   R^2 = (p - q)^2/4 + |c|^2

    Differentiable everywhere but at a pure block.
    """
    mean, half = (p + q) / 2, (p - q) / 2
    known = mean > 0
    m2 = jnp.where(known, mean, 1.0) ** 2
    low, lacking = (half**2 + factor * squared) / m2, (p * q - factor * squared) / m2  # their sum is one
    width = (1 - factor) * squared / m2
    # Close to a pure state the integrand grows; the entropies differ enough there to be subtracted.
    direct = (width > 1e-3) | (lacking <= 11 * width)
    nodes, weights = np.polynomial.legendre.leggauss(10)
    step = jnp.where(direct, 0.0, width) * (nodes[:, None] + 1).ravel() / 2
    at, rest = jnp.where(direct, 0.0, low) + step, jnp.where(direct, 1.0, lacking) - step
    smooth = jnp.sqrt(m2) * width / 2 * jnp.sum(weights * _atanh_ratio(at, rest))
    return jnp.where(known, jnp.where(direct, pair_entropy(p, q, factor * squared) - pair_entropy(p, q, squared), smooth), 0.0)


def _atanh_ratio(square, rest):
    """atanh(r)/r of r^2 = square, also at zero; `rest` is 1 - r^2, with the digits that it has where r is almost one."""
    small = square < 1e-2
    series = sum(jnp.where(small, square, 0.0) ** k / (2 * k + 1) for k in range(9))
    r = jnp.sqrt(jnp.where(small, 0.5, square))
    return jnp.where(small, series, (jnp.log1p(r) - jnp.log(jnp.where(small, 0.5, rest)) / 2) / r)


def entropy_production(motion: Lindblad, state: State, fixed_points: Mapping[str, Operator]):
    """Spohn's entropy production of a stationary state, sum_b Tr[ln(pi_b) L_b rho] [rate].

    Non-negative when each L_b is a Lindblad generator with L_b pi_b = 0. For a thermal bath of a global
    equation ln pi_b = -beta_b H, and its term is -beta_b times the heat current.

    Args:
        fixed_points: for every bath b, the operator ln pi_b up to a multiple of the identity [1].

    Raises:
        TypeError, ValueError: `fixed_points` does not map exactly the names of the baths to operators.
    """
    instance("motion", motion, Lindblad)
    if not isinstance(fixed_points, Mapping):
        raise TypeError(f"fixed_points must map the name of each bath to an Operator, but was {type(fixed_points).__name__}")
    if set(fixed_points) != set(motion.jumps):
        raise ValueError(f"fixed_points must name the baths {sorted(motion.jumps)}, but names {sorted(fixed_points)}")
    return jnp.stack([currents(motion, state, log)[b] for b, log in fixed_points.items()]).sum()
