"""Ctrl-C: a request that is not lost, and the sentence with which a study ends for it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

# An exception in the middle of a callback of JAX or of Python's collector is swallowed there: the request stays.
_requested = threading.Event()


def request():
    """Ask the study that runs to end."""
    _requested.set()


def requested() -> bool:
    """Whether a study is asked to end."""
    return _requested.is_set()


def look():
    """Raises KeyboardInterrupt if the study is asked to end; called before every call of a program."""
    if requested():
        raise KeyboardInterrupt


class Interrupted(KeyboardInterrupt):
    """A study was interrupted, and its files are in order; the message says what is kept, where, and how to go on.

    Attributes:
        kept: what is kept, in words. out: where, if the study can be resumed. best: what a search had found, an `Optimum` or
            a `Tradeoff` that has not converged; None if nothing.
    """

    def __init__(self, kept: str, out: str | os.PathLike | None, best: Any = None):
        super().__init__(f"interrupted: {kept}" + ("; resume=True goes on from there" if out is not None else ""))
        self.kept, self.out, self.best = kept, out, best


@contextlib.contextmanager
def ending(kept: Callable[[], Interrupted]) -> Iterator[None]:
    """Within this context an interrupt puts the files in order, by kept(), and then is what that returns."""
    try:
        yield
    except KeyboardInterrupt as error:
        _requested.clear()  # heard: what puts the files in order is not interrupted for it
        raise kept() from error


def kept_search(out: str | os.PathLike | None, journal: str, best: Any, what: str) -> Interrupted:
    """The interrupt of a search: of its folder, the name of the journal there, what it has found, and that in words."""
    if out is None:
        found = f"; the best so far is {what}" if best is not None else ""
        return Interrupted(f"nothing is kept, as `out` was not given{found}", None, best)
    if best is not None:
        return Interrupted(f"the best so far ({what}) and all evaluations are kept in {os.fspath(out)}", out, best)
    if (pathlib.Path(out) / journal).exists():
        return Interrupted(f"the evaluations so far are kept in {os.fspath(out)}", out)
    return Interrupted("nothing is kept, as nothing was computed yet", None)
