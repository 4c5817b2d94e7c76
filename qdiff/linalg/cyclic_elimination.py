"""Linear algebra of scattering between momenta: a cyclic block tridiagonal matrix, eliminated block by block.

The ring of momenta is cut into arcs not shorter than the longest jump, so that jumps join neighbouring arcs only. Arcs
are eliminated from the last to the second; each leaves jumps between the arc before it and the first one, which closes
the ring. With G the inverse of what is eliminated, everything else is products of matrices: O(N reach^2) in all.

For rates, G is the matrix of mean residence times. It is found without any subtraction (Grassmann, Taksar, Heyman), from
the rates and the sums of what leaves the arc, and so is everything that follows from it. Rates are as in `linalg.ring`.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular

from . import gth, ring

_PANEL = 32  # states that are eliminated at once


class Plan:
    """How N momenta are cut into arcs. Static.

    Attributes:
        count, width: of arcs, and of momenta in the longest. index: (count, width) the momentum in each place, N where
            there is none. at: (N,) the place of each momentum.
    """

    def __init__(self, size: int, reach: int, bands: int):
        self.size, self.reach, self.bands = size, reach, bands
        # With two arcs the next one and the one before would be the same, and their rates add up.
        self.count = size // reach if 3 * reach <= size else 1
        parts = np.array_split(np.arange(size), self.count)
        self.width = max(map(len, parts))
        self.index = np.full((self.count, self.width), size)
        for j, part in enumerate(parts):
            self.index[j, : len(part)] = part
        self.at = np.flatnonzero(self.index.ravel() < size)
        self.padding = np.repeat((self.index == size).astype(float)[:, None], bands, axis=1).reshape(self.count, -1)

    def pack(self, x):
        """x (bands, N) as blocks (count, bands * width), zero in the empty places."""
        padded = jnp.concatenate([x, jnp.zeros_like(x[:, :1])], axis=1)
        return jnp.moveaxis(padded[:, self.index], 0, 1).reshape(self.count, -1)

    def unpack(self, blocks):
        x = jnp.moveaxis(blocks.reshape(self.count, self.bands, self.width), 1, 0)
        return x.reshape(self.bands, -1)[:, self.at]

    def blocks(self, rate):
        """The rates within each arc, from it to the next and from it to the one before: (count, b, b) each, rows `to`."""
        b = self.bands * self.width
        if self.count == 1:
            R = ring.matrix(rate)
            R = R - jnp.diag(jnp.diag(R))
            return (R[None],)
        return tuple(self._between(rate, step).reshape(self.count, b, b) for step in (0, 1, -1))

    def _between(self, rate, step):
        source, target = self.index, np.roll(self.index, -step, axis=0)
        n, r = self.size, self.reach
        transfer = (target[:, :, None] - source[:, None, :] + n // 2) % n - n // 2
        there = (target < n)[:, :, None] & (source < n)[:, None, :] & (np.abs(transfer) <= r)
        k = np.broadcast_to(np.minimum(source, n - 1)[:, None, :], transfer.shape)
        found = jnp.moveaxis(rate, (1, 2), (2, 3))[np.where(there, transfer + r, 0), k]  # (count, to, from, band to, band from)
        found = jnp.where(there[..., None, None], found, 0.0)
        if step == 0:
            own = (transfer == 0)[..., None, None] & np.eye(self.bands, dtype=bool)
            found = jnp.where(own, 0.0, found)
        return found.transpose(0, 3, 1, 4, 2)


@functools.lru_cache(maxsize=64)
def plan(size: int, reach: int, bands: int) -> Plan:
    return Plan(size, reach, bands)


def plan_of(rate) -> Plan:
    """How the ring of these rates is cut."""
    return plan(rate.shape[3], rate.shape[0] // 2, rate.shape[1])


class Factors(NamedTuple):
    """Of -W (or of theta - W): for the arcs from the last to the third, for the second, and for the first.

    G: residence times in an eliminated arc. to_previous, to_first, from_previous, from_first: what joins it to the rest.
    """

    G: jnp.ndarray
    to_previous: jnp.ndarray
    to_first: jnp.ndarray
    from_previous: jnp.ndarray
    from_first: jnp.ndarray
    second: tuple
    root: jnp.ndarray
    first_row: jnp.ndarray

    def transposed(self) -> Factors:
        def T(x):
            return jnp.swapaxes(x, -1, -2)

        second = (T(self.second[0]), T(self.second[2]), T(self.second[1])) if self.second else ()
        joined = T(self.from_previous), T(self.from_first), T(self.to_previous), T(self.to_first)
        return Factors(T(self.G), joined[0], joined[1], joined[2], joined[3], second, T(self.root), self.first_row)


def factor(own, onward=None, backward=None, *, invert, root) -> Factors:
    """The factors, from the blocks of `Plan.blocks`.

    Args:
        invert: (block, leaving) -> the inverse of what is eliminated; leaving (b,) is the sum of what leaves it.
        root: block -> (inverse of the last block, its first column).
    """
    count = own.shape[0]
    if count == 1:
        none = jnp.zeros((0, *own.shape[1:]), own.dtype)
        return Factors(none, none, none, none, none, (), *root(own[0], 0))
    assert onward is not None and backward is not None

    def step(carry, level):
        here, first, to_first, from_first = carry
        j, before, to_previous, from_previous = level
        G = invert(here, jnp.sum(to_previous, axis=0) + jnp.sum(to_first, axis=0), j)
        left, right = to_previous @ G, to_first @ G
        new = before + left @ from_previous, first + right @ from_first, right @ from_previous, left @ from_first
        return new, (G, to_previous, to_first, from_previous, from_first)

    down = np.arange(count - 1, 1, -1)
    start = own[-1], own[0], onward[-1], backward[0]
    carry, kept = lax.scan(step, start, (jnp.asarray(down), own[down - 1], backward[down], onward[down - 1]))
    here, first, to_first, from_first = carry
    to_first, from_first = to_first + backward[1], from_first + onward[0]
    G = invert(here, jnp.sum(to_first, axis=0), 1)
    first = first + to_first @ G @ from_first
    return Factors(*kept, (G, to_first, from_first), *root(first, 0))


def solve(factors: Factors, r):
    """x with -W x = r, in blocks (count, b)."""
    first = r[0]
    if not factors.second:
        return (factors.root @ first)[None]

    def forward(carry, level):
        first, here = carry
        G, to_previous, to_first, before = level
        y = G @ here
        return (first + to_first @ y, before + to_previous @ y), here

    down = np.arange(len(r) - 1, 1, -1)
    (first, here), kept = lax.scan(forward, (first, r[-1]), (factors.G, factors.to_previous, factors.to_first, r[down - 1]))
    G, to_first, from_first = factors.second
    return _back(factors, factors.root @ (first + to_first @ (G @ here)), here, kept)


def stationary(factors: Factors):
    """x with W x = 0 in blocks (count, b), of residence factors: one in the first place, and what follows everywhere else."""
    first = (factors.root @ factors.first_row).at[0].set(1.0)
    if not factors.second:
        return first[None]
    return _back(factors, first, jnp.zeros_like(first), jnp.zeros(factors.G.shape[:2]))


def _back(factors, x_first, r_second, r):
    """The solution from that in the first arc, and from what has gathered on the right in the others."""
    G, _, from_first = factors.second
    x_second = G @ (r_second + from_first @ x_first)

    def backward(x, level):
        G, from_previous, from_first, r = level
        x = G @ (r + from_previous @ x + from_first @ x_first)
        return x, x

    _, rest = lax.scan(backward, x_second, (factors.G, factors.from_previous, factors.from_first, r), reverse=True)
    return jnp.concatenate([x_first[None], x_second[None], rest[::-1]])


def residence(R, leaving):
    """The inverse (n, n) of diag(out) - R, out_j = leaving_j + sum_i R_ij, without subtraction.

    A few states at a time are eliminated in place (Gauss and Jordan). Among those that are left, M then holds the rates
    of a walk that does not look at the others; among those that are gone their residence times; between the two, the
    residence times of one visit and the chances to come back.

    Args:
        R: rates [to, from] without diagonal, not negative. leaving: (n,) what leaves for elsewhere.
    """
    if not R.shape[0]:  # nothing but the root, where one band has one momentum in it
        return R
    n, s = R.shape[0], min(_PANEL, R.shape[0])
    more = -n % s
    # Panels of many states, not one state at a time: nearly all the work is in products of
    # matrices.
    # Further states that are never entered.
    M, leaving = jnp.pad(R, (0, more)), jnp.pad(leaving, (0, more), constant_values=1.0)
    index = jnp.arange(n + more)

    def eliminate(panel, carry):
        M, leaving = carry
        first = panel * s
        columns, rows = lax.dynamic_slice_in_dim(M, first, s, axis=1), lax.dynamic_slice_in_dim(M, first, s, axis=0)
        inner = lax.dynamic_slice_in_dim(rows, first, s, axis=1)
        here, later = (index >= first) & (index < first + s), index >= first + s
        gone = lax.dynamic_slice_in_dim(leaving, first, s)
        G = _small_residence(inner, gone + jnp.sum(jnp.where(later[:, None], columns, 0.0), axis=0))
        rows = jnp.where(here, 0.0, G @ rows)
        columns = jnp.where(here[:, None], 0.0, columns)
        leaving = leaving + gone @ rows
        M = jnp.where(here[:, None] | here, 0.0, M) + columns @ rows
        M = lax.dynamic_update_slice_in_dim(M, rows, first, axis=0)
        M = lax.dynamic_update_slice_in_dim(M, columns @ G, first, axis=1)
        return lax.dynamic_update_slice(M, G, (first, first)), leaving

    return lax.fori_loop(0, (n + more) // s, eliminate, (M, leaving))[0][:n, :n]


def _small_residence(R, leaving):
    n = R.shape[0]
    whole = jnp.zeros((n + 1, n + 1)).at[0, 1:].set(leaving).at[1:, 1:].set(R)
    # The states that are kept for later stand for one more, the first: GTH takes its pivots from
    # what leaves, and eliminates all but the first.
    above, below = gth.factor(whole)
    inverse = solve_triangular(above[1:, 1:], jnp.eye(n), lower=False, unit_diagonal=True)
    return solve_triangular(below[1:, 1:], inverse, lower=True)


def residence_factors(rate) -> Factors:
    """The factors of -W, without subtraction; the first momentum of the first band is what is not eliminated."""
    cut = plan_of(rate)
    padding = jnp.asarray(cut.padding)

    def off(R):
        return R - jnp.diag(jnp.diag(R))

    def invert(R, leaving, j):
        # An empty place is never entered, and left at rate one.
        return residence(off(R), leaving + padding[j])

    def root(R, j):
        R = off(R)
        G = residence(R[1:, 1:], R[0, 1:] + padding[j][1:])
        return jnp.pad(G, ((1, 0), (1, 0))), R[:, 0]

    return factor(*cut.blocks(rate), invert=invert, root=root)


def resolvent_factors(rate, t, theta) -> Factors:
    """The factors of theta - t W, by LU with pivots inside the arcs; theta complex, not an eigenvalue of t W."""
    cut = plan_of(rate)
    own, *joined = (t * block.astype(complex) for block in cut.blocks(rate))
    out = cut.pack(t * ring.leaving(rate))
    b = own.shape[1]
    own = own - (out + theta)[:, :, None] * jnp.eye(b)

    def invert(R, leaving, j):
        return jnp.linalg.inv(-R)

    return factor(own, *joined, invert=invert, root=lambda R, j: (jnp.linalg.inv(-R), R[:, 0]))
