"""Kept results computed again: whatever names and code say, a study goes on only if its numbers are still what it computes.

One call of the program takes a few kept points, each also with its inputs moved by rounding.
"""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models.base import Model, sharing
from ..results import failures
from .batches import Batches
from .grid import Grid, boxes
from .search.problem import Problem
from .store.journal import Journal
from .store.shards import Shards

# Calls of another size, other devices and other compilers change a figure of merit by some 1e-11 of its largest value.
_SAME = 1e-6
# What is all rounding, or a difference of large numbers, changes by more: as much as when its inputs are moved by their own
# rounding (three hundred times the effect of 1e-14, as a few inputs are moved and many are not).
_MOVED = np.array([0.0, -1e-14, 1e-14])
_EFFECT = 300
_POINTS = 8
_SLAB = 256  # points of a finished file that are looked at


def check_shards(shards: Shards, batches: Batches, grid: Grid):
    """Raises ValueError if kept points of an unfinished study have another value now."""
    if (kept := shards.some()) is not None and (found := _points_apart(*kept, batches, grid)):
        shards.refuse(found)


def check_file(path: pathlib.Path, model: Model, merits: tuple[str, ...], grid: Grid, chunk: int | None):
    """Raises ValueError if points of a finished sweep have another value now."""
    import h5netcdf

    batches = Batches(model, grid.names, merits, False, len(_MOVED) * _POINTS, chunk)
    start = max(0, (grid.size - _SLAB) // 2)
    stop = min(start + _SLAB, grid.size)
    kept = {}
    with h5netcdf.File(path, "r") as file:
        for name, inner in batches.shapes.items():
            if name not in file.variables or file.variables[name].shape != grid.shape + inner:
                raise ValueError(f"out must be a whole output file of qdiff, but {path} lacks {name}")
            found = file.variables[name]
            kept[name] = np.concatenate([np.asarray(found[at]).reshape(n, *inner) for at, n in boxes(start, stop, grid.shape)])
    if apart := _points_apart(start, kept, batches, grid):
        raise ValueError(f"out must be a new file or one of the same study, but in {path} {apart}")


def check_search(journal: Journal, problem: Problem):
    """Raises ValueError if evaluations that a journal keeps have another value now."""
    sought, limits, box = problem.sought, problem.limits, problem.box
    n, rows = len(box.low), []
    names = {"slopes": [of.about.name for of in sought], "allowed": [limit.text for limit in limits]}
    for name, place in (("slopes", 2), ("allowed", 0)):
        if entries := journal.entries(name):
            inputs, found = entries[len(entries) // 2]
            largest = _largest([values[place] for _, values in entries])
            at = _chosen({"": found[place]}, _POINTS)
            rows.append((name, inputs[-1].reshape(-1, n)[at], found[place][at], largest))
    if not rows:
        return

    def at_one(model, x):
        varied = problem.at(model, x)
        with failures("nan"), sharing():
            return {"slopes": jnp.stack([of(varied) for of in sought]), "allowed": jnp.array([limit(varied) for limit in limits])}

    u = np.concatenate([points for _, points, _, _ in rows])
    x = box.values(np.clip(u[:, None] * (1 + _MOVED[:, None]), 0, 1))
    new = jax.device_get(jax.jit(jax.vmap(jax.vmap(at_one, (None, 0)), (None, 0)))(problem.model, x))
    begin = 0
    for name, points, old, largest in rows:
        again = new[name][begin : begin + len(points)]
        begin += len(points)
        for k, label in enumerate(names[name]):
            if (bad := _apart(old[:, k], again[:, :, k], largest[k])).size:
                where = ", ".join(f"{p}={v:g}" for p, v in zip(box.labels, x[begin - len(points) + bad[0], 0], strict=True))
                journal.refuse(f"{label} at {where} is {again[bad[0], 0, k]:g} now and was {old[bad[0], k]:g}")


def _points_apart(start: int, kept: dict[str, np.ndarray], batches: Batches, grid: Grid) -> str:
    """What is another value now, in words; "" if all points are the same."""
    at = _chosen(kept, max(1, min(_POINTS, batches.chunk // len(_MOVED))))
    x = np.concatenate([grid.points(start + k, start + k + 1) for k in at])
    moved = (x[:, None] * (1 + _MOVED[:, None])).reshape(-1, x.shape[1])
    calls = [batches(moved[k : k + batches.chunk]) for k in range(0, len(moved), batches.chunk)]
    for name, values in kept.items():
        again = np.concatenate([call[name] for call in calls]).reshape(len(at), len(_MOVED), *values.shape[1:])
        if (bad := _apart(values[at], again, _largest([values]))).size:
            where = ", ".join(f"{p}={v:g}" for p, v in zip(grid.names, x[bad[0]], strict=True))
            old, new = values[at][bad[0]], again[bad[0], 0]
            entry = np.unravel_index(np.argmax(_differ(old, new)), old.shape)
            return f"{name} at {where} is {new[entry]:g} now and was {old[entry]:g}"
    return ""


def _chosen(kept: dict[str, np.ndarray], most: int) -> np.ndarray:
    """Some of the points, evenly, of those at which the most variables have a value."""
    known = sum(np.isfinite(values).reshape(len(values), -1).all(axis=1).astype(int) for values in kept.values())
    best = np.flatnonzero(known == np.max(known))
    return best[np.unique(np.linspace(0, len(best), 2 * most + 1)[1::2].astype(int))]


def _largest(several: list[np.ndarray]) -> Any:
    """The largest magnitude of each entry, (...), of values (points, ...), infinities and NaN apart."""
    return np.max([np.where(np.isfinite(values), np.abs(values), 0.0).max(axis=0) for values in several], axis=0)


def _differ(old, new):
    """How much values differ: infinitely where one has a value and the other has none."""
    known, now = np.isfinite(old), np.isfinite(new)
    return np.where(known & now, np.abs(np.where(known, old, 0.0) - np.where(now, new, 0.0)), np.where(known == now, 0.0, np.inf))


def _apart(old: np.ndarray, again: np.ndarray, largest) -> np.ndarray:
    """At which points old (points, ...) is not what again (points, moved, ...) is first, up to rounding."""
    moved = np.where(np.isfinite(again) & np.isfinite(again[:, :1]), again, 0.0)
    allowed = _SAME * largest + _EFFECT * np.abs(moved - moved[:, :1]).max(axis=1)
    return np.flatnonzero((_differ(old, again[:, 0]) > allowed).reshape(len(old), -1).any(axis=1))
