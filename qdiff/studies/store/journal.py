"""What an optimisation has computed so far, on disk as it goes: a search that runs again finds its numbers there."""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import pathlib
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from ...operators.checks import truth
from .paths import disk, results_folder
from .store import Store

_read_only: contextvars.ContextVar[bool] = contextvars.ContextVar("read_only", default=False)


@contextlib.contextmanager
def read_only() -> Iterator[None]:
    """Within this context searches read what is on disk, and write nothing: another process does."""
    token = _read_only.set(True)
    try:
        yield
    finally:
        _read_only.reset(token)


class Journal(Store):
    """The file journal.jsonl of a folder: one line for the study, then one for each evaluation, each with its checksum.

    A search does the same steps whenever it is run, so one that was killed is resumed by running it again: the
    evaluations that it had made are looked up by their exact inputs, and only the others are computed. A line that a
    kill cut off is dropped.

    Args:
        folder: where; it is made if need be. None for a journal that keeps nothing.
    """

    NAME = "journal.jsonl"
    owner = "the study"
    taken = "unfinished or finished study in {}: resume it, or give another folder"

    def __init__(self, folder: pathlib.Path | None):
        self._folder, known = folder, folder or pathlib.Path()
        super().__init__(known, known / self.NAME)
        self._known: dict[str, list[np.ndarray]] = {}
        self._cut: int | None = None  # where the line begins that a kill cut off

    @classmethod
    def of(cls, out: str | os.PathLike | None, record: dict, resume: bool) -> Journal:
        """The journal of a study in the folder `out`.

        Raises:
            ValueError: as of `begin`; `resume` without `out`.
        """
        resume = truth("resume", resume)
        if out is None and resume:
            raise ValueError("out must be given, the folder of the search to go on with")
        journal = cls(None if out is None else results_folder("out", out))
        if out is not None:
            journal.begin(record, resume)
        return journal

    def begin(self, record: dict, resume: bool):
        super().begin(record, resume)
        if self._cut is not None:
            with disk("out", self.path), open(self.path, "r+b") as file:
                file.truncate(self._cut)

    def _recorded(self) -> dict:
        try:
            text = self.path.read_bytes()
        except OSError as error:
            raise ValueError(self._useless(f"cannot be read ({error.strerror})")) from None
        end = text.rfind(b"\n") + 1
        self._cut = end if end < len(text) else None
        try:
            lines = [_checked(json.loads(line)) for line in text[:end].splitlines()]
            for line in lines[1:]:
                self._known[line["at"]] = [np.asarray(x, float) for x in line["found"]]
            return dict(lines[0]["study"]) if lines else self.record
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(self._useless("is damaged")) from None

    def _useless(self, why: str) -> str:
        return f"out has a {self.NAME} that {why}: give another folder, or delete {self.path} and start again"

    def _append(self, line: dict):
        with self.writing():
            before = self.path.stat().st_size if self.path.exists() else 0
            try:
                with open(self.path, "a") as file:
                    if not before:
                        file.write(_signed({"study": self.record}))
                    file.write(_signed(line))
            except OSError:
                if self._known:
                    os.truncate(self.path, before)  # without the line that did not fit
                else:
                    self.path.unlink(missing_ok=True)
                raise

    def entries(self, name: str) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
        """(inputs, each flat, and what was found) of every evaluation under this name.

        Raises:
            ValueError: one cannot be understood.
        """
        try:
            split = [(at.split(" "), found) for at, found in self._known.items()]
            return [([np.frombuffer(bytes.fromhex(x)) for x in at[1:]], found) for at, found in split if at[0] == name]
        except (AttributeError, ValueError):
            raise ValueError(self._useless("is damaged")) from None

    def kept(self) -> str:
        try:
            lines = self.path.read_bytes().count(b"\n") - 1
        except OSError:
            lines = 0
        return f"{lines} evaluations are kept in {self.path}: make room, and resume" if lines > 0 else ""

    def remove(self):
        if self._folder is None or _read_only.get():
            return
        self.path.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def save(self, into: Callable[[pathlib.Path], object]):
        """Have a result written into the folder, unless nothing is kept or another process writes."""
        if self._folder is not None and not _read_only.get():
            into(self._folder)

    def __call__(self, name: str, compute: Callable, *inputs) -> list[np.ndarray]:
        """compute(*inputs), arrays, or what it was when it was computed before under this name."""
        if self._folder is None:
            return [np.asarray(x) for x in compute(*inputs)]
        at = " ".join([name, *(np.ascontiguousarray(x, float).tobytes().hex() for x in inputs)])
        if at not in self._known:
            found = [np.asarray(x) for x in compute(*inputs)]
            if not _read_only.get():
                self._append({"at": at, "found": [x.tolist() for x in found]})
            self._known[at] = found
        return self._known[at]


def _signed(line: dict) -> str:
    return json.dumps({**line, "check": zlib.crc32(json.dumps(line).encode())}) + "\n"


def _checked(line) -> dict:
    """The line without its checksum. Raises ValueError if it is not the line's."""
    line = dict(line)
    if line.pop("check") != zlib.crc32(json.dumps(line).encode()):
        raise ValueError
    return line
