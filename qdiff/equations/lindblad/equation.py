"""The Lindblad equation, and one of any list of terms that keep rho Hermitian and its trace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from ...operators.operator import Operator
from ...operators.structure import align
from .jumps import Jump, as_jumps, member
from .master import AbstractMaster
from .sandwiches import Term, as_terms, operators_of
from .terms import AbstractLindblad, baths, hermitian, refuse_infinite, refuse_rate


class Lindblad(AbstractMaster, AbstractLindblad):
    """The Lindblad generator  d rho/dt = -i[H, rho] + sum_bath sum_jumps rate D[A] rho.

    Args:
        H: Hamiltonian, a Hermitian `Operator` [energy].
        jumps: a mapping from each bath's name to its jumps: `Jump`s, pairs (rate, operator) or bare
            operators (rate one). What is labelled together is one bath to every current. Empty for
            a closed system.
        frame: a unitary `Operator` V if H and the jumps are given in another basis, A_frame = V^dag
            A V (used by `secular`); results are always returned in the original basis.
        splitting: the distance of the closest coupled levels over the largest energy, if known
            (`secular`).

    Raises:
        TypeError: H is no `Operator`, the jumps are no mapping, or a jump is none.
        ValueError: H is not Hermitian; an operator acts on another space; a number is not finite; a
            rate is negative.

    A rate that is negative only at run time, where it is traced, becomes NaN in the generator, so
    that every solver refuses it.

    Differentiable in every value of H, of the rates and of the jump operators.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> generator = qd.Lindblad(qubit.z, {"bath": qd.thermal_jumps(qubit.minus, 2.0, bath)})
        >>> state = qd.steady_state(generator)
        >>> float(state.expect(qubit.z)) - float(-jnp.tanh(1.0)) < 1e-15
        True
    """

    def __init__(self, H: Operator, jumps: Mapping, frame: Operator | None = None, splitting=None):
        self.H, self.jumps = _made(H, "jumps", jumps, as_jumps, frame)
        self.frame = frame
        self.splitting = splitting


class Master(AbstractMaster):
    """A master equation of any list of terms, of Lindblad form or not, such as a Redfield equation:

        d rho/dt = -i[H, rho] + sum_bath sum_terms c (A rho B^dag - B^dag A rho) + h.c.

    Such a sum keeps rho Hermitian and its trace; it need not keep it positive. A state with a
    negative eigenvalue is therefore no error, and `diagnostics` tells its `smallest_eigenvalue`.
    Nor need it come to rest: `steady_state` finds what does not move, stable or not, and `relax`
    returns a negative gap where it is not.

    Args:
        H: Hamiltonian, a Hermitian `Operator` [energy].
        terms: a mapping from each bath's name to its terms: `Sandwich`es, and jumps in the forms
            that `Lindblad` takes.
        frame, splitting: as in `Lindblad`.

    Raises:
        TypeError, ValueError: as `Lindblad` does, of terms.

    What needs Lindblad form (`cumulants`, `qd.rates.pauli`, cycles, Bloch models) refuses it.

    Differentiable in every value of H and of the terms.

    Example:
        >>> import qdiff as qd
        >>> q = qd.Space(q=qd.Spin()).q
        >>> filtered = 0.3 * q.minus + 0.1 * q.plus  # of a coupling to sigma_x, at both frequencies
        >>> terms = {"bath": qd.lindblad.Sandwich(1.0, filtered, q.x)}
        >>> generator = qd.lindblad.Master(q.z, terms)
        >>> round(float(qd.steady_state(generator).expect(q.up)), 12)
        0.25
    """

    H: Operator
    terms: dict[str, tuple[Term, ...]]
    frame: Operator | None = None
    splitting: jax.Array | None = None

    def __init__(self, H: Operator, terms: Mapping, frame: Operator | None = None, splitting=None):
        self.H, self.terms = _made(H, "terms", terms, as_terms, frame)
        self.frame = frame
        self.splitting = splitting


def _made(H: Operator, name: str, given: Mapping, read: Callable, frame: Operator | None) -> Any:
    """H and the terms of every bath, looked at, and with the generic copies that they have."""
    if not isinstance(H, Operator):
        raise TypeError(f"H must be an Operator, but was {type(H).__name__}")
    if H.size < 2:
        raise ValueError(
            f"H must act on at least two states, but its space {H.space!r} has dimension {H.size}"
        )
    terms = {label: read(label, bath, H) for label, bath in baths(name, given).items()}
    if frame is None:  # a frame comes from `secular`, which has aligned its own ingredients
        each = [term for label in terms for term in terms[label]]
        operators = [op for term in each for op in operators_of(term)]
        H, *rest = align([H, *operators, *map(_number, each)])
        ops, numbers = iter(rest[: len(operators)]), iter(rest[len(operators) :])
        terms = {
            label: tuple(_aligned(term, ops, next(numbers)) for term in terms[label])
            for label in terms
        }
    for label in terms:
        for term in terms[label]:
            _refuse(label, term)
    return hermitian(H), terms


def _number(term: Term):
    return term.rate if isinstance(term, Jump) else term.coefficient


def _aligned(term: Term, ops, number) -> Term:
    if isinstance(term, Jump):
        return member(term, next(ops), number)
    return dataclasses.replace(term, left=next(ops), right=next(ops), coefficient=number)


def _refuse(label: str, term: Term):
    if isinstance(term, Jump):
        refuse_infinite(f"the operator of a jump of bath {label!r}", term.operator.values)
        refuse_rate(label, term.rate)
    else:
        for of in (term.coefficient, term.left.values, term.right.values):
            refuse_infinite(f"a term of bath {label!r}", of)
