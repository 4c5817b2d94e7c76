"""Drift and diffusion of a probability density on a ring: the equation, and its finite volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from ...baths.occupation import thermal
from ...generator import AbstractGenerator
from ...operators.checks import count, instance

if TYPE_CHECKING:
    from .cells import Density


class DriftDiffusion(AbstractGenerator):
    """dr/dt = d/dk [ v(k) r + D(k) dr/dk ]  for k from -pi to pi, periodic: the probability current is -(v r + D dr/dk).

    Args:
        slope: k -> v(k)/D(k), what the density's logarithm falls by [1]. It and `resistance` may have kinks and jumps, and
            D may be infinite there.
        resistance: k -> 1/D(k) [1/rate].
        kinks: functions of k, smooth, at whose zeros the others have their kinks.

    All of them take arrays and may close over traced parameters, in which every result is differentiable. A kink that
    moves with the parameters contributes nothing to first derivatives as long as `slope` and `resistance` are continuous.
    """

    slope: Callable
    resistance: Callable
    kinks: tuple[Callable, ...] = ()

    def __check_init__(self):
        kinks = self.kinks if isinstance(self.kinks, tuple) else (self.kinks,)
        for name, function in (("slope", self.slope), ("resistance", self.resistance), *(("kinks", kink) for kink in kinks)):
            if not callable(function):
                raise TypeError(f"{name} must be a function of k{' or several, a tuple' * (name == 'kinks')}, but was {function!r}")

    def steady_state(self, nodes: int = 4096, *, current: bool = True) -> Density:
        """The stationary density on the ring, with the flux that makes it periodic.

            r = C e^{-Phi(k)} [1 + F int_{-pi}^k e^Phi/D],   Phi = int_{-pi}^k v/D,   F = (e^{Phi(pi)} - 1) / int e^Phi/D

        by Gauss-Legendre quadrature on panels that shrink towards the kinks.

        Args:
            nodes: about how many, without those near kinks; 16 on each panel.
            current: whether there is a flux; without it, r = C e^{-Phi}, which jumps at -pi unless Phi(pi) = 0.

        Returns:
            `Density`.

        Raises:
            ValueError: `nodes` is less than 256.

        Differentiable in what the equation's functions close over, with the panels held fixed: exact where slope and
        resistance are continuous, to second order where their kinks do not move.

        Accuracy: 1e-14 of the largest density. At most eight zeros of each function count as kinks.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> downhill = qd.momentum.DriftDiffusion(lambda k: -0.5 + 0 * k, lambda k: 1 + 0 * k)
            >>> round(float(downhill.steady_state().current), 12) == round(0.5 / (2 * float(jnp.pi)), 12)
            True
        """
        from .cells import stationary_density

        return stationary_density(self.slope, self.resistance, self.kinks, nodes, current)


class FiniteVolumes(AbstractGenerator):
    """Exponentially fitted (Scharfetter-Gummel) finite volumes: probability hops between n neighbouring cells on a ring.

    Attributes:
        up, down: (n,) the rates from cell i to i + 1 and to i - 1 [rate]. Positive, whatever the width of the cells.
    """

    up: jax.Array
    down: jax.Array

    @property
    def size(self) -> int:
        return self.up.shape[-1]

    @property
    def momenta(self) -> jax.Array:
        """The centres of the cells (n,), from -pi up."""
        return momenta(self.size)

    def act(self, r):
        """dr/dt (n,)."""
        flow = self.up * r - jnp.roll(self.down * r, -1)
        return jnp.roll(flow, 1) - flow

    def steady_state(self) -> jax.Array:
        """The stationary probabilities, with their constant flux, in O(n).

        Returns:
            p (n,) [1].

        Differentiable, to any order. Every step adds positive numbers, except the one that finds the flux.
        """
        from .cells import stationary_cells

        return stationary_cells(self.up, self.down)

    def evolve(self, initial, times) -> jax.Array:
        """e^{Wt} x, the probabilities in time.

        Args:
            initial: x (n,), which need not be a distribution.
            times: (k,), from zero up, in any order [1/rate].

        Returns:
            e^{Wt} x (k, n), in the unit of x.

        Raises:
            ValueError: `initial` or `times` have a wrong shape or entries that are not finite.

        Differentiable in the rates, the initial state and the times, forward, reverse and to any order.

        Accuracy: 5e-12 of the largest entry of `initial` (`linalg.cram`). Costs O(n) for each time.
        """
        from .cells import evolve_cells

        return evolve_cells(self.up, self.down, initial, times)


def momenta(n: int) -> jax.Array:
    """k_j = -pi + 2 pi j/n, j = 0 .. n - 1. Counted by the program: of a constant, XLA evaluates all functions while compiling."""
    return -np.pi + 2 * np.pi * jnp.arange(n) / n


def finite_volumes(equation: DriftDiffusion, cells: int) -> FiniteVolumes:
    """The equation on `cells` volumes: slope and resistance are taken as constant from one centre to the next."""
    instance("equation", equation, DriftDiffusion)
    cells = count("cells", cells, 2)
    h = 2 * np.pi / cells
    middle = momenta(cells) + h / 2
    fall = equation.slope(middle) * h
    speed = 1 / (equation.resistance(middle) * h**2)
    up, down = speed * thermal(fall), speed * thermal(-fall)
    return FiniteVolumes(up, jnp.roll(down, 1))
