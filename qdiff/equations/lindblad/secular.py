"""The global (secular) master equation, for any Hamiltonian built from operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from ...operators.checks import choice, known
from ...operators.operator import Operator
from ...operators.pattern import diagonal
from ...operators.structure import PROBES, align, is_constant, recording, replaying
from .conical import defined, told_apart
from .eigenbasis import SAME, eigenbasis, turned
from .equation import Lindblad
from .jumps import Jump, as_jumps, member
from .kossakowski import independent
from .terms import baths, hermitian


def secular(
    H: Operator,
    couplings: Mapping,
    jumps: Mapping | None = None,
    *,
    negative: str = "odd",
) -> Lindblad:
    """The secular (global, Davies) generator of a system coupled to baths through given operators.

        A(omega) = sum over levels with e' - e = omega of P(e) A P(e')
        Hermitian A:  sum_omega gamma(omega) D[A(omega)] over both signs of omega, gamma(omega) = emission(omega)
        other A:      sum_omega emission(omega) D[A(omega)] + absorption(omega) D[A(omega)^dag]   (rotating wave)

    Two frequencies belong to one A(omega) when they are equal for all parameters; where two others happen to
    coincide, the result is the limit of the neighbouring parameters. Lamb shifts are left out. Each jump carries the
    energy of its line, and one quantum of it.

    Args:
        H: the system's Hamiltonian [energy].
        couplings: for each bath's name its coupling operator A [1] and the bath, `(A, bath)`. Several operators,
            each with fluctuations of its own: `([A1, A2], bath)`. Correlated fluctuations: `([A1, A2], bath, C)`
            with a real symmetric matrix C without negative eigenvalues, which stands for

                sum_ij C_ij gamma(omega) (A_i(omega) rho A_j(omega)^dag - {A_j(omega)^dag A_i(omega), rho}/2)

            (C = 1 are independent couplings, C_ij = 1 throughout is the one coupling A1 + A2). A list of such tuples
            adds them up under one name.
        jumps: local jumps to be added as they are, as in `Lindblad`.
        negative: for a rotating-wave coupling, what lines with omega < 0 do. "odd": a spectral density is odd
            and the rates keep detailed balance; "drop": they are left out, as a bath without such modes would.

    Returns:
        A `Lindblad` in the eigenbasis of H, to be used like any other; currents, states and expectation values
        are in the original basis.

    Raises:
        TypeError: H is no `Operator`, or a coupling is not of one of the forms above.
        ValueError: `negative` is neither of the two words; a name is in both `couplings` and `jumps`; C is not of the
            kind above; a rate is negative or infinite, such as that of a flat spectrum at omega = 0; levels change
            their order between the given and the generic parameters of a `structured` function; levels meet in a conical point
            whose eigenvectors the couplings tell apart (of traced numbers, Equinox's runtime error).

    Differentiable in everything, also where uncoupled levels cross; in C where its leading minors are positive, which
    only the last of them need not be (a pair may be fully correlated). At a conical point (two coupled levels
    whose distance and coupling both vanish) eigenvectors are arbitrary: where a coupling tells them apart that is an error,
    or NaN in a batch, and so it is closer to it than 1e-8 of the size of their block (for blocks of two, than rounding).
    Known numbers outside a `structured` function are what they are: levels equal to 1e-13 of the largest energy are one
    level, whose lines belong together, which is not the limit of the neighbouring parameters. A coupling
    made of one traced matrix hides whether it is Hermitian: give (A + A.dag) / 2, or its rates become NaN.

    Example:
        >>> import qdiff as qd
        >>> pair = qd.Space(a=qd.Spin(), b=qd.Spin())
        >>> bath = qd.BosonicBath(1.0, qd.baths.Ohmic(0.1))
        >>> H = 0.5 * pair.a.z + 0.6 * pair.b.z + 0.1 * pair.a.x @ pair.b.x
        >>> generator = qd.secular(H, {"bath": ([pair.a.x, pair.b.x], bath, [[1.0, 0.3], [0.3, 1.0]])})
        >>> round(float(qd.steady_state(generator).expect(H)), 6)
        -0.560123

    Source:
        Breuer and Petruccione, The Theory of Open Quantum Systems (2002), Sec. 3.3.
    """
    choice("negative", negative, ("odd", "drop"))
    if not isinstance(H, Operator):
        raise TypeError(f"H must be an Operator, but was {type(H).__name__}")
    coupled = {label: independent(label, given, H) for label, given in baths("couplings", couplings).items()}
    local = {label: as_jumps(label, given, H) for label, given in baths("jumps", jumps or {}).items()}
    twice = set(local) & set(coupled)
    if twice:
        raise ValueError(f"bath names must be distinct, but {sorted(twice)} are in both couplings and jumps")
    operators = [A for given in coupled.values() for A, _, _ in given]
    each = [j for given in local.values() for j in given]
    H, *rest = align([H, *operators, *(j.operator for j in each), *(j.rate for j in each)])
    if recording():
        return Lindblad(H, {label: [(1.0, A) for A, _, _ in given] for label, given in coupled.items()} | local, frame=H)
    aligned = iter(rest[: len(operators)])
    beside = map(member, each, rest[len(operators) :], rest[len(operators) + len(each) :])

    H = hermitian(H)
    basis = eigenbasis(H)
    V = basis.frame
    out, told = {}, {}
    for label, given in coupled.items():
        out[label] = ()
        for (_, bath, weight), A in zip(given, aligned, strict=False):
            out[label] += _lines(label, turned(A, V), basis, bath, weight, A.is_hermitian, negative)
        told[label] = told_apart(out[label], basis)
    if basis.pairs.size:
        # Zero, or NaN in a batch: then no rate is known, nor any derivative in what H depends on.
        mark = defined(told, basis) * jnp.sum(jnp.real(H.values) + jnp.imag(H.values))
        out = {k: tuple(dataclasses.replace(j, rate=j.rate + mark) for j in jumps) for k, jumps in out.items()}
    for label in local:
        out[label] = tuple(_turned(next(beside), V) for _ in local[label])
    levels = Operator(diagonal(H.size), basis.energies, H.space, probe=basis.copies)
    return Lindblad(levels, out, frame=V, splitting=basis.splitting)


def _lines(label: str, A: Operator, basis, bath, weight, hermitian: bool, negative: str) -> tuple[Jump, ...]:
    """The jumps A(omega) of one coupling, as one family (or two: emission and absorption)."""
    to, frm = A.pattern.row, A.pattern.col
    group = coincident(basis.copies[:, frm] - basis.copies[:, to], np.abs(basis.copies).max(initial=0.0))
    first = np.unique(group, return_index=True)[1]
    line = basis.energies[frm] - basis.energies[to]
    omega = line[first]
    if line.size:
        # Levels may change order away from the generic parameters (sqrt(B^2) = B there); then the groups are wrong.
        spread, scale = jnp.abs(line - omega[group]), jnp.max(jnp.abs(basis.energies))
        reordered = jax.lax.stop_gradient(jnp.max(spread) > 1e-9 * scale)
        if known(reordered) and reordered:
            raise ValueError(
                f"lines of bath {label!r} coincide at the generic parameters (0.3 to 0.9) of a `structured` function, but "
                "not at the given ones, where levels of H stand in another order: build this generator without `structured`"
            )
        omega = jnp.where(reordered, jnp.nan, omega)
    faults = bath.faults
    if hermitian:
        return (Jump(weight * bath.emission(omega), A, tuple(group.tolist()), energy=-omega, quanta=-jnp.sign(omega), faults=faults),)
    down, up = weight * bath.emission(omega), weight * bath.absorption(omega)
    if negative == "drop":
        down, up = jnp.where(omega > 0, down, 0.0), jnp.where(omega > 0, up, 0.0)
    back = A.dag
    if not replaying() and not is_constant(A.values) and back.pattern == A.pattern and A.pattern.nnz:
        # Taken as not Hermitian from independent generic numbers; where it is, every rate would count twice.
        size = jnp.max(jnp.abs(A.values))
        double = (size > 0) & (jnp.max(jnp.abs(A.values - back.values)) <= 1e-12 * size)
        down, up = jnp.where(double, jnp.nan, down), jnp.where(double, jnp.nan, up)
    at = A.pattern.find(back.pattern.col, back.pattern.row)
    emitted = Jump(down, A, tuple(group.tolist()), energy=-omega, quanta=-jnp.sign(omega), faults=faults)
    return emitted, Jump(up, back, tuple(group[at].tolist()), energy=omega, quanta=jnp.sign(omega), faults=faults)


def _turned(jump: Jump, V: Operator) -> Jump:
    if jump.groups is not None:
        raise ValueError("a family of jumps cannot be turned into the eigenbasis; give its members one by one")
    return dataclasses.replace(jump, operator=turned(jump.operator, V))


def coincident(copies: np.ndarray, scale: float) -> np.ndarray:
    """Labels (n,) of numbers (PROBES, n) that are equal in every copy to 1e-13 of `scale`, numbered from zero."""
    tolerance = SAME * scale
    label = np.zeros(copies.shape[1], int)
    for k in range(PROBES):
        order = np.lexsort([copies[k], label])
        new = (np.diff(label[order]) != 0) | (np.diff(copies[k][order]) > tolerance)
        label[order] = np.r_[0, np.cumsum(new)] if order.size else []
    return label
