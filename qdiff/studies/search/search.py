"""Many starts at once: the first stage of a search, and what its settings must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
