"""Labelled data: what each variable of a sweep is, as an xarray Dataset or in a NetCDF file, and what such a file says."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import __version__
from ...models.base import Model
from ...models.parameters import place_of
from ..grid import Grid, boxes
from .full_disk import written

if TYPE_CHECKING:
    import xarray

# The code of each point's failure, beside its values.
FAILURE = "failure"


class Layout:
    """Names, axes, units and sources of the variables of a sweep.

    Args:
        model: the device. grid: its points. shapes: variable -> its shape at one point. record: what was computed.
    """

    def __init__(self, model: Model, grid: Grid, shapes: dict[str, tuple[int, ...]], record: dict):
        self.grid, self.shapes = grid, shapes
        parameters, merits = type(model).parameters(), type(model).merits()
        self.coordinates = {
            name: (dim, grid.values[name], _about(about.text, about.unit))
            for dim, axis in zip(grid.dims, grid.axes, strict=True)
            for name in axis
            for about in [parameters[place_of(type(model), name).parameter]]
        }
        self.variables: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
        for name, shape in shapes.items():
            merit, parameter = _parts(name, merits, parameters)
            inner, attributes = parameter or merit, _about(merits[merit].text, merits[merit].unit)
            attributes |= {"symbol": merits[merit].symbol, "source": merits[merit].source}
            if parameter:
                unit = f"({merits[merit].unit}) / ({parameters[parameter].unit})"
                attributes = _about(f"derivative of {merit} with respect to {parameter}", unit)
            self.variables[name] = grid.dims + tuple(f"{inner}_{k}" for k in range(len(shape))), attributes
        self.attributes = {"title": f"sweep of {record['model']}", "study": json.dumps(record), **versions()}

    def dataset(self, arrays: dict[str, np.ndarray], codes: np.ndarray, reasons: list[str]) -> xarray.Dataset:
        """The data in memory: variables (points, ...), and the codes (points,) of what failed."""
        import xarray

        shape = self.grid.shape
        data = {k: (dims, arrays[k].reshape(shape + self.shapes[k]), about) for k, (dims, about) in self.variables.items()}
        data[FAILURE] = (self.grid.dims, codes.reshape(shape), failure_attributes(reasons))
        coordinates = {name: (dim, values, about) for name, (dim, values, about) in self.coordinates.items()}
        return xarray.Dataset(data, coordinates, self.attributes)

    def write(self, path: pathlib.Path, parts: Callable[[], Iterable]):
        """A NetCDF file from `parts()`, (start, stop, variables, reasons) in order, of which one is in memory at a time.

        What is at `path` is whole only when this returns.
        """
        import h5netcdf

        grid, reasons = self.grid, list[str]()
        with written(path) as disk, h5netcdf.File(disk, "w") as file:
            file.dimensions = dict(zip(grid.dims, grid.shape, strict=True))
            for name, (dims, _) in self.variables.items():
                for dim, length in zip(dims[len(grid.dims) :], self.shapes[name], strict=True):
                    if dim not in file.dimensions:
                        file.dimensions[dim] = length
            for name, (dim, values, about) in self.coordinates.items():
                file.create_variable(name, (dim,), data=values).attrs.update(about)
            kept = {}
            outer = " ".join(name for name in self.coordinates if name not in grid.dims)
            for name, (dims, about) in self.variables.items():
                kept[name] = file.create_variable(name, dims, dtype=float, fillvalue=np.nan)
                kept[name].attrs.update(about | ({"coordinates": outer} if outer else {}))
            kept[FAILURE] = file.create_variable(FAILURE, grid.dims, dtype=np.int32)
            for start, stop, arrays, why in parts():
                data = {**arrays, FAILURE: coded(stop - start, start, why, reasons)}
                at = 0
                for index, count in boxes(start, stop, grid.shape):
                    for name, values in data.items():
                        into = kept[name]
                        into[index] = values[at : at + count].reshape(_shape(index, grid.shape) + values.shape[1:])
                    at += count
                disk.check()
            kept[FAILURE].attrs.update(failure_attributes(reasons) | ({"coordinates": outer} if outer else {}))
            file.attrs.update(self.attributes)
        seal(path)


# What stands after the end of a file for others, who do not look there, with a hash of all before it.
_SEAL = b"\nqdiff sha256 "


def seal(path: pathlib.Path):
    """Put the hash of a file at its end: what HDF5 makes of a damaged file may be an error, a wrong number or no end."""
    digest = _digest(path, path.stat().st_size)
    with open(path, "ab") as file:
        file.write(_SEAL + digest + b"\n")
        file.flush()
        os.fsync(file.fileno())  # what it was made of is deleted next


def broken(path: str | os.PathLike) -> bool:
    """Whether a file ends in the hash of another content. One without a hash, as others write it, is not."""
    size = os.path.getsize(path) - len(_SEAL) - 65
    with open(path, "rb") as file:
        file.seek(max(size, 0))
        end = file.read()
    return end.startswith(_SEAL) and end != _SEAL + _digest(path, size) + b"\n"


def _digest(path: str | os.PathLike, size: int) -> bytes:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while size > 0 and (part := file.read(min(size, 1 << 20))):
            found.update(part)
            size -= len(part)
    return found.hexdigest().encode()


def coded(count: int, start: int, why: dict[int, str], reasons: list[str]) -> np.ndarray:
    """The code (count,) of each point from `start` on: 0, or 1 + the place of its reason in `reasons`, which grows."""
    codes = np.zeros(count, np.int32)
    for point, reason in why.items():
        if reason not in reasons:
            reasons.append(reason)
        codes[point - start] = 1 + reasons.index(reason)
    return codes


def failure_attributes(reasons: list[str]) -> dict[str, str]:
    return {"long_name": "why a point has no value; 0 if it has one", **{f"reason_{k}": text for k, text in enumerate(reasons, 1)}}


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"qdiff_version": __version__, **{f"{name}_version": version(name) for name in ("jax", "jaxlib")}}


def _about(text: str, unit: str) -> dict[str, str]:
    return {"long_name": text or "parameter", "units": unit}


def _shape(index: tuple, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what an index of `boxes` selects."""
    return tuple(at.stop - at.start for at in index if isinstance(at, slice)) + shape[len(index) :]


def _parts(name: str, merits: dict[str, Any], parameters: dict[str, Any]) -> tuple[str, str | None]:
    """The figure of merit that a variable belongs to, and of a derivative also the parameter."""
    for merit in merits:
        if name in (merit, f"{merit}_real", f"{merit}_imag"):
            return merit, None
        parameter = name.removeprefix(f"d_{merit}_d_")
        if parameter != name and parameter in parameters:
            return merit, parameter
    raise AssertionError(name)


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
