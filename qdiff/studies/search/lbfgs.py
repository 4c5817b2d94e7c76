"""From a good point to the optimum with gradients alone: L-BFGS in a box, sequential quadratic programming under constraints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .newton import Polished, free_norm
from .sqp import ALLOWED, Limits, descended

_SMALL = 1e-6  # of the scale of the values: differences of gradients, which stand for curvature, lead no closer in reason


def quasi_newton(function: Callable, limits: Limits | None, u: np.ndarray, scale: float) -> Polished:
    """A local minimum of a smooth function in the box [0, 1]^n, from its values and gradients.

    Args:
        function: u -> value, gradient. limits: what must not be positive. u: where to start, (n,).
        scale: how much the values vary over the box.

    Returns:
        `Polished`, converged if the gradient in the directions that no bound holds is below 1e-6 of `scale`; under
        constraints that hold the optimum, if they balance it to that. `gradient_norm` is what is left of it.
    """
    from scipy.optimize import lsq_linear

    scale = scale or abs(function(u)[0]) or 1.0
    more = {"gtol": 1e-9} if limits is None else {}
    _, found = descended(function, limits, u, scale, maxiter=500, **more)
    end = np.clip(found.x, 0, 1)
    f, g = function(end)
    if not (np.isfinite(f) and np.isfinite(g).all()):
        return Polished(u, float(function(u)[0]), np.nan, False, "not converged: the merit or its gradient is not a number nearby")
    norm, kept = free_norm(end, g), True
    if limits is not None:
        c, J, _ = limits(end)
        active, inside = c > -1e-6, (end > 0) & (end < 1)
        kept = bool(c.max() <= ALLOWED)
        if active.any() and inside.any():
            balance = lsq_linear(J[active][:, inside].T, -g[inside], bounds=(0, np.inf))
            norm = float(np.abs(g[inside] + J[active][:, inside].T @ balance.x).max())
    if norm <= _SMALL * scale and kept:
        return Polished(end, float(f), norm, True, "converged")
    return Polished(end, float(f), norm, False, "not converged: the gradient does not vanish where values stopped improving")
