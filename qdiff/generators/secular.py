"""The global (secular) master equation, for any Hamiltonian built from operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from ..baths.reservoir import BosonicBath
from ..operators.operator import Operator
from ..operators.pattern import diagonal
from ..operators.probe import PROBES, align, recording
from .eigenbasis import eigenbasis
from .lindblad import Jump, Lindblad, as_jumps, hermitian


def secular(
    H: Operator,
    couplings: Mapping[str, tuple[Operator, BosonicBath]],
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
        couplings: for each bath its coupling operator A [1] and the bath.
        jumps: local jumps to be added as they are, as in `Lindblad`.
        negative: for a rotating-wave coupling, what lines with omega < 0 do. "odd": a spectral density is odd
            and the rates keep detailed balance; "drop": they are left out, as a bath without such modes would.

    Returns:
        A `Lindblad` in the eigenbasis of H, to be used like any other; currents, states and expectation values
        are in the original basis.

    Raises:
        ValueError: `negative` is neither of the two words, or a name is in both `couplings` and `jumps`.

    Differentiable in everything, also where uncoupled levels cross. At a conical point (two coupled levels
    whose distance and coupling both vanish) there is no derivative; `State.diagnostics` flags it.

    Source:
        Breuer and Petruccione, The Theory of Open Quantum Systems (2002), Sec. 3.3.
    """
    if negative not in ("odd", "drop"):
        raise ValueError(f'negative must be "odd" or "drop", but was {negative!r}')
    local = {str(label): as_jumps(label, given, H) for label, given in (jumps or {}).items()}
    twice = set(local) & set(couplings)
    if twice:
        raise ValueError(f"bath names must be distinct, but {sorted(twice)} are in both couplings and jumps")
    each = [j for given in local.values() for j in given]
    H, *rest = align([H, *(A for A, _ in couplings.values()), *(j.operator for j in each), *(j.rate for j in each)])
    if recording():
        return Lindblad(H, {label: (1.0, A) for label, (A, _) in couplings.items()} | local, frame=H)
    operators = rest[: len(couplings)]
    known = iter([dataclasses.replace(j, operator=op) for j, op in zip(each, rest[len(couplings) :], strict=False)])

    H = hermitian(H)
    basis = eigenbasis(H)
    V = basis.frame
    out = {}
    for (label, (_, bath)), A in zip(couplings.items(), operators, strict=True):
        out[label] = _lines(V.dag @ A @ V, basis, bath, A.is_hermitian, negative)
    for label in local:
        out[label] = tuple(_turned(next(known), V) for _ in local[label])
    levels = Operator(diagonal(H.size), basis.energies, H.space, probe=basis.copies)
    return Lindblad(levels, out, frame=V, splitting=basis.splitting)


def _lines(A: Operator, basis, bath, hermitian: bool, negative: str) -> tuple[Jump, ...]:
    """The jumps A(omega) of one coupling, as one family (or two: emission and absorption)."""
    to, frm = A.pattern.row, A.pattern.col
    group = coincident(basis.copies[:, frm] - basis.copies[:, to], np.abs(basis.copies).max(initial=0.0))
    first = np.unique(group, return_index=True)[1]
    line = basis.energies[frm] - basis.energies[to]
    omega = line[first]
    if line.size:
        # Levels may change order away from the generic parameters (sqrt(B^2) = B there); then the groups are wrong.
        spread, scale = jnp.abs(line - omega[group]), jnp.max(jnp.abs(basis.energies))
        omega = jnp.where(jax.lax.stop_gradient(jnp.max(spread) > 1e-9 * scale), jnp.nan, omega)
    if hermitian:
        return (Jump(bath.emission(omega), A, tuple(group.tolist()), energy=-omega, quanta=-jnp.sign(omega)),)
    down, up = bath.emission(omega), bath.absorption(omega)
    if negative == "drop":
        down, up = jnp.where(omega > 0, down, 0.0), jnp.where(omega > 0, up, 0.0)
    back = A.dag
    at = A.pattern.find(back.pattern.col, back.pattern.row)
    emitted = Jump(down, A, tuple(group.tolist()), energy=-omega, quanta=-jnp.sign(omega))
    return emitted, Jump(up, back, tuple(group[at].tolist()), energy=omega, quanta=jnp.sign(omega))


def _turned(jump: Jump, V: Operator) -> Jump:
    if jump.groups is not None:
        raise ValueError("a family of jumps cannot be turned into the eigenbasis; give its members one by one")
    return dataclasses.replace(jump, operator=V.dag @ jump.operator @ V)


def coincident(copies: np.ndarray, scale: float) -> np.ndarray:
    """Labels (n,) of numbers (PROBES, n) that are equal in every copy to 1e-12 of `scale`, numbered from zero."""
    tolerance = 1e-12 * scale
    label = np.zeros(copies.shape[1], int)
    for k in range(PROBES):
        order = np.lexsort([copies[k], label])
        new = (np.diff(label[order]) != 0) | (np.diff(copies[k][order]) > tolerance)
        label[order] = np.r_[0, np.cumsum(new)] if order.size else []
    return label
