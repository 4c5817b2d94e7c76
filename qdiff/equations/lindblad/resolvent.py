"""Solves with a sector's generator at a frequency, (G - i omega) z = r, also where omega is an eigenvalue's: zero."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg.double_double import Conserving
from ...linalg.gather import product
from ...linalg.refinement import refine
from ...linalg.right_side import sized
from .sector import Sector
from .solver import choose


def resolvent(sector: Sector, values, x, omega, right):
    """The z with (G - i omega) z = right and tr z = 0, for a right side without trace.

    At omega = 0 it is what the Drazin inverse of G makes of `right`. With u the uniform state, w the trace and s a rate,
    A = G - i omega - s u w^T is invertible wherever the stationary state is unique and nothing oscillates undamped at
    omega, and A z = right.

    Args:
        sector: the sector. It need not hold populations; there is no trace then.
        values: G's entries (nnz,) [rate].
        x: the stationary state (n,), zero in a sector without populations.
        omega: frequency, scalar [rate]; None for zero, and a real right side.
        right: (n,), complex, or real if omega is None.

    Returns:
        z (n,) [right over rate]; NaN where the solve did not converge.

    Differentiable in values, omega and right, to any order. Each frequency costs one factorisation.
    """
    w = sector.trace_weights
    u = w / max(w.sum(), 1.0)
    fixed, x = lax.stop_gradient(values), lax.stop_gradient(x)
    s = jnp.max(jnp.abs(fixed), initial=0.0)
    shift = 0.0 if omega is None else 1j * omega
    still = lax.stop_gradient(shift)
    forth, back = _products(sector, fixed, still)
    if omega is None:
        down, up = _approximate(sector, fixed)
    else:
        down, up = _at_frequency(sector, fixed, lax.stop_gradient(omega))

    def linear(y):
        return product(sector, values, y) - shift * y - s * u * (w @ y)

    def solve(_, r):
        # The part of z along x is known from the trace of the equation; the rest has none.
        r, power = sized(r)
        z, _ = refine(down, forth, r, (w, (still * x + s * u) / (s + still)), (w, x))
        return (z - (w @ r) / (s + still) * x) * power

    def solve_T(_, r):
        r, power = sized(r)
        z, _ = refine(up, back, r, (x, w), (x, w))
        return (z - w * ((x @ r + s * (u @ z)) / (s + still))) * power

    return lax.custom_linear_solve(linear, right, solve, solve_T)


def _products(sector: Sector, values, shift):
    """G - shift and its transpose applied to vectors: exactly conserving where there are populations."""
    # Without populations there is no diagonal that conserves anything.
    if sector.is_population.any():
        products = [Conserving(sector, values, transposed) for transposed in (False, True)]
    else:
        products = [partial(product, sector, values, transposed=t) for t in (False, True)]

    def of(product):
        return lambda z: (product(z.real) + 1j * product(z.imag) if jnp.iscomplexobj(z) else product(z)) - shift * z

    return of(products[0]), of(products[1])


# Twice the coordinates instead of complex numbers: every solver of real sectors, one of a user's
# own included, serves at a frequency as it is. Bands are twice as wide, and refinement is the same.
class _Rotating:
    """G - i omega as a real sparse matrix on (Re z, Im z), in the form of a sector that an `AbstractSolver` factorises."""

    def __init__(self, sector: Sector):
        self.sector, n, k = sector, sector.size, np.arange(sector.size)
        self.size = 2 * n
        self.target = np.r_[sector.target, sector.target + n, k, k + n]
        self.source = np.r_[sector.source, sector.source + n, k + n, k]
        self.bands = [np.r_[band, band + n] for band in sector.bands]

    def __hash__(self):
        return hash((_Rotating, self.sector))

    def __eq__(self, other):
        return isinstance(other, _Rotating) and self.sector == other.sector


def _at_frequency(sector: Sector, values, omega):
    """Approximate inverses of G - i omega and of its transpose, as functions of complex vectors."""
    double = _Rotating(sector)
    n = sector.size
    turn = jnp.full(n, omega)
    forth, back = _approximate(double, jnp.concatenate([values, values, turn, -turn]))

    def joined(z):
        return z[:n] + 1j * z[n:]

    def down(r):
        return joined(forth(jnp.concatenate([r.real, r.imag])))

    def up(r):
        # The transposed real form is that of (G - i omega)^H: conjugated before and after.
        return joined(back(jnp.concatenate([r.real, -r.imag]))).conj()

    return down, up


def _approximate(sector, values):
    """Approximate inverses of G and of its transpose, as functions of real vectors.

    Args:
        sector: a sector, or what has all that an `AbstractSolver` asks of one. values: its entries (nnz,).
    """
    solver = choose(sector)
    factors = solver.factor(sector, values)
    return tuple(lambda r, solve=solve: solve(sector, factors, r[:, None])[:, 0] for solve in (solver.solve, solver.solve_T))
