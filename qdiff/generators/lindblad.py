"""The Lindblad equation with jump operators labelled by the bath they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..baths.reservoir import BosonicBath
from ..operators.operator import Operator
from ..operators.probe import align, is_constant


class Jump(eqx.Module):
    """One term, or a family of terms, sum_g rate_g D[A_g] with D[A]rho = A rho A^dag - {A^dag A, rho}/2.

    Args:
        rate: a number, or an array (n_groups,) [rate].
        operator: A, or the sum of all A_g [1].
        groups: for a family, a tuple (nnz,) that says to which A_g each entry of `operator` belongs.
        energy: what one such jump takes from the bath, in the shape of `rate` [energy]; None if that is not definite.
        quanta: how many of its quanta that is, likewise [1].

    The rate stands apart from the operator so that derivatives exist at rate zero. Energy and quanta do not enter the
    motion; they are what `cumulants` counts.
    """

    rate: ArrayLike
    operator: Operator
    groups: tuple[int, ...] | None = eqx.field(static=True, default=None)
    energy: ArrayLike | None = None
    quanta: ArrayLike | None = None


def thermal_jumps(lower: Operator, omega, bath: BosonicBath) -> tuple[Jump, Jump]:
    """The pair of jumps by which a bath damps and excites one transition of energy omega.

        emission(omega) D[lower] + absorption(omega) D[lower^dag]

    One jump carries one quantum of energy omega, which leaves the system or enters it.

    Args:
        lower: the operator that takes the energy omega out of the system [1].
        omega: transition energy, scalar [energy].
        bath: a `BosonicBath`.
    """
    down = Jump(bath.emission(omega), lower, energy=-omega, quanta=-1.0)
    return down, Jump(bath.absorption(omega), lower.dag, energy=omega, quanta=1.0)


class Lindblad(eqx.Module):
    """The Lindblad generator  d rho/dt = -i[H, rho] + sum_bath sum_jumps rate D[A] rho.

    Args:
        H: Hamiltonian, a Hermitian `Operator` [energy].
        jumps: a mapping from each bath's name to its jumps: `Jump`s, pairs (rate, operator) or bare
            operators (rate one). What is labelled together is one bath to every current.
        frame: a unitary `Operator` V if H and the jumps are given in another basis, A_frame = V^dag A V
            (used by `secular`); results are always returned in the original basis.
        splitting: the distance of the closest coupled levels over the largest energy, if known (`secular`).

    Raises:
        ValueError: H is not Hermitian; an operator acts on another space; there is no jump at all.

    Differentiable in every value of H, of the rates and of the jump operators.

    Example:
        >>> import qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> motion = qd.Lindblad(qubit.z, {"bath": qd.thermal_jumps(qubit.minus, 2.0, bath)})
        >>> state = qd.steady_state(motion)
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
        jumps = {str(label): as_jumps(label, given, H) for label, given in jumps.items()}
        if not any(jumps.values()):
            raise ValueError("jumps must hold at least one jump, but is empty: a closed system has no stationary state of its own")
        if frame is None:  # a frame comes from `secular`, which has aligned its own ingredients
            each = [j for label in jumps for j in jumps[label]]
            H, *rest = align([H, *(j.operator for j in each), *(j.rate for j in each)])
            known = iter([_member(j, op) for j, op in zip(each, rest, strict=False)])
            jumps = {label: tuple(next(known) for _ in jumps[label]) for label in jumps}
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
        """V^dag op V."""
        return op if self.frame is None else self.frame.dag @ op @ self.frame

    def out_of_frame(self, op: Operator) -> Operator:
        """V op V^dag."""
        return op if self.frame is None else self.frame @ op @ self.frame.dag


def _member(j: Jump, op: Operator) -> Jump:
    """The jump with its aligned operator; a family keeps track of its groups."""
    if j.groups is None or op.pattern == j.operator.pattern:
        return dataclasses.replace(j, operator=op)
    at = j.operator.pattern.find(op.pattern.row, op.pattern.col)
    return j if np.any(at < 0) else dataclasses.replace(j, operator=op, groups=tuple(np.asarray(j.groups)[at].tolist()))


def hermitian(H: Operator) -> Operator:
    if H.is_hermitian:
        return H
    values = H.values
    if is_constant(values):
        worst = np.abs(H.dense() - H.dense().conj().T).max()
        raise ValueError(f"H must be Hermitian, but differs from its adjoint by {worst:.3g}")
    # A matrix given as one traced array hides its symmetry from the probe: check the numbers, keep the pattern.
    symmetric = (H + H.dag) * 0.5
    residue = (H + symmetric * -1).values
    scale = jnp.max(jnp.abs(values))
    checked = eqx.error_if(
        symmetric.values,
        jnp.max(jnp.abs(residue), initial=0.0) > 1e-12 * scale,
        "H must be Hermitian, but differs from its adjoint",
    )
    return Operator(symmetric.pattern, checked, H.space, probe=symmetric.probe)


def as_jumps(label: str, given, H: Operator) -> tuple[Jump, ...]:
    if isinstance(given, (Jump, Operator)) or (
        isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], (Jump, Operator, tuple))
    ):
        given = (given,)
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
            item = Jump(rate, operator)
        if not isinstance(item.operator, Operator):
            raise TypeError(f"the operator of a jump of bath {label!r} must be an Operator, but was {type(item.operator).__name__}")
        if item.operator.size != H.size or (item.operator.space and H.space and item.operator.space != H.space):
            raise ValueError(f"a jump of bath {label!r} acts on {item.operator.space!r}, but H acts on {H.space!r}")
        if item.groups is None and np.ndim(item.rate) != 0:
            raise ValueError(f"the rate of a jump of bath {label!r} must be one number, but has shape {np.shape(item.rate)}")
        out.append(item)
    return tuple(out)
