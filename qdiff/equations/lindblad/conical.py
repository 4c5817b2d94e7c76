"""Levels whose eigenvectors are not known, and baths that tell them apart: where a secular equation is not defined.

Where two levels of one block meet, any two orthogonal vectors are eigenvectors, and which of them are the limit of
neighbouring parameters depends on the direction. A coupling that is a number on both levels, and joins them to no other,
is the same for all of them. Every other has lines whose rates differ from one choice to another.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg.gather import sum_into
from ...operators.checks import known
from ...results import Failure, check
from .eigenbasis import Eigenbasis

CONICAL = Failure(
    "the rates of this secular equation are not defined: levels of H that repel elsewhere meet here, or all but meet (a conical "
    "point), where their eigenvectors are arbitrary and the baths tell them apart",
    ValueError,
)

# Entries of a coupling below this part of its largest are rounding of the turn into the eigenbasis.
_NOTHING = 1e-12


def told_apart(jumps, basis: Eigenbasis) -> jax.Array:
    """For each of `basis.pairs` whether these families of jumps tell its two levels apart (m,)."""
    first, second = basis.pairs.T
    told = jnp.zeros(first.size, bool)
    if not first.size:
        return told
    for jump in jumps:
        A, group = jump.operator, np.asarray(jump.groups, int)
        values, rate = jnp.asarray(lax.stop_gradient(A.values)), jnp.atleast_1d(lax.stop_gradient(jump.rate))[group]
        least = _NOTHING * jnp.max(jnp.abs(values), initial=0.0)
        row, col, n = A.pattern.row, A.pattern.col, A.size
        on = row == col
        joined = jnp.where(on, 0.0, (jnp.abs(values) > least) & (rate != 0))
        seen = sum_into(joined, row, n) + sum_into(joined, col, n) > 0
        number = sum_into(jnp.where(on & (rate != 0), values, 0.0), row, n)
        told |= seen[first] | seen[second] | (jnp.abs(number[first] - number[second]) > least)
    return told


def defined(told: dict[str, jax.Array], basis: Eigenbasis):
    """Zero, unless two levels whose eigenvectors are not known are told apart: then an error, or NaN in a batch.

    Raises:
        ValueError: the numbers are known, and it is so; at run time, Equinox's runtime error.
    """
    wrong = {label: basis.close & apart for label, apart in told.items()}
    for label, which in wrong.items():
        if known(which) and np.any(which):
            i, j = basis.pairs[int(np.argmax(which))]
            energies = np.asarray(lax.stop_gradient(basis.energies))
            largest = np.abs(energies).max()
            found = f"two are {abs(energies[i] - energies[j]):.3g} apart beside a largest energy of {largest:.3g}"
            raise ValueError(f"{CONICAL.sentence}; {found}, and bath {label!r} tells them apart")
    return check(jnp.zeros(()), (jnp.any(jnp.stack([jnp.any(which) for which in wrong.values()])), CONICAL))
