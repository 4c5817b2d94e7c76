"""What precedes the iterations of Krylov: an approximate inverse, where the trace is put, and a state that shows a second solution."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from ...linalg.lyapunov import Eigenvectors, Lyapunov, eigenvectors, lyapunov
from .actions import Action

# From this condition of the eigenvectors on, the jumps are displaced.
_DISPLACED = 1e3


def preconditioner(A, terms: Action, inside: np.ndarray) -> tuple[Lyapunov, Array, Array]:
    """The motion between jumps, displaced where that makes it more normal; its slowest state; and a probe of uniqueness."""
    found = eigenvectors(A)
    probe = _probe(terms, found, inside)

    def displaced(_):
        v, moved = found.slowest(inside), A
        for term in terms.of(None):
            moved = moved + term.displaced(v)
        new = eigenvectors(moved)
        return lyapunov(moved, new), new.slowest(inside)

    ill = ~(found.condition < _DISPLACED)
    return *lax.cond(ill, displaced, lambda _: (lyapunov(A, found), found.slowest(inside)), None), probe


# What goes from every level to every other one, over the largest rate, in the motion that finds levels of some weight.
_MIXED = 1e-6


def _probe(terms: Action, found: Eigenvectors, inside: np.ndarray):
    """A pure state with random phases and some weight on every closed set of eigenvectors of A.

    Its weights are the stationary state of jumps between eigenvectors, as if all coherences were lost, with a small rate from
    every level to every other one. A subspace that is never left is spanned by eigenvectors of A.
    """
    w, V, inverse, _ = found
    d = w.shape[0]
    rates = sum((term.rates(V, inverse) for term in terms.of(None)), jnp.zeros((d, d)))
    rates = jnp.where(jnp.eye(d, dtype=bool), 0.0, rates)
    largest = jnp.max(jnp.sum(rates, axis=0))
    mixing = _MIXED * largest / d
    # (R - mixing) p + mixing sum(p) = 0 with sum(p) = 1.
    p = jnp.linalg.solve(jnp.diag(jnp.sum(rates, axis=0) + d * mixing) - rates, jnp.full(d, mixing))
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(d))
    v = V @ (jnp.sqrt(jnp.abs(p)) * phases)
    # Where A is defective it has no basis of eigenvectors, and all levels have to do.
    v = jnp.where(jnp.all(jnp.isfinite(v)), v, phases) * inside
    v = v / jnp.linalg.norm(v)
    return jnp.outer(v, v.conj())
