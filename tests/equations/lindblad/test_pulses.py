"""Pulses as functions of time: their values against closed forms and SciPy, their supports, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from scipy.interpolate import CubicSpline

import qdiff as qd

T = np.linspace(-1.0, 12.0, 131)
KNOTS, HEIGHTS = np.array([0.5, 1.0, 2.5, 4.0, 7.0]), np.array([0.3, -1.0, 2.0, 0.5, 1.0])


def inside(first, last, value):
    return np.where((first <= T) & (last > T), value, 0.0)


PULSES = {
    "constant": (qd.pulses.PiecewiseConstant([1.0, 2.0, 4.0], [2.0, -1.0]), inside(1, 2, 2.0) + inside(2, 4, -1.0), (1.0, 4.0)),
    "linear": (qd.pulses.PiecewiseLinear(KNOTS, HEIGHTS), inside(0.5, 7.0, np.interp(T, KNOTS, HEIGHTS)), (0.5, 7.0)),
    "spline": (
        qd.pulses.CubicSpline(KNOTS, HEIGHTS),
        inside(0.5, 7.0, CubicSpline(KNOTS, HEIGHTS, bc_type="natural")(T)),
        (0.5, 7.0),
    ),
    "a line as a spline": (qd.pulses.CubicSpline([1.0, 3.0], [2.0, 4.0]), inside(1.0, 3.0, T + 1), (1.0, 3.0)),
    "Gaussian": (qd.pulses.GaussianPulse(2.0, 5.0, 0.5), 2 * np.exp(-((T - 5) ** 2) / 0.5), (0.5, 9.5)),
    "raised cosine": (qd.pulses.RaisedCosine(2.0, 1.0, 3.0), inside(1.0, 4.0, 1 - np.cos(2 * np.pi * (T - 1) / 3)), (1.0, 4.0)),
}
PULSES["sum"] = (
    PULSES["linear"][0] - 2 * PULSES["constant"][0] + PULSES["raised cosine"][0] * 0.5,
    PULSES["linear"][1] - 2 * PULSES["constant"][1] + 0.5 * PULSES["raised cosine"][1],
    (0.5, 7.0),
)


@pytest.mark.parametrize("name", PULSES)
def test_values_and_supports(name):
    pulse, want, support = PULSES[name]
    close(pulse(T), want, 1e-14)
    close(jax.vmap(pulse)(jnp.asarray(T)), want, 1e-14)
    close(np.array(pulse.support), np.array(support), 1e-15)


def test_derivatives_in_knots_and_heights():
    """Of a spline at one time, against differences of SciPy's."""

    def f(x, y):
        return qd.pulses.CubicSpline(x, y)(3.0)

    slopes = jax.grad(f, argnums=(0, 1))(jnp.asarray(KNOTS), jnp.asarray(HEIGHTS))
    h = 1e-5
    for slope, which in zip(slopes, (0, 1), strict=True):
        for k in range(5):
            moved = []
            for sign in (1, -1):
                data = [KNOTS.copy(), HEIGHTS.copy()]
                data[which][k] += sign * h
                moved.append(CubicSpline(*data, bc_type="natural")(3.0))
            assert abs(float(slope[k]) - (moved[0] - moved[1]) / (2 * h)) < 1e-9


ONE = qd.pulses.RaisedCosine(1.0, 0.0, 1.0)
REFUSED = {
    "a sum with a number": (lambda: ONE + 1.0, TypeError, "unsupported operand"),
    "a difference with a number": (lambda: ONE - 1.0, TypeError, "unsupported operand"),
    "a product with a pulse": (lambda: ONE * ONE, TypeError, "unsupported operand"),
    "a part that is none": (lambda: qd.pulses.Pulses(ONE, 1.0), TypeError, "parts must be pulses"),
    "no parts": (lambda: qd.pulses.Pulses(), ValueError, "parts must hold at least one"),
    "too few times": (lambda: qd.pulses.PiecewiseConstant([0.0, 1.0], [1.0, 2.0]), ValueError, "times must hold one more than values"),
    "unequal numbers": (lambda: qd.pulses.PiecewiseLinear([0.0, 1.0], [1.0]), ValueError, "times and values must be equally many"),
    "one time": (lambda: qd.pulses.CubicSpline([0.0], [1.0]), ValueError, "times must hold at least two"),
    "times in disorder": (lambda: qd.pulses.PiecewiseLinear([0.0, 0.0], [1.0, 2.0]), ValueError, "strictly ascending"),
    "a width of zero": (lambda: qd.pulses.GaussianPulse(1.0, 0.0, 0.0), ValueError, "width must be"),
    "a negative duration": (lambda: qd.pulses.RaisedCosine(1.0, 0.0, -1.0), ValueError, "duration must be"),
    "a word": (lambda: qd.pulses.GaussianPulse("high", 0.0, 1.0), TypeError, "amplitude must be"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_one_sentence(what):
    call, kind, said = REFUSED[what]
    with pytest.raises(kind, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)
