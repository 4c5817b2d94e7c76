"""What every study that can be resumed promises of its files, whatever their format."""

from __future__ import annotations

import abc
import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import ClassVar, NoReturn

from .paths import disk, made
from .provenance import differing


class Store(abc.ABC):
    """What a study has computed so far: a study that was killed goes on from it.

    Whatever is in a store is whole: a kill or a full disk costs what was being written, and nothing
    else. A store says of which study it is, and another study is refused with what differs. An error
    of the disk says how much is kept.

    Args:
        out: the results' name as the user gave it. path: the store's own file or folder.
    """

    owner: ClassVar[str]  # what sentences call the study, such as "the unfinished study"
    taken: ClassVar[str]  # what is there where `resume` was not asked for, and what to do instead

    def __init__(self, out: pathlib.Path, path: pathlib.Path):
        self.out, self.path, self.record = out, path, {}

    def begin(self, record: dict, resume: bool):
        """Go on with what is there, or begin anew.

        Args:
            record: what is computed, as JSON. resume: whether to use what is there.

        Raises:
            ValueError: something is there and `resume` is not set, or it is damaged, or of another study.
        """
        self.record = json.loads(json.dumps(record))  # lists where there were tuples, as on disk
        if os.path.lexists(self.path) or not self._made():
            if not resume:
                raise ValueError(f"out has an {self.taken}".format(self.path))
            if found := differing(self._recorded(), self.record):
                self.refuse(f"differs in {found}")

    def refuse(self, why: str) -> NoReturn:
        """Raise ValueError, because what is kept is of another study."""
        raise ValueError(f"{self.owner} in {self.path} must be the same as this one, but {why}")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Within this context an error of the disk says what is kept, and leaves no empty folders."""
        with disk("out", self.out, self.kept), made(self.path.parent):
            yield

    def _made(self) -> bool:
        """Begin on disk, for formats that do so at once; False if another process was first."""
        return True

    @abc.abstractmethod
    def _recorded(self) -> dict:
        """The record of the study that is there. Raises ValueError where it cannot be read."""

    @abc.abstractmethod
    def kept(self) -> str:
        """How much is kept, and where, in words."""

    @abc.abstractmethod
    def remove(self):
        """Delete what this store has written, and its folder if nothing else is in it."""
