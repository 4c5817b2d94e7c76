"""Drift and diffusion of a probability density on a ring: the equation, and its finite volumes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ...baths.occupation import thermal
from ...operators.checks import count, instance


@dataclasses.dataclass(frozen=True)
class DriftDiffusion:
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

    def __post_init__(self):
        kinks = self.kinks if isinstance(self.kinks, tuple) else (self.kinks,)
        for name, function in (("slope", self.slope), ("resistance", self.resistance), *(("kinks", kink) for kink in kinks)):
            if not callable(function):
                raise TypeError(f"{name} must be a function of k{' or several, a tuple' * (name == 'kinks')}, but was {function!r}")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FiniteVolumes:
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
