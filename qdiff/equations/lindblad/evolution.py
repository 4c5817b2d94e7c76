"""What an evolution returns: states and expectation values in time, and how far to trust them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...linalg.expm import propagate
from ...operators.checks import real_number
from ...operators.operator import Operator
from ...operators.structure import is_constant
from .eigenbasis import eigenvalues
from .reach import reach
from .sector import Sector
from .solver import matrix
from .states import density_matrix
from .steady import State
from .terms import AbstractTerms


class Snapshot(State):
    """A state at one time, with all that a stationary `State` can be asked, currents included.

    `rcond` is NaN, because nothing was solved for; `residual` is how far it is from stationary, as for a `State`.
    """

    @classmethod
    def of(cls, generator: AbstractTerms, x, sector: Sector) -> Snapshot:
        values = jnp.asarray(sector.values(generator))
        moved = jnp.zeros(sector.size).at[sector.target].add(values * x[sector.source])
        largest = jnp.max(jnp.abs(values), initial=0.0)
        still = largest == 0  # nothing moves: zero, not 0/0
        return cls(generator, x, jnp.asarray(jnp.nan), jnp.max(jnp.abs(moved)) / jnp.where(still, 1.0, largest), sector)

    def diagnostics(self) -> dict:
        """residual; smallest_eigenvalue of the density matrix, negative by more than rounding where the solver was poor."""
        return {"residual": self.residual, "smallest_eigenvalue": jnp.min(eigenvalues(self.sector.operator(self.x, None)))}


def state_of(name: str, generator: AbstractTerms, given) -> State:
    """A state in any of the forms that `evolve` takes, in coordinates in which this generator moves it.

    Raises:
        ValueError: it is a `State` of a generator with other baths, or no density matrix.
    """
    if isinstance(given, State):
        if given.sector.labels != generator.labels or given.sector.dim != generator.H.size:
            raise ValueError(
                f"{name} must be a state of this generator (baths {generator.labels}), but has baths {given.sector.labels}; "
                "give its density matrix, state.rho, to take it as it is"
            )
        if given.generator is generator:
            return given
        if isinstance(given.sector, Sector) and _alike(generator, given.generator):
            return Snapshot.of(generator, given.x, given.sector)
    if isinstance(given, State) and generator.frame is None and given.generator.frame is None:
        local = given.sector.operator(given.x, generator.space)
    else:
        local = generator.into_frame(density_matrix(name, given, generator.space, generator.H.size))
    sector = reach(generator, local.pattern)
    return Snapshot.of(generator, sector.coordinates(local), sector)


def _alike(generator: AbstractTerms, other: AbstractTerms) -> bool:
    """Whether the sector of one is that of the other: their structure is the same, and so are the numbers that it is seen from."""
    (leaves, tree), (others, other_tree) = jax.tree.flatten(generator), jax.tree.flatten(other)
    return tree == other_tree and all(
        a is b or not (is_constant(a) and is_constant(b)) or np.array_equal(a, b) for a, b in zip(leaves, others, strict=True)
    )


class Evolution(eqx.Module):
    """The states of an evolution at some times, or what was read from them.

    `run[k]` is the state at `times[k]`, a `Snapshot`; `run.map(f)` is f of every snapshot, such as
    `run.map(lambda s: qd.currents(s, H))`.

    Attributes:
        times: (k,) [1/rate].
        expectations: in the form of `expect`, an array (k,) for each operator [unit of the operator].
        x: coordinates of the states in the sector (k, n), or None if they were not kept.
        final: those of the last one (n,).
        statistics: what the solver counted: squarings, or steps, accepted and rejected.
        solver: its name.
        generator: what moved the state, or if it depends on time, the generators at all times, stacked.
        start, initial: the first time [1/rate], and the coordinates of the state there (n,).
        sector: the sector that the initial state reaches.
    """

    generator: AbstractTerms
    times: jax.Array
    x: jax.Array | None
    final: jax.Array
    expectations: Any
    watched: dict
    statistics: dict
    start: jax.Array
    initial: jax.Array
    sector: Sector = eqx.field(static=True)
    varying: bool = eqx.field(static=True)
    solver: str = eqx.field(static=True)

    def __len__(self):
        return self.times.shape[0]

    def __getitem__(self, k: int) -> Snapshot:
        """The state at `times[k]`."""
        return Snapshot.of(self._generator(k), self._states()[k], self.sector)

    def at(self, t) -> Snapshot:
        """The state at any time from `start` on, by the exact propagator of a constant generator."""
        if self.varying:
            raise ValueError("at(t) is for constant generators: take the states at `times`")
        t = real_number("t", t)
        G = matrix(self.sector, self.sector.values(self.generator))
        wait = jnp.asarray(t, float) - self.start
        states, _ = propagate(G, self.initial, wait[None], self.sector.trace_weights, len(self.sector.bands))
        return Snapshot.of(self.generator, states[:, 0] + jnp.where(wait >= 0, 0.0, jnp.nan), self.sector)

    def map(self, function: Callable[[Snapshot], Any]):
        """function(snapshot) at all times, stacked along a first axis."""
        batched = jax.vmap(lambda generator, x: function(Snapshot.of(generator, x, self.sector)), in_axes=(0 if self.varying else None, 0))
        return batched(self.generator, self._states())

    def expect(self, op: Operator):
        """Tr[op rho(t)] at all times (k,) [unit of op]."""
        return self.map(lambda s: s.expect(op))

    def populations(self, *names: str):
        """The diagonal of the (reduced) density matrix at all times, (k, dim of the factors) [1]."""
        return self.map(lambda s: s.populations(*names))

    def dense(self, *names: str):
        """The (reduced) density matrices at all times, (k, dim, dim)."""
        return self.map(lambda s: (s.reduced(*names) if names else s.rho).dense())

    def diagnostics(self) -> dict:
        """What is known of the evolution's accuracy, as a dictionary of numbers.

        trace_drift: the largest distance of the trace from one. edge_weight: for each truncated factor the largest
        population that each of its last levels has had; truncation matters where this is not tiny.
        smallest_population: of all times, if the states were kept; negative by more than rounding if the solver was poor.
        """
        drift = jnp.max(jnp.abs(self.watched["trace"] - 1))
        out: dict[str, Any] = {"solver": self.solver, **self.statistics, "trace_drift": drift}
        out["edge_weight"] = {k: jnp.max(v, axis=0) for k, v in self.watched.items() if k != "trace"}
        if self.x is not None:
            out["smallest_population"] = jnp.min(self.x[:, self.sector.is_population])
        return out

    def _states(self):
        if self.x is None:
            raise ValueError("the states were not kept: evolve with states=True")
        return self.x

    def _generator(self, k: int) -> AbstractTerms:
        return jax.tree.map(lambda leaf: leaf[k], self.generator) if self.varying else self.generator
