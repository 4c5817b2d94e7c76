"""Classical rate (Pauli) equations: probabilities that jump between states, with rates labelled by the bath."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ...baths.reservoir import AbstractBath, as_bath
from ...generator import AbstractGenerator
from ...linalg.gather import sum_into
from ...operators.checks import instance, kind_of, real_array, real_number
from ..lindblad.equation import Lindblad
from ..lindblad.reach import reach
from ..lindblad.terms import refuse_sandwiches
from .transitions import Transitions


def thermal_transitions(low, high, omega, bath: AbstractBath):
    """The two jumps by which a bath lowers and raises the energy: high -> low by emission, low -> high by absorption.

    Args:
        low, high: states, as numbers or integer arrays of equal shape.
        omega: energy of `high` minus energy of `low`, of the same shape and either sign [energy].
        bath: such as a `BosonicBath`.

    Returns:
        Two jumps (source, target, rate), as `Rates` takes them.
    """
    for name, state in (("low", low), ("high", high)):
        if kind_of(state) not in "iu":
            raise TypeError(f"{name} must be a state, an integer or an array of them, but was {state!r}")
    as_bath("bath", bath)
    omega = real_number("omega", omega, several=True)
    return (high, low, bath.emission(omega)), (low, high, bath.absorption(omega))


class Rates(AbstractGenerator):
    """The rate equation  dp_i/dt = sum_j (R_ij p_j - R_ji p_i),  R the sum over all baths.

    Args:
        energies: of the states (n,) [energy].
        jumps: a mapping from each bath's name to its jumps (source, target, rate): states as numbers or integer
            arrays, the rate a scalar or an array of the same length [rate]. Several jumps may join the same states.

    Raises:
        ValueError: a state that does not exist, a jump from a state to itself, a negative rate, or no jump at all.

    Differentiable in the energies and the rates. Which jumps there are is static.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> ladder = qd.rates.Rates([0.0, 1.0, 2.0], {"bath": [*qd.rates.thermal_transitions([0, 1], [1, 2], [1.0, 1.0], bath)]})
        >>> p = ladder.steady_state()
        >>> round(float(p[2] / p[0]), 12) == round(float(jnp.exp(-2.0)), 12)
        True
    """

    energies: jax.Array
    rate: jax.Array
    transitions: Transitions = eqx.field(static=True)
    labels: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, energies, jumps: Mapping):
        self.energies = real_array("energies", energies)
        instance("jumps", jumps, Mapping)
        if self.energies.ndim != 1:
            raise ValueError(f"energies must be one for each state, shape (n,), but has shape {self.energies.shape}")
        parts = [
            (k, *_jump(label, jump, self.energies.size)) for k, (label, given) in enumerate(jumps.items()) for jump in _listed(label, given)
        ]
        if not parts:
            raise ValueError("jumps must hold at least one jump, but is empty: nothing would ever change")
        source, target = (np.concatenate([p[k] for p in parts]) for k in (1, 2))
        bath = np.concatenate([np.full(p[1].size, p[0]) for p in parts])
        self.rate = jnp.concatenate([p[3] for p in parts])
        self.transitions = Transitions(self.energies.size, source, target, bath)
        self.labels = tuple(str(label) for label in jumps)

    @property
    def size(self) -> int:
        """The number of states."""
        return self.transitions.size

    def jumps(self):
        """R (n, n): the rate from state j to state i in row i and column j, zero on the diagonal [rate]."""
        return self.transitions.jumps(self.rate)

    def matrix(self):
        """The generator W (n, n), dp/dt = W p: R, and minus its column sums on the diagonal [rate]."""
        return self.transitions.matrix(self.rate)

    def currents(self, p, observable) -> dict[str, jax.Array]:
        """How fast each bath changes the mean of an observable, sum over its jumps of (o_target - o_source) rate p_source.

        Args:
            p: populations (n,), stationary or not. observable: its value o in each state (n,).

        Returns:
            Mapping from the baths' names to scalars [unit of o times rate].
        """
        t, o = self.transitions, jnp.asarray(observable)
        # The energy of every jump is summed as one difference: no part of it is lost beside a large common energy.
        flow = (o[t.target] - o[t.source]) * self.rate * jnp.asarray(p)[t.source]
        return dict(zip(self.labels, sum_into(flow, t.bath, len(self.labels)), strict=True))

    def heat_currents(self, p) -> dict[str, jax.Array]:
        """The heat that each bath brings into the system per unit time, by the baths' names [energy times rate]."""
        return self.currents(p, self.energies)

    def steady_state(self, solver: str = "elimination") -> jax.Array:
        """The stationary populations of a rate equation: W p = 0 with sum p = 1.

        Args:
            solver: "elimination" finds every population to relative rounding, however small it is: no step subtracts.
                "lu" is LAPACK's factorisation with pivots: faster beyond some hundred states, and accurate relative to
                the largest population and the slowest rate only.

        Returns:
            p (n,) [1].

        Raises:
            NotUnique: there are several closed sets of states, each with a stationary state of its own.
            SolveError: at run time, if rates are not finite, or vanish such that the state is not unique.

        Differentiable in every rate, forward and reverse, to any order, by the implicit function theorem.

        Accuracy: "elimination" agrees with 60-digit arithmetic to 1e-14 of every single population, for rates that span
        30 decades. Derivatives lose digits where a fast exchange and a slow one are differentiated together: their error
        is 1e-16 times the ratio of the flows.

        Example:
            >>> import qdiff as qd
            >>> cold = qd.BosonicBath(70.0, 1.0)
            >>> p = qd.rates.Rates([0.0, 1.0], {"cold": qd.rates.thermal_transitions([0], [1], [1.0], cold)}).steady_state()
            >>> f"{p[1]:.12e}"
            '3.975449735909e-31'
        """
        from .steady import stationary_populations

        return stationary_populations(self.transitions, self.rate, solver)

    def evolve(self, initial, times) -> jax.Array:
        """The populations at given times, p(t) = e^{Wt} p(0).

        Args:
            initial: p(0) (n,), populations [1].
            times: any number of times (k,), from zero up, in any order [1/rate].

        Returns:
            p (k, n) [1].

        Raises:
            ValueError: `initial` or `times` have a wrong shape, or negative entries; `initial` does not sum to one.
            SolveError: at run time, if rates or populations are not finite.

        Differentiable in everything, to any order.

        Accuracy: the propagator of a short step, a matrix of probabilities, is squared until the time is reached; nothing
        is subtracted and every column sums to one. Populations, small ones included, agree with 50-digit arithmetic to
        1e-13 of themselves. Costs n^3 for each doubling of each time.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> decay = qd.rates.Rates([0.0, 1.0], {"bath": [(1, 0, 2.0)]})
            >>> p = decay.evolve([0.0, 1.0], [0.5, 20.0])
            >>> [f"{x:.12e}" for x in p[:, 1]] == [f"{float(jnp.exp(-2.0 * t)):.12e}" for t in (0.5, 20.0)]
            True
        """
        from .evolve import propagate

        return propagate(self.transitions, self.rate, initial, times)

    def relax(self) -> jax.Array:
        """The smallest decay rate: the distance of the spectrum of W, zero apart, from the imaginary axis.

            min over the eigenvalues lambda != 0 of -Re lambda

        Returns:
            A scalar [rate].

        Raises:
            NotUnique: there are several closed sets of states.
            SolveError: at run time, if rates are not finite or the stationary state is not unique.

        Differentiable in every rate, to third order, where the slowest decay is a single one or a complex pair.

        Accuracy: 1e-13 of itself also where it is 1e-10 of the other rates: its inverse is found by elimination without
        subtraction. Costs n^3.

        Example:
            >>> import qdiff as qd
            >>> bath = qd.BosonicBath(1.0, 0.1)
            >>> pair = qd.rates.Rates([0.0, 1.0], {"bath": qd.rates.thermal_transitions([0], [1], [1.0], bath)})
            >>> round(float(pair.relax() / (bath.emission(1.0) + bath.absorption(1.0))), 12)
            1.0
        """
        from .slowest import slowest_of_rates

        return slowest_of_rates(self.transitions, self.rate)


