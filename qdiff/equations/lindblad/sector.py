"""The sector of a generator: its real coordinates, and the generator as a real sparse matrix there.

A Hermitian matrix in a sector is a real vector: populations, and real and imaginary parts of coherences. `reach` finds
the sector while tracing; the result is index arrays, and all that is left to do at run time is to gather and to sum.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from ...linalg.gather import sum_into, take
from ...operators.pattern import closed_classes, components, levels
from .coordinates import Coordinates
from .sandwiches import operators_of
from .terms import AbstractTerms, allowed_rates, listed

# In the sector of an initial state conserved coherences are looked for up to this number of coordinates: singular values of three matrices
# of 600 take half a second.
_CHOSEN = 600


class Sector(Coordinates):
    """Which real numbers describe the state, and how the generator's entries follow from its operators.

    Static and hashable. Attributes:
        dim: dimension of the Hilbert space. size: number of real coordinates.
        row, col, part: (size,) the density-matrix element (row <= col) of each coordinate, and whether it is
            its real (0) or imaginary (1) part.
        target, source: (nnz,) positions of the generator's entries, d x[target]/dt += G x[source].
        labels: names of the baths.
        copies: (PROBES, nnz) the generator's entries at generic parameters.
        nullity: number of independent stationary operators, of a generic copy; in the sector of an initial state
            that has more than 600 coordinates, at least one for each closed set of populations.
    """

    def __init__(self, dim, labels, coords, entries, plan, kplan, value, chosen):
        super().__init__(dim, *coords)
        self.labels = labels
        self.target, self.source = entries
        self._plan, self._kplan, self.copies, self._chosen = plan, kplan, value, chosen

    @functools.cached_property
    def nullity(self) -> int:
        # Beside one state for each closed set there may be conserved coherences.
        looked = len(self.classes) > 1 or (self._chosen and self.size <= _CHOSEN)
        return nullity(self.size, self.target, self.source, self.copies) if looked else len(self.classes)

    @property
    def closed(self) -> bool:
        """Whether no bath has any effect on any state, so that the Hamiltonian is all there is."""
        return not self._kplan["size"][0] and not self._plan["rate"].size

    @property
    def still(self) -> bool:
        """Whether nothing in the sector moves, for all parameters."""
        return not np.any(self.copies)

    @functools.cached_property
    def _digest(self) -> bytes:
        digest = hashlib.blake2b(repr((self.dim, self.labels)).encode(), digest_size=16)
        arrays = (self.row, self.col, self.part, self.target, self.source, *self._plan.values(), *self._kplan.values())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes() + b"|")
        return digest.digest()

    def __repr__(self):
        return f"Sector(dim={self.dim}, size={self.size}, nnz={self.target.size})"

    @functools.cached_property
    def classes(self) -> list[np.ndarray]:
        """The closed sets of populations, as index arrays: each holds at least one stationary state."""
        return closed_classes(self.size, self.source, self.target, self.is_population)

    @functools.cached_property
    def bands(self) -> list[np.ndarray]:
        """The coordinates in consecutive levels, such that the generator is block tridiagonal."""
        return levels(self.size, self.target, self.source)

    def terms(self, generator: AbstractTerms):
        """The real numbers from which every generator entry is summed, and the rates behind them."""
        plan, kplan = self._plan, self._kplan
        jumps, sandwiches = listed(generator, self.labels)
        terms = [term for _, term in (*jumps, *sandwiches)]
        values = _joined(op.values for term in terms for op in operators_of(term))
        rates = _joined(jnp.atleast_1d(jnp.asarray(j.rate, float)) for _, j in jumps)
        # A negative rate is no decay and no solver may take it for one: NaN, and so is every derivative.
        rates = rates * jnp.where(allowed_rates(rates), 1.0, jnp.nan)
        if sandwiches:
            rates = jnp.concatenate([rates, *(s.coefficients for _, s in sandwiches)])
        loss = take(rates, kplan["rate"]) * _conj(take(values, kplan["p"])) * take(values, kplan["q"])
        loss = sum_into(loss, kplan["out"], int(kplan["size"][0]))
        gain = take(rates, plan["rate"]) * take(values, plan["p"]) * _conj(take(values, plan["q"]))
        parts = [jnp.asarray(generator.H.values), loss, gain]
        real = [jnp.real(p) if jnp.iscomplexobj(p) else p for p in parts]
        imag = [jnp.imag(p) if jnp.iscomplexobj(p) else jnp.zeros(0) for p in parts]
        return jnp.concatenate(real + imag)

    def values(self, generator: AbstractTerms):
        """The generator's entries (nnz,) [rate]."""
        plan = self._plan
        terms = plan["weight"] * take(self.terms(generator), plan["term"])
        return sum_into(terms, plan["out"], self.target.size)

    def act_by_label(self, generator: AbstractTerms, x):
        """L_b x for every bath b, shape (n_labels, size) [rate]."""
        terms = self.terms(generator)
        moved = [self.act_of(terms, x, label) for label in self.labels]
        return jnp.stack(moved) if moved else jnp.zeros((0, self.size))

    def act_of(self, terms, x, label: str):
        """L_b x of one bath (size,) [rate], from the `terms` of a generator."""
        plan = self._plan
        on = np.flatnonzero(plan["label"] == self.labels.index(label))
        out = plan["out"][on]
        change = plan["weight"][on] * take(terms, plan["term"][on]) * take(x, self.source[out])
        return sum_into(change, self.target[out], self.size)

    def counted(self, generator: AbstractTerms, bath: str) -> Callable:
        """(amounts, x) -> sum amount rate A x A^dag (size,) over the jumps of one bath.

        Members of families count one by one. Complete only in a sector that was made by `reach` with `counted=bath`.
        """
        plan, b = self._plan, self.labels.index(bath)
        on = np.flatnonzero((plan["label"] == b) & (plan["jump"] >= 0))
        first = sum(np.size(j.rate) for at, j in listed(generator, self.labels)[0] if at < b)
        values = plan["weight"][on] * take(self.terms(generator), plan["term"][on])
        jump, out = plan["jump"][on] - first, plan["out"][on]
        target, source = self.target[out], self.source[out]

        def moved(amounts, x):
            return sum_into(values * take(amounts, jump) * take(x, source), target, self.size)

        return moved


def _joined(parts):
    parts = [jnp.asarray(part) for part in parts]
    return jnp.concatenate(parts) if parts else jnp.zeros(0)


def _conj(x):
    return x.conj() if jnp.iscomplexobj(x) else x


def nullity(size: int, target, source, copies) -> int:
    """How many independent null vectors the matrices G[target, source] = copies (PROBES, nnz) have in common."""
    found, label = 0, components(size, target, source)
    for part in range(label.max() + 1 if size else 0):
        member, at = np.flatnonzero(label == part), np.flatnonzero(label[target] == part)
        G = np.zeros((len(copies), member.size, member.size))
        G[:, np.searchsorted(member, target[at]), np.searchsorted(member, source[at])] = copies[:, at]
        if not np.linalg.cond(G[0], 1) < 1e11:  # one inverse is cheaper than singular values, and almost always enough
            singular = np.linalg.svd(G, compute_uv=False)
            found += int(np.min(np.sum(singular <= 1e-12 * singular[:, :1], axis=1)))
    return found
