"""What a device gains in one figure of merit by giving up another: the best of every weighted sum of the two."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..models.base import Merit, Model
from ..results import SolveError
from .interrupt import Interrupted, ending, kept_search
from .processes import led
from .recomputed import check_search
from .search.box import Box, prepared, tied
from .search.constraints import constraints_of
from .search.newton import Polished, newton
from .search.objective import objective
from .search.search import Programs, Search, counted, rule, spread
from .search.sqp import polished
from .store.journal import Journal, kept, writing
from .store.provenance import model_record, numbers, roles

_PENALTY = 1e3  # how much a constraint that is broken by one weighs, in spreads of the sum over the starts
_SO_FAR = "interrupted: this is the best so far"
_MOST = 100_000  # points in one batch
_ROUNDS = 4  # how often every weight may begin again at what another one has found


@dataclasses.dataclass(frozen=True)
class Tradeoff:
    """The curve of best compromises between two figures of merit.

    Attributes:
        merits: the two. weights: alpha (n,), rising. values: of both where alpha F + (1 - alpha) G is largest, (n, 2).
        parameters: there, name -> (n,), of an array (n, entries). converged: whether each is a local optimum to rounding, (n,).
        messages: what each polish says. efficient: which no other point of the curve surpasses in both figures of merit, (n,).
        at_bound: of each, name -> "low" or "high". ties, bounds: of the search. model: whose other parameters stayed.
        evaluations: how many times the figures of merit were computed.
    """

    merits: tuple[Merit, Merit]
    weights: np.ndarray
    values: np.ndarray
    parameters: dict[str, np.ndarray]
    converged: np.ndarray
    messages: list[str]
    efficient: np.ndarray
    at_bound: list[dict[str, str]]
    ties: dict[str, str]
    bounds: dict[str, tuple[float, float]]
    model: Model = dataclasses.field(repr=False)
    evaluations: int

    def record(self) -> dict[str, Any]:
        """The curve as plain numbers, words and dictionaries."""
        names = "weights values parameters converged messages efficient at_bound ties bounds evaluations"
        return {"merits": [about.name for about in self.merits], **{name: getattr(self, name) for name in names.split()}}

    def save(self, folder: str | os.PathLike):
        """Write result.json, curve.csv and picture.png into a folder, which is made if need be."""
        from .store.tradeoff_files import save

        save(self, folder)


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
    if not isinstance(model, Model):
        raise ValueError(f"model must be a qdiff.Model, but was {model!r}")
    kind = type(model)
    sought = (objective(kind, merit), objective(kind, other))
    model = prepared(model, over)
    box = Box.of(model, over)
    ties = tied(model, box, ties)
    limits = constraints_of(kind, constraints)
    counted(starts=starts, steps=steps, seed=seed)
    rule(optimizer, steps)
    alpha = _alphas(weights)
    if len(alpha) * starts > _MOST:
        raise ValueError(f"weights must be so few that `starts` of each are at most {_MOST} points, but there are {len(alpha)} of {starts}")
    record = {
        "study": "tradeoff",
        **model_record(model, roles(*sought, limits=limits)),
        "merits": [of.about.name for of in sought],
        "over": {name: list(pair) for name, pair in box.bounds.items()},
        "ties": ties,
        "constraints": [limit.text for limit in limits],
        "weights": numbers(alpha),
        "starts": int(starts),
        "seed": int(seed),
        "steps": int(steps),
        "optimizer": optimizer if isinstance(optimizer, str) else "custom",
    }
    journal = kept(out, record, resume)
    check_search(journal, model, sought, box, ties, limits)

    W = np.stack([alpha, 1 - alpha], axis=1)
    rows = np.repeat(W, starts, axis=0)
    programs = Programs(model, sought, box, len(rows), -1, ties, limits, weights=rows, journal=journal)
    search: Search | None = None
    best: list[Polished | None] = [None] * len(alpha)

    def result(ends: list[Polished], parts: np.ndarray) -> Tradeoff:
        columns = [box.named(end.u) for end in ends]
        return Tradeoff(
            merits=(sought[0].about, sought[1].about),
            weights=alpha,
            values=parts,
            parameters={name: np.array([column[name] for column in columns]) for name in box.names},
            converged=np.array([end.converged for end in ends]),
            messages=[end.message for end in ends],
            efficient=_efficient(parts),
            at_bound=[box.touched(end.u) for end in ends],
            ties=ties,
            bounds=box.bounds,
            model=model,
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
                if out is not None and writing():
                    half.save(pathlib.Path(out))
        return kept_search(out, Journal.NAME, half, "of each weight" if out is not None else "the curve `best` of this exception")

    with ending(interrupted):
        search = Search(spread(len(rows), len(box.low), seed))
        first = programs.slopes(search.points)[0]
        initial = programs.parts[np.isfinite(programs.parts).all(axis=1)]
        programs.penalty = _PENALTY * float(np.ptp(first[np.isfinite(first)]) or 1.0) if np.isfinite(first).any() else 0.0
        report = (lambda step, value: callback(step, -value)) if callback else lambda *_: None
        search.run(programs.slopes, steps, report, programs.allowed, optimizer)
        parts = _parts(programs, search.where)
        known = np.isfinite(search.best) & np.isfinite(parts).all(axis=1)
        points, parts = search.where[known], parts[known]
        if not len(points):
            both = f"{sought[0].about.name} and {sought[1].about.name}"
            if limits and np.isfinite(search.history).any():
                raise ValueError(f"{both} are finite and allowed at none of the points tried: change `over`")
            if isinstance(journal, Journal):
                journal.discard()
            raise SolveError(f"{both} are both finite at none of the points tried: narrow the bounds `over`, or take more starts")

        for _ in range(_ROUNDS):
            changed = False
            for k, w in enumerate(W):
                sums = parts @ w
                lead, own = int(np.nanargmax(sums)), best[k]
                scale = abs(float(sums[lead] - np.median(initial @ w))) if len(initial) else 0.0
                if own is not None and sums[lead] <= -own.value + 1e-10 * max(scale, abs(own.value)):
                    continue

                def one(u, w=w):
                    return programs.one(u, w)

                found = polished(one, programs.limits, points[lead], scale) if limits else newton(one, points[lead], scale)
                if own is None or found.value < own.value:
                    best[k], changed = found, True
            points = np.stack([found.u for found in best if found is not None])
            parts = _parts(programs, points)
            if not changed:
                break
        whole = result([found for found in best if found is not None], parts)
        if out is not None and writing():
            whole.save(pathlib.Path(out))
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
    full = np.concatenate([points, np.broadcast_to(points[-1], (len(programs.weights) - len(points), points.shape[1]))])
    programs.slopes(full)
    return programs.parts[: len(points)]


def _efficient(values: np.ndarray) -> np.ndarray:
    """Which rows (n, 2) no other row reaches in both columns and surpasses in one by more than rounding."""
    beyond = values[None] - values[:, None]
    slack = 1e-9 * np.maximum(np.ptp(values, axis=0), 1e-300)
    return ~np.any((beyond > -slack).all(axis=2) & (beyond > slack).any(axis=2), axis=1)
