"""Entropy and entropy production."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..equations.lindblad.eigenbasis import eigenvalues
from ..equations.lindblad.states import FOLLOWED, density_matrix
from ..equations.lindblad.steady import State, a_state
from ..equations.lindblad.terms import AbstractTerms, hermitian
from ..operators.checks import instance, is_number, real_number
from ..operators.operator import Operator
from ..operators.space import Space
from ..results import Failure, check
from .flows import moved
from .logarithm import EMPTY, full, logarithm


def entropy(rho: Any):
    """The von Neumann entropy -Tr[rho ln rho] of a state, a scalar [1, nats].

    Empty levels count as zero; so do eigenvalues that rounding made negative. The derivative is infinite where
    an eigenvalue leaves zero. NaN of a state that is NaN.

    Args:
        rho: a state in the forms that `evolve` takes, such as `state`, `state.rho` or `state.reduced("qubit")`; not a mapping,
            because nothing else tells the space.

    Raises:
        TypeError, ValueError: rho is no density matrix, to 1e-6; of traced numbers that is an error at run time.

    Differentiable to second order, forward and reverse, also where eigenvalues are equal.

    Example:
        >>> import qdiff as qd
        >>> round(float(qd.thermo.entropy(qd.Space(q=qd.Spin()).identity / 2)), 6)
        0.693147
    """
    return _entropy(density_matrix("rho", rho, near=FOLLOWED))


@jax.custom_jvp
def _entropy(rho: Operator):
    p = eigenvalues(rho)
    empty = p <= 0
    return -jnp.sum(jnp.where(empty, 0.0, p * jnp.log(jnp.where(empty, 1.0, p))))


@_entropy.defjvp
def _entropy_jvp(primals, tangents):
    """-Tr[(ln rho + 1) d rho]: the logarithm has derivatives also where the eigenvalues that it is made of have none."""
    (rho,), (change,) = primals, tangents
    slope, row, col = logarithm(rho), rho.pattern.row, rho.pattern.col
    share = jnp.asarray(slope.values)[slope.pattern.find(col, row)]
    return _entropy(rho), -jnp.real(jnp.sum((share + (row == col)) * change.values))


def free_energy(rho: Any, H: Operator, T):
    """The free energy Tr[H rho] - T S(rho) of any state at temperature T, a scalar [energy].

    What it falls by bounds the work that can be drawn while the state changes in contact with a bath at T.

    Args:
        rho: a state in the forms that `evolve` takes. H: the Hamiltonian [energy]. T: the temperature, not its inverse [energy].

    Raises:
        TypeError, ValueError: rho is no density matrix, H no `Operator`, or T no number.

    Example:
        >>> import qdiff as qd
        >>> q = qd.Space(q=qd.Spin())
        >>> round(float(qd.thermo.free_energy(q.identity / 2, q.q.up, 2.0)), 6)
        -0.886294
    """
    T = jnp.asarray(real_number("T", T, several=True))
    H = hermitian(instance("H", H, Operator))
    rho = density_matrix("rho", rho, H.space, H.size, near=FOLLOWED)
    return jnp.real((H @ rho).trace()) - T * _entropy(rho)


def pair_entropy(p, q, squared):
    """The share -Tr[B ln B] of a block B = [[p, c], [c*, q]] of a density matrix in its entropy, with |c|^2 = squared [1]."""
    mean, half = (p + q) / 2, (p - q) / 2
    away = half**2 + squared
    root = jnp.where(away > 0, jnp.sqrt(jnp.where(away > 0, away, 1.0)), 0.0)
    high = mean + root
    low = jnp.where(high > 0, (p * q - squared) / jnp.where(high > 0, high, 1.0), 0.0)
    return _share(high) + _share(low)


def _share(p):
    return jnp.where(p > 0, -p * jnp.log(jnp.where(p > 0, p, 1.0)), 0.0)


def dephasing_entropy(p, q, squared, factor):
    """The rise of `pair_entropy` when |c|^2 = squared falls to factor * squared, with relative accuracy however small it is [1].

    The accuracy is that of p q - |c|^2: 1e-15, and less only for blocks so nearly pure that p q - |c|^2 has lost digits.

        integral of atanh(R/m)/R over |c|^2,   m = (p + q)/2,   R^2 = (p - q)^2/4 + |c|^2

    Differentiable everywhere but at a pure block.
    """
    mean, half = (p + q) / 2, (p - q) / 2
    known = mean > 0
    m2 = jnp.where(known, mean, 1.0) ** 2
    low, lacking = (half**2 + factor * squared) / m2, (p * q - factor * squared) / m2  # their sum is one
    width = (1 - factor) * squared / m2
    # Close to a pure state the integrand grows; the entropies differ enough there to be subtracted.
    direct = (width > 1e-3) | (lacking <= 11 * width)
    nodes, weights = np.polynomial.legendre.leggauss(10)
    step = jnp.where(direct, 0.0, width) * (nodes[:, None] + 1).ravel() / 2
    at, rest = jnp.where(direct, 0.0, low) + step, jnp.where(direct, 1.0, lacking) - step
    smooth = jnp.sqrt(m2) * width / 2 * jnp.sum(weights * _atanh_ratio(at, rest))
    return jnp.where(known, jnp.where(direct, pair_entropy(p, q, factor * squared) - pair_entropy(p, q, squared), smooth), 0.0)


def _atanh_ratio(square, rest):
    """atanh(r)/r of r^2 = square, also at zero; `rest` is 1 - r^2, with the digits that it has where r is almost one."""
    small = square < 1e-2
    series = sum(jnp.where(small, square, 0.0) ** k / (2 * k + 1) for k in range(9))
    r = jnp.sqrt(jnp.where(small, 0.5, square))
    return jnp.where(small, series, (jnp.log1p(r) - jnp.log(jnp.where(small, 0.5, rest)) / 2) / r)


def entropy_production(state: State, fixed_points: Mapping):
    """Spohn's entropy production, sum_b Tr[ln(pi_b) L_b rho], a scalar [rate].

    Non-negative when each L_b is a Lindblad generator with L_b pi_b = 0, and rho is stationary. For a thermal bath of a global
    equation pi_b is the Gibbs state, ln pi_b = -beta_b H up to a number, and its term is -beta_b times the heat current.

    Args:
        state: from `steady_state`; or any other `generator.state(rho)`, of which the entropy of the system itself is then not
            counted.
        fixed_points: for every bath b the state pi_b that it alone would lead to (the state itself, not its logarithm), as
            a number: the inverse temperature beta_b [1/energy] of a bath that leads to the Gibbs state of the generator's H;
            a pair (beta_b, H_b): of one that leads to the Gibbs state of another Hamiltonian, such as that of the part which a
                local bath touches, whatever it does not act on; no population underflows, however cold it is;
            a density matrix of the whole space, in the forms that `evolve` takes, such as `gibbs(H, beta)`;
            a mapping from some factors of the space to their states, or an `Operator` on the space of one factor, such as
                `state.reduced("qubit")`: of a local bath, that does not act on the others.

    Raises:
        TypeError, ValueError: `fixed_points` does not map exactly the names of the baths to these, or one is no density matrix,
            or has an empty level, of which the logarithm is infinite.

    Differentiable to second order, forward and reverse, also where populations of a fixed point are equal.

    Example:
        >>> import qdiff as qd
        >>> q = qd.Space(q=qd.Spin()).q
        >>> baths = {b: qd.thermal_jumps(q.minus, 2.0, qd.BosonicBath(beta, 0.1)) for b, beta in (("hot", 0.5), ("cold", 1.5))}
        >>> generator = qd.Lindblad(q.z, baths)
        >>> state = qd.steady_state(generator)
        >>> sigma = qd.entropy_production(state, {"hot": qd.thermo.gibbs(q.z, 0.5), "cold": 1.5})
        >>> abs(float(sigma + 0.5 * qd.heat_current(state, "hot") + 1.5 * qd.heat_current(state, "cold"))) < 1e-15
        True

    Source:
        Spohn, J. Math. Phys. 19, 1227 (1978).
    """
    generator = a_state(state).generator
    if not isinstance(fixed_points, Mapping):
        raise TypeError(f"fixed_points must map the name of each bath to a state, but was {type(fixed_points).__name__}")
    if set(fixed_points) != set(generator.labels):
        raise ValueError(
            f"fixed_points must name the baths {sorted(generator.labels)}, "
            f"but names {sorted(map(str, fixed_points))}"
        )
    total = jnp.zeros(())
    for bath, given in fixed_points.items():
        total = total + moved(state, _logarithm(generator, bath, given), True)[bath]
    return total


def _logarithm(generator: AbstractTerms, bath: str, given) -> Operator:
    """ln pi of a bath's fixed point, up to a number, in the generator's frame."""
    name = f"the fixed point of {bath!r}"
    if is_number(given):
        return generator.H * -jnp.asarray(real_number(name, given))
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Operator):
        return generator.into_frame(hermitian(given[1], f"the Hamiltonian of {name}") * -jnp.asarray(real_number(name, given[0])))
    space = generator.space
    if isinstance(given, Mapping) and space is not None and given:
        out = space.identity * 0.0
        for factor, part in given.items():
            small = space.keep(factor)
            out = out + getattr(space, factor).operator(_of_state(name, {factor: part}, small, small.dim))
        return generator.into_frame(out)
    if isinstance(given, Operator) and given.space is not None and space is not None and given.space != space:
        if len(given.space.factors) == 1 and (factor := next(iter(given.space.factors))) in space.factors:
            small = space.keep(factor)
            return generator.into_frame(getattr(space, factor).operator(_of_state(name, given, small, small.dim)))
    return generator.into_frame(_of_state(name, given, space, generator.H.size))


def _of_state(name: str, given, space: Space | None, dim: int) -> Operator:
    rho = density_matrix(name, given, space, dim, near=FOLLOWED)
    said = f"{name} {EMPTY}"
    return logarithm(rho) * check(jnp.ones(()), (~full(rho), Failure(said, ValueError)))
