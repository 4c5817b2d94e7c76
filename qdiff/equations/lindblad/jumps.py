"""What a bath does in a Lindblad equation: jump operators with their rates, and what each jump carries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import equinox as eqx
import numpy as np
from jax.typing import ArrayLike

from ...baths.lead import AbstractLead
from ...baths.reservoir import AbstractBath, as_bath
from ...operators.checks import Fault, Real, faults_of, kind_of
from ...operators.operator import Operator


class Jump(eqx.Module):
    """One term, or a family of terms, sum_g rate_g D[A_g] with D[A]rho = A rho A^dag - {A^dag A, rho}/2.

    Args:
        rate: a number, or an array (n_groups,), not negative [rate].
        operator: A, or the sum of all A_g [1].
        groups: for a family, a tuple (nnz,) that says to which A_g each entry of `operator` belongs.
        energy: what one such jump takes from the bath, in the shape of `rate` [energy]; None if that is not definite.
        quanta: how many of its quanta that is, likewise [1].
        faults: what could be wrong with the traced arguments that the rate was made of, to be said where it is refused.

    Raises:
        TypeError: the rate is no real number, or the operator no `Operator`.
        ValueError: the groups do not fit to the operator and the rates.

    The rate stands apart from the operator so that derivatives exist at rate zero. Energy and quanta do not enter the
    generator; they are what `cumulants` counts.
    """

    rate: ArrayLike
    operator: Operator
    groups: tuple[int, ...] | None = eqx.field(static=True, default=None)
    energy: ArrayLike | None = None
    quanta: ArrayLike | None = None
    faults: tuple[Fault, ...] = ()

    def __check_init__(self):
        if not isinstance(self.operator, Operator):
            raise TypeError(f"operator must be an Operator, but was {type(self.operator).__name__}")
        if kind_of(self.rate) not in "iuf":
            raise TypeError(f"rate must be a real number, but was {self.rate!r}")
        for name, amount in (("energy", self.energy), ("quanta", self.quanta)):
            if amount is not None:
                object.__setattr__(self, name, Real(name, several=True).checked(amount))
        if self.groups is None:
            return
        if not isinstance(self.groups, tuple) or len(self.groups) != self.operator.pattern.nnz:
            raise ValueError(f"groups must be a tuple of {self.operator.pattern.nnz} numbers, one for each entry of the operator")
        if np.ndim(self.rate) != 1 or not set(self.groups) <= set(range(np.shape(self.rate)[0])):
            raise ValueError(f"rate must be an array with one entry for each group, but has shape {np.shape(self.rate)}")


def thermal_jumps(lower: Operator, omega, bath: AbstractBath) -> tuple[Jump, Jump]:
    """The pair of jumps by which a bath damps and excites one transition of energy omega.

        emission(omega) D[lower] + absorption(omega) D[lower^dag]

    One jump carries one quantum of energy omega, which leaves the system or enters it.

    Args:
        lower: the operator that takes the energy omega out of the system [1].
        omega: transition energy, scalar [energy].
        bath: such as a `BosonicBath`.

    Raises:
        TypeError, ValueError: one of them is something else.
    """
    if not isinstance(lower, Operator):
        raise TypeError(f"lower must be an Operator, but was {type(lower).__name__}")
    omega = _OMEGA.checked(omega)
    as_bath("bath", bath)
    faults = (*faults_of(_OMEGA, omega), *bath.faults)
    down = Jump(bath.emission(omega), lower, energy=-omega, quanta=-1.0, faults=faults)
    return down, Jump(bath.absorption(omega), lower.dag, energy=omega, quanta=1.0, faults=faults)


_OMEGA, _ENERGY = Real("omega"), Real("energy")


def lead_jumps(annihilator: Operator, energy, lead: AbstractLead, spin: int = 0) -> tuple[Jump, Jump]:
    """The pair of jumps by which a lead empties and fills one mode of a given energy.

        out_of(energy, spin) D[c] + into(energy, spin) D[c^dag]

    One jump carries one electron and its energy.

    Args:
        annihilator: c, such as `space.dot.up` [1].
        energy: of the mode [energy].
        lead: such as a `FermionicLead` or a `GivenLead`.
        spin: of the mode, 1, -1 or 0.

    Raises:
        TypeError, ValueError: one of them is something else.

    Example:
        >>> import qdiff as qd
        >>> dot = qd.Space(dot=qd.Fermions("c")).dot
        >>> generator = qd.Lindblad(0.5 * dot.n, {"lead": qd.lead_jumps(dot.c, 0.5, qd.FermionicLead(2.0, 0.1, 0.3))})
        >>> round(float(qd.steady_state(generator).expect(dot.n)), 6)
        0.310026
    """
    if not isinstance(annihilator, Operator):
        raise TypeError(f"annihilator must be an Operator, but was {type(annihilator).__name__}")
    energy = _ENERGY.checked(energy)
    if not isinstance(lead, AbstractLead):
        raise TypeError(f"lead must be a lead such as FermionicLead(beta, mu, rate), but was {lead!r}")
    faults = (*faults_of(_ENERGY, energy), *lead.faults)
    out = Jump(lead.out_of(energy, spin), annihilator, energy=-energy, quanta=-1.0, faults=faults)
    return out, Jump(lead.into(energy, spin), annihilator.dag, energy=energy, quanta=1.0, faults=faults)


def as_jumps(label: str, given, H: Operator) -> tuple[Jump, ...]:
    if isinstance(given, (Jump, Operator)) or (
        isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], (Jump, Operator, tuple))
    ):
        given = (given,)
    if not isinstance(given, Iterable):
        raise TypeError(f"bath {label!r} must have a jump or a list of jumps, but had {given!r}")
    out = []
    for item in given:
        if isinstance(item, Operator):
            item = Jump(1.0, item)
        elif not isinstance(item, Jump):
            try:
                rate, operator = item
            except (TypeError, ValueError):
                raise TypeError(
                    f"a jump of bath {label!r} must be a Jump, an Operator or a pair (rate, Operator), but was {item!r}"
                ) from None
            if not isinstance(operator, Operator):
                raise TypeError(f"the operator of a jump of bath {label!r} must be an Operator, but was {type(operator).__name__}")
            if kind_of(rate) not in "iuf":
                raise TypeError(f"the rate of a jump of bath {label!r} must be a real number, but was {rate!r}")
            item = Jump(rate, operator)
        if not same_space(item.operator, H):
            raise ValueError(f"a jump of bath {label!r} acts on {item.operator.space!r}, but H acts on {H.space!r}")
        if item.groups is None and np.ndim(item.rate) != 0:
            raise ValueError(f"the rate of a jump of bath {label!r} must be one number, but has shape {np.shape(item.rate)}")
        out.append(item)
    return tuple(out)


def same_space(op: Operator, other: Operator) -> bool:
    """Whether two operators act on the same space; a bare matrix acts on any of its dimension."""
    return op.size == other.size and (op.space is None or other.space is None or op.space == other.space)


def member(j: Jump, op: Operator, rate) -> Jump:
    """The jump with its aligned operator and rate; a family keeps track of its groups."""
    groups = j.groups
    if groups is not None and op.pattern != j.operator.pattern:
        at = j.operator.pattern.find(op.pattern.row, op.pattern.col)
        if np.any(at < 0):
            return j
        groups = tuple(np.asarray(groups)[at].tolist())
    return dataclasses.replace(j, rate=rate, operator=op, groups=groups)
