"""A driven, damped qubit in NumPy and SciPy: values and derivatives of its final population, by complex steps.

    d rho/dt = -i [w/2 sz + A f(t) sx, rho] + g D[s-] rho

in real coordinates (sx, sy, sz, 1), so that a complex step of a parameter gives its derivative to rounding. Where the
drive is zero or constant the solution is an exponential; in between it is SciPy's DOP853 at 1e-13.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm


def generators(w, g):
    """The generator without a drive, and what a drive of one adds, on (x, y, z, 1)."""
    free = np.array([[-g / 2, -w, 0, 0], [w, -g / 2, 0, 0], [0, 0, -g, -g], [0, 0, 0, 0]])
    drive = np.zeros((4, 4))
    drive[1, 2], drive[2, 1] = -2.0, 2.0
    return free, drive


def follow(pieces, start, w, g, v):
    """The coordinates after all pieces (end, amplitude): a number that is constant, or a function of time."""
    free, drive = generators(w, g)
    t = start
    for end, amplitude in pieces:
        if callable(amplitude):
            v = _window(lambda s, amplitude=amplitude: free + amplitude(s) * drive, t, end, v)
        else:
            v = expm((free + amplitude * drive) * (end - t)) @ v
        t = end
    return v


def _window(G, first, last, v):
    # In units of the window, whose ends may be complex. Errors are estimated of real and imaginary parts together, so that a
    # slope, a tiny imaginary part, does not shorten steps that an amplitude of zero leaves long: hence the largest one.
    length = last - first

    def right_side(u, y):
        return length * (G(first + u * length) @ y)

    return solve_ivp(right_side, (0.0, 1.0), v.astype(complex), rtol=1e-13, atol=1e-14, max_step=0.01, method="DOP853").y[:, -1]


START = np.array([0.4, 0.0, -0.4, 1.0])  # rho = [[0.3, 0.2], [0.2, 0.7]]


def gaussian(A, centre, width, g, w, last):
    """The population of the upper level at `last`, after a Gaussian."""

    def f(t):
        return A * np.exp(-(((t - centre) / width) ** 2) / 2)

    ends = [np.clip(centre.real + s * width.real, 0.0, last) for s in (-9.0, 9.0)]
    return (1 + follow([(ends[0], 0.0), (ends[1], f), (last, 0.0)], 0.0, w, g, START)[2]) / 2


def raised_cosine(A, start, width, g, w, last):
    """The same after a raised cosine."""

    def f(t):
        return A * np.sin(np.pi * (t - start) / width) ** 2

    return (1 + follow([(start, 0.0), (start + width, f), (last, 0.0)], 0.0, w, g, START)[2]) / 2


def rectangle(A, start, width, g, w, last):
    """The same after a rectangle."""
    return (1 + follow([(start, 0.0), (start + width, A), (last, 0.0)], 0.0, w, g, START)[2]) / 2


def chirp(A, centre, width, g, w, last):
    """The same after a Gaussian around an oscillation."""

    def f(t):
        return A * np.exp(-(((t - centre) / width) ** 2) / 2) * np.cos(3 * (t - centre) / width + 0.3)

    ends = [np.clip(centre.real + s * width.real, 0.0, last) for s in (-9.0, 9.0)]
    return (1 + follow([(ends[0], 0.0), (ends[1], f), (last, 0.0)], 0.0, w, g, START)[2]) / 2


def value_and_slopes(f, parameters, last, step=1e-30):
    """f of the parameters, and its derivatives in them by complex steps."""
    parameters = np.asarray(parameters, complex)
    slopes = [f(*(parameters + 1j * step * unit), last).imag / step for unit in np.eye(len(parameters))]
    return f(*parameters, last).real, np.array(slopes)
