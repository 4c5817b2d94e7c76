"""Many starts at once: the compiled programs of an optimisation, and its first stage."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...models.base import Model, sharing
from ...models.compiling import options
from ...models.parameters import assigned
from ...results import failures
from ..batches import filled, shared_out
from ..interrupt import look
from ..store.journal import untracked
from .box import Box, followed
from .constraints import Constraint
from .objective import Objective


class Programs:
    """The compiled functions of one search: what is minimised is a weighted sum of objectives times `sign`.

    Two programs are compiled, at the same time, when the first of them is needed: values and gradients of all starts in
    one batch (reverse mode), shared out among the devices of this process, and value, gradient and Hessian of one point
    (forward over forward mode). Failed solves are NaN in both.

    Args:
        model: the device. objectives: what is summed. box: what varies. starts: the size of the batch.
        sign: 1 to minimise, -1 to maximise. ties: parameter -> the searched one that it is equal to.
        limits: functions of the model that must not be positive. The batch's gradients, not its values, lead back to there.
        weights: of the objectives, one row for each start (starts, k); by default ones.
        second: whether the program of one point has the Hessian.
        journal: keeps the evaluations, or finds them.

    Attributes:
        parts: of the last batch, the value of every objective (starts, k).
    """

    def __init__(
        self,
        model: Model,
        objectives: Sequence[Objective],
        box: Box,
        starts: int,
        sign: int,
        ties: Mapping[str, str],
        limits: Sequence[Constraint],
        *,
        weights: np.ndarray | None = None,
        second: bool = True,
        journal: Callable = untracked,
    ):
        names = box.names

        def at(model, low, high, u):
            s = jnp.where(box.bend == 0, u, jnp.expm1(box.bend * u) / np.expm1(np.where(box.bend == 0, 1.0, box.bend)))
            x = low * (1 - s) + high * s
            varied = assigned(model, dict(zip(names, box.split(x), strict=True)))
            return assigned(varied, followed(varied, ties))

        def loss(model, low, high, weights, u):
            varied = at(model, low, high, u)
            with failures("nan"), sharing():
                parts = jnp.stack([of(varied) for of in objectives])
            # A weight of zero takes a part away also where that part is not a number.
            return sign * jnp.sum(jnp.where(weights == 0, 0.0, weights * parts)), parts

        def led(penalty, model, low, high, weights, u):
            value, parts = loss(model, low, high, weights, u)
            if not limits:
                return value, (value, parts)
            beyond = jnp.maximum(kept(model, low, high, u), 0)
            return value + penalty * jnp.sum(beyond**2), (value, parts)

        def slopes(penalty, model, low, high, weights, us):
            one = jax.value_and_grad(partial(led, penalty, model, low, high), argnums=1, has_aux=True)
            (_, (values, parts)), gradients = jax.vmap(one)(weights, us)
            return values, gradients, parts

        def kept(model, low, high, u):
            with failures("nan"), sharing():
                varied = at(model, low, high, u)
                return jnp.stack([limit(varied) for limit in limits])

        def at_one(model, low, high, weights, u):
            def of(u):
                return loss(model, low, high, weights, u)[0]

            return second_order(of, u) if second else jax.value_and_grad(of)(u)

        self.sign = sign
        self.weights = np.ones((starts, len(objectives))) if weights is None else np.asarray(weights, float)
        devices = jax.local_devices()
        spread, self._sharding = shared_out(slopes, 4, 2, devices)
        self._programs = (spread, at_one)
        self._full = -(-starts // len(devices)) * len(devices)
        self._inputs = (model, box.low, box.high)
        self._size = (starts, len(box.low))
        self._key = (
            jax.tree.structure(model),
            str(jax.tree.map(jax.typeof, jax.tree.leaves(model))),
            tuple(of.key for of in objectives),
            names,
            tuple(sorted(ties.items())),
            tuple(limit.key for limit in limits),
            starts,
            sign,
            second,
            box.bend.tobytes(),
        )
        self._journal = journal
        self.evaluations, self.penalty = 0, 0.0
        self.parts = np.full((starts, len(objectives)), np.nan)
        self._limits = jax.jit(lambda u: (kept(*self._inputs, u), *_twice(partial(kept, *self._inputs), u))) if limits else None
        self._limits_of_many = jax.jit(jax.vmap(partial(kept, *self._inputs))) if limits else None

    def _compiled(self, which: int):
        if self._key not in _compiled:
            # Compiling takes far longer than tracing, and lets other threads run; tracing stays in this one.
            slopes, at_one = self._programs
            pool = concurrent.futures.ThreadPoolExecutor(2)
            u, weights = np.zeros(self._size[1]), self.weights[0]
            many = self._rows(self.weights, np.zeros(self._size))
            first = pool.submit(jax.jit(slopes).lower(0.0, *self._inputs, *many).compile, options())
            second = pool.submit(jax.jit(at_one).lower(*self._inputs, weights, u).compile, options())
            pool.shutdown(wait=False)
            _compiled[self._key] = (first, second)
            while len(_compiled) > 8:
                _compiled.popitem(last=False)
        return _compiled[self._key][which].result()

    def _rows(self, *several: np.ndarray) -> list:
        """Arrays with a row for each start, on the devices that share them."""
        return [filled(x, self._full, self._sharding) for x in several]

    def slopes(self, us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (starts,) and gradients (starts, n) at the points us (starts, n)."""

        look()

        def compute(penalty, weights, us):
            found = jax.device_get(self._compiled(0)(float(penalty), *self._inputs, *self._rows(weights, us)))
            return [values[: len(us)] for values in found]

        values, gradients, self.parts = self._journal("slopes", compute, self.penalty, self.weights, us)
        self.evaluations += len(us)
        return values, gradients

    def limits(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values (k,), Jacobian (k, n) and Hessians (k, n, n) of what must not be positive, at the point u (n,)."""
        look()
        if self._limits is None:
            return np.zeros(0), np.zeros((0, u.size)), np.zeros((0, u.size, u.size))
        limits = self._limits
        return tuple(self._journal("limits", lambda u: jax.device_get(limits(u)), u))

    def allowed(self, us: np.ndarray) -> np.ndarray:
        """At which points us (m, n) nothing is positive that must not be, (m,)."""
        if self._limits_of_many is None:
            return np.ones(len(us), bool)
        limits = self._limits_of_many
        (values,) = self._journal("allowed", lambda us: [jax.device_get(limits(us))], us)
        return np.all(values <= 0, axis=1)

    def one(self, u: np.ndarray, weights: np.ndarray | None = None) -> tuple:
        """Value, gradient (n,) and Hessian (n, n), with `second`, at the point u (n,), with the first start's weights or others (k,)."""

        look()

        def compute(weights, u):
            return jax.device_get(self._compiled(1)(*self._inputs, weights, u))

        found = self._journal("one", compute, self.weights[0] if weights is None else weights, u)
        self.evaluations += 1
        return (float(found[0]), *found[1:])


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


# optax's rules that move every coordinate by its own gradients, so that starts do not mix, and shrink no parameter.
OPTIMIZERS = tuple("adabelief adagrad adam adamax amsgrad lion nadam radam rmsprop rprop sgd sign_sgd yogi".split())


def rule(optimizer, steps: int):
    """The optax transformation of a name, with steps that shrink from a tenth of the box; or a custom one.

    Raises:
        ValueError: neither one of `OPTIMIZERS` nor an `optax.GradientTransformation`.
    """
    import optax

    pace = optax.cosine_decay_schedule(0.1, steps, 0.02)
    if isinstance(optimizer, str) and optimizer == "adam":
        return optax.adam(pace, b1=0.9, b2=0.98, eps=1e-100)
    if isinstance(optimizer, str) and optimizer in OPTIMIZERS:
        return getattr(optax, optimizer)(0.1 if optimizer == "rprop" else pace)
    if isinstance(optimizer, optax.GradientTransformation):
        return optimizer
    raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, or an optax.GradientTransformation, but was {optimizer!r}")


@dataclasses.dataclass
class Search:
    """The first stage: every start follows its gradient in the box, by an optax rule with projection.

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

    def run(
        self,
        slopes: Callable,
        steps: int,
        report: Callable[[int, float], object],
        allowed: Callable | None = None,
        optimizer: Any = "adam",
    ):
        """Evaluate `steps` times and move in between.

        Args:
            slopes: us (starts, n) -> values and gradients.
            allowed: us -> boolean (starts,), which points count; by default all.
            report: called with the number of evaluations of each start and the least value after each.
            optimizer: as of `rule`.
        """
        descent = rule(optimizer, steps)
        update = jax.jit(descent.update)
        us, state, unit = self.points, descent.init(jnp.asarray(self.points)), 1.0
        for step in range(steps):
            values, gradients = slopes(us)
            good = np.isfinite(values) & np.isfinite(gradients).all(axis=1)
            if step == 0 and good.any() and (spread := np.ptp(values[good])) > 0:
                unit = 2.0 ** np.floor(np.log2(spread))  # the steps do not depend on the merit's unit; a power of two rounds nothing
            self._note(us, values, allowed(us) if allowed else True)
            report(step + 1, float(self.best.min()))
            move, state = update(np.where(good[:, None], gradients, 0.0) / unit, state, us)
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


# The least and the largest count that makes sense, and fits a memory.
_COUNTS: dict[str, tuple[int, float]] = {
    "starts": (1, 1e5),
    "steps": (1, 1e6),
    "samples": (2, 1e7),
    "seed": (0, np.inf),
}


def counted(**given):
    """Raises ValueError unless each of starts, steps, samples and seed that is given is an integer in its range."""
    for name, count in given.items():
        least, most = _COUNTS[name]
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < least:
            raise ValueError(f"{name} must be an integer of at least {least}, but was {count!r}")
        if count > most:
            raise ValueError(f"{name} must be at most {most:.0f}, but was {count}")


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
