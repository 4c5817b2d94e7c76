"""What a device gains in one figure of merit by giving up another: the best of every weighted sum of the two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..models.base import Model
from ..results import SolveError
from .batches import filled
from .interrupt import Interrupted, ending, kept_search
from .processes import led
from .recomputed import check_search
from .search.newton import Polished
from .search.problem import Problem
from .search.programs import Programs
from .search.search import Search, spread
from .store.journal import Journal
from .store.provenance import numbers
from .store.tradeoff_files import Tradeoff

_SO_FAR = "interrupted: this is the best so far"
_MOST = 100_000  # points in one batch
_ROUNDS = 4  # how often every weight may begin again at what another one has found


@led
def tradeoff(
    model: Model,
    merit: str | Mapping[str, float] | Callable,
    other: str | Mapping[str, float] | Callable,
    over: Mapping[str, tuple[float, float]] | None = None,
    *,
    weights: int | Iterable[float] = 21,
    ties: Mapping[str, str] | None = None,
    constraints: Iterable[str | Callable] | str | None = None,
    starts: int = 4,
    seed: int = 0,
    steps: int = 60,
    optimizer: Any = "adam",
    out: str | os.PathLike | None = None,
    resume: bool = False,
    callback: Callable[[int, float], object] | None = None,
) -> Tradeoff:
    """The parameters at which alpha F + (1 - alpha) G is largest, for all alpha at once.

    max over low <= x <= high of alpha F(x) + (1 - alpha) G(x), 0 <= alpha <= 1. All starts of all alpha follow their
    gradients as one compiled batch; each alpha then takes the best that any of them found, by Newton's method. The points
    lie on the convex part of the front of best compromises; where the front is hollow the curve jumps over it.

    Args:
        model, over, ties, constraints, starts (of each alpha), seed, steps, optimizer, out, resume: as of `optimize`.
        merit, other: F and G, as of `optimize`; to make one small, give a formula such as "-heat_flow".
        weights: how many alpha, evenly from 0 to 1, or their values.
        callback: called after each step with the number of steps done and the best sum so far of any alpha.

    Returns:
        `Tradeoff`.

    Raises:
        ValueError: as of `optimize`; weights outside 0 to 1.
        SolveError: there is no point at which both figures of merit are finite and nothing is forbidden.
        KeyboardInterrupt: as of `optimize`, with a `Tradeoff` as `best`.

    Example:
        >>> import qdiff as qd
        >>> class Ridge(qd.Model):
        ...     x: float = qd.parameter(0.0)
        ...
        ...     @qd.merit(symbol="f", unit="1", source="a parabola")
        ...     def left(self):
        ...         "Best at 0."
        ...         return 1 - self.x**2
        ...
        ...     @qd.merit(symbol="g", unit="1", source="a parabola")
        ...     def right(self):
        ...         "Best at 1."
        ...         return 1 - (self.x - 1) ** 2
        >>> curve = qd.tradeoff(Ridge(), "left", "right", {"x": (-1, 2)}, weights=[0.25, 0.5])
        >>> curve.parameters["x"].round(9).tolist(), curve.values.round(9).tolist()
        ([0.75, 0.5], [[0.4375, 0.9375], [0.75, 0.75]])
    """
    problem = Problem.of(
        model, [merit, other], over, ties, constraints, starts=starts, seed=seed, steps=steps, optimizer=optimizer
    )
    alpha = _alphas(weights)
    if len(alpha) * starts > _MOST:
        raise ValueError(f"weights must be so few that `starts` of each are at most {_MOST} points, but there are {len(alpha)} of {starts}")
    first, second = (of.about for of in problem.sought)
    record = problem.record("tradeoff", merits=[first.name, second.name], weights=numbers(alpha))
    journal = Journal.of(out, record, resume)
    check_search(journal, problem)

    box, W = problem.box, np.stack([alpha, 1 - alpha], axis=1)
    rows = np.repeat(W, starts, axis=0)
    programs = Programs(problem, -1, rows, journal)
    search: Search | None = None
    best: list[Polished | None] = [None] * len(alpha)

    def result(ends: list[Polished], parts: np.ndarray) -> Tradeoff:
        columns = [box.named(end.u) for end in ends]
        return Tradeoff(
            merits=(first, second),
            weights=alpha,
            values=parts,
            parameters={name: np.array([column[name] for column in columns]) for name in box.names},
            converged=np.array([end.converged for end in ends]),
            messages=[end.message for end in ends],
            efficient=_efficient(parts),
            at_bound=[box.touched(end.u) for end in ends],
            ties=problem.ties,
            bounds=box.bounds,
            model=problem.model,
            evaluations=programs.evaluations,
        )

    def interrupted() -> Interrupted:
        """What there is, without a program that was not compiled before."""
        half = None
        if search is not None and np.isfinite(search.best).any():
            points = np.stack([*search.where[np.isfinite(search.best)], *(end.u for end in best if end is not None)])
            points = np.unique(points, axis=0)[: len(rows)]
            parts = _parts(programs, points)
            known = np.isfinite(parts).all(axis=1)
            if known.any():
                lead = [int(np.argmax(np.where(known, parts @ w, -np.inf))) for w in W]
                half = result([Polished(points[k], np.nan, np.nan, False, _SO_FAR) for k in lead], parts[lead])
                journal.save(half.save)
        return kept_search(out, Journal.NAME, half, "of each weight" if out is not None else "the curve `best` of this exception")

    with ending(interrupted):
        search = Search(spread(len(rows), len(box.low), seed))
        values = programs.slopes(search.points)[0]
        initial = programs.parts[np.isfinite(programs.parts).all(axis=1)]
        if problem.limits:
            programs.punish(values)
        report = (lambda step, value: callback(step, -value)) if callback else lambda *_: None
        search.run(programs.slopes, steps, report, programs.allowed, optimizer)
        parts = _parts(programs, search.where)
        known = np.isfinite(search.best) & np.isfinite(parts).all(axis=1)
        points, parts = search.where[known], parts[known]
        if not len(points):
            both = f"{first.name} and {second.name}"
            if problem.limits and np.isfinite(search.history).any():
                raise ValueError(f"{both} are finite and allowed at none of the points tried: change `over`")
            journal.remove()
            raise SolveError(f"{both} are both finite at none of the points tried: narrow the bounds `over`, or take more starts")

        for _ in range(_ROUNDS):
            changed = False
            for k, w in enumerate(W):
                sums = parts @ w
                lead, own = int(np.nanargmax(sums)), best[k]
                scale = abs(float(sums[lead] - np.median(initial @ w))) if len(initial) else 0.0
                if own is not None and sums[lead] <= -own.value + 1e-10 * max(scale, abs(own.value)):
                    continue
                found = programs.polish(points[lead], scale, w)
                if own is None or found.value < own.value:
                    best[k], changed = found, True
            points = np.stack([found.u for found in best if found is not None])
            parts = _parts(programs, points)
            if not changed:
                break
        whole = result([found for found in best if found is not None], parts)
        journal.save(whole.save)
        return whole


def _alphas(weights) -> np.ndarray:
    """The values of alpha in order."""
    if isinstance(weights, (int, np.integer)) and not isinstance(weights, bool):
        if weights < 2:
            raise ValueError(f"weights must be at least 2 values of alpha, or a list of them, but was {weights}")
        if weights > _MOST:
            raise ValueError(f"weights must be at most {_MOST} values of alpha, but was {weights}")
        return np.linspace(0, 1, weights)
    try:
        alpha = np.unique(np.asarray(weights, float))
    except (TypeError, ValueError):
        alpha = np.array([np.nan])
    if alpha.ndim != 1 or not alpha.size or not ((alpha >= 0) & (alpha <= 1)).all():
        raise ValueError(f"weights must be a count or numbers from 0 to 1, but was {weights!r}")
    return alpha


def _parts(programs: Programs, points: np.ndarray) -> np.ndarray:
    """Both merits at points (m, n), at most as many as the batch has rows: (m, 2)."""
    programs.slopes(filled(points, len(programs.weights), None))
    return programs.parts[: len(points)]


def _efficient(values: np.ndarray) -> np.ndarray:
    """Which rows (n, 2) no other row reaches in both columns and surpasses in one by more than rounding."""
    beyond = values[None] - values[:, None]
    slack = 1e-9 * np.maximum(np.ptp(values, axis=0), 1e-300)
    return ~np.any((beyond > -slack).all(axis=2) & (beyond > slack).any(axis=2), axis=1)
