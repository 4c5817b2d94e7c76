"""Where a long study keeps what it has: shards that appear whole or not at all, beside the file they will become."""

from __future__ import annotations

import json
import os
import pathlib
import uuid
from collections.abc import Iterator

import numpy as np


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
        self._study = self.folder / "study.json"
        if self.folder.exists() or not self._made(record, chunk):
            if not resume:
                raise ValueError(f"out has an unfinished study in {self.folder}: resume it, or delete that folder")
            if not self._study.exists():
                raise ValueError(f"{self.folder} is no unfinished study (it has no study.json): give another `out`, or delete it")
            if differing := _differing(unfinished(out)["record"], record):
                raise ValueError(f"the unfinished study in {self.folder} must be the same as this one, but differs in {differing}")

    def _made(self, record: dict, chunk: int) -> bool:
        """Make the folder, with its study in it; False if another process was first."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.folder.with_name(f"{self.folder.name}.{uuid.uuid4().hex[:8]}")
        fresh.mkdir()
        (fresh / "study.json").write_text(json.dumps({"record": record, "chunk": chunk}))
        try:
            os.rename(fresh, self.folder)
        except OSError:
            (fresh / "study.json").unlink()
            fresh.rmdir()
            if not self.folder.exists():
                raise
            return False
        return True

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges [start, stop) of points that are there, in order."""
        return sorted((int(a), int(b)) for a, _, b in (p.stem.partition("-") for p in self.folder.glob("*-*.npz")))

    def put(self, start: int, stop: int, arrays: dict[str, np.ndarray], reasons: dict[int, str]):
        """Keep the variables of the points [start, stop), and why some of them failed."""
        path = self.folder / f"{start:012d}-{stop:012d}.npz"
        fresh = self.folder / f"{path.name}.{uuid.uuid4().hex[:8]}.new"
        try:
            with open(fresh, "wb") as file:
                np.savez(file, **{f"v_{k}": v for k, v in arrays.items()}, reasons=np.array(json.dumps(reasons)))  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def parts(self) -> Iterator[tuple[int, int, dict[str, np.ndarray], dict[int, str]]]:
        """(start, stop, variables, reasons) of every shard, in order."""
        for start, stop in self.ranges():
            with np.load(self.folder / f"{start:012d}-{stop:012d}.npz", allow_pickle=False) as data:
                arrays = {k[2:]: data[k] for k in data.files if k != "reasons"}
                yield start, stop, arrays, {int(k): v for k, v in json.loads(str(data["reasons"])).items()}

    def remove(self):
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()


def unfinished(out: pathlib.Path) -> dict:
    """What `study.json` of an unfinished study says: "record" and "chunk"; nothing if there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = out.with_name(out.name + ".parts") / "study.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        return {"record": dict(found["record"]), "chunk": int(found["chunk"])}
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        raise ValueError(f"{path} is damaged: delete {path.parent} and start again") from None


def _differing(old: dict, new: dict) -> str:
    return ", ".join(k for k in sorted({*old, *new}) if old.get(k) != new.get(k))
