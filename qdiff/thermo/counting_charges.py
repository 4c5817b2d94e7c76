"""The energy, quanta or charge that one jump carries from its bath into the system."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ..equations.lindblad.jumps import Jump
from ..equations.lindblad.terms import AbstractTerms, jumps_of
from ..linalg.gather import sum_into, take
from ..operators.operator import Operator
from ..operators.pattern import join
from ..operators.structure import sums_of

Of = str | Operator | Sequence

# A change of the charge that is equal for all entries of a jump to this many digits, in all generic copies, is definite.
_DEFINITE = 1e-10


def carried(generator: AbstractTerms, bath: str, of: Of = "energy"):
    """How much each jump of a bath brings into the system, as the counting statistics define it.

    Args:
        generator: such as `Lindblad(...)`.
        bath: its name.
        of: "energy" or "quanta", as the jumps declare it (`thermal_jumps`, `secular`, `Jump(energy=, quanta=)`);
            or a charge, a Hermitian `Operator` O in the original basis with [O, A] = q A for every jump operator A
            of the bath, which then counts as q; or a sequence of numbers, one for each jump of the bath.

    Returns:
        Array (n_jumps,) [unit of what is counted]; members of families are counted one by one.

    Raises:
        ValueError: a jump does not carry a definite amount, or there are not as many numbers as
            jumps, or the bath is not of Lindblad form.
    """
    jumps = jumps_of("what is counted", generator, bath)
    if isinstance(of, Operator):
        charge = generator.into_frame(of)
        if not charge.is_hermitian:
            raise ValueError("of must be a Hermitian operator, but differs from its adjoint")
        amounts = [_change(charge, j, k, bath) for k, j in enumerate(jumps)]
    elif isinstance(of, str):
        if of not in ("energy", "quanta"):
            raise ValueError(f'of must be "energy", "quanta", an Operator or one number for each jump of {bath!r}, but was {of!r}')
        amounts = [_declared(getattr(j, of), of, k, bath) for k, j in enumerate(jumps)]
    elif isinstance(of, Sequence) or np.ndim(of) == 1:
        if len(of) != len(jumps):
            raise ValueError(f"of must be one number for each of the {len(jumps)} jumps of bath {bath!r}, but has {len(of)}")
        amounts = list(of)
    else:
        raise TypeError(f'of must be "energy", "quanta", an Operator or a sequence of numbers, but was {type(of).__name__}')
    shapes = [np.shape(jnp.atleast_1d(j.rate)) for j in jumps]
    for k, (amount, shape) in enumerate(zip(amounts, shapes, strict=True)):
        if np.shape(amount) not in ((), shape):
            raise ValueError(
                f"what jump {k} of bath {bath!r} carries must be one number, or have shape {shape}, but has shape {np.shape(amount)}"
            )
    return jnp.concatenate([jnp.broadcast_to(jnp.asarray(a, float), s) for a, s in zip(amounts, shapes, strict=True)])


def _declared(amount, of: str, k: int, bath: str):
    if amount is None:
        raise ValueError(
            f"jump {k} of bath {bath!r} does not say how much {of} it carries; give Jump(..., {of}=), or as `of` a charge that it "
            "changes by a definite amount (an Operator such as the uncoupled Hamiltonian), or one number for each jump"
        )
    return amount


def _change(charge: Operator, jump: Jump, k: int, bath: str):
    """The q with [charge, A] = q A, for every member A of a family."""
    A, members = jump.operator, max(np.size(jump.rate), 1)
    group = np.zeros(A.pattern.nnz, int) if jump.groups is None else np.asarray(jump.groups)
    # The commutator as flat terms sign * charge[o] A[a], each in the member and at the place that it adds to.
    o, a = join(charge.pattern.col, A.pattern.row, A.size)
    b, p = join(A.pattern.col, charge.pattern.row, A.size)
    row, col = np.r_[charge.pattern.row[o], A.pattern.row[b]], np.r_[A.pattern.col[a], charge.pattern.col[p]]
    o, a, sign = np.r_[o, p], np.r_[a, b], np.r_[np.ones(o.size), -np.ones(p.size)]
    place = (group[a] * A.size + row) * A.size + col
    own = (group * A.size + A.pattern.row) * A.size + A.pattern.col
    places, at = np.unique(np.r_[place, own], return_inverse=True)
    at, mine = at[: place.size], at[place.size :]

    term = sign * charge.probe[:, o] * A.probe[:, a]
    change, size = sums_of(term, at, places.size), sums_of(np.abs(term), at, places.size)
    q = _ratio(np, A.probe, change[:, mine], group, members, sums_of)
    change[:, mine] -= q[:, group] * A.probe
    if np.any(np.abs(change) > _DEFINITE * np.max(size, initial=0.0)):
        raise ValueError(
            f"jump {k} of bath {bath!r} does not change the given operator by a definite amount ([O, A] is no multiple of A), so that "
            'what it carries is not defined; count a charge that it changes definitely, or of="energy", or one number for each jump'
        )
    values = jnp.asarray(A.values)
    change = sum_into(sign * take(jnp.asarray(charge.values), o) * take(values, a), at, places.size)[mine]
    return _ratio(jnp, values, change, group, members, sum_into)


def _ratio(xp, A, change, group, members: int, summed):
    """sum_e conj(A_e) change_e / sum_e |A_e|^2 in each member; zero for a member without entries, which never jumps."""
    weight = summed(xp.real(A * A.conj()), group, members)
    empty = weight == 0
    return xp.where(empty, 0.0, xp.real(summed(A.conj() * change, group, members)) / xp.where(empty, 1.0, weight))
