"""The entries of all terms of a master equation in one list, which `reach` joins with rho's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...operators.structure import PROBES, generic
from .sandwiches import operators_of
from .terms import AbstractTerms, listed

# Which part of its loss a term has to the left of rho, by its `side`: a jump has one half on both.
LEFT = np.array([0.5, 1.0, 0.0])
_BOTH, _LEFT, _RIGHT = range(3)


class Factor(NamedTuple):
    """The entries of the operators on one side of rho: where they are, of which term, where their
    value stands in the list of all operators' values, and its generic copies (PROBES, n)."""

    row: np.ndarray
    col: np.ndarray
    group: np.ndarray
    place: np.ndarray
    probe: np.ndarray


class Entries(NamedTuple):
    """All terms  c (A rho B^dag - s B^dag A rho - (1 - s) rho B^dag A),  which conserve the trace.

    A jump is one of them, for each member of a family. A sandwich is two: one with its whole loss
    to the left, and its conjugate, with c^*, A and B exchanged and its loss to the right.

    Attributes:
        left, right: the entries of all A, and of all B.
        coefficient: (PROBES, n_terms) generic copies of c.
        label: (n_terms,) the number of the bath.
        side: (n_terms,) where the loss is: s is `LEFT[side]`.
        is_complex: whether an operator or a coefficient is.
    """

    left: Factor
    right: Factor
    coefficient: np.ndarray
    label: np.ndarray
    side: np.ndarray
    is_complex: bool


def entries(generator: AbstractTerms) -> Entries:
    """In the order of `listed`, in which a sector lists values and coefficients when it runs."""
    jumps, sandwiches = listed(generator, generator.labels)
    left, right = _Side(), _Side()
    coefficients, label, side, place = [np.zeros((PROBES, 0))], [], [], 0
    for b, jump in jumps:
        rate = generic(jump.rate).reshape(PROBES, -1)
        own = 0 if jump.groups is None else np.asarray(jump.groups, int)
        for factor in (left, right):
            factor.append(jump.operator, own + len(label), place)
        coefficients.append(rate)
        label += [b] * rate.shape[1]
        side += [_BOTH] * rate.shape[1]
        place += jump.operator.pattern.nnz
    for b, term in sandwiches:
        c = generic(term.coefficient).reshape(PROBES, 1)
        A, B = (term.left, place), (term.right, place + term.left.pattern.nnz)
        for (op, at), (other, other_at), which in ((A, B, _LEFT), (B, A, _RIGHT)):
            left.append(op, len(label), at)
            right.append(other, len(label), other_at)
            coefficients.append(c if which == _LEFT else c.conj())
            label.append(b)
            side.append(which)
        place += term.left.pattern.nnz + term.right.pattern.nnz
    both = [term for _, term in (*jumps, *sandwiches)]
    is_complex = any(not op.is_real for term in both for op in operators_of(term))
    is_complex |= any(np.iscomplexobj(term.coefficient) for _, term in sandwiches)
    return Entries(
        left.factor(),
        right.factor(),
        np.concatenate(coefficients, axis=1),
        np.array(label, int),
        np.array(side, int),
        is_complex,
    )


class _Side:
    """The parts of a `Factor`."""

    def __init__(self):
        none = np.zeros(0, int)
        self.parts = [(none, none, none, none, np.zeros((PROBES, 0)))]

    def append(self, op, group, place: int):
        n = op.pattern.nnz
        group = np.broadcast_to(group, n)
        self.parts.append((op.pattern.row, op.pattern.col, group, place + np.arange(n), op.probe))

    def factor(self) -> Factor:
        return Factor(*(np.concatenate([p[k] for p in self.parts], axis=-1) for k in range(5)))
