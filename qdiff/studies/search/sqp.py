"""From a good point to the optimum under constraints: sequential quadratic programming, and Newton's method on its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .newton import FLAT, GRADIENT, Polished, Quadratic, newton

# u (n,) -> values (k,), Jacobian (k, n) and Hessians (k, n, n) of what must not be positive.
Limits = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]

_ACTIVE = 1e-6  # a constraint whose value is above minus this may hold the optimum
ALLOWED = 1e-9  # what counts as not positive


def descended(function: Callable, limits: Limits | None, u: np.ndarray, scale: float, **options) -> tuple[Callable, Any]:
    """SciPy's descent in the box [0, 1]^n: the function in units of `scale`, infinite where it is none, and what was found.

    Args:
        function: u -> value, gradient. options: of `scipy.optimize.minimize`; without limits by L-BFGS-B, else by SLSQP.
    """
    from scipy.optimize import minimize

    def value(u):
        f, g = function(u)
        return (f / scale, g / scale) if np.isfinite(f) and np.isfinite(g).all() else (np.inf, np.zeros_like(u))

    how: dict[str, Any] = {"method": "L-BFGS-B"}
    if limits is not None:
        keep = {"type": "ineq", "fun": lambda u: -limits(u)[0], "jac": lambda u: -limits(u)[1]}
        how = {"method": "SLSQP", "constraints": [keep]}
    with np.errstate(all="ignore"):
        return value, minimize(value, u, jac=True, bounds=[(0, 1)] * u.size, options={"ftol": 1e-15, **options}, **how)


def polished(function: Quadratic, limits: Limits, u: np.ndarray, scale: float) -> Polished:
    """A local minimum of `function` in the box [0, 1]^n where no limit is positive.

    Where no constraint holds the minimum this ends as `newton` does. Where some do, it is accepted by the conditions of
    Karush, Kuhn and Tucker: the gradient of the Lagrangian vanishes to 1e-8 of `scale` in the directions that no bound
    holds, no multiplier is negative, and there is no negative curvature along the active constraints.
    """
    scale = scale or abs(function(u)[0]) or 1.0
    value, found = descended(lambda u: function(u)[:2], limits, u, scale, maxiter=200)
    start = np.clip(found.x, 0, 1)
    if not (np.isfinite(found.fun) and limits(start)[0].max() <= _ACTIVE and found.fun <= value(u)[0] + 1e-12):
        start = u
    if limits(start)[0].max() < -_ACTIVE:
        free = newton(function, start, scale)
        if limits(free.u)[0].max() <= 0:
            return free
    return _on_active(function, limits, start, scale)


def _on_active(function: Quadratic, limits: Limits, u: np.ndarray, scale: float) -> Polished:
    """Newton's method on the conditions of the optimum with the constraints that are active at u."""
    active = limits(u)[0] > -_ACTIVE
    count = int(active.sum())
    multipliers = np.zeros(count)
    for _ in range(12):
        f, g, H = function(u)
        c, J, K = (x[active] for x in limits(u))
        if not (np.isfinite(f) and np.isfinite(g).all() and np.isfinite(H).all()):
            return Polished(u, f, np.nan, False, "not converged: the merit or a derivative is not a number where the search ended")
        slope = g + J.T @ multipliers
        on = ~(((u <= 0) & (slope > 0)) | ((u >= 1) & (slope < 0)))
        n = int(on.sum())
        L = H + np.tensordot(multipliers, K, 1)
        system = np.block([[L[np.ix_(on, on)], J[:, on].T], [J[:, on], np.zeros((count, count))]])
        answer = np.linalg.lstsq(system, -np.concatenate([g[on], c]), rcond=None)[0]
        step = np.zeros_like(u)
        step[on] = answer[:n]
        multipliers = answer[n:]
        new = np.clip(u + step, 0, 1)
        done = np.abs(new - u).max() < 1e-14
        u = new
        if done:
            break
    f, g, H = function(u)
    c, J, K = limits(u)
    slope = g + J[active].T @ multipliers
    on = ~(((u <= 0) & (slope > 0)) | ((u >= 1) & (slope < 0)))
    norm = float(np.abs(np.where(on, slope, 0)).max())
    L = H + np.tensordot(multipliers, K[active], 1)
    if norm > GRADIENT * scale or c.max() > ALLOWED:
        return Polished(u, f, norm, False, "not converged: the gradient does not balance the constraints")
    if (multipliers < -GRADIENT * scale).any():
        return Polished(u, f, norm, False, "not converged: a constraint that holds the search could be left")
    _, singular, rows = np.linalg.svd(J[active][:, on])
    along = rows[(singular > 1e-12 * max(singular.max(initial=0.0), 1e-300)).sum() :]
    if len(along) and np.linalg.eigvalsh(along @ L[np.ix_(on, on)] @ along.T)[0] < -FLAT * max(np.abs(L).max(), scale):
        return Polished(u, f, norm, False, "not converged: a saddle point along the constraints")
    return Polished(u, float(f), norm, True, "converged")