def _listed(label, given):
    one = isinstance(given, tuple) and len(given) == 3 and not isinstance(given[0], tuple)
    return [given] if one else list(given)


def _jump(label, jump, size: int):
    """One jump as arrays: sources, targets, rates."""
    try:
        source, target, rate = jump
    except (TypeError, ValueError):
        raise TypeError(f"a jump of bath {label!r} must be (source, target, rate), but was {jump!r}") from None
    source, target = (np.atleast_1d(np.asarray(s)) for s in (source, target))
    for what, states in (("source", source), ("target", target)):
        if not np.issubdtype(states.dtype, np.integer):
            raise ValueError(f"the {what} of a jump of bath {label!r} must be integers, but was {jump[what == 'target']!r}")
        if states.size and (states.min() < 0 or states.max() >= size):
            raise ValueError(f"the {what} of a jump of bath {label!r} must be between 0 and {size - 1}, but was {states.tolist()}")
    if source.shape != target.shape:
        raise ValueError(f"source and target of a jump of bath {label!r} must have one shape, but have {source.shape} and {target.shape}")
    if np.any(source == target):
        raise ValueError(f"a jump of bath {label!r} must lead to another state, but state {source[source == target][0]} leads to itself")
    if np.ndim(rate) and np.shape(rate) != source.shape:
        raise ValueError(f"the rate of a jump of bath {label!r} must have shape {source.shape}, but has shape {np.shape(rate)}")
    return source, target, jnp.broadcast_to(_non_negative(rate, label), source.shape)


def _non_negative(rate: ArrayLike, label):
    if not isinstance(rate, Tracer) and np.any(np.asarray(rate) < 0):
        raise ValueError(f"the rate of a jump of bath {label!r} must not be negative, but was {np.min(np.asarray(rate)):g}")
    return jnp.asarray(rate, float)


def pauli(generator: Lindblad) -> Rates:
    """The rate equation that the populations of a Lindblad equation obey, if they do not depend on any coherence.

        R_ij = sum over jumps of rate |A_ij|^2,  in the generator's own basis

    For a `secular` equation that basis is the eigenbasis of H; states keep the numbers of the basis states that they
    come from, and within a degenerate level the basis is the given one.

    Args:
        generator: such as `secular(...)`.

    Returns:
        `Rates`, with the baths' names.

    Raises:
        ValueError: populations and coherences are coupled, or a bath is not of Lindblad form.
    """
    refuse_sandwiches("generator", generator)
    sector = reach(instance("generator", generator, Lindblad))
    if not sector.is_population.all():
        count = int(np.sum(~sector.is_population))
        raise ValueError(f"generator must not couple populations to coherences, but {count} real numbers in coherences follow them")
    jumps = {}
    for label in generator.labels:
        found = []
        for jump in generator.jumps[label]:
            pattern, rate = jump.operator.pattern, jnp.atleast_1d(jnp.asarray(jump.rate, float))
            group = np.zeros(pattern.nnz, int) if jump.groups is None else np.asarray(jump.groups)
            off = np.flatnonzero(pattern.row != pattern.col)
            values = jnp.asarray(jump.operator.values)[off]
            found.append((pattern.col[off], pattern.row[off], rate[group[off]] * jnp.real(values * values.conj())))
        jumps[label] = found
    return Rates(jnp.real(generator.H.diagonal()), jumps)
