"""A figure of a paper: its data, its picture, its caption and its claims, each on its own."""

from __future__ import annotations

import abc
import json
from typing import TYPE_CHECKING, ClassVar

from ..studies.store.netcdf import versions
from ..studies.store.provenance import model_record
from .claims import Claim
from .style import captioned, style

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

    from ..models.base import Model


class Published(abc.ABC):
    """A figure of a paper. Subclasses say what it is and write `devices`, `compute`, `paint` and `claims`.

    Attributes:
        name: as `qdiff figure` takes it. source: paper and number. title: what is shown, in a few words.
        caption: what is shown, with which parameters; what the paper leaves open and what was chosen; what is
            printed wrongly and what differs.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    title: ClassVar[str]
    caption: ClassVar[str]

    @abc.abstractmethod
    def devices(self) -> dict[str, Model]:
        """The models, by what tells them apart, at the figure's parameters."""

    @abc.abstractmethod
    def compute(self, quick: bool) -> xarray.Dataset:
        """The figure's variables and coordinates."""

    @abc.abstractmethod
    def paint(self, data: xarray.Dataset) -> Figure:
        """The picture of the data, without its caption, in the style of the time."""

    @abc.abstractmethod
    def claims(self, data: xarray.Dataset) -> list[Claim]:
        """The paper's statements about the figure, each with the verdict of the data."""

    def data(self, quick: bool = False) -> xarray.Dataset:
        """The figure's data, computed from nothing, with what they are as attributes.

        Args:
            quick: coarser grids; the claims come out the same.
        """
        out = self.compute(quick)
        devices = {key: model_record(model) for key, model in self.devices().items()}
        about = {"title": self.title, "figure": self.name, "source": self.source, "caption": self.caption}
        # NetCDF has no truth values.
        out.attrs = {**about, "quick": int(quick), "models": json.dumps(devices), **versions()}
        out.attrs["claims"] = json.dumps([claim.record() for claim in self.claims(out)])
        return out

    def draw(self, data: xarray.Dataset) -> Figure:
        """The picture of the data, with its caption beneath, in the package's own style."""
        with style():
            return captioned(self.paint(data), f"{self.title}. {self.caption}")
