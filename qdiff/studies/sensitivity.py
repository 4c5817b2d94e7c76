"""How a figure of merit answers to its parameters: derivatives, elasticities, error bars, and where there is no derivative."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from ..models.base import Merit, Model, known_name
from ..results import SolveError
from .batches import filled
from .search.parameters import Flat, by_label
from .search.programs import second_order
from .search.search import counted

# Steps for one-sided slopes, relative to the parameter: the merits' 1e-11 then is 1e-7 of a slope.
_STEP, _SHORTER = 1e-3, 8.0
_POINTS = 256  # in one call of the compiled batch


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """What `sensitivity` found of a figure of merit F of the parameters x.

    Attributes:
        merit: F's name, symbol and unit. value: F.
        labels: of the coordinates, (n,): parameter names, and "name[k]" of arrays. at: their values (n,).
        derivative: dF/dx (n,). elasticity: (x/F) dF/dx (n,), NaN where F is zero.
        second: d2F/dx2 (n,). interaction: all second derivatives (n, n).
        sigma: the standard deviations that were given (n,), zero where none.
        error_linear: the standard deviation of F that follows, sqrt(sum (dF/dx sigma)^2). share: of its square (n,).
        error_sampled, mean_sampled: standard deviation and mean of F over the samples, None if no uncertainty was given.
        samples: how many samples they are of. lost: how many others were not physical or had no solution.
        remarks: label -> where the derivative is one-sided, jumps, grows without bound or does not exist.
        warning: why the model's results are to be taken with care at these parameters, None if there is no reason.
    """

    merit: Merit
    value: float
    labels: tuple[str, ...]
    at: np.ndarray
    derivative: np.ndarray
    elasticity: np.ndarray
    second: np.ndarray
    interaction: np.ndarray
    sigma: np.ndarray
    error_linear: float
    share: np.ndarray
    error_sampled: float | None
    mean_sampled: float | None
    samples: int
    lost: int
    remarks: dict[str, str]
    warning: str | None = None

    @property
    def ranking(self) -> tuple[str, ...]:
        """The labels, most important first: by what they add to the error bar, or by their elasticity if none was asked for."""
        weight = np.abs(self.derivative * self.sigma) if self.sigma.any() else np.abs(self.elasticity)
        if np.isnan(weight).all():  # F is zero
            weight = np.abs(self.derivative * self.at)
        return tuple(self.labels[k] for k in np.argsort(-np.nan_to_num(weight, nan=-1.0), kind="stable"))

    def record(self) -> dict[str, Any]:
        """The result as plain numbers, words and dictionaries by label."""
        columns = {name: getattr(self, name) for name in ("at", "derivative", "elasticity", "second", "sigma", "share")}
        rows = [dict(zip(self.labels, row.tolist(), strict=True)) for row in self.interaction]
        return {
            "merit": self.merit.name,
            "value": self.value,
            "parameters": {label: {name: float(v[k]) for name, v in columns.items()} for k, label in enumerate(self.labels)},
            "interaction": dict(zip(self.labels, rows, strict=True)),
            **{name: getattr(self, name) for name in ("error_linear", "error_sampled", "mean_sampled", "samples", "lost", "remarks")},
            "ranking": list(self.ranking),
            "warning": self.warning,
        }


def sensitivity(
    model: Model,
    merit: str,
    parameters: Iterable[str] | str | None = None,
    *,
    uncertainty: Mapping[str, Any] | None = None,
    samples: int = 1024,
    seed: int = 0,
) -> Sensitivity:
    """How a figure of merit answers to its parameters, one by one and in pairs, and its error bar.

    First and second derivatives are exact (implicit differentiation of every solve). The error bar comes twice: from
    the derivative, and from `samples` independent normal draws, which also shows what is not linear; their standard
    deviation is itself uncertain by 1/sqrt(2 samples) of it.

    Args:
        model: the device. merit: the name of a figure of merit, a real number.
        parameters: names of the parameters to look at; by default all that vary continuously. Arrays count by entry.
        uncertainty: name -> standard deviation in the parameter's unit (of an array: one, or one for each entry).
        samples, seed: of the sampled error bar.

    Returns:
        `Sensitivity`. Its `remarks` say where a derivative is one-sided (the parameter is on the edge of what is physical),
        jumps (|.|, max), grows without bound or is not a number. They compare slopes over steps of 1e-3 and 1.25e-4 of
        the parameter: a kink that is further away, or a jump of the slope below a thousandth of it, is not seen.

    Raises:
        ValueError: an unknown name, a figure of merit that is no real number, an uncertainty that is not positive.
        SolveError: the figure of merit itself cannot be solved for.

    Example:
        >>> import qdiff as qd
        >>> found = qd.sensitivity(qd.models.LambdaSystem(), "force", uncertainty={"T1": 0.01, "T2": 0.02})
        >>> dict(zip(found.labels, found.elasticity.round(3).tolist()))["rate"]  # the force is proportional to rate^2
        2.0
        >>> abs(found.error_sampled / found.error_linear - 1) < 0.1, found.ranking[0]
        (True, 'T2')
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a Model such as qdiff.models.RotorEngine(), but was {type(model).__name__}")
    kind = type(model)
    about = kind.merits()[known_name(merit, kind.merits(), "figure of merit", kind.__name__)]
    counted(samples=samples, seed=seed)
    flat = Flat.of(model, parameters)
    sigma = by_label(flat, uncertainty, "uncertainty")
    function = flat.merit(merit)
    value, slope, H = (np.asarray(v) for v in jax.jit(lambda x: second_order(function, x))(flat.x0))
    if not np.isfinite(value):
        raise SolveError(f"{merit} is not a finite number at these parameters; `evaluate` says why")

    batch = _batched(function)
    remarks = _remarks(flat, batch, float(value), slope, sigma)
    contributions = np.abs(np.where(sigma > 0, slope, 0.0) * sigma)
    largest = float(contributions.max())
    linear = largest * float(np.linalg.norm(contributions / largest)) if 0 < largest < np.inf else largest  # squares may overflow
    spread, mean, used = None, None, 0
    if sigma.any():
        with np.errstate(over="ignore"):  # a point that is not finite has no value
            points = flat.x0 + sigma * np.random.default_rng(seed).normal(size=(samples, len(flat.x0)))
        drawn = batch(points[~flat.outside(points)])
        drawn = drawn[np.isfinite(drawn)]
        used = drawn.size
        spread, mean = (float(drawn.std(ddof=1)), float(drawn.mean())) if used > 1 else (np.nan, np.nan)
    return Sensitivity(
        merit=about,
        value=float(value),
        labels=flat.labels,
        at=flat.x0,
        derivative=slope,
        elasticity=flat.x0 * slope / value if value != 0 else np.full_like(slope, np.nan),
        second=np.diagonal(H).copy(),
        interaction=H,
        sigma=sigma,
        error_linear=linear,
        share=(contributions / linear) ** 2 if linear else np.zeros_like(sigma),
        error_sampled=spread,
        mean_sampled=mean,
        samples=used,
        lost=(samples - used) if sigma.any() else 0,
        remarks=remarks,
        warning=model.warnings({}).get("warning"),
    )


