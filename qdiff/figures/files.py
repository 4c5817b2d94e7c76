"""A figure on disk: NAME.png, NAME.svg and NAME.nc."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from ..studies.store.paths import disk
from .published import Published
from .style import style

if TYPE_CHECKING:
    import xarray

SUFFIXES = (".png", ".svg", ".nc")


def paths(name: str, folder: str | os.PathLike) -> list[pathlib.Path]:
    """The files of a figure in a folder."""
    return [pathlib.Path(folder) / f"{name}{suffix}" for suffix in SUFFIXES]


def save(figure: Published, data: xarray.Dataset, folder: str | os.PathLike) -> list[pathlib.Path]:
    """Write the three files into a folder, which is made if need be; returns their paths.

    Raises:
        ValueError: one of them exists.
    """
    png, svg, nc = files = paths(figure.name, folder)
    for path in files:
        if path.exists():
            raise ValueError(f"folder must be one without the files of this figure, but {path} exists")
    picture = figure.draw(data)
    about = {"Title": f"{figure.source}: {figure.title}", "Description": figure.caption}
    with disk("folder", folder):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        with style():
            picture.savefig(png, metadata=about)
            # What was laid out for one file is right for the other.
            picture.set_layout_engine("none")
            # Without the date the same data give the same file.
            picture.savefig(svg, metadata={**about, "Date": None})
        data.to_netcdf(nc, engine="h5netcdf")
    return files
