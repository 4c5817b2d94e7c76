"""Where a long study keeps what it has: shards that appear whole or not at all, beside the file they will become."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .paths import disk, made
from .provenance import differing

_STUDY = "study.json"
_NAMED = re.compile("[0-9]{12}-[0-9]{12}[.]npz")
_OWN = re.compile("([0-9]{12}-[0-9]{12}[.]npz[.])?[0-9a-f]{8}[.]new")
_DAMAGED = "{} is damaged: delete it, and resume"


class Shards:
    """The folder FILE.parts: `study.json`, which says what is computed, and one file for each range of points.

    A shard is written under another name and then renamed, so that a killed process leaves only whole ones.

    Args:
        out: the file that the study will end as. record: what is computed, as JSON. chunk: points of one call.
        resume: whether to go on with what is there.

    Raises:
        ValueError: there is an unfinished study and `resume` is not set, or it is not the same study.
    """

    def __init__(self, out: pathlib.Path, record: dict, chunk: int, resume: bool):
        self.folder = out.with_name(out.name + ".parts")
        if self.folder.exists() or not self._made(record, chunk):
            if not resume:
                raise ValueError(f"out has an unfinished study in {self.folder}: resume it, or delete that folder")
            if not (self.folder / _STUDY).exists():
                raise ValueError(f"{self.folder} is no unfinished study (it has no study.json): give another `out`, or delete it")
            if found := differing(unfinished(out)["record"], record):
                raise ValueError(f"the unfinished study in {self.folder} must be the same as this one, but differs in {found}")

    def _made(self, record: dict, chunk: int) -> bool:
        """Make the folder, with its study in it; False if another process was first."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.folder.with_name(f"{self.folder.name}.{uuid.uuid4().hex[:8]}")
        try:
            fresh.mkdir()
            (fresh / _STUDY).write_text(json.dumps({"record": record, "chunk": chunk}))
            os.rename(fresh, self.folder)
        except OSError:
            if not self.folder.exists():
                raise
            return False
        finally:
            if fresh.is_dir():  # a full disk, an interrupt, or another process that was first
                (fresh / _STUDY).unlink(missing_ok=True)
                fresh.rmdir()
        return True

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges [start, stop) of points that are there, in order."""
        return _ranges(self.folder)

    def put(self, start: int, stop: int, arrays: dict[str, np.ndarray], reasons: dict[int, str]):
        """Keep the variables of the points [start, stop), and why some of them failed."""
        path = self._path(start, stop)
        fresh = self.folder / f"{path.name}.{uuid.uuid4().hex[:8]}.new"
        named: dict[str, Any] = {f"v_{k}": v for k, v in arrays.items()} | {"reasons": np.array(json.dumps(reasons))}
        try:
            with open(fresh, "wb") as file:
                np.savez(file, **named)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def parts(self) -> Iterator[tuple[int, int, dict[str, np.ndarray], dict[int, str]]]:
        """(start, stop, variables, reasons) of every shard, in order."""
        for start, stop in self.ranges():
            yield start, stop, *self._read(start, stop)

    def join(self, out: pathlib.Path, write: Callable[[pathlib.Path], object]):
        """Make `out` by `write`, under another name until it is whole, and remove the shards: all on one file system."""
        fresh = self.folder / f"{uuid.uuid4().hex[:8]}.new"
        try:
            write(fresh)
            os.replace(fresh, out)
        finally:
            fresh.unlink(missing_ok=True)
        # The study is whole, whatever happens to what it was made of: that goes when it is resumed.
        with contextlib.suppress(OSError):
            self.remove()

    def some(self) -> tuple[int, dict[str, np.ndarray]] | None:
        """The first point and the variables of one shard that is there, or None."""
        ranges = self.ranges()
        if not ranges:
            return None
        start, stop = ranges[len(ranges) // 2]
        return start, self._read(start, stop)[0]

    def check(self, size: int, shapes: dict[str, tuple[int, ...]]):
        """Look at the shards that are there.

        Args:
            size: points of the whole study. shapes: variable -> its shape at one point.

        Raises:
            ValueError: one is damaged, or is not of this study.
        """
        at = 0
        for start, stop in self.ranges():
            arrays, why = self._read(start, stop)
            found = {name: values.shape for name, values in arrays.items()}
            wanted = {name: (stop - start, *shape) for name, shape in shapes.items()}
            outside = not at <= start < stop <= size or any(not start <= point < stop for point in why)
            if outside or found != wanted or any(values.dtype != float for values in arrays.values()):
                raise ValueError(_DAMAGED.format(self._path(start, stop)))
            at = stop

    def _path(self, start: int, stop: int) -> pathlib.Path:
        return self.folder / f"{start:012d}-{stop:012d}.npz"

    def _read(self, start: int, stop: int) -> tuple[dict[str, np.ndarray], dict[int, str]]:
        path = self._path(start, stop)
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as data:  # a pickle would be run
                arrays = {k[2:]: data[k] for k in data.files if k != "reasons"}
                return arrays, {int(k): str(v) for k, v in json.loads(str(data["reasons"])).items()}
        except (OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, RecursionError, zipfile.BadZipFile, zlib.error):
            raise ValueError(_DAMAGED.format(path)) from None

    def remove(self):
        """Delete what was put here, and the folder if nothing else is in it."""
        _remove(self.folder)


def _ranges(folder: pathlib.Path) -> list[tuple[int, int]]:
    return sorted((int(a), int(b)) for a, _, b in (p.stem.partition("-") for p in folder.iterdir() if _NAMED.fullmatch(p.name)))


@contextlib.contextmanager
def keeping(out: pathlib.Path, size: int, alone: bool) -> Iterator[None]:
    """Within this context, in which a study of `size` points is put into its parts, an error of the disk says what is kept.

    Where no point is, no folder is left. alone: whether no other process puts points there.
    """
    folder = out.with_name(out.name + ".parts")

    def kept() -> str:
        points = sum(stop - start for start, stop in _ranges(folder)) if folder.is_dir() else 0
        return f"{points} of {size} points are kept in {folder}: make room, and resume" if points else "no point is kept"

    with disk("out", out, kept), made(out.parent):
        try:
            yield
        except OSError:
            if alone and folder.is_dir() and not _ranges(folder):
                _remove(folder)
            raise


def finished(out: pathlib.Path, record: dict):
    """Delete what is left of the folder of a study that was killed between the whole file `out` and its end; not of another."""
    folder = out.with_name(out.name + ".parts")
    if not folder.is_dir():
        return
    # It is not needed, whether or not it can be read, or deleted: it may be another's.
    with contextlib.suppress(OSError, ValueError):
        if not differing(unfinished(out).get("record", {}), record) or not any(folder.iterdir()):
            _remove(folder)


def kept_points(out: pathlib.Path, alone: bool) -> int:
    """How many points an unfinished study has; of none the folder goes, if no other process is about to put some there."""
    folder = out.with_name(out.name + ".parts")
    if not folder.is_dir():
        return 0
    points = sum(int(p.stem.partition("-")[2]) - int(p.stem.partition("-")[0]) for p in folder.iterdir() if _NAMED.fullmatch(p.name))
    if alone and not points and unfinished(out):
        _remove(folder)
    return points


def _remove(folder: pathlib.Path):
    for path in folder.iterdir():
        if _NAMED.fullmatch(path.name) or _OWN.fullmatch(path.name):
            path.unlink(missing_ok=True)
    (folder / _STUDY).unlink(missing_ok=True)  # last: as long as it is there, it says what the folder is
    if not any(folder.iterdir()):
        folder.rmdir()


def unfinished(out: pathlib.Path) -> dict:
    """What `study.json` of an unfinished study says: "record" and "chunk"; nothing if there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = out.with_name(out.name + ".parts") / _STUDY
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        record, chunk = dict(found["record"]), found["chunk"]
        if type(chunk) is not int or chunk < 1:
            raise ValueError
        return {"record": record, "chunk": chunk}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path} is damaged: delete {path.parent} and start again") from None
