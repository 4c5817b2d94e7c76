"""Drift and diffusion on a ring: the stationary density with its constant flux, and the evolution of finite volumes."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax.linalg import tridiagonal_solve

from ...linalg.cram import exponential
from ...operators.checks import count, finite_array
from ...results import require_float64

_NODES = 16  # of each panel
_KINKS = 8  # zeros of each function that are looked for
_LEVELS = 12  # panels that shrink by four towards each of them
_GRID = 1024


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Density:
    """A density on the ring with its quadrature: the mean of f is `weight @ f(k)`.

    Attributes:
        k: (n,) nodes, ascending. weight: (n,) the density times the quadrature weights, summing to one.
        density: (n,) the density at the nodes. current: the stationary probability current, towards larger k [rate].
        loop: the integral of v/D around the ring, zero where the current is [1].
    """

    k: jax.Array
    weight: jax.Array
    density: jax.Array
    current: jax.Array
    loop: jax.Array


def stationary_density(slope, resistance, kinks, nodes: int, current: bool) -> Density:
    """The `Density` of a `DriftDiffusion` of these functions; see `DriftDiffusion.steady_state`."""
    require_float64()
    count("nodes", nodes)
    if nodes < 256:
        raise ValueError(f"nodes must be at least 256, but was {nodes}")
    edges = lax.stop_gradient(_edges(kinks, max(nodes // _NODES, 16)))
    x, w, upto = _rule()
    half = jnp.diff(edges)[:, None] / 2
    k = edges[:-1, None] + half * (1 + x)

    def integral(f):
        """From -pi to every node, and to pi."""
        whole = half[:, 0] * (f @ w)
        before = jnp.cumsum(whole) - whole
        return before[:, None] + half * (f @ upto.T), jnp.sum(whole)

    Phi, loop = integral(slope(k))
    # Both exponentials are taken relative to their largest values: Phi may reach thousands. The
    # scales cancel, or are put back, so that their own derivatives do not matter.
    top = lax.stop_gradient(jnp.max(Phi))
    through, total = integral(jnp.exp(Phi - top) * resistance(k))
    share = jnp.expm1(loop) * through / total if current else 0.0
    bottom = lax.stop_gradient(jnp.min(Phi))
    r = jnp.exp(bottom - Phi) * (1 + share)
    mass = jnp.sum(half * w * r)
    # v r + D r' = F C; with the scales of both exponentials put back.
    flow = -jnp.expm1(loop) * jnp.exp(bottom - top) / (total * mass) if current else jnp.zeros(())
    return Density(k.ravel(), (half * w * r / mass).ravel(), (r / mass).ravel(), flow, loop)


@functools.cache
def _rule():
    """Gauss-Legendre nodes and weights, and the matrix that integrates from -1 to each node."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    P = np.polynomial.legendre.legvander(x, _NODES)
    n = np.arange(_NODES)
    # int_{-1}^x P_n = (P_{n+1} - P_{n-1})/(2n + 1), and 1 + x for n = 0.
    integrals = np.empty((_NODES, _NODES))
    integrals[:, 0] = 1 + x
    integrals[:, 1:] = (P[:, 2:] - P[:, :-2]) / (2 * n[1:] + 1)
    coefficients = (2 * n[:, None] + 1) / 2 * (P[:, :-1].T * w)
    return x, w, integrals @ coefficients


def _edges(kinks, panels: int):
    """Panel edges from -pi to pi, ascending: equal ones, the kinks, and some that approach these from both sides."""
    edges = [jnp.linspace(-jnp.pi, jnp.pi, panels + 1)]
    width = 2 * np.pi / panels
    # Graded towards a kink, a panel is never longer than three times its distance from it: Gauss's
    # rule converges exponentially on each, as it does nowhere on a panel with a kink inside.
    near = width * 4.0 ** -np.arange(1, _LEVELS)
    for f in kinks:
        at = _zeros(f)
        around = (at[:, None] + np.concatenate([[0.0], near, -near])).ravel()
        edges.append((around + jnp.pi) % (2 * jnp.pi) - jnp.pi)
    return jnp.sort(jnp.concatenate(edges))


