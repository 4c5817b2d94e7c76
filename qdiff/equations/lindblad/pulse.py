"""What a pulse is: a function of time that knows where it begins and ends; sums and multiples of pulses."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from ...operators.checks import kind_of


class Pulse(eqx.Module):
    """A function of time with a known support: zero outside.

    Pulses are added to each other and multiplied by numbers; the sum is `Pulses`.
    """

    @property
    @abc.abstractmethod
    def support(self) -> tuple[Any, Any]:
        """The first and the last time at which it is not zero."""

    @abc.abstractmethod
    def _inside(self, t) -> Any:
        """Its value within the support."""

    def __call__(self, t):
        """The value at a time, or at an array of times."""
        first, last = self.support
        t = jnp.asarray(t, float)
        # In this order: where an end is NaN, because a traced argument was wrong, the pulse is NaN at all times and not zero.
        return jnp.where((t < first) | (t >= last), 0.0, self._inside(t))

    def __add__(self, other) -> Pulses:
        if not isinstance(other, Pulse):
            return NotImplemented
        mine, others = (p.parts if isinstance(p, Pulses) else (p,) for p in (self, other))
        return Pulses(*mine, *others)

    def __mul__(self, factor) -> Scaled:
        if kind_of(factor) not in "iuf":
            return NotImplemented
        return Scaled(self, factor)

    __rmul__ = __mul__

    def __neg__(self) -> Scaled:
        return Scaled(self, -1.0)

    def __sub__(self, other) -> Pulses:
        return self + -other if isinstance(other, Pulse) else NotImplemented


class Pulses(Pulse):
    """The sum of some pulses.

    Example:
        >>> import qdiff as qd
        >>> train = qd.pulses.Pulses(qd.pulses.RaisedCosine(1.0, 10.0, 2.0), qd.pulses.GaussianPulse(0.5, 30.0, 1.0))
        >>> [round(float(train(t)), 6) for t in (11.0, 20.0, 30.0)]
        [1.0, 0.0, 0.5]
    """

    parts: tuple[Pulse, ...]

    def __init__(self, *parts: Pulse):
        for part in parts:
            if not isinstance(part, Pulse):
                raise TypeError(f"parts must be pulses such as RaisedCosine(...), but one was {part!r}")
        if not parts:
            raise ValueError("parts must hold at least one pulse, but is empty")
        self.parts = parts

    @property
    def support(self):
        first, last = zip(*(p.support for p in self.parts), strict=True)
        return jnp.min(jnp.stack(first)), jnp.max(jnp.stack(last))

    def _inside(self, t):
        return sum(p(t) for p in self.parts)

    def __call__(self, t):
        return self._inside(t)


class Scaled(Pulse):
    """A pulse multiplied by a number."""

    pulse: Pulse
    factor: ArrayLike

    @property
    def support(self):
        return self.pulse.support

    def _inside(self, t):
        return self.factor * self.pulse(t)

    def __call__(self, t):
        return self._inside(t)
