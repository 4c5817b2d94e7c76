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

from .paths import replaced
from .provenance import differing
from .store import Store

_STUDY = "study.json"
_NAMED = re.compile("[0-9]{12}-[0-9]{12}[.]npz")
_OWN = re.compile("([0-9]{12}-[0-9]{12}[.]npz[.])?[0-9a-f]{8}[.]new")
_DAMAGED = "{} is damaged: delete it, and resume"


class Shards(Store):
    """The folder FILE.parts: `study.json`, which says what is computed, and one file for each range of points.

    A shard is written under another name and then renamed, so that a killed process leaves only whole ones.

    Args:
        out: the file that the study will end as. size: points of the whole study.
        alone: whether no other process puts points there.
    """

    owner = "the unfinished study"
    taken = "unfinished study in {}: resume it, or delete that folder"

    def __init__(self, out: pathlib.Path, size: int, alone: bool = True):
        super().__init__(out, out.parent / f"{out.name}.parts")  # also of ".", which is refused later
        self._size, self._alone, self._chunk = size, alone, 1

    def begin(self, record: dict, resume: bool, chunk: int = 1):
        """As of `Store`. chunk: points of one call, for those who resume."""
        self._chunk = chunk
        super().begin(record, resume)

    def _made(self) -> bool:
        """Make the folder, with its study in it; False if another process was first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex[:8]}")
        try:
            fresh.mkdir()
            (fresh / _STUDY).write_text(json.dumps({"record": self.record, "chunk": self._chunk}))
            os.rename(fresh, self.path)
        except OSError:
            if not self.path.exists():
                raise
            return False
        finally:
            if fresh.is_dir():  # a full disk, an interrupt, or another process that was first
                (fresh / _STUDY).unlink(missing_ok=True)
                fresh.rmdir()
        return True

    def _recorded(self) -> dict:
        if not (self.path / _STUDY).exists():
            raise ValueError(f"{self.path} is no unfinished study (it has no study.json): give another `out`, or delete it")
        return self.study()["record"]

    def study(self) -> dict:
        """What `study.json` says: "record" and "chunk"; nothing if there is none.

        Raises:
            ValueError: the file is damaged.
        """
        path = self.path / _STUDY
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

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges [start, stop) of points that are there, in order."""
        names = (path.name for path in self.path.iterdir()) if self.path.is_dir() else ()
        return sorted((int(name[:12]), int(name[13:25])) for name in names if _NAMED.fullmatch(name))

    @property
    def points(self) -> int:
        """How many points are there."""
        return sum(stop - start for start, stop in self.ranges())

    def kept(self) -> str:
        if not (points := self.points):
            return "no point is kept"
        return f"{points} of {self._size} points are kept in {self.path}: make room, and resume"

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with super().writing():
            try:
                yield
            except OSError:
                self.forget()
                raise

    def put(self, start: int, stop: int, arrays: dict[str, np.ndarray], reasons: dict[int, str]):
        """Keep the variables of the points [start, stop), and why some of them failed."""
        path = self._path(start, stop)
        fresh = self.path / f"{path.name}.{uuid.uuid4().hex[:8]}.new"
        named: dict[str, Any] = {f"v_{k}": v for k, v in arrays.items()} | {"reasons": np.array(json.dumps(reasons))}
        with replaced((fresh, path)), open(fresh, "wb") as file:
            np.savez(file, **named)
            file.flush()
            os.fsync(file.fileno())

    def parts(self) -> Iterator[tuple[int, int, dict[str, np.ndarray], dict[int, str]]]:
        """(start, stop, variables, reasons) of every shard, in order."""
        for start, stop in self.ranges():
            yield start, stop, *self._read(start, stop)

    def join(self, write: Callable[[pathlib.Path], object]):
        """Make the study's file by `write`, under another name until it is whole, and remove the shards: all on one file system."""
        fresh = self.path / f"{uuid.uuid4().hex[:8]}.new"
        with replaced((fresh, self.out)):
            write(fresh)
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

    def check(self, shapes: dict[str, tuple[int, ...]]):
        """Look at the shards that are there.

        Args:
            shapes: variable -> its shape at one point.

        Raises:
            ValueError: one is damaged, or is not of this study.
        """
        at = 0
        for start, stop in self.ranges():
            arrays, why = self._read(start, stop)
            found = {name: values.shape for name, values in arrays.items()}
            wanted = {name: (stop - start, *shape) for name, shape in shapes.items()}
            outside = not at <= start < stop <= self._size or any(not start <= point < stop for point in why)
            if outside or found != wanted or any(values.dtype != float for values in arrays.values()):
                raise ValueError(_DAMAGED.format(self._path(start, stop)))
            at = stop

    def _path(self, start: int, stop: int) -> pathlib.Path:
        return self.path / f"{start:012d}-{stop:012d}.npz"

    def _read(self, start: int, stop: int) -> tuple[dict[str, np.ndarray], dict[int, str]]:
        path = self._path(start, stop)
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as data:  # a pickle would be run
                arrays = {k[2:]: data[k] for k in data.files if k != "reasons"}
                return arrays, {int(k): str(v) for k, v in json.loads(str(data["reasons"])).items()}
        except (OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, RecursionError, zipfile.BadZipFile, zlib.error):
            raise ValueError(_DAMAGED.format(path)) from None

    def finish(self, record: dict):
        """Delete what a study has left that was killed between its whole file and its end; not what is another's."""
        if not self.path.is_dir():
            return
        # It is not needed, whether or not it can be read, or deleted: it may be another's.
        with contextlib.suppress(OSError, ValueError):
            if not differing(self.study().get("record", {}), record) or not any(self.path.iterdir()):
                self.remove()

    def forget(self):
        """Delete the folder if it has no point, and no other process is about to put some there."""
        if self._alone and not self.points and (self.path / _STUDY).exists():
            self.remove()

    def remove(self):
        for path in self.path.iterdir():
            if _NAMED.fullmatch(path.name) or _OWN.fullmatch(path.name):
                path.unlink(missing_ok=True)
        (self.path / _STUDY).unlink(missing_ok=True)  # last: as long as it is there, it says what the folder is
        if not any(self.path.iterdir()):
            self.path.rmdir()
