"""Systems that are block diagonal in a crystal momentum: one small master equation for each k."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..operators.entrywise import add, conj, entrywise, imag, mul, neg, real, sub
from ..operators.operator import Operator
from .lindblad import Lindblad


class BlochModel(eqx.Module):
    """A master equation for each crystal momentum,  d rho_k/dt = -i[H(k), rho_k] + sum_j rate_j(k) D[A_j(k)] rho_k.

    Args:
        function: (k, parameters) -> `Lindblad`, or (H, jumps): H a Hermitian matrix (n, n), jumps a list of
            (rate, A) with matrices A (n, n), or a mapping from names of baths to such lists. k is a scalar. Matrices are
            `Operator`s or arrays; what is zero for all k is seen when the function is traced.
        parameters: a pytree that the function takes as its second argument.

    Differentiable in the parameters and in k: the velocity operator dH/dk is taken automatically.

    Example:
        >>> import qdiff as qd
        >>> def ladder(k, p):
        ...     H = jnp.array([[-jnp.cos(k), p["field"]], [p["field"], jnp.cos(k)]])
        ...     return H, [(0.1, jnp.array([[0.0, 1.0], [0.0, 0.0]]))]
        >>> model = qd.BlochModel(ladder, {"field": 0.3})
        >>> k = jnp.linspace(-3, 3, 5)
        >>> rho = qd.bloch_steady_states(model, k)
        >>> rho.shape, bool(jnp.allclose(jnp.trace(rho, axis1=1, axis2=2), 1))
        ((5, 2, 2), True)
    """

    function: Callable = eqx.field(static=True)
    parameters: Any = None

    def parts(self, k):
        """H (n, n), rates (jumps,) and jump operators (jumps, n, n) at one momentum, dense."""
        given = self.function(k, self.parameters)
        if isinstance(given, Lindblad):
            if any(j.groups is not None for label in given.labels for j in given.jumps[label]):
                raise ValueError("a BlochModel takes a Lindblad equation with single jumps, but this one has families of jumps (secular)")
            H, jumps = given.H, [(j.rate, j.operator) for label in given.labels for j in given.jumps[label]]
        else:
            H, jumps = given
        if hasattr(jumps, "values"):
            jumps = [jump for several in jumps.values() for jump in several]
        H = _matrix(H)
        if H.ndim != 2 or H.shape[0] != H.shape[1] or H.shape[0] < 2:
            raise ValueError(f"function must return a Hamiltonian of shape (n, n), but it has shape {H.shape}")
        rates, A = [jnp.asarray(rate, float) for rate, _ in jumps], [_matrix(a) for _, a in jumps]
        for a in A:
            if a.shape != H.shape:
                raise ValueError(f"function must return jump operators of the Hamiltonian's shape {H.shape}, but one has {a.shape}")
        if not jumps:
            raise ValueError("function must return at least one jump, or no momentum has a stationary state of its own")
        return H, rates, A

    def velocity(self, k):
        """dH/dk (n, n) at one momentum."""
        return jax.jvp(lambda k: self.parts(k)[0], (k,), (jnp.ones_like(k),))[1]

    def blocks(self, k) -> Blocks:
        """Generators and velocities of all momenta k (any shape), entry by entry."""

        def local(k, parameters):
            model = BlochModel(self.function, parameters)
            (H, rates, A), (slope, _, _) = jax.jvp(model.parts, (k,), (jnp.ones_like(k),))
            return H, rates, A, slope

        H, rates, A, slope = entrywise(local, (self.parameters,), k)
        return Blocks(*_generator(H, rates, A), _covector(slope), H.shape[0])


class Blocks(NamedTuple):
    """One small real matrix for each momentum, in coordinates of a Hermitian matrix: populations, then for every i < j
    the real and the imaginary part of rho_ij.

    Attributes:
        generator: object array (n^2, n^2). velocity: object array (n^2,), Tr[v rho] = velocity . x. size: n.
            Entries are numbers known now or arrays over the momenta.
    """

    generator: np.ndarray
    velocity: np.ndarray
    size: int


def _matrix(op):
    if isinstance(op, Operator):
        return jnp.asarray(op.dense())
    return jnp.asarray(op)


def places(n: int) -> list[tuple[int, int, int]]:
    """The coordinates of a Hermitian matrix: row, column, and 0 for real or 1 for imaginary."""
    return [(i, i, 0) for i in range(n)] + [(i, j, part) for i in range(n) for j in range(i + 1, n) for part in (0, 1)]


def _unit(n, i, j, part):
    """The Hermitian matrix with one coordinate one."""
    E = np.zeros((n, n), complex)
    E[i, j] += (1.0, 1j)[part]
    if i != j:
        E[j, i] += (1.0, -1j)[part]
    return E


def _generator(H, rates, A):
    """The real generator of one block, as sums of products of entries; zeros drop out."""
    n = H.shape[0]
    loss = np.full((n, n), 0.0, object)
    for rate, a in zip(rates, A, strict=True):
        product = _product(_adjoint(a), a)
        for at in np.ndindex(n, n):
            loss[at] = add(loss[at], mul(mul(0.5, rate[()]), product[at]))
    # K = -iH - loss: d rho = K rho + rho K^dag + sum rate A rho A^dag.
    K = np.empty((n, n), object)
    for at in np.ndindex(n, n):
        minus_i_H = _pair(imag(H[at]), neg(real(H[at])))
        K[at] = sub(minus_i_H, loss[at])
    coordinates = places(n)
    G = np.full((len(coordinates), len(coordinates)), 0.0, object)
    for c, (i, j, part) in enumerate(coordinates):
        E = _known(_unit(n, i, j, part))
        left = _product(K, E)
        change = np.empty((n, n), object)
        back = _adjoint(left)
        for at in np.ndindex(n, n):
            change[at] = add(left[at], back[at])
        for rate, a in zip(rates, A, strict=True):
            gain = _product(_product(a, E), _adjoint(a))
            for at in np.ndindex(n, n):
                change[at] = add(change[at], mul(rate[()], gain[at]))
        for r, (p, q, kind) in enumerate(coordinates):
            G[r, c] = real(change[p, q]) if kind == 0 else imag(change[p, q])
    return (G,)


def _covector(V):
    """Tr[V rho] as a covector on the coordinates."""
    n = V.shape[0]
    out = np.empty(n * n, object)
    for r, (i, j, kind) in enumerate(places(n)):
        if i == j:
            out[r] = real(V[i, i])
        else:
            out[r] = mul(2.0, real(V[j, i])) if kind == 0 else mul(-2.0, imag(V[j, i]))
    return out


def _pair(re, im):
    from ..operators.entrywise import Pair

    return re if isinstance(im, float) and im == 0 else Pair(re, im)


def _known(E):
    out = np.empty(E.shape, object)
    for at in np.ndindex(*E.shape):
        out[at] = _pair(float(E[at].real), float(E[at].imag))
    return out


def _adjoint(a):
    out = np.empty(a.shape[::-1], object)
    for i, j in np.ndindex(*a.shape):
        out[j, i] = conj(a[i, j])
    return out


def _product(a, b):
    n, m, p = a.shape[0], a.shape[1], b.shape[1]
    out = np.empty((n, p), object)
    for i, j in np.ndindex(n, p):
        total: Any = 0.0
        for k in range(m):
            total = add(total, mul(a[i, k], b[k, j]))
        out[i, j] = total
    return out
