"""Terms of master equations that are not of Lindblad form: rho between two different operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from ...operators.checks import Fault, is_number
from ...operators.operator import Operator
from .jumps import Jump, as_jumps, same_space


class Sandwich(eqx.Module):
    """One term  c (A rho B^dag - B^dag A rho) + h.c.  of a master equation.

    The Hermitian conjugate and the loss are part of the term, so that every sum of such terms keeps
    rho Hermitian and its trace. The loss holds what else would be a Lamb shift, (c B^dag A - h.c.)
    / 2i. A `Jump(rate, A)` is `Sandwich(rate / 2, A, A)`.

    Args:
        coefficient: c, real or complex, of any sign [rate].
        left: A [1].
        right: B [1].
        faults: what could be wrong with the traced arguments that the term was made of, to be said
            where it is refused.

    Raises:
        TypeError: the coefficient is not one number, or A or B no `Operator`.
        ValueError: A and B act on different spaces.

    Differentiable in the coefficient and in the values of both operators.
    """

    coefficient: ArrayLike
    left: Operator
    right: Operator
    faults: tuple[Fault, ...] = ()

    def __check_init__(self):
        for name, op in (("left", self.left), ("right", self.right)):
            if not isinstance(op, Operator):
                raise TypeError(f"{name} must be an Operator, but was {type(op).__name__}")
        if not is_number(self.coefficient):
            raise TypeError(f"coefficient must be one number, but was {self.coefficient!r}")
        if not same_space(self.left, self.right):
            raise ValueError(
                "left and right must act on the same space, but one acts on "
                f"{self.left.space!r} (dimension {self.left.size}) and the other on "
                f"{self.right.space!r} (dimension {self.right.size})"
            )

    @property
    def coefficients(self):
        """(2,): c of A rho B^dag, and its conjugate, of B rho A^dag [rate]."""
        c = jnp.asarray(self.coefficient)
        return jnp.stack([c, c.conj()])


Term = Jump | Sandwich


def as_terms(label: str, given: Any, H: Operator) -> tuple[Term, ...]:
    """The terms of one bath: sandwiches, and jumps in the forms that `Lindblad` takes."""
    if isinstance(given, Sandwich):
        given = (given,)
    if isinstance(given, Iterable) and not isinstance(given, tuple):
        given = list(given)  # to be looked at twice
    if not isinstance(given, Iterable) or not any(isinstance(g, Sandwich) for g in given):
        return as_jumps(label, given, H)
    out: tuple[Term, ...] = ()
    for term in given:
        if not isinstance(term, Sandwich):
            out += as_jumps(label, (term,), H)
        elif same_space(term.left, H):
            out += (term,)
        else:
            space = f"{term.left.space!r} (dimension {term.left.size})"
            raise ValueError(
                f"a term of bath {label!r} acts on {space}, but H acts on {H.space!r} "
                f"(dimension {H.size})"
            )
    return out


def infinite(term: Sandwich):
    """Whether a number of the term is infinite or NaN."""
    numbers = (term.coefficient, term.left.values, term.right.values)
    return ~jnp.all(jnp.array([jnp.all(jnp.isfinite(jnp.asarray(x))) for x in numbers]))


def operators_of(term: Term) -> tuple[Operator, ...]:
    return (term.operator,) if isinstance(term, Jump) else (term.left, term.right)
