"""Which jumps a rate equation has: static, and what follows from it and the rates."""

from __future__ import annotations

import functools
import hashlib

import jax.numpy as jnp
import numpy as np

from ...linalg.gather import sum_into
from ...operators.pattern import closed_classes


class Transitions:
    """Which jumps there are: static, hashable. `size` states; `source`, `target`, `bath` (n_jumps,), integers."""

    def __init__(self, size: int, source, target, bath):
        self.size = int(size)
        self.source, self.target, self.bath = (np.asarray(a, np.int64) for a in (source, target, bath))
        # A digest in place of the arrays: a static argument is hashed and compared at every call.
        parts = (np.array([self.size]), self.source, self.target, self.bath)
        self._digest = hashlib.blake2b(b"|".join(p.tobytes() for p in parts), digest_size=16).digest()

    def __hash__(self):
        return hash(self._digest)

    def __eq__(self, other):
        return isinstance(other, Transitions) and self._digest == other._digest

    def __repr__(self):
        return f"Transitions(size={self.size}, jumps={self.source.size})"

    @functools.cached_property
    def classes(self) -> list[np.ndarray]:
        """The closed sets of states, each of which holds one stationary distribution."""
        return closed_classes(self.size, self.source, self.target, np.ones(self.size, bool))

    def jumps(self, rate):
        """R (n, n) of the rates (n_jumps,): from state j to state i in row i and column j, zero on the diagonal [rate]."""
        return sum_into(rate, self.target * self.size + self.source, self.size**2).reshape(self.size, self.size)

    def matrix(self, rate):
        """The generator W (n, n) of the rates (n_jumps,), dp/dt = W p: R, and minus its column sums on the diagonal [rate]."""
        R = self.jumps(rate)
        return R - jnp.diag(jnp.sum(R, axis=0))
