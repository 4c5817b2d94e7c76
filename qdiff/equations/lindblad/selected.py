"""Which of several stationary states an initial state relaxes to, in the average over late times."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from ...operators.operator import Operator
from ...operators.structure import PROBES
from .eigenbasis import eigenbasis
from .sector import Sector
from .solver import matrix

# Energies closer than this to each other, relative to the width of the spectrum, are one level.
_SAME = 1e-12


def unchanged(values, start):
    """The start itself, in a sector in which nothing moves: the state, the reciprocal condition and the residual."""
    number = jnp.all(jnp.isfinite(values))
    return jnp.where(number, start, jnp.nan), jnp.where(number, 1.0, jnp.nan), jnp.zeros(())


def selected(sector: Sector, values, start, nullity: int):
    """The stationary state that `start` relaxes to, if there are several: the state, reciprocal condition and residual.

    With bases u, w of the left and right null vectors as they are now (their number `nullity` is known from structure and
    generic values), A = G - s u w^T is invertible; R = -s A^-1 u spans the stationary states, L = -s A^-T w the
    conserved quantities, and the state that `start` relaxes to is R (L^T R)^-1 L^T start.
    """
    G = matrix(sector, values)
    s = lax.stop_gradient(jnp.max(jnp.abs(values)))
    left, _, right = jnp.linalg.svd(lax.stop_gradient(G))
    u, w = left[:, -nullity:], right[-nullity:].T
    A = G - s * u @ w.T
    ends, shares = jnp.linalg.solve(A, -s * u), jnp.linalg.solve(A.T, -s * w)
    x = ends @ jnp.linalg.solve(shares.T @ ends, shares.T @ start)
    rcond = 1 / (jnp.linalg.norm(A, 1) * jnp.linalg.norm(jnp.linalg.inv(lax.stop_gradient(A)), 1))
    return x, rcond, jnp.max(jnp.abs(G @ x)) / s


def averaged(H: Operator, rho: Operator, sector: Sector, values):
    """The average over all times of a closed system, sum_E P_E rho P_E with the projectors on the energies E: likewise.

    Which levels are one is known from structure and generic values. Where two others meet that rho has a coherence between,
    the average jumps, and the reciprocal condition, their distance over the width of the spectrum, is zero. Not to be compiled
    by itself: what a compiled function is given has lost its generic values.
    """
    basis = eigenbasis(H)
    gap = np.abs(basis.copies[:, :, None] - basis.copies[:, None, :])
    one = np.all(gap <= _SAME * gap.max(axis=(1, 2), keepdims=True), axis=0)
    frame = basis.frame.dense()
    local = frame.conj().T @ rho.dense() @ frame
    x = sector.coordinates(Operator.from_dense(frame @ jnp.where(one, local, 0.0) @ frame.conj().T))

    energies = lax.stop_gradient(basis.energies)
    apart = jnp.abs(energies[:, None] - energies)
    width = jnp.where(jnp.max(apart) == 0, 1.0, jnp.max(apart))
    held = ~one & (jnp.abs(lax.stop_gradient(local)) > _SAME)
    rcond = jnp.min(jnp.where(held, apart / width, 1.0))
    s = jnp.max(jnp.abs(values), initial=0.0)
    moved = jnp.zeros(sector.size).at[sector.target].add(values * x[sector.source])
    return x, rcond, lax.stop_gradient(jnp.max(jnp.abs(moved)) / jnp.where(s == 0, 1.0, s))


def energies_apart(H: Operator) -> int:
    """How many independent stationary operators a closed system has: the sum of the squared multiplicities of its energies."""
    copies = np.zeros((PROBES, H.size, H.size), complex)
    copies[:, H.pattern.row, H.pattern.col] = H.probe
    levels = np.linalg.eigvalsh(copies)
    new = np.diff(levels) > _SAME * (levels[:, -1:] - levels[:, :1])
    return min(int(np.sum(np.diff(np.r_[0, np.flatnonzero(n) + 1, H.size]) ** 2)) for n in new)
