"""The blocks of a system that is block diagonal in a crystal momentum, as entries over all momenta."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...generator import AbstractGenerator
from ...operators.operator import Operator
from ..lindblad.equation import Lindblad
from ..lindblad.terms import refuse_sandwiches
from .scalarise import Pair, add, conj, entrywise, imag, mul, neg, pair, real, sub


class AbstractBlochModel(AbstractGenerator):
    """What a `BlochModel` holds, and its equation at given momenta."""

    function: Callable = eqx.field(static=True)
    parameters: Any = None

    def parts(self, k):
        """H (n, n), rates (jumps,) and jump operators (jumps, n, n) at one momentum, dense."""
        given = self.function(k, self.parameters)
        refuse_sandwiches("what the function of a BlochModel returns", given)
        if isinstance(given, Lindblad):
            if any(j.groups is not None for label in given.labels for j in given.jumps[label]):
                raise ValueError("a BlochModel takes a Lindblad equation with single jumps, but this one has families of jumps (secular)")
            H, jumps = given.H, [(j.rate, j.operator) for label in given.labels for j in given.jumps[label]]
        else:
            H, jumps = given
        if isinstance(jumps, Mapping):
            jumps = [jump for several in jumps.values() for jump in several]
        H = _matrix(H)
        if H.ndim != 2 or H.shape[0] != H.shape[1] or H.shape[0] < 2:
            raise ValueError(f"function must return a Hamiltonian of shape (n, n) with n at least 2, but it has shape {H.shape}")
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

    def entries(self, k) -> Entries:
        """What `parts` and `velocity` give at all momenta k (any shape), entry by entry."""

        def local(k, parameters):
            model = dataclasses.replace(self, parameters=parameters)
            (H, rates, A), (slope, _, _) = jax.jvp(model.parts, (k,), (jnp.ones_like(k),))
            return H, rates, A, slope

        return Entries(*entrywise(local, (self.parameters,), k))

    def blocks(self, k) -> Blocks:
        """Generators and velocities of all momenta k (any shape), entry by entry."""
        return self.entries(k).blocks()


class Entries(NamedTuple):
    """H (n, n), rates [()], jump operators [(n, n)] and dH/dk (n, n) of many momenta as object arrays, whose entries are
    numbers known now, arrays over the momenta, or `Pair`s of these."""

    H: np.ndarray
    rates: list
    jumps: list
    slope: np.ndarray

    def blocks(self) -> Blocks:
        return Blocks(_generator(self.H, self.rates, self.jumps), _covector(self.slope), self.H.shape[0])


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


# Not Lindblad's own `Sector`, which has one list of numbers for all entries: entry by entry, zeros
# and equal entries are seen, and each momentum costs only the arithmetic that its own model needs.
def _generator(H, rates, A):
    """The real generator of one block, as sums of products of entries; zeros drop out, and each product is formed once."""
    n, groups = H.shape[0], _grouped(rates, A)
    tables = [_products(rate, a) for rate, a in groups]

    def gain(p, i, q, j):
        """sum rate A_pi conj(A_qj)."""
        return _sum(table[p, i, q, j] for table in tables)

    # K = -iH - sum rate A^dag A / 2: d rho = K rho + rho K^dag + sum rate A rho A^dag.
    K = np.empty((n, n), object)
    for i, j in np.ndindex(n, n):
        loss = mul(0.5, _sum(gain(p, j, p, i) for p in range(n)))
        K[i, j] = sub(pair(imag(H[i, j]), neg(real(H[i, j]))), loss)

    def change(p, q, i, j):
        """What one rho_ij adds to d rho_pq."""
        out = gain(p, i, q, j)
        if q == j:
            out = add(out, K[p, i])
        return add(out, conj(K[q, j])) if p == i else out

    coordinates = places(n)
    G = np.full((n * n, n * n), 0.0, object)
    for (c, (i, j, part)), (r, (p, q, kind)) in itertools.product(enumerate(coordinates), enumerate(coordinates)):
        entry = change(p, q, i, j)
        if i != j:
            # rho_ij = u + iv comes with rho_ji = u - iv.
            other = change(p, q, j, i)
            entry = add(entry, other) if part == 0 else mul(Pair(0.0, 1.0), sub(entry, other))
        G[r, c] = real(entry) if kind == 0 else imag(entry)
    return G


def _grouped(rates, A):
    """Jumps by the same operator as one, with the sum of their rates."""
    groups: list[list] = []
    for rate, a in zip(rates, A, strict=True):
        # By identity, as baths that share an operator share its entries: numbers that are traced
        # cannot be compared while a program is made of them.
        same = next((g for g in groups if all(x is y for x, y in zip(g[1].ravel(), a.ravel(), strict=True))), None)
        if same is None:
            groups.append([rate[()], a])
        else:
            same[0] = add(same[0], rate[()])
    return groups


def _products(rate, a):
    """(p, i, q, j) -> rate A_pi conj(A_qj)."""
    weighted = {at: mul(rate, a[at]) for at in np.ndindex(*a.shape)}
    out = {}
    for (p, i), (q, j) in itertools.product(np.ndindex(*a.shape), repeat=2):
        # The conjugate of a product that is there already: half of the arithmetic on long arrays.
        known = out.get((q, j, p, i))
        out[p, i, q, j] = mul(weighted[p, i], conj(a[q, j])) if known is None else conj(known)
    return out


def _sum(terms):
    total: Any = 0.0
    for term in terms:
        total = add(total, term)
    return total


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


# ---- small matrices of entries -------------------------------------------------------------------------------


def product(a, b):
    """a b for object arrays (n, n)."""
    n = a.shape[0]
    out = np.empty((n, n), object)
    for i, j in np.ndindex(n, n):
        out[i, j] = _sum(mul(a[i, m], b[m, j]) for m in range(n))
    return out


def adjoint(a):
    out = np.empty(a.shape[::-1], object)
    for i, j in np.ndindex(*a.shape):
        out[j, i] = conj(a[i, j])
    return out


def trace_of(a, b):
    """Tr[a b]."""
    return _sum(mul(a[i, j], b[j, i]) for i, j in np.ndindex(*a.shape))


def from_state(x, n: int):
    """The Hermitian matrix with coordinates x, as an object array."""
    return _hermitian(x, n, 1.0)


def from_covector(y, n: int):
    """The Hermitian matrix Y with Tr[Y rho] = y . x, as an object array."""
    return _hermitian(y, n, 0.5)


def _hermitian(x, n, half):
    out = np.full((n, n), 0.0, object)
    for c, (i, j, part) in zip(x, places(n), strict=True):
        if i == j:
            out[i, i] = c
        else:
            out[i, j] = add(out[i, j], mul(half, c) if part == 0 else Pair(0.0, mul(half, c)))
            out[j, i] = conj(out[i, j])
    return out


def response(entries: Entries, moved: Entries, X, Y) -> Any:
    """How the mean velocity of a stationary state X changes with the entries, to first order: Tr[V' X] - Tr[Y L'[X]].

    Args:
        moved: the change of each entry. Y: the adjoint solution, L^T Y = V up to a constant.
    """
    P = product(X, Y)
    half = np.empty(P.shape, object)
    for at in np.ndindex(*P.shape):
        half[at] = mul(0.5, add(P[at], conj(P[at[::-1]])))
    total = sub(real(trace_of(moved.slope, X)), mul(2.0, imag(trace_of(moved.H, P))))
    for rate, a, rate_moved, a_moved in zip(entries.rates, entries.jumps, moved.rates, moved.jumps, strict=True):
        # Tr[Y D[a] X] = Tr[a^dag T].
        before, after = product(product(Y, a), X), product(a, half)
        T = np.empty(P.shape, object)
        for at in np.ndindex(*P.shape):
            T[at] = sub(before[at], after[at])
        total = sub(total, mul(rate_moved[()], real(trace_of(adjoint(a), T))))
        total = sub(total, mul(mul(2.0, rate[()]), real(trace_of(adjoint(a_moved), T))))
    return total
