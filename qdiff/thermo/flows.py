"""Heat, work and particle currents, one per bath, and the first law.

A current is positive into the system; work is positive when done on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..equations.lindblad.evolution import Evolution
from ..equations.lindblad.steady import State, a_state
from ..equations.lindblad.terms import hermitian
from ..operators.operator import Operator


def currents(state: State | Evolution, observable: Operator) -> dict[str, jax.Array]:
    """How fast each bath changes an observable: Tr[O L_b rho] for every bath b.

    Args:
        state: from `steady_state` or `generator.state(rho)`; or an `Evolution`, for the currents at all times.
        observable: an operator O, such as a Hamiltonian (heat), a part of it, or a number operator.

    Returns:
        Mapping from the baths' names to scalars, or of an evolution to arrays (k,), real for a Hermitian O and complex otherwise
        [unit of O times rate]; empty for a closed system.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: the observable acts on another space, or the states of the evolution were not kept.

    Differentiable in everything. Accuracy: see `steady_state`.
    """

    def of(state: State):
        into = state.generator.into_frame(observable)
        return moved(state, into, into.is_hermitian)

    return _at_each(state, of)


def current(state: State | Evolution, observable: Operator, bath: str):
    """Tr[O L_b rho] of one bath, a scalar; see `currents`."""
    return currents(state, observable)[known_bath(state, bath)]


def heat_current(state: State | Evolution, bath: str, H: Operator | None = None):
    """The heat Tr[H L_b rho] that a bath brings into the system per unit time, a scalar [energy times rate].

    Args:
        state: as in `currents`.
        bath: its name.
        H: the Hamiltonian whose energy counts as heat; by default the generator's. For a local master equation
            of coupled parts, give the uncoupled Hamiltonian: what the bath does to the coupling is work.

    Raises:
        ValueError: there is no such bath; H is not Hermitian or acts on another space.
    """
    return _at_each(state, lambda state: moved(state, _hamiltonian(state, H, "H"), True))[known_bath(state, bath)]


class Ledger(eqx.Module):
    """The energy balance of a state; of an evolution, of its states at all times.

    Attributes:
        heat: per bath, Tr[H0 L_b rho] [energy times rate].
        work: per bath, Tr[(H - H0) L_b rho], the work of a local bath on the coupling [energy times rate].
        imbalance: the sum of everything, which is zero in a stationary state; of a state that moves it is the rate at which
            its energy grows, but for what a Hamiltonian that depends on time does to it.
    """

    heat: dict[str, jax.Array]
    work: dict[str, jax.Array]
    imbalance: jax.Array


def ledger(state: State | Evolution, H0: Operator | None = None) -> Ledger:
    """All heat and work flows of a state: the first law, bath by bath.

    Args:
        state: as in `currents`.
        H0: the part of the Hamiltonian whose changes count as heat (local equations); by default all of it.

    Work that is done by changing the Hamiltonian in time, Tr[dH/dt rho], is no bath's and is not counted.

    Raises:
        ValueError: H0 is not Hermitian or acts on another space.
    """

    def of(state: State):
        counted = _hamiltonian(state, H0, "H0")
        heat = moved(state, counted, True)
        work = {b: jnp.zeros(()) for b in heat} if H0 is None else moved(state, state.generator.H - counted, True)
        return Ledger(heat, work, sum(heat.values(), jnp.zeros(())) + sum(work.values(), jnp.zeros(())))

    return _at_each(state, of)


def moved(state: State, op: Operator, is_hermitian: bool) -> dict[str, jax.Array]:
    """`currents` of an observable that is given in the generator's frame."""
    sector = state.sector
    parts = [op] if is_hermitian else [(op + op.dag) * 0.5, (op - op.dag) * -0.5j]
    weights = [sector.covector(part) for part in parts]
    terms = sector.terms(state.generator)

    def of(label):
        # Each bath by itself, so that a program computes only what it returns.
        moved = sector.act_of(terms, state.x, label)
        real, *imaginary = [jnp.dot(weight, moved) for weight in weights]
        return real + 1j * imaginary[0] if imaginary else real

    return {label: of(label) for label in sector.labels}


def _at_each(state: State | Evolution, function: Callable[[State], Any]):
    """function(state), or of all states of an evolution, stacked."""
    return state.map(function) if isinstance(state, Evolution) else function(a_state(state))


def _hamiltonian(state: State, H: Operator | None, name: str) -> Operator:
    """H in the generator's frame; the generator's own if it is None."""
    if H is None:
        return state.generator.H
    if not isinstance(H, Operator):
        raise TypeError(f"{name} must be an Operator, but was {type(H).__name__}")
    return state.generator.into_frame(hermitian(H, name))


def known_bath(state: State | Evolution, bath: str) -> str:
    """The name of a bath, if it is one of the state's generator."""
    labels = state.generator.labels
    if not isinstance(bath, str) or bath not in labels:
        none = "that of a generator with baths, which this one is not"
        known = f"one of {list(labels)}" if labels else none
        raise ValueError(f"bath must be {known}, but was {bath!r}")
    return bath
