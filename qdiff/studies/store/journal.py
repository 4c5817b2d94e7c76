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
from .paths import disk, made, results_folder
from .provenance import differing

_read_only: contextvars.ContextVar[bool] = contextvars.ContextVar("read_only", default=False)


@contextlib.contextmanager
def read_only() -> Iterator[None]:
    """Within this context searches read what is on disk, and write nothing: another process does."""
    token = _read_only.set(True)
    try:
        yield
    finally:
        _read_only.reset(token)


def writing() -> bool:
    """Whether this process writes what it finds."""
    return not _read_only.get()


class Journal:
    """The file journal.jsonl of a folder: one line for the study, then one for each evaluation, each with its checksum.

    A search does the same steps whenever it is run, so one that was killed is resumed by running it again: the
    evaluations that it had made are looked up by their exact inputs, and only the others are computed. A line that a
    kill cut off is dropped.

    Args:
        folder: where; it is made if need be. record: what is computed, as JSON. resume: whether to use what is there.

    Raises:
        ValueError: the folder has a journal and `resume` is not set, or the journal is of another study, or damaged.
    """

    NAME = "journal.jsonl"

    def __init__(self, folder: pathlib.Path, record: dict, resume: bool):
        self._path = folder / self.NAME
        self._known: dict[str, list[np.ndarray]] = {}
        record = json.loads(json.dumps(record))
        if os.path.lexists(self._path):
            if not resume:
                raise ValueError(f"out has an unfinished or finished study in {self._path}: resume it, or give another folder")
            self._read(record)
        self._record = record

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        return self._path

    def _read(self, record: dict):
        try:
            text = self._path.read_bytes()
        except OSError as error:
            raise ValueError(self._useless(f"cannot be read ({error.strerror})")) from None
        whole = text[: text.rfind(b"\n") + 1]
        try:
            lines = [_checked(json.loads(line)) for line in whole.splitlines()]
            for line in lines[1:]:
                self._known[line["at"]] = [np.asarray(x, float) for x in line["found"]]
            old = dict(lines[0]["study"]) if lines else record
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(self._useless("is damaged")) from None
        if found := differing(old, record):
            raise ValueError(f"the study in {self._path} must be the same as this one, but differs in {found}")
        if len(whole) < len(text):
            with disk("out", self._path), open(self._path, "r+b") as file:
                file.truncate(len(whole))

    def _useless(self, why: str) -> str:
        return f"out has a {self.NAME} that {why}: give another folder, or delete {self._path} and start again"

    def _append(self, line: dict):
        with disk("out", self._path.parent, lambda: kept_evaluations(self._path.parent)), made(self._path.parent):
            before = self._path.stat().st_size if self._path.exists() else 0
            try:
                with open(self._path, "a") as file:
                    if not before:
                        file.write(_signed({"study": self._record}))
                    file.write(_signed(line))
            except OSError:
                if self._known:
                    os.truncate(self._path, before)  # without the line that did not fit
                else:
                    self._path.unlink(missing_ok=True)
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

    def discard(self):
        """Delete the file, and its folder if nothing else is in it."""
        if not writing():
            return
        self._path.unlink(missing_ok=True)
        if self._path.parent.is_dir() and not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()

    def __call__(self, name: str, compute: Callable, *inputs) -> list[np.ndarray]:
        """compute(*inputs), arrays, or what it was when it was computed before under this name."""
        at = " ".join([name, *(np.ascontiguousarray(x, float).tobytes().hex() for x in inputs)])
        if at not in self._known:
            found = [np.asarray(x) for x in compute(*inputs)]
            if writing():
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


def kept_evaluations(folder: pathlib.Path) -> str:
    """What the journal of a folder keeps, in words; "" if it has none."""
    path = folder / Journal.NAME
    try:
        lines = path.read_bytes().count(b"\n") - 1
    except OSError:
        lines = 0
    return f"{lines} evaluations are kept in {path}: make room, and resume" if lines > 0 else ""


def kept(out: str | os.PathLike | None, record: dict, resume: bool) -> Callable:
    """The journal of a study in the folder `out`, or what keeps nothing if it is None.

    Raises:
        ValueError: as of `Journal`; `resume` without `out`.
    """
    resume = truth("resume", resume)
    if out is not None:
        return Journal(results_folder("out", out), record, resume)
    if resume:
        raise ValueError("out must be given, the folder of the search to go on with")
    return untracked


def untracked(name: str, compute: Callable, *inputs) -> list[np.ndarray]:
    """As a journal that keeps nothing."""
    return [np.asarray(x) for x in compute(*inputs)]
