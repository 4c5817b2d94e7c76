"""What the processes of one study know of each other: by a file for each of them, beside the results."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, ParamSpec, TypeVar

import jax

from .store.journal import read_only
from .store.paths import disk

P = ParamSpec("P")
R = TypeVar("R")

_POLL = 0.5  # [s]
_BEAT = 2.0  # how often a process says that it lives [s]
# After how long without a word another process is given up [s]: sooner than JAX ends all of a job when one of its
# processes does not answer (100 s), which it does without a sentence.
_SILENCE = 60.0
_AT_WORK, _DONE, _FAILED = "at work", "done", "failed"


class Company:
    """The processes of a `jax.distributed` job that share a study, as this one knows them.

    Each has the file OUT.processes/INDEX.json, which says whether it is at work, done or has failed, and why. It writes it
    again every two seconds, with another count, until all have left. What does not change was left by an earlier run; times
    of files would not tell, as hosts' clocks differ, and shared disks show them late.

    Args:
        out: the file or folder of the results. what: the study in a word.
    """

    _known: ClassVar[dict[pathlib.Path, Company]] = {}

    def __init__(self, out: pathlib.Path, what: str):
        self._what, self._me, self._count = what, jax.process_index(), jax.process_count()
        self._folder = out.with_name(out.name + ".processes")
        self._name, self._beats, self._state, self._why = uuid.uuid4().hex[:8], 0, _AT_WORK, ""
        self._lock, self._ended, self._looked = threading.Lock(), threading.Event(), time.monotonic()
        if before := self._known.pop(self._folder, None):
            before._ended.set()
        with disk("out", out):
            self._folder.mkdir(parents=True, exist_ok=True)
            others = [k for k in range(self._count) if k != self._me]
            self._old = {k: self._read(k) for k in others}
            self._heard = {k: (found, self._looked) for k, found in self._old.items()}
            self._say()
        self._known[self._folder] = self
        threading.Thread(target=self._live, daemon=True).start()

    def _path(self, k: int) -> pathlib.Path:
        return self._folder / f"{k}.json"

    def _read(self, k: int) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._path(k).read_text()))
        except (OSError, ValueError, TypeError):  # not there yet, or no longer
            return None

    def _say(self):
        with self._lock:
            self._beats += 1
            fresh = self._folder / f"{self._me}.{self._name}.new"
            fresh.write_text(json.dumps({"name": self._name, "beats": self._beats, "state": self._state, "why": self._why}))
            os.replace(fresh, self._path(self._me))

    def _live(self):
        all_left = False
        while not self._ended.wait(_BEAT):
            all_left = all_left or self._all_left()
            if all_left:
                _clear(self._folder)
                if not self._folder.exists():
                    return
            else:
                with contextlib.suppress(OSError):  # a full disk is told where results are written
                    self._say()

    def _all_left(self) -> bool:
        return self._state != _AT_WORK and all(self._now(k)[0] in (_DONE, _FAILED) for k in self._old)

    def _now(self, k: int) -> tuple[str | None, str]:
        """What process k says of itself in this run, None if nothing yet, and why it has failed."""
        found = self._read(k)
        if found is None or found == self._old[k]:
            return None, ""
        return found.get("state"), str(found.get("why"))

    def state(self, k: int) -> str | None:
        """Whether process k is at work or done; None if nothing has been heard of it in this run.

        Raises:
            Another: it has failed, or was heard of and no longer is.
        """
        state, why = self._now(k)
        if state == _FAILED:
            raise Another(why)
        found, now = self._read(k), time.monotonic()
        before, since = self._heard[k]
        if found != before:
            self._heard[k] = found, now
        elif state == _AT_WORK and now - since > _SILENCE:
            name = f"process {k} of {self._count} of this {self._what} has not been heard of for {_SILENCE:.0f} s"
            raise Another(f"{name}: it was killed, or its host is gone; what was computed is kept, and resume=True goes on from there")
        return state

    def look(self):
        """Raises Another if another process has failed or died; to be called often."""
        if time.monotonic() - self._looked > _POLL:
            self._looked = time.monotonic()
            for k in self._old:
                self.state(k)

    def wait(self, until: Callable[[], bool]):
        """Wait until that holds. Raises Another if another process has failed or died."""
        while not until():
            self.look()
            time.sleep(_POLL)

    def leave(self, error: BaseException | None):
        """Say that this process is done, or has failed."""
        self._state = _DONE if error is None else _FAILED
        if isinstance(error, Another):
            self._why = str(error)
        elif error is not None:
            said = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
            told = "was interrupted" if isinstance(error, KeyboardInterrupt) else said
            self._why = f"process {self._me} of {self._count} of this {self._what} {told}"
        with contextlib.suppress(OSError):  # what failed is of more interest
            self._say()
        if self._all_left():
            _clear(self._folder)


class Another(RuntimeError):
    """Another process of this study has failed."""


def _clear(folder: pathlib.Path):
    """Delete the files of processes, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):  # another process is quicker
        for path in folder.iterdir():
            if path.name.partition(".")[0].isdigit():
                path.unlink(missing_ok=True)
        folder.rmdir()


class Alone:
    """As `Company`, of one process."""

    def look(self):
        """Nobody else can fail."""

    def wait(self, until: Callable[[], bool]):
        """What one process waits for it has done."""
        assert until()


@contextlib.contextmanager
def company(out: pathlib.Path | None, what: str) -> Iterator[Company | Alone]:
    """The processes that share a study; how this one leaves the context, all others learn."""
    if out is None or jax.process_count() == 1:
        yield Alone()
        return
    others = Company(out, what)
    try:
        yield others
    except BaseException as error:
        others.leave(error)
        raise
    others.leave(None)


def led(search: Callable[P, R]) -> Callable[P, R]:
    """A study with `out` and `resume`, of which the first process does the work, and the others have the same result.

    They read what it has written, compute nothing that it has computed, and write nothing.
    """

    @functools.wraps(search)
    def shared(*args: P.args, **kwargs: P.kwargs) -> R:
        out: Any = kwargs.get("out")
        if jax.process_count() == 1 or not isinstance(out, (str, pathlib.PurePath)) or not str(out):
            return search(*args, **kwargs)
        with company(pathlib.Path(out), "search") as others:
            assert isinstance(others, Company)
            if jax.process_index() == 0:
                return search(*args, **kwargs)
            others.wait(lambda: others.state(0) == _DONE)
            with read_only():
                again: Callable[..., R] = search
                return again(*args, **{**kwargs, "resume": True})

    return shared
