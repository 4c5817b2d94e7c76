"""Where results go: looked at before anything is computed, and named by every error of the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
from collections.abc import Iterator


def folder_to_be(name: str, given) -> pathlib.Path:
    """The path `given` as the argument `name`, if it is a folder that can be written to, or can become one.

    Raises:
        ValueError: it is no path or empty, or on the way there is a file, a link to nowhere, or a folder that may not be written.
    """
    if not isinstance(given, (str, pathlib.PurePath)) or not str(given):
        raise ValueError(f"{name} must be the name of a folder, but was {given!r}")
    path = there = pathlib.Path(given)
    with disk(name, path):
        while not _is_there(there):
            there = there.parent
    if not there.is_dir():
        raise ValueError(f"{name} must be a folder, but {there} is {'a link to nowhere' if there.is_symlink() else 'a file'}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{name} must be a folder that can be written to, but {there} cannot")
    return path


# Endings of files, which nobody gives to a folder on purpose.
_FILES = (".nc", ".csv", ".json", ".jsonl", ".png", ".svg", ".pdf", ".txt", ".h5", ".hdf5", ".npz")


def results_folder(name: str, given) -> pathlib.Path:
    """The path `given`, as of `folder_to_be`, if it is not the name of a file, as of the one result that was wanted.

    Raises:
        ValueError: also where it ends as a file does, and no folder of this name is there.
    """
    path = folder_to_be(name, given)
    if path.suffix.lower() in _FILES and not path.is_dir():
        raise ValueError(f"{name} must be a folder, into which several files go, but {path} is the name of a file")
    return path


def _is_there(path: pathlib.Path) -> bool:
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        return False
    return True


@contextlib.contextmanager
def disk(name: str, path: str | os.PathLike, kept: str | os.PathLike | None = None) -> Iterator[None]:
    """Within this context an error of the disk names the argument and the path, and says where what was computed is `kept`."""
    try:
        yield
    except OSError as error:
        there = kept is not None and os.path.exists(kept)
        more = f"; what was computed is kept in {os.fspath(kept)}: resume from there" if kept is not None and there else ""
        raise OSError(error.errno, f"{name} ({os.fspath(path)}) cannot be written: {error.strerror or error}{more}") from error
