"""Figures of merit on grids of parameters: labelled data, kept as it comes, resumable."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np

from ..models.base import Model, known_name, names_of
from ..progress_bar import shown as progress_shown
from .batches import Batches, Reasons
from .grid import Grid
from .interrupt import Interrupted, ending, look
from .processes import Alone, Company, company
from .recomputed import check_file, check_shards
from .store import csv_files
from .store.netcdf import Layout, coded, study_of
from .store.paths import disk, folder_to_be
from .store.provenance import differing, model_record, numbers
from .store.shards import Shards

if TYPE_CHECKING:
    import xarray

# What a kill may cost: the work of this time, and of one call [s].
_KEPT_EVERY = 2.0
# At how many points, spread over the grid, the model is asked whether its results are to be taken with care.
_ASKED = 1000


def sweep(
    model: Model,
    merits: Iterable[str] | str,
    *,
    together: Iterable[Iterable[str]] = (),
    gradient: bool = False,
    out: str | os.PathLike | None = None,
    resume: bool = False,
    chunk: int | None = None,
    progress: bool | None = None,
    callback: Callable[[int, int], object] | None = None,
    **grids,
) -> xarray.Dataset:
    """Figures of merit on a grid of parameters, as labelled data.

    One compiled program computes many points at once, on every device of the process. If JAX runs as several processes
    (`jax.distributed.initialize`, the same script on each host, `out` on a disk that all of them see) each takes its share.

    Args:
        model: the device; parameters without a grid keep its values.
        merits: names of figures of merit, numbers or arrays.
        together: groups of parameters whose grids run together along one axis; the others form a product.
        gradient: also the derivatives of real scalar figures of merit, d_MERIT_d_PARAMETER, in all float parameters.
        out: a file to write, a new one: NetCDF if it ends in .nc, CSV if in .csv (a row for each point, without what makes
            `rerun` possible). Results go to the folder `out`.parts as they come, at least every two seconds, and become
            the file at the end; memory stays flat.
        resume: go on with the unfinished `out`.parts of the same study, or return `out` if it is finished. It is the same
            study if arguments and code are (of the model's class, what that uses of your own, and the files that its module
            imports) and a few kept points, computed again, have their values to 1e-6 of the largest.
        chunk: points in one call; by default what fits a quarter of the free memory, by what the compiled program says.
        progress: whether to show a bar with rate and time left; None leaves it to `qd.progress`.
        callback: called with the number of points done and of all, after each call of the program.
        grids: NAME=values for each parameter that varies, (n,) in its unit; of an entry of an array, **{"J[1]": values}.

    Returns:
        An xarray Dataset, with units, symbols and sources, the model's parameters and versions as attributes. With
        `out`, its values are read from the file when they are used. A point that failed is NaN, and the variable
        `failure` holds the number of its reason, which is the attribute `reason_1` and so on of that variable. Where the
        model warns of its results, the attribute `warning` says at how many points, and of what.

    Raises:
        ValueError: an unknown name, a grid that is empty or not physical, a file that exists, another study.
        OSError: the disk is full or cannot be written; it says how many points are kept, and where.
        KeyboardInterrupt: Ctrl-C; it says how many points are kept, where, and how to go on.
        RuntimeError: another process of the job failed, with its reason, or was killed. What was computed is kept.

    Example:
        >>> import qdiff as qd
        >>> data = qd.sweep(qd.models.LambdaSystem(), ["imbalance", "force"], T1=[1.0, 2.0, 3.0], gradient=True)
        >>> [round(x, 4) for x in data.imbalance.values.tolist()], data.force.attrs["units"]
        ([0.0, 0.1993, 0.2586], 'rate^2 length')
        >>> bool(data.d_imbalance_d_T1.sel(T1=2.0) > 0)
        True
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a Model such as qdiff.models.RotorEngine(), but was {type(model).__name__}")
    kind = type(model)
    names = names_of("merits", merits)
    if not names:
        raise ValueError("merits must name at least one figure of merit, but were empty")
    for name in names:
        known_name(name, kind.merits(), "figure of merit", kind.__name__)
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, (int, np.integer)) or chunk < 1):
        raise ValueError(f"chunk must be a positive integer, but was {chunk!r}")
    together = [tuple(group) for group in together]
    grid = Grid.of(model, grids, together)
    record = {
        "study": "sweep",
        **model_record(model),
        "merits": list(names),
        "gradient": bool(gradient),
        "grids": {name: numbers(values) for name, values in grid.values.items()},
        "together": [list(group) for group in together],
    }
    if jax.process_count() > 1 and out is None:
        raise ValueError("out must be given when several processes share a sweep")
    if out is not None and not isinstance(out, (str, os.PathLike)):
        raise ValueError(f"out must be the name of a file, but was {out!r}")
    path = None if out is None else pathlib.Path(out)
    shards = None if path is None else Shards(path, grid.size, alone=jax.process_count() == 1)
    with (
        company(path, "sweep") as others,
        ending(lambda: _interrupted(shards, grid.size)),
        contextlib.ExitStack() as bar,  # it ends its line before anything else is said
    ):
        if shards is not None:
            with disk("out", out or ""):
                there = _target(shards.out, record, resume)
            if there:
                check_file(shards.out, model, names, grid, chunk)
                shards.finish(record)
                return _opened(shards.out)
            chunk = chunk or shards.study().get("chunk")  # the same calls as before give the same digits

        # Of a small grid each process has its share.
        points = grid.size if chunk else -(-grid.size // jax.process_count())
        batches = Batches(model, grid.names, names, gradient, points, chunk)
        layout = Layout(model, grid, batches.shapes, record)
        if warning := _warning(model, grid):
            layout.attributes["warning"] = warning
        report = bar.enter_context(_reporter(grid.size, progress, callback))
        work = _Work(grid, batches, Reasons(model, grid.names, names), report, others.look)
        if shards is None:
            arrays, reasons = work.run(0, grid.size)
            texts: list[str] = []
            return layout.dataset(arrays, coded(grid.size, 0, reasons, texts), texts)
        with shards.writing():
            shards.begin(record, resume or jax.process_count() > 1, batches.chunk)
            try:
                shards.check(batches.shapes)
                if resume:
                    check_shards(shards, batches, grid)
                # The shares are cut by what the first process has chosen: the memory of each may allow another chunk.
                missing = _missing(grid.size, shards.study().get("chunk", batches.chunk), shards.ranges())
            except (OSError, ValueError):
                if not shards.out.exists():
                    raise
                missing = []
            if shards.out.exists():  # another process was quicker, and takes its shards away
                if not csv_files.is_csv(shards.out):
                    _target(shards.out, record, True)
                    shards.finish(record)
            else:
                for start, stop in missing:
                    work.run(start, stop, shards)
                bar.close()
                _finish(layout, shards, others)
        if csv_files.is_csv(shards.out):
            return csv_files.read(shards.out, layout)
        return _opened(shards.out)


def _warning(model: Model, grid: Grid) -> str | None:
    """At how many points the model warns of its results, and of what at the first of them."""
    if not model.warns or type(model).warnings is Model.warnings:
        return None
    asked, found = np.unique(np.linspace(0, grid.size - 1, min(grid.size, _ASKED)).astype(int)), []
    for k in asked:
        try:
            device = model.replace(**dict(zip(grid.names, grid.points(k, k + 1)[0].tolist(), strict=True)))
        except ValueError:  # a point without a value, of which `failure` tells
            continue
        found += [warning] if (warning := device.warnings({}).get("warning")) else []
    return f"at {len(found)} of {len(asked)} points{' looked at' if len(asked) < grid.size else ''}: {found[0]}" if found else None


class _Work:
    """Ranges of points, computed call by call."""

    def __init__(self, grid: Grid, batches: Batches, reasons: Reasons, report: Callable, look: Callable):
        self._grid, self._batches, self._reasons, self._report, self._look = grid, batches, reasons, report, look

    def run(self, start: int, stop: int, shards: Shards | None = None):
        """The variables of the points [start, stop), and why some failed; with `shards` they are put there instead."""
        done: list[dict[str, np.ndarray]] = []
        why: dict[int, str] = {}
        begin, last = start, time.monotonic()
        while start < stop:
            look()
            self._look()
            end = min(start + self._batches.chunk, stop)
            x = self._grid.points(start, end)
            found = self._batches(x)
            bad = np.zeros(end - start, bool)
            for values in found.values():
                bad |= ~np.isfinite(values).reshape(end - start, -1).all(axis=1)
            why |= {start + int(k): self._reasons(x[k]) for k in np.flatnonzero(bad)}
            done.append(found)
            self._report(end - start)
            start = end
            if shards is not None and (start == stop or time.monotonic() - last > _KEPT_EVERY):
                shards.put(begin, start, _joined(done), why)
                done, why, begin, last = [], {}, start, time.monotonic()
        return (_joined(done) if done else {}), why


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _missing(size: int, chunk: int, there: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges that this process has to compute: its share of all calls, whatever the others have done, less what is there."""
    k, count = jax.process_index(), jax.process_count()
    calls = -(-size // chunk)
    at, end = k * calls // count * chunk, min((k + 1) * calls // count * chunk, size)
    out: list[tuple[int, int]] = []
    for start, stop in [*there, (size, size)]:
        if at < min(start, end):
            out.append((at, min(start, end)))
        at = max(at, stop)
    return out


def _interrupted(shards: Shards | None, size: int) -> Interrupted:
    """What there is of a sweep that was interrupted."""
    if shards is None:
        return Interrupted("nothing is kept, as `out` was not given", None)
    path = shards.out
    if path.exists():
        return Interrupted(f"all {size} points are in {path}", path)
    if points := shards.points:
        return Interrupted(f"{points} of {size} points are kept in {shards.path}", path)
    shards.forget()
    return Interrupted("nothing is kept, as no point was computed yet", None)


def _finish(layout: Layout, shards: Shards, others: Company | Alone):
    """The shards joined into the file, by the first process when all are there; the others wait for it."""
    path = shards.out
    if jax.process_index() > 0:
        others.wait(path.exists)
        return
    others.wait(lambda: shards.points >= layout.grid.size)
    write = partial(csv_files.write, layout) if csv_files.is_csv(path) else layout.write
    shards.join(lambda file: write(file, shards.parts))


def _target(path: pathlib.Path, record: dict, resume: bool) -> bool:
    """Whether the file is there; it must be new, or, to be resumed, the finished one of the same study."""
    if path.is_dir():
        raise ValueError(f"out must be a file, but {path} is a folder")
    folder_to_be("the folder of out", path.parent)
    if os.path.lexists(path):
        if not resume:
            raise ValueError(f"out must be a new file, but {path} exists: give another name, or move it away")
        if csv_files.is_csv(path):
            raise ValueError(f"out must be a new file, but {path} exists, and a CSV does not say which study it is of: move it away")
        if found := differing(study_of(path), record):
            raise ValueError(f"out must be a new file or one of the same study, but {path} is of another one: it differs in {found}")
        return path.exists()
    if path.suffix.lower() not in (".nc", ".csv"):
        raise ValueError(f"out must end in .nc, for NetCDF, or in .csv, but was {str(path)!r}")
    return False


def _opened(path: pathlib.Path) -> xarray.Dataset:
    import xarray

    return xarray.open_dataset(path, engine="h5netcdf")


@contextlib.contextmanager
def _reporter(total: int, shown: bool | None, callback: Callable[[int, int], object] | None) -> Iterator[Callable]:
    """A bar, and what to call with the number of points just done."""
    from tqdm import tqdm

    with tqdm(total=total, unit="points", disable=not progress_shown(shown), dynamic_ncols=True) as bar:
        done = 0

        def report(count: int):
            nonlocal done
            done += count
            bar.update(count)
            if callback is not None:
                callback(done, total)

        yield report
