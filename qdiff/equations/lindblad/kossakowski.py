"""Several couplings of one bath, independent or correlated, as independent ones."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...baths.reservoir import as_bath
from ...operators.checks import kind_of, known
from ...operators.operator import Operator
from ...operators.structure import is_constant
from .jumps import same_space


def independent(label: str, given, H: Operator) -> list[tuple]:
    """The couplings of one bath as triples (operator, bath, weight), of which no two are correlated.

    Args:
        given: (A, bath), ([A1, A2, ...], bath), ([A1, A2, ...], bath, C), or a list of such.
    """
    several = isinstance(given, (tuple, list)) and all(isinstance(g, tuple) for g in given) and len(given) > 0
    out = []
    one: Any
    for one in given if several else (given,):
        if not isinstance(one, (tuple, list)) or len(one) not in (2, 3):
            raise TypeError(f"the coupling of bath {label!r} must be (operator, bath), ([operators], bath, correlation) or a list of such")
        operators = (one[0],) if isinstance(one[0], Operator) else one[0]
        if not isinstance(operators, (tuple, list)) or not operators or not all(isinstance(A, Operator) for A in operators):
            raise TypeError(f"the coupling of bath {label!r} must have an Operator or a list of them, but has {type(one[0]).__name__}")
        for A in operators:
            if not same_space(A, H):
                raise ValueError(f"the coupling of bath {label!r} acts on {A.space!r}, but H acts on {H.space!r}")
        bath = as_bath(f"what bath {label!r} couples to", one[1])
        if len(one) == 2:
            out += [(A, bath, 1.0) for A in operators]
        else:
            out += [(A, bath, weight) for A, weight in _decorrelated(label, operators, one[2])]
    return out


def _decorrelated(label, operators, C):
    """sum_ij C_ij D[A_i, A_j] = sum_k d_k D[B_k], by C = L diag(d) L^T and B_k = A_k + sum_{j>k} L_jk A_j.

    The weights d stand apart from the operators, so that derivatives exist where a pair becomes fully correlated.
    """
    C = _matrix(label, operators, C)
    traced = not is_constant(C)
    xp, value = (jnp, lax.stop_gradient) if traced else (np, np.asarray)
    n, size = len(operators), xp.max(xp.abs(C))
    L, d = [[0.0] * n for _ in range(n)], []
    for k in range(n):
        pivot = C[k, k] - sum(L[k][m] ** 2 * d[m] for m in range(k))
        rest = [C[j, k] - sum(L[j][m] * L[k][m] * d[m] for m in range(k)) for j in range(k + 1, n)]
        # A pivot that rounding left of zero is zero, with its derivative; the rest of its column must be zero too.
        zero = xp.abs(pivot) <= 1e-14 * size
        for j, r in enumerate(rest, k + 1):
            L[j][k] = xp.where(zero, 0.0, r / xp.where(zero, 1.0, pivot))
        wrong = zero & (sum([xp.abs(r) for r in rest], 0.0) > 1e-6 * size) | (xp.max(xp.abs(C - C.T)) > 1e-12 * size)
        d.append(xp.where(wrong, xp.nan, xp.where(zero, pivot - value(pivot), pivot)))
    for k in range(n):
        B = operators[k]
        for j in range(k + 1, n):
            if traced or L[j][k] != 0:
                B = B + L[j][k] * operators[j]
        yield B, d[k]


def _matrix(label, operators, C):
    n, what = len(operators), f"the correlation of bath {label!r}"
    leaves = jax.tree.leaves(C)
    if any(kind_of(x) not in "iuf" for x in leaves):
        raise TypeError(f"{what} must be a matrix of real numbers, but was {type(C).__name__} {C!r}")
    try:
        C = (np if all(is_constant(x) for x in leaves) else jnp).asarray(C, float)
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be a matrix of shape {(n, n)}, but was {C!r}") from None
    if C.shape != (n, n):
        raise ValueError(f"{what} must be a matrix of shape {(n, n)}, one row for each operator, but has shape {C.shape}")
    if known(C):
        if not np.all(np.isfinite(C)) or np.abs(C - C.T).max() > 1e-12 * np.abs(C).max():
            raise ValueError(f"{what} must be symmetric and finite, but was {C.tolist()}")
        least = np.linalg.eigvalsh(C)[0]
        if least < -1e-12 * np.abs(C).max():
            raise ValueError(f"{what} must have no negative eigenvalue, but has {least:.3g}")
    if len({A.is_hermitian for A in operators}) > 1:
        raise ValueError(f"the correlated couplings of bath {label!r} must all be Hermitian, or none of them")
    return C
