"""How a search ends where there is no optimum to accept: the last steps on plain functions, each with the sentence it must say."""

import numpy as np
import pytest

from qdiff.studies.search.lbfgs import quasi_newton
from qdiff.studies.search.newton import newton
from qdiff.studies.search.sqp import _on_active, polished


def parabola(u, centre=0.3):
    return float(np.sum((u - centre) ** 2)), 2 * (u - centre), 2 * np.eye(u.size)


def missing(u):
    return np.nan, np.full(u.size, np.nan), np.full((u.size, u.size), np.nan)


def peak(u):
    """-|u - 1/2|, and at its top a slope of zero."""
    return -abs(u[0] - 0.5), -np.sign(u - 0.5), np.zeros((1, 1))


def edge(u):
    """A parabola that ends at its lowest point."""
    return parabola(u, 0.5) if u[0] <= 0.5 else missing(u)


@pytest.mark.parametrize(
    ("function", "start", "iterations", "said"),
    [
        (missing, 0.4, 100, "not a number where the search ended"),
        (parabola, 0.9, 1, "the gradient still changes after 1 Newton steps"),
        (peak, 0.5, 100, "the gradient vanishes, yet a point nearby is better; a kink or a jump"),
        (edge, 0.5, 100, "not a number right beside the optimum"),
    ],
)
def test_newton_does_not_claim(function, start, iterations, said):
    found = newton(function, np.array([start]), 1.0, iterations)
    assert not found.converged and found.message.startswith("not converged") and said in found.message


def test_newton_where_values_no_longer_tell():
    """A gradient known to 1e-6 only: the optimum to that, and no endless search for more."""
    calls = []

    def noisy(u):
        calls.append(u)
        f, g, H = parabola(u)
        return f, g + 1e-6 * np.cos(1e9 * u), H

    found = newton(noisy, np.array([0.8]), 1.0)
    assert found.converged and abs(found.u[0] - 0.3) < 1e-6 and len(calls) < 30


def half(u):
    """A constraint u_0 <= 1/2."""
    J, K = np.zeros((1, u.size)), np.zeros((1, u.size, u.size))
    J[0, 0] = 1
    return np.array([u[0] - 0.5]), J, K


def broken(u):
    """A constraint that nothing meets."""
    return np.array([1e-3]), np.zeros((1, u.size)), np.zeros((1, u.size, u.size))


def saddle(u):
    """Falls towards larger u_0, and to both sides of u_1 = 1/2."""
    return -u[0] - (u[1] - 0.5) ** 2, np.array([-1.0, -2 * (u[1] - 0.5)]), np.diag([0.0, -2.0])


@pytest.mark.parametrize(
    ("function", "limits", "start", "said"),
    [
        (missing, half, [0.5], "a derivative is not a number where the search ended"),
        (parabola, broken, [0.3], "the gradient does not balance the constraints"),
        (parabola, half, [0.5], "a constraint that holds the search could be left"),
        (saddle, half, [0.5, 0.5], "a saddle point along the constraints"),
    ],
)
def test_what_a_constraint_holds(function, limits, start, said):
    found = _on_active(function, limits, np.array(start), 1.0)
    assert not found.converged and found.message.startswith("not converged") and said in found.message


def test_a_constraint_that_holds_and_one_that_does_not():
    """min (u - 0.8)^2 under u <= 1/2 is at 1/2, min (u - 0.3)^2 at 0.3, from anywhere; and where nothing is a number, nowhere."""
    for centre, at in ((0.8, 0.5), (0.3, 0.3)):
        for start in (0.1, 0.5, 0.9):
            found = polished(lambda u, c=centre: parabola(u, c), half, np.array([start]), 1.0)
            assert found.converged and found.u[0] == pytest.approx(at, abs=1e-12)
    assert not polished(missing, half, np.array([0.5]), 1.0).converged


def test_quasi_newton_where_there_is_nothing():
    found = quasi_newton(lambda u: missing(u)[:2], None, np.array([0.4]), 1.0)
    assert not found.converged and "not a number nearby" in found.message and np.isnan(found.value)
