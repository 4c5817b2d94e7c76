"""Many starts at once: the compiled programs of an optimisation, and its first stage."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..models.base import Model, sharing
from ..solvers.steady import failures
from .bounds import Box

# At the first of XLA's levels both programs run as fast as at its default, and compile in four fifths of the time.
_COMPILER: dict[str, Any] = {"xla_backend_optimization_level": 1}


class Programs:
    """The compiled functions of one search: what is minimised is the figure times `sign`.

    Two programs are compiled, at the same time: value and gradient of all starts in one batch (reverse mode), and
    value, gradient and Hessian of one point (forward over forward mode). Failed solves are NaN in both.

    Args:
        model: the device. figure: name of a scalar figure. box: what varies. starts: the size of the batch.
        sign: 1 to minimise, -1 to maximise. ties: parameter -> the searched one that it is equal to.
        limits: functions of the model that must not be positive. The batch's gradients, not its values, lead back to there.

    Raises:
        ValueError: the figure is not a real scalar.
    """

    def __init__(self, model: Model, figure: str, box: Box, starts: int, sign: int, ties: Mapping[str, str], limits: Sequence[Callable]):
        names = box.names
        followed = [*names, *ties]

        def at(model, low, high, u):
            s = jnp.where(box.bend == 0, u, jnp.expm1(box.bend * u) / np.expm1(np.where(box.bend == 0, 1.0, box.bend)))
            x = low * (1 - s) + high * s
            values = dict(zip(names, box.split(x), strict=True))
            values |= {name: values[leader] for name, leader in ties.items()}
            return eqx.tree_at(lambda m: [getattr(m, name) for name in followed], model, list(values.values()))

        def loss(model, low, high, u):
            varied = at(model, low, high, u)
            with failures("nan"), sharing():
                value = jnp.asarray(getattr(varied, figure)())
            if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
                what = f"{figure} has shape {value.shape} and type {value.dtype}"
                raise ValueError(f"figure must be a real number to be optimized, but {what}")
            return sign * value

        def led(weight, model, low, high, u):
            value = loss(model, low, high, u)
            if not limits:
                return value, value
            beyond = jnp.maximum(kept(model, low, high, u), 0)
            return value + weight * jnp.sum(beyond**2), value

        def slopes(weight, model, low, high, us):
            (_, values), gradients = jax.vmap(jax.value_and_grad(partial(led, weight, model, low, high), has_aux=True))(us)
            return values, gradients

        def kept(model, low, high, u):
            with failures("nan"), sharing():
                return jnp.stack([jnp.asarray(f(at(model, low, high, u)), float).reshape(()) for f in limits])

        def curvature(model, low, high, u):
            return second_order(partial(loss, model, low, high), u)

        self.sign = sign
        self._inputs = (model, box.low, box.high)
        self._size = (starts, len(box.low))
        self._key = (
            jax.tree.structure(model),
            str(jax.tree.map(jax.typeof, jax.tree.leaves(model))),
            figure,
            names,
            tuple(sorted(ties.items())),
            tuple(limits),
            starts,
            sign,
            box.bend.tobytes(),
        )
        if self._key not in _compiled:
            # Compiling takes far longer than tracing, and lets other threads run; tracing stays in this one.
            pool = concurrent.futures.ThreadPoolExecutor(2)
            first = pool.submit(jax.jit(slopes).lower(0.0, *self._inputs, np.zeros(self._size)).compile, _COMPILER)
            second = pool.submit(jax.jit(curvature).lower(*self._inputs, np.zeros(len(box.low))).compile, _COMPILER)
            pool.shutdown(wait=False)
            _compiled[self._key] = (first, second)
            while len(_compiled) > 8:
                _compiled.popitem(last=False)
        self._slopes, self._curvature = _compiled[self._key]
        self.evaluations, self.weight = 0, 0.0
        self._limits = jax.jit(lambda u: (kept(*self._inputs, u), *_twice(partial(kept, *self._inputs), u))) if limits else None
        self._limits_of_many = jax.jit(jax.vmap(partial(kept, *self._inputs))) if limits else None

    def slopes(self, us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (starts,) and gradients (starts, n) at the points us (starts, n)."""
        out = jax.device_get(self._slopes.result()(self.weight, *self._inputs, us))
        self.evaluations += len(us)
        return out

    def limits(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values (k,), Jacobian (k, n) and Hessians (k, n, n) of what must not be positive, at the point u (n,)."""
        return jax.device_get(self._limits(u)) if self._limits else (np.zeros(0), np.zeros((0, u.size)), np.zeros((0, u.size, u.size)))

    def allowed(self, us: np.ndarray) -> np.ndarray:
        """At which points us (m, n) nothing is positive that must not be, (m,)."""
        return np.all(jax.device_get(self._limits_of_many(us)) <= 0, axis=1) if self._limits_of_many else np.ones(len(us), bool)

    def curvature(self, u: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient (n,) and Hessian (n, n) at the point u (n,)."""
        out = jax.device_get(self._curvature.result()(*self._inputs, u))
        self.evaluations += 1
        return out


def _twice(function, u):
    return jax.jacfwd(function)(u), jax.jacfwd(jax.jacfwd(function))(u)


# The programs of the last few searches, for the next one on the same structure; the parameters are their inputs.
_compiled: collections.OrderedDict = collections.OrderedDict()


def second_order(f, u):
    """Value, gradient and Hessian, forward over forward: compiled twice as fast as forward over reverse."""
    eye = jnp.eye(u.size)

    def first(u):
        return jax.vmap(lambda t: jax.jvp(f, (u,), (t,)), out_axes=(None, 0))(eye)

    def second(t):
        (value, gradient), (_, row) = jax.jvp(first, (u,), (t,))
        return value, gradient, row

    value, gradient, H = jax.vmap(second, out_axes=(None, None, 0))(eye)
    return value, gradient, (H + H.T) / 2


@dataclasses.dataclass
class Search:
    """The first stage: every start follows its gradient in the box, with Adam and projection.

    A start whose value or gradient is not a number goes halfway back to its best point (and stays where it is if
    it has none), without touching the others.

    Attributes:
        first: values (starts,) where they began. best: the least value of each so far; inf if there is none.
        where: (starts, n), the point of `best`. history: the values (starts,) of each step.
    """

    points: np.ndarray
    first: np.ndarray = dataclasses.field(init=False)
    best: np.ndarray = dataclasses.field(init=False)
    where: np.ndarray = dataclasses.field(init=False)
    history: list[np.ndarray] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.best = np.full(len(self.points), np.inf)
        self.first = np.full(len(self.points), np.nan)
        self.where = self.points.copy()

    def run(self, slopes: Callable, steps: int, report: Callable[[int, float], object], allowed: Callable | None = None):
        """Evaluate `steps` times and move in between.

        Args:
            slopes: us (starts, n) -> values and gradients.
            allowed: us -> boolean (starts,), which points count; by default all.
            report: called with the number of evaluations of each start and the least value after each.
        """
        import optax

        rule = optax.adam(optax.cosine_decay_schedule(0.1, steps, 0.02), b1=0.9, b2=0.98, eps=1e-100)
        update = jax.jit(rule.update)
        us, state = self.points, rule.init(jnp.asarray(self.points))
        for step in range(steps):
            values, gradients = slopes(us)
            good = np.isfinite(values) & np.isfinite(gradients).all(axis=1)
            self._note(us, values, allowed(us) if allowed else True)
            report(step + 1, float(self.best.min()))
            move, state = update(np.where(good[:, None], gradients, 0.0), state)
            back = (us + self.where) / 2
            us = np.where(good[:, None], np.clip(us + np.asarray(move), 0, 1), back)

    def _note(self, us, values, allowed):
        if not self.history:
            self.first = values
        self.history.append(values)
        better = np.isfinite(values) & (values < self.best) & allowed
        self.best = np.where(better, values, self.best)
        self.where = np.where(better[:, None], us, self.where)

    @property
    def scale(self) -> float:
        """How much the values vary over the box: from the least value to the median of where the starts began."""
        known = self.first[np.isfinite(self.first)]
        return float(np.median(known) - min(self.best.min(), known.min())) if known.size else 0.0

    def candidates(self, count: int, apart: float = 0.03) -> list[np.ndarray]:
        """The best points, at most `count`, no two closer than `apart`."""
        chosen: list[np.ndarray] = []
        for k in np.argsort(self.best, kind="stable"):
            if np.isfinite(self.best[k]) and all(np.abs(self.where[k] - c).max() > apart for c in chosen):
                chosen.append(self.where[k])
        return chosen[:count]


def screened(slopes: Callable, starts: int, n: int, seed: int, times: int) -> np.ndarray:
    """Points (starts, n) to start from: of `times` as many that fill the box evenly, those with the least values."""
    points = spread(starts * times, n, seed)
    if times == 1:
        return points
    values = np.concatenate([slopes(points[k : k + starts])[0] for k in range(0, len(points), starts)])
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")
    return points[order[:starts]]


def spread(starts: int, n: int, seed: int) -> np.ndarray:
    """Points (starts, n) that fill the box evenly: a scrambled Sobol sequence."""
    from scipy.stats import qmc

    return qmc.Sobol(n, rng=seed).random_base2(max(starts - 1, 1).bit_length())[:starts]
