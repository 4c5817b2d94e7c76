"""A study from its own output file, done again and compared."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import numpy as np

from ..models.base import Model
from .labelled import versions
from .record import recorded_model

# Other versions, chunks and devices round differently; what they change is below this part of the largest value.
_SAME = 1e-10


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A file against its study done again.

    Attributes:
        differences: variable -> largest difference, as a part of its largest value. same: whether all are below 1e-10,
            with the same points failing. versions: what the file was made with, where it differs from now.
    """

    differences: dict[str, float]
    same: bool
    versions: dict[str, str]


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
    try:
        with h5netcdf.File(path, "r") as file:
            return json.loads(str(file.attrs["study"]))
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} must be a whole output file of qdiff, but {_said(error)}") from None


def _said(error: Exception) -> str:
    return "it has no record of its study" if isinstance(error, KeyError) else f"cannot be read ({str(error).splitlines()[0]})"


def rerun(path: str | os.PathLike, model: type[Model] | None = None, *, progress: bool | None = None) -> Comparison:
    """Repeat the study of an output file, and compare.

    Args:
        path: a file that `sweep` wrote. Nothing in it is executed.
        model: the model's class, for one that does not ship with qdiff.
        progress: whether to show a bar; None leaves it to `qd.progress`.

    Returns:
        `Comparison`.

    Raises:
        ValueError: the file is no output file of qdiff, or `model` is needed.

    Example:
        >>> import pathlib, tempfile, qdiff as qd
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "forces.nc"
        >>> _ = qd.sweep(qd.models.VSystem(), "force", T1=[1.0, 2.0], out=file)
        >>> qd.rerun(file).same
        True
    """
    import xarray

    from .sweep import sweep

    study = study_of(path)
    if study.get("study") != "sweep":
        raise ValueError(f"{os.fspath(path)} must be the file of a sweep, but is of {study.get('study')!r}")
    again = sweep(
        recorded_model(study, model),
        study["figures"],
        together=study["together"],
        gradient=study["gradient"],
        progress=progress,
        **study["grids"],
    )
    with xarray.open_dataset(path, engine="h5netcdf") as old:
        differences = {str(name): _difference(old[name].values, again[name].values) for name in again.data_vars}
        changed = {k: str(old.attrs[k]) for k, v in versions().items() if old.attrs.get(k) not in (None, v)}
    return Comparison(differences, all(d <= _SAME for d in differences.values()), changed)


def _difference(old, new) -> float:
    """The largest difference as a part of the largest value; infinite if the shapes or what is NaN differ."""
    if old.shape != new.shape or not np.array_equal(np.isfinite(old), np.isfinite(new)):
        return float("inf")
    known = np.isfinite(old)
    off, scale = np.abs(old - new)[known], np.abs(old)[known]
    worst = float(off.max(initial=0.0))
    return worst / float(scale.max()) if worst else 0.0
