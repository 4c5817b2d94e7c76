"""A state in any of its forms, as a density matrix that has been looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from ...operators.checks import kind_of, known
from ...operators.operator import Operator
from ...operators.pattern import components
from ...operators.space import Space
from ...operators.structure import is_constant, recording
from ...results import Failure, Found, check, failure_mode
from .eigenbasis import eigenvalues

# How far what is given may be from a density matrix: wider than rounding of what others have computed, and narrower
# than any physics.
NEAR = 1e-9

# How far what is asked for its entropy may be: states that `Explicit` and `Stiff` have followed at their default
# tolerances have eigenvalues of -1e-8, and a logarithm, a Hamiltonian or a matrix of rates is off by far more.
FOLLOWED = 1e-6

_SENTENCES = (
    "{} must have trace one, but its trace differs from one by more than {:g}: divide it by its trace",
    "{} must be Hermitian, but differs from its adjoint by more than {:g}",
    "{} must be positive, but has an eigenvalue below -{:g}",
)


def density_matrix(
    name: str, given: Any, space: Space | None = None, dim: int | None = None, *, near: float = NEAR
) -> Operator:
    """What was given as a state, as an `Operator`: of trace one, Hermitian and positive.

    Args:
        name: what it is called in errors.
        given: an `Operator`, an array (dim, dim), a ket as an array (dim,), a `State` or `Snapshot`, or a mapping from
            every factor of the space to its own state, as `Space.state` takes it.
        space, dim: what it must act on, as far as that is known.
        near: how far it may be from a density matrix, in each of the three. A `State` is taken as it is.

    Raises:
        TypeError, ValueError: it is something else, acts on another space, or is no density matrix. Of traced numbers
            the latter is an error at run time, or NaN with `failures("nan")`.
    """
    rho, wrong = examined(name, given, space, dim, near=near)
    return _marked(rho, check(jnp.ones(()), *wrong)) if wrong else rho


def examined(
    name: str, given: Any, space: Space | None = None, dim: int | None = None, *, near: float = NEAR
) -> tuple[Operator, list[Found]]:
    """As `density_matrix`, but what is found wrong with traced numbers is left to the check at the end of a solve.

    A check in a compiled program, a conditional that calls the host, takes 0.2 ms on two cores, in which a small system is solved.
    """
    trusted = False
    if isinstance(given, Mapping):
        rho = _product(name, given, space)
    elif isinstance(rho := getattr(given, "rho", given), Operator):
        trusted = rho is not given
    else:
        rho = _matrix(name, given, dim)
    if (dim is not None and rho.size != dim) or (rho.space and space and rho.space != space):
        raise ValueError(
            f"{name} must act on {space!r} (dimension {dim}), but acts on {rho.space!r} (dimension {rho.size})"
        )
    rho = Operator(rho.pattern, rho.values, rho.space if space is None else space, probe=rho.probe)
    return (rho, []) if trusted or recording() else _looked_at(name, rho, near)


def _product(name: str, given: Mapping, space: Space | None) -> Operator:
    if space is None:
        raise ValueError(
            f"{name} can be a mapping only if the operators act on a Space, whose factors it names"
        )
    if not all(isinstance(factor, str) for factor in given):
        raise TypeError(
            f"{name} must map the names of factors to their states, but has {list(given)}"
        )
    return space.state(**given)


def _matrix(name: str, given, dim: int | None) -> Operator:
    if isinstance(given, (list, tuple)) and any(
        isinstance(x, Tracer) for x in jax.tree.leaves(given)
    ):
        given = jnp.asarray(given)
    if kind_of(given) not in "biufc":
        raise TypeError(
            f"{name} must be a state (an Operator, a State, an array or a mapping), but was {type(given).__name__}"
        )
    shape = np.shape(given)
    n = shape[0] if dim is None and shape else dim
    if not n or shape not in ((n,), (n, n)):
        what = ("(n, n)", "(n,)") if n is None else ((n, n), (n,))
        raise ValueError(
            f"{name} must have shape {what[0]} for a density matrix or {what[1]} for a ket, but has shape {shape}"
        )
    if len(shape) == 1:
        ket = np.asarray(given) if is_constant(given) else jnp.asarray(given)
        given = ket[:, None] * ket.conj()
    return Operator.from_dense(given)


def _looked_at(name: str, rho: Operator, near: float) -> tuple[Operator, list[Found]]:
    if not rho.pattern.nnz:
        raise ValueError(f"{name} must have trace one, but is zero")
    if not known(rho.values):
        kinds = (Failure(s.format(name, near), ValueError) for s in _SENTENCES)
        return rho, list(map(Found, _faults(lax.stop_gradient(rho), near), kinds))
    wrong = _known_fault(rho, near)
    if wrong and failure_mode() == "raise":
        raise ValueError(f"{name} must {wrong}")
    return _marked(rho, np.nan) if wrong else rho, []


def _marked(rho: Operator, mark) -> Operator:
    return Operator(rho.pattern, rho.values * mark, rho.space, probe=rho.probe)


def _known_fault(rho: Operator, near: float) -> str | None:
    """What it must be and is not, and what it is."""
    # In NumPy: within a function that is being compiled, JAX would make traced numbers of known ones.
    values = np.asarray(rho.values)
    rho = Operator(rho.pattern, values, rho.space, probe=rho.probe)
    if not np.all(np.isfinite(values)):
        return "be finite, but has an entry that is infinite or NaN"
    if (skew := np.max(np.abs((rho - rho.dag).values), initial=0.0)) > near:
        return f"be Hermitian, but differs from its adjoint by {skew:.3g}"
    if abs((trace := rho.trace()) - 1) > near:
        return f"have trace one, but has trace {np.real(trace):.10g}: divide it by its trace"
    lowest = _lowest((rho + rho.dag) * 0.5)
    return f"be positive, but has the eigenvalue {lowest:.3g}" if lowest < -near else None


def _lowest(rho: Operator) -> float:
    """The lowest eigenvalue, in NumPy, block by block."""
    label = components(rho.size, rho.pattern.row, rho.pattern.col)
    alone = np.bincount(label)[label] == 1
    lowest = np.min(np.real(rho.diagonal())[alone], initial=np.inf)
    for block in np.unique(label[~alone]):
        on, states = np.flatnonzero(label[rho.pattern.row] == block), np.flatnonzero(label == block)
        matrix = np.zeros((states.size, states.size), rho.values.dtype)
        matrix[
            np.searchsorted(states, rho.pattern.row[on]),
            np.searchsorted(states, rho.pattern.col[on]),
        ] = rho.values[on]
        lowest = min(lowest, np.linalg.eigvalsh(matrix)[0])
    return float(lowest)


@jax.jit
def _faults(rho: Operator, near):
    """In which ways, as `_SENTENCES`, rho is no density matrix."""
    skew = jnp.asarray((rho - rho.dag).values)
    return jnp.stack(
        [
            ~(jnp.abs(rho.trace() - 1) <= near),
            ~(jnp.max(jnp.abs(skew), initial=0.0) <= near),
            ~(jnp.min(eigenvalues((rho + rho.dag) * 0.5)) >= -near),
        ]
    )
