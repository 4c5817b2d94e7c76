"""Spectral densities: how strongly a bath couples at each frequency.

A spectral density is odd, J(-omega) = -J(omega); what enters every rate is `per_frequency` = J(omega)/omega,
which is even and finite at zero for all densities but the flat one.
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..operators.checks import Checked, Real


class Spectrum(Checked):
    """A spectral density J(omega) [rate]."""

    @abc.abstractmethod
    def per_frequency(self, omega) -> jax.Array:
        """J(omega)/omega, even in omega [1]; any shape."""

    def __call__(self, omega):
        return omega * self.per_frequency(omega)


class Flat(Spectrum):
    """J(omega) = rate * sign(omega): the same at every frequency, as for a collision model.

    Its thermal rates rate * n(omega) have a pole at omega = 0 and are infinite there.

    Args:
        rate: J [rate], non-negative.

    Raises:
        ValueError: the rate is negative or not finite.
    """

    rate: ArrayLike
    arguments = {"rate": Real("rate", low=0)}

    def per_frequency(self, omega):
        return self.rate / jnp.abs(omega)

    def __call__(self, omega):
        return self.rate * jnp.sign(omega)


class Ohmic(Spectrum):
    """J(omega) = strength * omega * cutoff^2 / (omega^2 + cutoff^2): Ohmic with a Drude cutoff.

    Args:
        strength: dimensionless coupling, non-negative [1].
        cutoff: the frequency Omega above which the bath couples weakly, above zero [energy]; None for no cutoff.

    Raises:
        ValueError: a strength below zero, a cutoff that is not above zero, or one that is not finite.

    Example:
        >>> float(Ohmic(0.25, 20.0)(10.0))
        2.0
    """

    strength: ArrayLike
    cutoff: ArrayLike | None = None
    arguments = {"strength": Real("strength", low=0), "cutoff": Real("cutoff", low=0, open=True)}

    def per_frequency(self, omega):
        if self.cutoff is None:
            return self.strength * jnp.ones_like(omega)
        return self.strength / (1 + (omega / self.cutoff) ** 2)


class Custom(Spectrum):
    """A spectral density given by any function of a non-negative frequency, continued as an odd function.

    Args:
        function: JAX-traceable scalar function J(omega, *parameters) for omega >= 0, with J(0) = 0 and a
            first and second derivative there.
        parameters: what else the function takes; differentiable.

    At omega = 0, J(omega)/omega is J'(0), taken by automatic differentiation.
    """

    function: Callable = eqx.field(static=True)
    parameters: tuple

    def __init__(self, function: Callable, *parameters):
        if not callable(function):
            raise TypeError(f"function must be a function J(omega, *parameters), but was {function!r}")
        self.function, self.parameters = function, parameters

    def per_frequency(self, omega):
        def J(w):
            return self.function(w, *self.parameters)

        def slope(w):
            return jax.jvp(J, (w,), (jnp.ones_like(w),))[1]

        def ratio(w):
            # J(w)/w = J'(0) + w J''(0)/2 + O(w^2), which at w < 1e-6 is exact to 1e-12 and differentiable at zero.
            tiny = w < 1e-6
            # Where it is not used, the slope is taken at one: at zero it may have no derivative in the parameters.
            safe, zero = jnp.where(tiny, 1.0, w), jnp.where(tiny, 0.0, 1.0)
            curvature = jax.jvp(slope, (zero,), (jnp.ones_like(w),))[1]
            return jnp.where(tiny, slope(zero) + w * curvature / 2, J(safe) / safe)

        return jnp.vectorize(ratio)(jnp.abs(jnp.asarray(omega, float)))