def _zeros(f):
    """The first zeros of f on the ring where it changes its sign; -pi in the places of those that are not there."""
    # Not a grid on which the zeros of a sine would lie.
    grid = -np.pi + 2 * np.pi * (jnp.arange(_GRID + 1) + 0.3183) / _GRID
    value = f(jnp.asarray(grid))
    crossing = jnp.sign(value[:-1]) * jnp.sign(value[1:]) < 0
    at = jnp.nonzero(crossing, size=_KINKS, fill_value=_GRID)[0]
    there = at < _GRID
    at = jnp.where(there, at, 0)
    left, right, sign = jnp.asarray(grid)[at], jnp.asarray(grid)[at + 1], jnp.sign(value[at])

    # Bisection: fifty halvings of a cell of the grid reach rounding, and need no slope, which may
    # vanish.
    def halve(_, bracket):
        a, b = bracket
        middle = (a + b) / 2
        same = jnp.sign(f(middle)) == sign
        return jnp.where(same, middle, a), jnp.where(same, b, middle)

    left, _ = lax.fori_loop(0, 50, halve, (left, right))
    return jnp.where(there, left, -jnp.pi)


def stationary_cells(up, down):
    """p (n,) [1] of `FiniteVolumes` with these rates; see `FiniteVolumes.steady_state`."""
    require_float64()
    back = jnp.roll(down, -1)  # from i + 1 to i
    # What leaves i upwards less what comes back is F: p_{i+1} = (up_i p_i - F)/back_i.
    Phi = jnp.cumsum(jnp.log(back) - jnp.log(up))
    loop, Phi = Phi[-1], jnp.concatenate([jnp.zeros(1), Phi[:-1]])
    top = lax.stop_gradient(jnp.max(Phi))
    step = jnp.exp(Phi - top) / up
    through = jnp.cumsum(step)
    before = through - step
    p = jnp.exp(lax.stop_gradient(jnp.min(Phi)) - Phi) * (1 + jnp.expm1(loop) * before / through[-1])
    return p / jnp.sum(p)


def evolve_cells(up, down, initial, times):
    """e^{Wt} x (k, n) of `FiniteVolumes` with these rates; see `FiniteVolumes.evolve`."""
    require_float64()
    initial, times = finite_array("initial", initial, up.shape[-1]), finite_array("times", times, None)

    # Squaring, as elsewhere, would fill the matrix: a tridiagonal solve costs O(n), and cells are
    # many.
    def shifted(t, shift, r):
        lower, upper, diag = t * jnp.roll(up, 1), t * jnp.roll(down, -1), -t * (up + down) - shift

        def apply(x):
            return lower * jnp.roll(x, 1) + diag * x + upper * jnp.roll(x, -1)

        def solve(_, r):
            return _cyclic(lower, diag, upper, r)

        def solve_T(_, r):
            return _cyclic(jnp.roll(upper, 1), diag, jnp.roll(lower, -1), r)

        return lax.custom_linear_solve(apply, r, solve, solve_T)

    return jax.vmap(lambda t: exponential(shifted, initial, t))(times)


def _cyclic(lower, diag, upper, r):
    """x with lower_i x_{i-1} + diag_i x_i + upper_i x_{i+1} = r_i, indices cyclic, by one bordered tridiagonal solve."""
    first, last = lower[0], upper[-1]
    # Sherman and Morrison. With this gamma the first and the last entry of the diagonal grow; one
    # of the other sign could cancel them.
    gamma = -diag[0]
    n = r.size
    d = diag.at[0].add(-gamma).at[-1].add(-last * first / gamma)
    corner = jnp.zeros(n, d.dtype).at[0].set(gamma).at[-1].set(last)
    complex_ = d.dtype
    both = jnp.stack([r.astype(complex_), corner], axis=-1)
    lo, up = (a.astype(complex_) for a in (lower.at[0].set(0.0), upper.at[-1].set(0.0)))
    y, z = jnp.moveaxis(tridiagonal_solve(lo, d, up, both), -1, 0)
    return y - z * (y[0] + first / gamma * y[-1]) / (1 + z[0] + first / gamma * z[-1])
