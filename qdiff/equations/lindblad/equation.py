"""The Lindblad equation with jump operators labelled by the bath they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ...baths.lead import AbstractLead
from ...baths.reservoir import AbstractBath, as_bath
from ...operators.checks import Fault, Real, faults_of, kind_of, known
from ...operators.operator import Operator
from ...operators.structure import align, is_constant
from ...results import Failure, Found, check
from .eigenbasis import turned


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


class Lindblad(eqx.Module):
    """The Lindblad generator  d rho/dt = -i[H, rho] + sum_bath sum_jumps rate D[A] rho.

    Args:
        H: Hamiltonian, a Hermitian `Operator` [energy].
        jumps: a mapping from each bath's name to its jumps: `Jump`s, pairs (rate, operator) or bare
            operators (rate one). What is labelled together is one bath to every current. Empty for a closed system.
        frame: a unitary `Operator` V if H and the jumps are given in another basis, A_frame = V^dag A V
            (used by `secular`); results are always returned in the original basis.
        splitting: the distance of the closest coupled levels over the largest energy, if known (`secular`).

    Raises:
        TypeError: H is no `Operator`, the jumps are no mapping, or a jump is none.
        ValueError: H is not Hermitian; an operator acts on another space; a number is not finite; a rate is negative.

    A rate that is negative only at run time, where it is traced, becomes NaN in the generator, so that every solver
    refuses it.

    Differentiable in every value of H, of the rates and of the jump operators.

    Example:
        >>> import qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> generator = qd.Lindblad(qubit.z, {"bath": qd.thermal_jumps(qubit.minus, 2.0, bath)})
        >>> state = qd.steady_state(generator)
        >>> float(state.expect(qubit.z)) - float(-jnp.tanh(1.0)) < 1e-15
        True
    """

    H: Operator
    jumps: dict[str, tuple[Jump, ...]]
    frame: Operator | None = None
    splitting: jax.Array | None = None

    def __init__(self, H: Operator, jumps: Mapping, frame: Operator | None = None, splitting=None):
        if not isinstance(H, Operator):
            raise TypeError(f"H must be an Operator, but was {type(H).__name__}")
        if H.size < 2:
            raise ValueError(f"H must act on at least two states, but its space {H.space!r} has dimension {H.size}")
        jumps = {label: as_jumps(label, given, H) for label, given in baths("jumps", jumps).items()}
        if frame is None:  # a frame comes from `secular`, which has aligned its own ingredients
            each = [j for label in jumps for j in jumps[label]]
            H, *rest = align([H, *(j.operator for j in each), *(j.rate for j in each)])
            aligned = map(member, each, rest, rest[len(each) :])
            jumps = {label: tuple(next(aligned) for _ in jumps[label]) for label in jumps}
        for label in jumps:
            for j in jumps[label]:
                _finite(f"the operator of a jump of bath {label!r}", j.operator.values)
                _refuse_rate(label, j.rate)
        self.H = hermitian(H)
        self.jumps = jumps
        self.frame = frame
        self.splitting = splitting

    @property
    def space(self):
        return self.H.space

    @property
    def hamiltonian(self) -> Operator:
        """H in the original basis."""
        return self.out_of_frame(self.H)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.jumps)

    def into_frame(self, op: Operator) -> Operator:
        """V^dag op V, of an observable or a density matrix on the generator's space."""
        if not isinstance(op, Operator):
            raise TypeError(f"what is measured or given as a state must be an Operator, but was {type(op).__name__}")
        if not same_space(op, self.H):
            raise ValueError(f"what is measured or given as a state acts on {op.space!r}, but the generator on {self.space!r}")
        return op if self.frame is None else turned(op, self.frame)

    def out_of_frame(self, op: Operator) -> Operator:
        """V op V^dag."""
        return op if self.frame is None else self.frame @ op @ self.frame.dag


def member(j: Jump, op: Operator, rate) -> Jump:
    """The jump with its aligned operator and rate; a family keeps track of its groups."""
    groups = j.groups
    if groups is not None and op.pattern != j.operator.pattern:
        at = j.operator.pattern.find(op.pattern.row, op.pattern.col)
        if np.any(at < 0):
            return j
        groups = tuple(np.asarray(groups)[at].tolist())
    return dataclasses.replace(j, rate=rate, operator=op, groups=groups)


def hermitian(H: Operator, name: str = "H") -> Operator:
    """H, if it is Hermitian; a traced one whose structure does not show it is checked when its numbers are known."""
    _finite(name, H.values)
    if H.is_hermitian:
        return H if H.dag.pattern == H.pattern else (H + H.dag) * 0.5  # rounding may leave entries without a partner
    if is_constant(H.values):
        worst = np.abs(H.dense() - H.dense().conj().T).max()
        raise ValueError(f"{name} must be Hermitian, but differs from its adjoint by {worst:.3g}")
    # A matrix given as one traced array hides its symmetry from the probe: check the numbers, keep the pattern.
    symmetric = (H + H.dag) * 0.5
    residue = (H + symmetric * -1).values
    scale = jnp.max(jnp.abs(H.values))
    skew = jnp.max(jnp.abs(residue), initial=0.0) > 1e-12 * scale
    values = check(symmetric.values, (skew, Failure(f"{name} must be Hermitian, but differs from its adjoint", ValueError)))
    return Operator(symmetric.pattern, values, H.space, probe=symmetric.probe)


def baths(name: str, given) -> dict:
    """A mapping by the names of baths, as a dictionary."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must map the name of each bath to what it does, but was {type(given).__name__}")
    out = {str(label): value for label, value in given.items()}
    if len(out) < len(given):
        raise ValueError(f"{name} must have distinct names, but has {list(given)}")
    return out


def same_space(op: Operator, other: Operator) -> bool:
    """Whether two operators act on the same space; a bare matrix acts on any of its dimension."""
    return op.size == other.size and (op.space is None or other.space is None or op.space == other.space)


def _finite(name: str, values):
    if known(values) and not np.all(np.isfinite(np.asarray(values))):
        raise ValueError(f"{name} must be finite, but has an entry that is infinite or NaN")


def _refuse_rate(label: str, rate):
    if not known(rate):
        return
    wrong = [r for r in np.atleast_1d(np.asarray(rate, float)) if not 0 <= r < np.inf]
    if wrong:
        cause = "; a flat spectrum has no finite rate at zero frequency" if np.isinf(wrong[0]) else ""
        raise ValueError(f"the rates of bath {label!r} must be finite and not negative, but one is {wrong[0]:g}{cause}")


@jax.jit
def allowed_rates(rates):
    """Which rates are finite and not negative.

    A function of its own, by whose name a program of time knows that this comparison is a check and no feature of the
    generator: it is made at every time, and no step has to end where it changes.
    """
    return (rates >= 0) & (rates < jnp.inf)


def refusals(generator: Lindblad) -> list[Found]:
    """Why rates are refused: what is wrong with the arguments that they were made of, then which baths have a wrong rate."""
    found: dict[str, Any] = {}
    for label in generator.labels:
        for fault in (f for j in generator.jumps[label] for f in j.faults):
            sentence = f"{fault.sentence} (bath {label!r})"
            found[sentence] = fault.there | found.get(sentence, False)
    for label in generator.labels:
        rates = [jnp.ravel(jnp.asarray(j.rate, float)) for j in generator.jumps[label]]
        wrong = ~jnp.all(jnp.array([jnp.all(allowed_rates(r)) for r in rates], bool))
        found[f"a rate of bath {label!r} is negative or not finite"] = wrong
    return [Found(there, Failure(sentence)) for sentence, there in found.items()]


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
