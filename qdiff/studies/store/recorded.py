"""The record of its study that an output file holds, and what is said where it holds none."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from .netcdf import broken

DAMAGED = "the record of its study is damaged"


def study_of(path: str | os.PathLike) -> dict[str, Any]:
    """What an output file says that it is.

    Raises:
        ValueError: it is no NetCDF file, or not one that qdiff wrote.
        FileNotFoundError: there is no such file.
    """
    import h5netcdf

    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be the name of a file, but was {path!r}")
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {os.fspath(path)!r}")
    if not os.path.isfile(path):
        raise ValueError(f"path must be a file, but {os.fspath(path)} is none")
    if os.fspath(path).lower().endswith(".csv"):
        raise ValueError(f"path must be a NetCDF file (.nc) of a study, but {os.fspath(path)} is a CSV, which does not say what it is of")
    with reading(path):
        damaged = broken(path)
    if damaged:
        raise ValueError(_not_whole(path, "is damaged: its content is not what was written"))
    with reading(path), h5netcdf.File(path, "r") as file:
        study = json.loads(str(file.attrs["study"]))
    if not isinstance(study, dict):
        raise ValueError(_not_whole(path, DAMAGED))
    return study


def _not_whole(path: str | os.PathLike, why: str) -> str:
    return f"{os.fspath(path)} must be a whole output file of qdiff, but {why}"


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Within this context, where the file is read, what goes wrong is said of it."""
    try:
        yield
    except json.JSONDecodeError:
        raise ValueError(_not_whole(path, DAMAGED)) from None
    except KeyError:
        raise ValueError(_not_whole(path, "it has no record of its study")) from None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: HDF5's own, and of JSON that is nested too deeply
        raise ValueError(_not_whole(path, f"cannot be read ({str(error).splitlines()[0]})")) from None
