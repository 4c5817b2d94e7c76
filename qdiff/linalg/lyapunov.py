"""The equation of Lyapunov, A X + X A^dag - i omega X = C, solved many times with one decomposition of A.

In the eigenbasis of A, A = V diag(w) V^-1, it is elementwise, which costs four products of matrices. Where the eigenvectors
are too close to dependent for that, A = V T V^dag with a triangular T (Bartels and Stewart) is exact for any A, but column by column:
at dimension 400 some ten times as slow.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import schur, solve_triangular
from jaxtyping import Array, Bool, Complex, Float

from .complex_product import congruence

# Beyond this condition of the eigenvectors a solution has fewer than ten digits, and refinements get slow.
_ILL = 1e6


class Lyapunov(NamedTuple):
    """A decomposition of A: A = V diag(w) V^-1, or A = V T V^dag if `triangular`; and the condition of its eigenvectors."""

    w: Complex[Array, "d"]
    V: Complex[Array, "d d"]
    inverse: Complex[Array, "d d"]
    T: Complex[Array, "d d"]
    triangular: Bool[Array, ""]
    shift: Float[Array, ""]
    condition: Float[Array, ""]

    @property
    def scale(self):
        """The largest |w_i + conj(w_j)|, the norm of the equation if A is normal."""
        return jnp.max(jnp.abs(self.w[:, None] + self.w.conj()))

    def solve(self, C: Complex[Array, "d d"], omega=0.0) -> Complex[Array, "d d"]:
        """X with A X + X A^dag - i omega X = C."""
        return lax.cond(self.triangular, self._by_columns, self._by_elements, C, omega)

    def solve_adjoint(self, C: Complex[Array, "d d"], omega=0.0) -> Complex[Array, "d d"]:
        """X with A^dag X + X A + i omega X = C."""
        return lax.cond(self.triangular, self._adjoint_by_columns, self._adjoint_by_elements, C, omega)

    def _sums(self, omega):
        return self.w[:, None] + self.w.conj() - self.shift - 1j * omega

    def _by_elements(self, C, omega):
        return congruence(self.V, congruence(self.inverse, C) / self._sums(omega))

    def _adjoint_by_elements(self, C, omega):
        dag = self.V.conj().T
        return congruence(self.inverse.conj().T, congruence(dag, C) / self._sums(omega).conj())

    def _by_columns(self, C, omega):
        T, C = self.T, congruence(self.V.conj().T, C)
        numbers = jnp.arange(T.shape[0])

        def column(X, j):
            r = C[:, j] - X @ jnp.where(numbers > j, T[j].conj(), 0)
            return X.at[:, j].set(solve_triangular(self._shifted(j, omega), r)), None

        X, _ = lax.scan(column, jnp.zeros_like(C), numbers, reverse=True)
        return congruence(self.V, X)

    def _adjoint_by_columns(self, C, omega):
        T, C = self.T, congruence(self.V.conj().T, C)
        numbers = jnp.arange(T.shape[0])

        def column(X, j):
            r = C[:, j] - X @ jnp.where(numbers < j, T[:, j], 0)
            return X.at[:, j].set(solve_triangular(self._shifted(j, omega), r, trans="C")), None

        X, _ = lax.scan(column, jnp.zeros_like(C), numbers)
        return congruence(self.V, X)

    def _shifted(self, j, omega):
        """T + (conj(T_jj) - i omega) 1, kept off singular."""
        T = self.T
        return T + (T[j, j].conj() - self.shift - 1j * omega) * jnp.eye(T.shape[0], dtype=T.dtype)


class Eigenvectors(NamedTuple):
    """A V = V diag(w), the inverse of V, and its condition (of Frobenius norms, over the dimension)."""

    w: Complex[Array, "d"]
    V: Complex[Array, "d d"]
    inverse: Complex[Array, "d d"]
    condition: Float[Array, ""]

    def slowest(self, inside: Bool[np.ndarray, "d"]) -> Complex[Array, "d"]:
        """The eigenvector with most of its weight inside whose eigenvalue has the largest real part, with norm one there."""
        weight = inside @ jnp.abs(self.V) ** 2
        v = self.V[:, jnp.argmax(jnp.where(weight > 0.5, jnp.real(self.w), -jnp.inf))] * inside
        return v / jnp.linalg.norm(v)


def eigenvectors(A: Complex[Array, "d d"]) -> Eigenvectors:
    """The eigenvectors of any A. Where it is defective the condition is infinite or NaN."""
    w, V = jnp.linalg.eig(A)
    inverse = jnp.linalg.inv(V)
    condition = jnp.linalg.norm(V) * jnp.linalg.norm(inverse) / A.shape[0]
    return Eigenvectors(w, V, inverse, condition)


def lyapunov(A: Complex[Array, "d d"], found: Eigenvectors) -> Lyapunov:
    """A decomposition of A from its eigenvectors or, where these are too close to dependent, Schur's triangular form.

    Sums w_i + conj(w_j) that vanish (an A that does not decay somewhere) are kept off zero by 1e-10 of the largest.
    """
    ill = ~(found.condition < _ILL)
    T, Q = lax.cond(
        ill, lambda A: tuple(schur(A, output="complex")), lambda A: (jnp.zeros_like(A), jnp.zeros_like(A)), A
    )
    V, w = jnp.where(ill, Q, found.V), jnp.where(ill, jnp.diagonal(T), found.w)
    out = Lyapunov(w, V, found.inverse, T, ill, jnp.zeros(()), found.condition)
    return out._replace(shift=1e-10 * out.scale)
