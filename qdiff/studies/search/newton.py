"""Newton's method in a box: from a good point to the optimum, with an honest account of whether it is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

# u (n,) -> value, gradient (n,), Hessian (n, n) of what is minimised.
Quadratic = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]

GRADIENT = 1e-8  # of the scale of the values: a gradient below it vanishes
_LOOSE = 1e-5  # of the scale: a gradient that may stay where values no longer resolve a step
_ROUNDING = 1e-11  # of the value: a predicted change below it says nothing
_PROBE = 1e-5  # how far from the optimum the gradient is compared with its own derivative
FLAT = 1e-6  # of the largest curvature, or of the scale: a curvature below it is none
_POLE = 1e9  # in scales: a value beyond it is running away
_STEP = 1e-12  # the smallest step


@dataclasses.dataclass
class Polished:
    """Where a polish ended.

    Attributes:
        u: the point (n,). value: there. gradient_norm: largest entry of the gradient in the directions that are
            free [value per unit of u]. converged: whether u is a local optimum of the box. message: why (not).
    """

    u: np.ndarray
    value: float
    gradient_norm: float
    converged: bool
    message: str


def newton(function: Quadratic, u: np.ndarray, scale: float, iterations: int = 100) -> Polished:
    """A local minimum of a smooth function in the box [0, 1]^n, by Newton's method with a trust region.

    Each step minimises the quadratic model within the trust radius (so that it leaves saddles along directions of
    negative curvature), in the variables that no bound holds; a variable that reaches its bound is put on it exactly.
    The minimum is accepted where the free gradient is below 1e-8 of `scale`, no curvature is negative, and the
    gradient nearby is what its derivative says: at a kink it is not.

    Args:
        function: value, gradient and Hessian. u: where to start, (n,).
        scale: how much the values vary over the box; if 0, the gradient at u (or the value) takes its place.

    Returns:
        `Polished`.
    """
    u = np.asarray(u, float)
    f, g, H = _sane(function(u))
    if not np.isfinite(f) or np.isnan(g).any():
        return Polished(u, f, np.nan, False, "not converged: the merit or its gradient is not a number where the search ended")
    first, radius, undefined = f, 0.1, False
    scale = scale or free_norm(u, g) or abs(f)
    for _ in range(iterations):
        small = GRADIENT * scale + 1e-14 * abs(f)
        norm = free_norm(u, g)
        if first - f > _POLE * scale:
            return Polished(u, f, norm, False, "not converged: the merit grows without bound here, as at a pole")
        step = _step(u, g, H, radius)
        if norm <= small and _least_curvature(u, g, H) >= -FLAT * max(np.abs(H).max(), scale):
            new = _sane(function(u + step))
            if np.isfinite(new[0]) and new[0] <= f + _rounding(f, scale) and free_norm(u + step, new[1]) < norm:
                u, (f, g, H) = u + step, new
            return _verified(function, u, f, g, H, scale)
        predicted = g @ step + step @ H @ step / 2
        new = _sane(function(u + step))
        nan = not np.isfinite(new[0]) or bool(np.isnan(new[1]).any())
        undefined = nan or (undefined and radius < 1e-3)
        if -predicted < _rounding(f, scale):  # values do not tell any more; the gradient may
            if not nan and free_norm(u + step, new[1]) < norm / 2 and new[0] <= f + _rounding(f, scale):
                u, (f, g, H) = u + step, new
                continue
            if norm <= _LOOSE * scale and _least_curvature(u, g, H) >= -FLAT * max(np.abs(H).max(), scale):
                return _verified(function, u, f, g, H, scale)
        ratio = -1.0 if nan else (f - new[0]) / max(-predicted, 1e-300)
        length = np.linalg.norm(step)
        if ratio < 0.25:
            radius = length / 4
        elif ratio > 0.75 and length > 0.9 * radius:
            radius = min(2 * radius, 1.0)
        if ratio > 1e-3:
            u, (f, g, H) = u + step, new
        if radius < _STEP:
            why = "the merit is not a number beyond this point" if undefined else "the merit has a kink here (|.| or max)"
            return Polished(u, f, free_norm(u, g), False, f"not converged: the gradient does not vanish, yet no step is better; {why}")
    return Polished(u, f, free_norm(u, g), False, f"not converged: the gradient still changes after {iterations} Newton steps")


def free_norm(u, g) -> float:
    """The largest entry of the gradient in the directions that no bound holds."""
    return float(np.max(np.abs(np.where(_held(u, g), 0, g))))


def _rounding(f, scale) -> float:
    return _ROUNDING * max(abs(f), scale)


def _held(u, g):
    return ((u <= 0) & (g > 0)) | ((u >= 1) & (g < 0))


def free(u, g) -> np.ndarray:
    """The variables that no bound holds, boolean (n,)."""
    return ~_held(u, g)


def _least_curvature(u, g, H) -> float:
    on = free(u, g)
    return float(np.linalg.eigvalsh(H[np.ix_(on, on)])[0]) if on.any() else 0.0


def _sane(found):
    """Infinite slopes as very large ones, and curvatures that are not finite as none: a slope may be infinite at a bound."""
    f, g, H = (np.asarray(x, float) for x in found)
    return float(f), np.clip(g, -1e100, 1e100), np.where(np.isfinite(H), H, 0.0)


def _step(u, g, H, radius) -> np.ndarray:
    """The step within the radius and the box that the quadratic model likes best, of two candidates."""

    def model(p):
        return g @ p + p @ H @ p / 2

    return min((_newton_step(u, g, H, radius), _gradient_step(u, g, H, radius)), key=model)


def _gradient_step(u, g, H, radius) -> np.ndarray:
    """Along the projected gradient, as far as the model decreases."""
    d = np.where(_held(u, g), 0, -g)
    norm = np.linalg.norm(d)
    if norm == 0:
        return np.zeros_like(u)
    d = d / norm
    curvature = d @ H @ d
    length = radius if curvature <= 0 else min(radius, norm / curvature)
    return _inside(u, length * d)


def _newton_step(u, g, H, radius) -> np.ndarray:
    """The trust-region step in the free variables; those that meet a bound are put there and the rest is solved again."""
    p, fixed = np.zeros_like(u), _held(u, g)
    while not fixed.all():
        free = ~fixed
        p[free] = trust_region(g[free] + H[np.ix_(free, fixed)] @ p[fixed], H[np.ix_(free, free)], radius)
        outside = free & ((u + p < 0) | (u + p > 1))
        if not outside.any():
            break
        p[outside] = np.where(p[outside] < 0, -u[outside], 1 - u[outside])
        fixed |= outside
    return _inside(u, p)


def _inside(u, p):
    """The step, ending in the box: on a bound exactly where it reaches or nearly reaches it."""
    end = np.clip(u + p, 0, 1)
    end = np.where((end < 1e-14) & (p < 0), 0.0, np.where((end > 1 - 1e-14) & (p > 0), 1.0, end))
    return end - u


def trust_region(g, H, radius) -> np.ndarray:
    """argmin of g p + p H p / 2 with |p| <= radius, for any symmetric H (More and Sorensen, by eigenvectors)."""
    values, vectors = np.linalg.eigh(H)
    c = vectors.T @ g
    tiny = 1e-14 * max(np.abs(values).max(), 1e-300)

    def at(shift):
        with np.errstate(all="ignore"):
            return np.where(c == 0, 0.0, -c / np.maximum(values + shift, tiny))

    def length(shift):
        with np.errstate(over="ignore"):  # without any curvature a step may be longer than numbers are
            return np.linalg.norm(at(shift))

    if values[0] > tiny and length(0.0) <= radius:
        return vectors @ at(0.0)
    low = max(0.0, -values[0])
    if length(low) <= radius:  # the hard case: nothing pulls along the lowest eigenvector
        p = at(low)
        if values[0] < 0:
            p[0] = np.copysign(np.sqrt(max(radius**2 - p[1:] @ p[1:], 0.0)), -c[0])
        return vectors @ p
    high = low + np.linalg.norm(g) / radius
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if length(middle) > radius else (low, middle)
    return vectors @ at(high)


def _verified(function, u, f, g, H, scale) -> Polished:
    """The optimum, unless the gradient next to it is not what its own derivative says."""
    norm = free_norm(u, g)
    allowed = 0.2 * _PROBE * np.abs(H).max() + 1e-6 * scale
    for i in range(u.size):
        for side in (-_PROBE, _PROBE):
            p = np.zeros_like(u)
            p[i] = side
            if not 0 <= u[i] + side <= 1:
                continue
            there, slope, _ = function(u + p)
            if there < f - _rounding(f, scale):
                return Polished(u, f, norm, False, "not converged: the gradient vanishes, yet a point nearby is better; a kink or a jump")
            if not (np.isfinite(there) and np.isfinite(slope).all()):
                return Polished(u, f, norm, False, "not converged: the merit is not a number right beside the optimum")
            jump = np.abs(slope - g - H @ p)
            if u[i] in (0.0, 1.0) and slope[i] * side > -allowed * _PROBE:
                jump[i] = 0  # a bound holds this variable, whatever the slope
            if np.any(jump > allowed):
                return Polished(u, f, norm, False, "not converged: the optimum is a kink of the merit (|.| or max), which has no gradient")
    return Polished(u, f, norm, True, "converged")
