"""The figures of the papers: data that describe themselves, pictures that show them, claims that the README repeats."""

import json
import re
from pathlib import Path

import matplotlib.collections
import numpy as np
import pytest
import xarray

import qdiff as qd
from qdiff.figures import table
from qdiff.figures.files import save
from qdiff.figures.published import Published

README = Path(__file__).parents[2] / "README.md"
EXPECTED = {
    *(f"rotor-{k}" for k in range(2, 9)),
    *(f"active-{k}" for k in (2, 3, 4)),
    *(f"gge-{k}" for k in range(2, 7)),
    *(f"thermophoresis-2{k}" for k in "bcde"),
    *(f"spintronic-{k}" for k in range(3, 8)),
}

NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


def same(row: str, other: str) -> bool:
    """Whether two rows of the table say the same: all words and verdicts, and every number to 2 % or a unit of its last digit."""
    if NUMBER.sub("#", row) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(row), NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= max(0.02 * abs(float(b)), _last(a), _last(b)) * 1.000001 for a, b in pairs)


def _last(number: str) -> float:
    """A unit of a number's last digit if it is a decimal one, else 0: integers are names of things as often as numbers."""
    digits, _, power = number.partition("e")
    return 10.0 ** (int(power or 0) - len(digits.partition(".")[2])) if "." in digits else 0.0


def test_same_can_fail():
    row = "| a | ends at 0.43 | 0.43 | 0.434 | holds |"
    assert same(row, row.replace("0.434", "0.435")) and not same(row, row.replace("0.434", "0.45"))
    assert not same(row, row.replace("holds", "does not hold")) and not same(row, row.replace("ends", "begins"))
    assert not same("site 3", "site 4") and same("-1.1e-05", "-1.0e-05")


def listed(name: str) -> list[str]:
    """The README's rows on a figure."""
    return [row for row in table.between(README.read_text()).splitlines() if row.startswith(f"| {name} |")]


@pytest.fixture(scope="module")
def computed():
    """The quick data of a figure, computed once."""
    kept = {}

    def data(name):
        if name not in kept:
            kept[name] = qd.figures.load(name).data(quick=True)
        return kept[name]

    return data


def test_every_figure_is_there():
    """Names, sources, captions and models of all of them, and rows in the README for each and nothing else."""
    assert set(qd.figures.NAMES) == EXPECTED
    for name in qd.figures.NAMES:
        figure = qd.figures.load(name)
        assert isinstance(figure, Published) and figure.name == name
        assert figure.source.endswith("Fig. " + re.sub("[a-z]", r"(\g<0>)", name.partition("-")[2]))
        assert figure.title and len(figure.caption) > 100 and listed(name)
    rows = table.between(README.read_text()).splitlines()[2:]
    assert {row.split(" | ")[0].removeprefix("| ") for row in rows} == EXPECTED


def test_no_such_figure():
    with pytest.raises(ValueError, match="there is no figure 'rotor-1'; did you mean 'rotor-"):
        qd.figures.load("rotor-1")


@pytest.mark.parametrize("name", qd.figures.NAMES)
def test_readme_is_current(name, computed):
    """The claims, recomputed, are the README's; every panel shows something finite, above the caption."""
    figure, data, there = qd.figures.load(name), computed(name), listed(name)
    found = table.rows(name, figure.claims(data))
    assert len(found) == len(there)
    for row, other in zip(found, there, strict=True):
        assert same(row, other), f"the README says\n{other}\nand the figure\n{row}"
    picture = figure.draw(data)
    picture.draw_without_rendering()
    assert any("".join(text.get_text().split()).startswith("".join(figure.title.split())) for text in picture.texts)
    for axes in picture.findobj(matplotlib.axes.Axes):
        lines = [line for line in axes.get_lines() if np.size(line.get_xdata())]
        shown = [c for c in axes.collections if isinstance(c, matplotlib.collections.Collection)]
        assert lines or shown, figure.name
        for line in lines:
            assert np.isfinite(np.asarray(line.get_ydata(), float)).any(), (figure.name, line.get_label())


def test_files(computed, tmp_path):
    """The three files, what NetCDF keeps, and that nothing is overwritten."""
    figure, data = qd.figures.load("thermophoresis-2d"), computed("thermophoresis-2d")
    paths = save(figure, data, tmp_path / "new")
    assert [p.name for p in paths] == ["thermophoresis-2d.png", "thermophoresis-2d.svg", "thermophoresis-2d.nc"]
    assert paths[0].read_bytes().startswith(b"\x89PNG") and paths[0].stat().st_size > 20_000
    assert b"<svg" in paths[1].read_bytes()[:1000]
    with xarray.open_dataset(paths[2], engine="h5netcdf") as kept:
        assert kept.identical(data)
        assert kept.site_populations.attrs["symbol"] == "P_k" and kept.attrs["source"].endswith("Fig. 2(d)")
        assert json.loads(kept.attrs["models"])["lattice"]["model"] == "thermophoretic-lattice"
        assert json.loads(kept.attrs["claims"])[0]["verdict"] == "holds"
    with pytest.raises(ValueError, match="thermophoresis-2d.png exists"):
        save(figure, data, tmp_path / "new")