def _batched(function: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """The function of points (m, n), in calls of one size, so that one program is compiled."""
    program = jax.jit(jax.vmap(function))

    def values(points: np.ndarray) -> np.ndarray:
        parts = [points[k : k + _POINTS] for k in range(0, len(points), _POINTS)]
        found = [np.asarray(program(filled(part, _POINTS, None)))[: len(part)] for part in parts]
        return np.concatenate([np.zeros(0), *found])

    return values


def _remarks(flat: Flat, batch, value: float, slope: np.ndarray, sigma: np.ndarray) -> dict[str, str]:
    """label -> what is wrong with the derivative in that direction, if anything."""
    n = len(flat.x0)
    size = np.maximum(np.where(flat.x0 != 0, np.abs(flat.x0), np.where(sigma > 0, sigma, 1.0)), 1e-280)  # a step is not zero
    steps = np.array([1, 1 / _SHORTER, -1, -1 / _SHORTER])[:, None] * _STEP * size
    points = np.broadcast_to(flat.x0, (4, n, n)) + steps[:, :, None] * np.eye(n)
    inside = ~flat.outside(points)
    changes = np.where(inside, batch(np.where(inside[..., None], points, flat.x0).reshape(-1, n)).reshape(4, n) - value, np.nan)
    right, right_near, left, left_near = changes / steps
    out: dict[str, str] = {}
    for k, label in enumerate(flat.labels):
        noise = 1e-10 * abs(value) / (_STEP / _SHORTER * size[k])
        text = _remark(slope[k], (left[k], left_near[k]), (right[k], right_near[k]), inside[:, k], noise)
        if text:
            out[label] = text
    return out


def _remark(slope: float, left, right, inside, noise: float) -> str:
    below, above = bool(inside[2:].all()), bool(inside[:2].all())
    sides = [s for s, there in ((left, below), (right, above)) if there]
    if not sides or not np.isfinite(sides).all():
        return "" if np.isfinite(slope) else "the derivative is not a finite number"
    large = max(abs(s[1]) for s in sides)
    growing = any(abs(near) > max(2 * abs(far), 10 * noise) for far, near in sides)
    if growing and not abs(slope) < 2 * large:
        return f"the slope grows without bound towards this point: {sides[-1][0]:.3g}, then {sides[-1][1]:.3g} {_SHORTER:g} times closer"
    if len(sides) == 2:
        far, near = right[0] - left[0], right[1] - left[1]
        if abs(near) > 0.5 * abs(far) and abs(near) > max(10 * noise, 1e-3 * large):
            return f"the slope jumps: {left[1]:.6g} below, {right[1]:.6g} above"
    if not np.isfinite(slope):
        return f"the derivative is not a finite number, though slopes of differences are: {' and '.join(f'{s[1]:.6g}' for s in sides)}"
    if len(sides) == 1:
        return "one-sided: the parameter is on the edge of what is physical"
    return ""
