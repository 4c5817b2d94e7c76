"""A file for HDF5 to write to that may find the disk full: HDF5 itself then fails on and on, and may end the process."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator


class Written(io.FileIO):
    """A file in which nothing fails: the first error of the disk is kept, and what comes after it goes nowhere.

    Attributes:
        error: the first OSError, or None.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data) -> int:
        left = memoryview(data).cast("B")
        size = left.nbytes
        try:
            while left.nbytes and self.error is None:
                left = left[super().write(left) :]  # a disk that is nearly full takes a part
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size=None) -> int:
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.error = error
        return size or 0

    def check(self):
        """Raise the error, if there was one."""
        if self.error is not None:
            raise self.error


@contextlib.contextmanager
def written(path: pathlib.Path) -> Iterator[Written]:
    """The file, to be filled within this context, at the end of which its error is raised."""
    with Written(path) as file:
        yield file
        file.check()
