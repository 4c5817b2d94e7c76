"""The parameters that make a figure of merit best."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..models.base import Model
from ..operators.checks import choice, truth
from ..results import SolveError
from .interrupt import Interrupted, ending, kept_search
from .processes import led
from .recomputed import check_search
from .search.box import Box, followed
from .search.newton import FLAT, Polished, free
from .search.problem import Problem
from .search.programs import Programs
from .search.search import Search, screened
from .store.journal import Journal
from .store.optimum_files import Optimum

_UNKNOWN: dict[str, Any] = {"verdict": "not examined: a quasi-Newton search knows no second derivatives", "eigenvalues": [], "flat": []}
_STOPPED: dict[str, Any] = {"verdict": "not examined: the search was interrupted", "eigenvalues": [], "flat": []}
_POLISHED = 4  # how many different candidates are taken to convergence


@led
def optimize(
    model: Model,
    merit: str | Mapping[str, float] | Callable,
    over: Mapping[str, tuple[float, float]] | None = None,
    *,
    ties: Mapping[str, str] | None = None,
    constraints: Iterable[str | Callable] | str | None = None,
    minimize: bool = False,
    starts: int = 16,
    seed: int = 0,
    steps: int = 60,
    optimizer: Any = "adam",
    polish: str = "newton",
    out: str | os.PathLike | None = None,
    resume: bool = False,
    callback: Callable[[int, float], object] | None = None,
) -> Optimum:
    """The parameters within bounds at which a figure of merit is largest (or least).

    max F(x) over low <= x <= high. Starts that fill the box evenly follow the gradient together, as one compiled
    batch; the best few that differ are then taken to convergence by Newton's method with the exact Hessian.

    Args:
        model: the device; parameters that are not searched keep its values.
        merit: the name of one of its figures of merit, a real number; a formula of figures of merit and parameters, such as
            "0.3*rectification + 0.7*heat_flow"; weights of a sum of figures of merit, name -> number; or a differentiable function
            of the model.
        over: name -> (low, high) for each searched parameter, in its unit; by default the model's own search. Of an
            array every entry is searched, between the same bounds; "J[1]" is one entry.
        ties: name -> a searched parameter, or entry, that it is kept equal to.
        constraints: inequalities such as "x**2 + y**2 <= 1" of parameters and figures of merit (numbers, + - * / **, sqrt, exp,
            log, sin, cos, tan, tanh, abs), or differentiable functions of the model whose value must not be positive.
        minimize: seek the least value.
        starts, steps: how many starts, and how many evaluations of each before the best are polished.
        seed: of where they start.
        optimizer: what the starts move by: an optax rule by name (adabelief, adagrad, adam, adamax, amsgrad, lion,
            nadam, radam, rmsprop, rprop, sgd, sign_sgd, yogi), its rate falling from a tenth of the box, or an
            `optax.GradientTransformation` of parameters that run from 0 to 1.
        polish: "newton", with the exact Hessian, or "quasi-newton", with gradients alone, for many parameters.
        out: a folder for `Optimum.save`, which also keeps every evaluation as it is made (journal.jsonl).
        resume: go on with what `out` has of the same search: the same optimum, to the last digit. It is the same search if
            arguments and code are (of the model's class, of functions given here, and of what these use of your own) and a
            few kept evaluations, computed again, have their values to 1e-6 of the largest.
        callback: called after each step with the number of steps done and the best value so far.

    Returns:
        `Optimum`. Of several processes of a `jax.distributed` job that share an `out` the first one searches, and the others
        have its result; without `out` each searches for itself.

    Raises:
        KeyboardInterrupt: Ctrl-C. What was found is saved in `out` before, with `converged` False, and is the `best` of the
            exception, which says how to go on; nothing is compiled for it.
        ValueError: an unknown figure of merit or parameter, bounds or ties that make no sense, a figure of merit that is not a number, a
            folder with another search or an unfinished one.
        OSError: the disk is full or cannot be written; it says how many evaluations are kept, and where.
        SolveError: the figure of merit is NaN wherever the search looked.

    The figure of merit must be differentiable twice, in forward and reverse mode. The optimum is local: the best of what the
    starts found. At a kink (|.|, max) or a pole, which have no gradient, the value is what the search reached, and
    `converged` is False with `message` saying so.

    Example:
        >>> import qdiff as qd
        >>> class Hill(qd.Model):
        ...     x: float = qd.parameter(0.0)
        ...     y: float = qd.parameter(0.0)
        ...
        ...     @qd.merit(symbol="h", unit="1", source="a paraboloid")
        ...     def height(self):
        ...         "Height of the hill."
        ...         return 3 - (self.x - 0.25) ** 2 + self.y
        >>> best = qd.optimize(Hill(), "height", {"x": (-1, 1), "y": (0, 2)})
        >>> best.value, best.parameters, best.at_bound, best.converged
        (5.0, {'x': 0.25, 'y': 2.0}, {'y': 'high'}, True)
    """
    problem = Problem.of(
        model, [merit], over, ties, constraints, starts=starts, seed=seed, steps=steps, optimizer=optimizer
    )
    choice("polish", polish, ("newton", "quasi-newton"))
    minimize = truth("minimize", minimize)
    about, box, sign, exact = problem.sought[0].about, problem.box, 1 if minimize else -1, polish == "newton"
    record = problem.record("optimize", merit=about.name, minimize=bool(minimize), polish=polish)
    journal = Journal.of(out, record, resume)
    check_search(journal, problem)

    programs = Programs(problem, sign, np.ones((starts, 1)), journal, second=exact)
    search: Search | None = None
    found: list[Polished] = []

    def result(search: Search, best: Polished, curvature: dict[str, Any], ended: bool) -> Optimum:
        parameters = box.named(best.u)
        optimum = problem.model.replace(**parameters)
        optimum = optimum.replace(**followed(optimum, problem.ties))
        held = programs.limits(best.u)[0] > -1e-9 if ended else []
        return Optimum(
            merit=about,
            minimize=minimize,
            value=sign * best.value + 0.0,  # no -0
            parameters=parameters,
            ties=problem.ties,
            model=optimum,
            at_bound=box.touched(best.u),
            active=[limit.text for limit, there in zip(problem.limits, held, strict=False) if there],
            converged=best.converged,
            message=best.message,
            curvature=curvature,
            gradient_norm=best.gradient_norm,
            evaluations=programs.evaluations,
            starts=_table(search, box, sign),
            trace=_history(search, sign),
            bounds=box.bounds,
            notes=optimum.warnings({}) if ended else {},
        )

    def interrupted() -> Interrupted:
        """What there is, without a program that was not compiled before."""
        half, words = None, ""
        if search is not None and np.isfinite(search.best).any():
            best = _best(found, search)
            half = result(search, _so_far(best), _STOPPED, ended=False)
            words = f"{about.name} = {half.value:.10g}"
            if out is None:
                at = zip(box.labels, box.values(best.u), strict=True)
                words += " at " + ", ".join(f"{k} = {x:.6g}" for k, x in at)
            journal.save(half.save)
        return kept_search(out, Journal.NAME, half, words)

    with ending(interrupted):
        search = Search(screened(programs.slopes, starts, len(box.low), seed, problem.model.screening))
        if problem.limits:
            programs.punish(programs.slopes(search.points)[0])
        report = (lambda step, value: callback(step, sign * value)) if callback else lambda *_: None
        search.run(programs.slopes, steps, report, programs.allowed, optimizer)
        found += [programs.polish(u, search.scale) for u in search.candidates(_POLISHED)]
        if not np.isfinite(search.best).any():
            if problem.limits and np.isfinite(search.history).any():
                raise ValueError("constraints must leave something to search, but none of the points that were tried keeps to them")
            journal.remove()
            what = f"{about.name} is not a finite number at any of the {starts} starts"
            raise SolveError(f"{what}: narrow the bounds `over`, or take more starts")
        best, what = _best(found, search), "minimum" if minimize else "maximum"
        curvature = _curvature(programs, best.u, search.scale, box.labels, what) if exact else _UNKNOWN
        whole = result(search, best, curvature, ended=True)
        journal.save(whole.save)
        return whole


def _best(found: list[Polished], search: Search) -> Polished:
    """The least value; of those equal to rounding, one that has converged."""
    k = int(np.argmin(search.best))
    why = "not converged: no step from where the search ended was better"
    reached = Polished(search.where[k], float(search.best[k]), np.nan, False, why)
    known = [p for p in found if np.isfinite(p.value)]
    least = min([p.value for p in known] + [reached.value])
    near = 1e-12 * max(abs(least), search.scale)
    best = next((p for p in known if p.converged and p.value <= least + near), None)
    return best or min([*known, reached], key=lambda p: p.value)


def _so_far(best: Polished) -> Polished:
    return dataclasses.replace(best, converged=False, message="interrupted: this is the best so far")


def _table(search: Search, box: Box, sign: int) -> dict[str, Any]:
    known = np.isfinite(search.best)
    return {
        "begin": dict(zip(box.labels, box.values(search.points).T, strict=True)),
        "end": dict(zip(box.labels, box.values(search.where).T, strict=True)),
        "first": sign * search.first,
        "best": sign * np.where(known, search.best, np.nan),
    }


def _history(search: Search, sign: int) -> dict[str, np.ndarray]:
    values = np.array(search.history)
    finite = np.where(np.isfinite(values), values, np.inf).min(axis=1)
    best = np.minimum.accumulate(finite)
    return {"values": sign * values, "best": sign * np.where(np.isfinite(best), best, np.nan)}


def _curvature(programs: Programs, u: np.ndarray, scale: float, labels: tuple[str, ...], what: str) -> dict[str, Any]:
    """What the Hessian says of a point, for `Optimum.curvature`."""
    value, g, H = programs.one(u)
    on = free(u, g)
    if not on.any():
        return {"verdict": f"{what} in a corner: bounds hold every parameter", "eigenvalues": [], "flat": []}
    H = H[np.ix_(on, on)]
    if not (np.isfinite(value) and np.isfinite(H).all()):
        return {"verdict": "the second derivatives are not finite numbers here", "eigenvalues": [], "flat": []}
    values, vectors = np.linalg.eigh(H)
    small = FLAT * max(np.abs(H).max(), scale)
    names = [label for label, there in zip(labels, on, strict=True) if there]
    flat = [dict(zip(names, v.tolist(), strict=True)) for v in vectors.T[np.abs(values) <= small]]
    verdict = "saddle point" if values[0] < -small else what
    if flat:
        verdict += f", flat in {len(flat)} of {len(names)} free directions"
    return {"verdict": verdict, "eigenvalues": (programs.sign * values[::-1]).tolist(), "flat": flat}
