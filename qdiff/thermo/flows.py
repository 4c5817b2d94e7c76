"""Heat, work and particle currents, one per bath, and the first law.

A current is positive into the system; work is positive when done on it.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..equations.lindblad.equation import Lindblad, hermitian
from ..equations.lindblad.evolution import state_of
from ..equations.lindblad.steady import State
from ..operators.operator import Operator


def currents(generator: Lindblad, state: Any, observable: Operator) -> dict[str, jax.Array]:
    """How fast each bath changes an observable: Tr[O L_b rho] for every bath b.

    Args:
        generator: such as `Lindblad(...)`.
        state: a state of it, from `steady_state`, or any state in the forms that `evolve` takes.
        observable: an operator O, such as a Hamiltonian (heat), a part of it, or a number operator.

    Returns:
        Mapping from the baths' names to scalars, real for a Hermitian O and complex otherwise [unit of O times rate]; empty for a
        closed system.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: the state is one of a generator with other baths, or no density matrix; the observable acts on another space.

    Differentiable in everything. Accuracy: see `steady_state`.
    """
    state = _of(generator, state)
    observable = generator.into_frame(observable)
    return moved(generator, state, observable, observable.is_hermitian)


def current(generator: Lindblad, state: Any, observable: Operator, bath: str):
    """Tr[O L_b rho] of one bath, a scalar; see `currents`."""
    state = _of(generator, state)
    return currents(generator, state, observable)[_bath(generator, bath)]


def heat_current(generator: Lindblad, state: Any, bath: str, H: Operator | None = None):
    """The heat Tr[H L_b rho] that a bath brings into the system per unit time, a scalar [energy times rate].

    Args:
        H: the Hamiltonian whose energy counts as heat; by default the generator's. For a local master equation
            of coupled parts, give the uncoupled Hamiltonian: what the bath does to the coupling is work.

    Raises:
        ValueError: there is no such bath; H is not Hermitian or acts on another space.
    """
    state = _of(generator, state)
    return moved(generator, state, _hamiltonian(generator, H, "H"), True)[_bath(generator, bath)]


class Ledger(eqx.Module):
    """The energy balance of a stationary state.

    Attributes:
        heat: per bath, Tr[H0 L_b rho] [energy times rate].
        work: per bath, Tr[(H - H0) L_b rho], the work of a local bath on the coupling [energy times rate].
        imbalance: the sum of everything, dU/dt, which is zero in a stationary state.
    """

    heat: dict[str, jax.Array]
    work: dict[str, jax.Array]
    imbalance: jax.Array


def ledger(generator: Lindblad, state: Any, H0: Operator | None = None) -> Ledger:
    """All heat and work flows of a state: the first law, bath by bath.

    Args:
        H0: the part of the Hamiltonian whose changes count as heat (local equations); by default all of it.

    Raises:
        ValueError: H0 is not Hermitian or acts on another space.
    """
    state = _of(generator, state)
    counted = _hamiltonian(generator, H0, "H0")
    heat = moved(generator, state, counted, True)
    work = {b: jnp.zeros(()) for b in heat} if H0 is None else moved(generator, state, generator.H - counted, True)
    return Ledger(heat, work, sum(heat.values(), jnp.zeros(())) + sum(work.values(), jnp.zeros(())))


def moved(generator: Lindblad, state: State, op: Operator, is_hermitian: bool) -> dict[str, jax.Array]:
    """`currents` of an observable that is given in the generator's frame."""
    sector = state.sector
    parts = [op] if is_hermitian else [(op + op.dag) * 0.5, (op - op.dag) * -0.5j]
    weights = [sector.covector(part) for part in parts]
    terms = sector.terms(generator)

    def of(label):
        # Each bath by itself, so that a program computes only what it returns.
        moved = sector.act_of(terms, state.x, label)
        real, *imaginary = [jnp.dot(weight, moved) for weight in weights]
        return real + 1j * imaginary[0] if imaginary else real

    return {label: of(label) for label in sector.labels}


def _hamiltonian(generator: Lindblad, H: Operator | None, name: str) -> Operator:
    """H in the generator's frame; the generator's own if it is None."""
    if H is None:
        return generator.H
    if not isinstance(H, Operator):
        raise TypeError(f"{name} must be an Operator, but was {type(H).__name__}")
    return generator.into_frame(hermitian(H, name))


def _of(generator: Lindblad, state) -> State:
    if not isinstance(generator, Lindblad):
        raise TypeError(f"generator must be one such as Lindblad(...), but was {type(generator).__name__}")
    return state_of("state", generator, state)


def _bath(generator: Lindblad, bath: str) -> str:
    if not isinstance(bath, str) or bath not in generator.jumps:
        known = f"one of {list(generator.jumps)}" if generator.jumps else "that of a generator with baths, which this one is not"
        raise ValueError(f"bath must be {known}, but was {bath!r}")
    return bath
