"""Coefficients that depend on time, given by data: pulses that know where they begin, end and bend.

Each is a function of the time, to be multiplied with an operator or used as a rate inside the function that is given
to `evolve`. They are built of comparisons with their own times, so that an evolution ends its steps exactly there,
however short or late a pulse is, and knows the derivatives in those times too.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from ...operators.checks import Checked, Real, finite_array, known, unless
from ...operators.structure import is_constant
from .pulse import Pulse, Pulses

__all__ = ["CubicSpline", "GaussianPulse", "PiecewiseConstant", "PiecewiseLinear", "Pulse", "Pulses", "RaisedCosine"]

# A Gaussian is exp(-40.5) = 3e-18 of its height at so many widths from its centre, and zero beyond.
_WIDTHS = 9.0


class PiecewiseConstant(Pulse):
    """A pulse that has the value values[k] from times[k] until times[k + 1], and is zero before the first and after the last.

    A generator that depends on time through such pulses alone is followed by the exact propagator of each piece.

    Args:
        times: ascending, (n + 1,) [time].
        values: (n,) [unit of the coefficient].

    Raises:
        ValueError, TypeError: the shapes do not fit, a number is not finite, or the times are not ascending. Where that is
            traced, the pulse is NaN, and an evolution with it is refused.

    Differentiable in values and times.

    Example:
        >>> import jax, jax.numpy as jnp, qdiff as qd
        >>> q = qd.Space(q=qd.Spin()).q
        >>> def flipped(angle):
        ...     drive = qd.pulses.PiecewiseConstant([50.0, 55.0], jnp.array([angle / 10]))
        ...     generator = lambda t: qd.Lindblad(drive(t) * q.x, {"loss": (1e-9, q.minus)})
        ...     return qd.evolve(generator, {"q": "down"}, 60.0, expect=q.up).expectations[0]
        >>> [round(float(f(jnp.pi / 2)), 6) for f in (flipped, jax.grad(flipped))]
        [0.5, 0.5]
    """

    times: Any
    values: Any

    def __init__(self, times, values):
        self.times, self.values = _ascending(times, values)
        if self.times.size != self.values.size + 1:
            raise ValueError(
                f"times must hold one more than values, the ends of all pieces, but holds {self.times.size} beside {self.values.size}"
            )

    @property
    def support(self):
        return self.times[0], self.times[-1]

    def _inside(self, t):
        return self.values[jnp.clip(_piece(self.times, t), 0, self.values.size - 1)]


class _Interpolated(Pulse):
    times: Any
    values: Any

    def __init__(self, times, values):
        self.times, self.values = _ascending(times, values)
        if self.times.size != self.values.size:
            raise ValueError(f"times and values must be equally many, but are {self.times.size} and {self.values.size}")

    @property
    def support(self):
        return self.times[0], self.times[-1]


class PiecewiseLinear(_Interpolated):
    """Straight lines between the values at some times, zero outside of them.

    Args:
        times: ascending, (n,), at least two [time].
        values: (n,) [unit of the coefficient].

    Raises:
        ValueError, TypeError: as `PiecewiseConstant`.

    Differentiable in values and times.

    Example:
        >>> import qdiff as qd
        >>> ramp = qd.pulses.PiecewiseLinear([0.0, 1.0, 3.0], [0.0, 2.0, 0.0])
        >>> [float(ramp(t)) for t in (0.5, 2.0, 4.0)]
        [1.0, 1.0, 0.0]
    """

    def _inside(self, t):
        k = jnp.clip(_piece(self.times, t), 0, self.times.size - 2)
        rise = (self.values[k + 1] - self.values[k]) / (self.times[k + 1] - self.times[k])
        return self.values[k] + rise * (t - self.times[k])


class CubicSpline(_Interpolated):
    """The natural cubic spline through the values at some times, zero outside of them.

    Between the times a cubic polynomial each, with continuous first and second derivatives; the second is zero at both
    ends.

    Args:
        times: ascending, (n,), at least two [time].
        values: (n,) [unit of the coefficient].

    Raises:
        ValueError, TypeError: as `PiecewiseConstant`.

    Differentiable in values and times. As `scipy.interpolate.CubicSpline(..., bc_type="natural")`, to rounding.

    Example:
        >>> import qdiff as qd
        >>> curve = qd.pulses.CubicSpline([0.0, 1.0, 2.0], [0.0, 1.0, 0.0])
        >>> round(float(curve(0.5)), 6)
        0.6875
    """

    def _bend(self):
        """The second derivatives at the times."""
        width = jnp.diff(self.times)
        slope = jnp.diff(self.values) / width
        if width.size == 1:
            return jnp.zeros(2)
        # Not lineax's, whose derivative raises an error of its own where a time is NaN because it was wrong.
        below, above = jnp.append(0.0, width[1:-1]), jnp.append(width[1:-1], 0.0)
        inner = lax.linalg.tridiagonal_solve(below, 2 * (width[:-1] + width[1:]), above, 6 * jnp.diff(slope)[:, None])
        return jnp.pad(inner[:, 0], 1)

    def _inside(self, t):
        bend = self._bend()
        k = jnp.clip(_piece(self.times, t), 0, self.times.size - 2)
        width, s = self.times[k + 1] - self.times[k], t - self.times[k]
        low, high = bend[k], bend[k + 1]
        slope = (self.values[k + 1] - self.values[k]) / width - width * (2 * low + high) / 6
        return self.values[k] + s * (slope + s * (low / 2 + s * (high - low) / (6 * width)))


class GaussianPulse(Checked, Pulse):
    """amplitude exp(-(t - centre)^2 / (2 width^2)), and zero where that is below 3e-18 of the amplitude, 9 widths away.

    Args:
        amplitude [unit of the coefficient], centre [time], width: positive [time].

    Raises:
        ValueError, TypeError: a number is not finite, or the width not positive.

    Differentiable in all three.

    Example:
        >>> import qdiff as qd
        >>> round(float(qd.pulses.GaussianPulse(2.0, 10.0, 1.5)(11.5)), 6)
        1.213061
    """

    amplitude: ArrayLike
    centre: ArrayLike
    width: ArrayLike

    arguments = {"amplitude": Real("amplitude"), "centre": Real("centre"), "width": Real("width", 0, open=True)}

    @property
    def support(self):
        reach = _WIDTHS * self.width
        return jnp.asarray(self.centre - reach), jnp.asarray(self.centre + reach)

    def _inside(self, t):
        return self.amplitude * jnp.exp(-(((t - self.centre) / self.width) ** 2) / 2)


class RaisedCosine(Checked, Pulse):
    """amplitude (1 - cos(2 pi (t - start) / duration)) / 2 from start until start + duration, zero outside.

    Args:
        amplitude: the highest value [unit of the coefficient], start [time], duration: positive [time].

    Raises:
        ValueError, TypeError: a number is not finite, or the duration not positive.

    Differentiable in all three.

    Example:
        >>> import qdiff as qd
        >>> round(float(qd.pulses.RaisedCosine(2.0, 10.0, 4.0)(11.0)), 6)
        1.0
    """

    amplitude: ArrayLike
    start: ArrayLike
    duration: ArrayLike

    arguments = {"amplitude": Real("amplitude"), "start": Real("start"), "duration": Real("duration", 0, open=True)}

    @property
    def support(self):
        return jnp.asarray(self.start), jnp.asarray(self.start + self.duration)

    def _inside(self, t):
        return self.amplitude * jnp.sin(jnp.pi * (t - self.start) / self.duration) ** 2


def _ascending(times, values):
    """Both as arrays; where traced times turn out not to ascend, both are NaN."""
    times, values = finite_array("times", times, None), finite_array("values", values, None)
    if times.size < 2:
        raise ValueError(f"times must hold at least two, but holds {times.size}")
    if not is_constant(times):
        wrong = ~jnp.all(jnp.diff(times) > 0)
        return unless(times, wrong), unless(values, wrong)
    if known(times) and np.any(np.diff(np.asarray(times, float)) <= 0):
        raise ValueError("times must be strictly ascending, but two are equal or in the wrong order")
    return times, values


def _piece(times, t):
    """The number of the piece that holds t."""
    return jnp.searchsorted(times, t, side="right") - 1
