"""Every comparing helper can fail, and the brute-force generators are what they say."""

import numpy as np
import pytest
from helpers import close, davies, derivative, dissipator, flow, null_state, ohmic, rates, slow_but, unitary

LOWER = np.array([[0.0, 0], [1, 0]])


def test_close_fails_on_a_difference_a_nan_a_shape_and_on_nothing():
    """`close` passes only for the right numbers."""
    close([1.0, 2.0], [1.0, 2.0 + 1e-12], 1e-11)
    for wrong in ([1.0, 2.1], [1.0, np.nan], [1.0]):
        with pytest.raises(AssertionError):
            close(wrong, [1.0, 2.0], 1e-3)
    for empty in ([], [0.0], [np.nan]):
        with pytest.raises(AssertionError):
            close(empty, empty, 1e-3)


def test_derivative_is_that_of_a_known_function_and_not_of_another():
    """Richardson extrapolation reaches 1e-11 on sin, and the wrong gradient is refused."""
    x = np.array([0.3, 1.2])
    got = derivative(lambda y: np.sin(y[0]) * y[1], x)
    close(got, [np.cos(0.3) * 1.2, np.sin(0.3)], 1e-11)
    with pytest.raises(AssertionError):
        close(got, [np.sin(0.3) * 1.2, np.cos(0.3)], 1e-3)


def test_brute_force_generator_of_a_two_level_system():
    """`unitary`, `dissipator`, `null_state`, `flow` against the rate equation; degenerate generators are refused."""
    L = unitary(np.diag([1.0, -1.0])) + 0.3 * dissipator(LOWER) + 0.1 * dissipator(LOWER.T)
    rho = null_state(L)
    close(rho, np.diag([0.25, 0.75]), 1e-14)
    close(flow(0.3 * dissipator(LOWER), rho, np.diag([1.0, -1.0])), -2 * 0.3 * 0.25, 1e-14)
    with pytest.raises(AssertionError):
        null_state(unitary(np.diag([1.0, -1.0])))


def test_davies_of_a_two_level_system():
    """Both forms of the coupling give the textbook rates, and at zero frequency the rate is J'(0)/beta."""
    down, up = rates(0.7, ohmic(0.2, 3.0))
    n = 1 / np.expm1(1.4)
    J = 0.2 * 2 / (1 + 4 / 9)
    close([down(2.0), up(2.0), down(-2.0), down(0.0)], [J * (n + 1), J * n, J * n, 0.2 / 0.7], 1e-14)
    H = np.diag([1.0, -1.0])
    want = down(2.0) * dissipator(LOWER) + up(2.0) * dissipator(LOWER.T)
    close(davies(H, LOWER + LOWER.T, down), want, 1e-14)
    close(davies(H, LOWER, down, up), want, 1e-14)


def test_slow_but():
    """All but the usual ones are slow, and a usual one that is not there is noticed."""
    assert [(p.values, [mark.name for mark in p.marks]) for p in slow_but("ab", "a")] == [(("a",), []), (("b",), ["slow"])]
    with pytest.raises(AssertionError):
        slow_but("ab", "c")
