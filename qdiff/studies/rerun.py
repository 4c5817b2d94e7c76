"""A study from its own output file, done again and compared."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from ..models.base import Model
from ..models.parameters import place_of
from .store.netcdf import DAMAGED, reading, study_of, versions
from .store.provenance import numbers, recorded_model
from .sweep import sweep

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


def _recorded(study: dict, model: type[Model] | None, path: str | os.PathLike) -> tuple[Model, dict[str, Any]]:
    """The model of a sweep's record, and the arguments of `sweep` in it, all of them names and numbers.

    A long grid, of which the record has only a digest, is read from the file's coordinate.

    Raises:
        ValueError: the record's model is not a shipped one and `model` was not given, or a part is not what a sweep writes there.
    """
    if study.get("study") != "sweep":
        raise ValueError(f"it is of the study {study.get('study')!r}, not of a sweep")
    device = recorded_model(study, model)
    names, grids, together = study.get("merits"), study.get("grids"), study.get("together")
    groups = together if isinstance(together, list) and all(isinstance(group, list) for group in together) else [None]
    words = [names, *groups] if isinstance(names, list) else [None]
    if not isinstance(grids, dict) or not all(isinstance(name, str) for some in words for name in some or [None]):
        raise ValueError(DAMAGED)
    for name in grids:  # before they are passed on as arguments
        place_of(type(device), name)
    grids = {name: _coordinate(path, name, values) if isinstance(values, dict) else values for name, values in grids.items()}
    return device, {"merits": names, "together": together, "gradient": study.get("gradient") is True, **grids}


def _coordinate(path: str | os.PathLike, name: str, about: dict) -> np.ndarray:
    """The grid of a parameter in a file. Raises ValueError if it is not the one of the record."""
    import h5netcdf

    with reading(path), h5netcdf.File(path, "r") as file:
        values = np.asarray(file.variables[name][...]) if name in file.variables else np.zeros(0)
    if values.dtype.kind != "f" or values.ndim != 1 or numbers(values) != about:
        raise ValueError(f"its coordinate {name} is not the grid of its record")
    return values


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

    study = study_of(path)
    try:
        device, given = _recorded(study, model, path)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} must be the whole file of a sweep, but {error}") from None
    again = sweep(device, progress=progress, **given)
    with reading(path), xarray.open_dataset(path, engine="h5netcdf", phony_dims="sort", decode_cf=False) as old:
        read = {name: old[name].values if name in old else np.zeros(0) for name in again.data_vars}
        differences = {str(name): _difference(read[name], again[name].values) for name in again.data_vars}
        changed = {k: found for k, v in versions().items() if k in old.attrs and (found := str(old.attrs[k])) != v}
    return Comparison(differences, all(d <= _SAME for d in differences.values()), changed)


def _difference(old, new) -> float:
    """The largest difference as a part of the largest value; infinite if the shapes or what is NaN differ."""
    if old.shape != new.shape or old.dtype.kind not in "if" or not np.array_equal(np.isfinite(old), np.isfinite(new)):
        return float("inf")
    known = np.isfinite(old)
    off, scale = np.abs(old - new)[known], np.abs(old)[known]
    worst = float(off.max(initial=0.0))
    return worst / float(scale.max()) if worst else 0.0
