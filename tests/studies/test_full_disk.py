"""A disk without room, played by the system's limit on the size of a file: what is kept is said, the rest leaves nothing behind."""

import contextlib
import gc
import json
import os
import resource

import h5py
import numpy as np
import pytest

import qdiff as qd


class Hill(qd.Model):
    x: float = qd.parameter(0.0)

    @qd.merit(symbol="h", unit="1", source="a test")
    def height(self):
        return 3 - (self.x - 0.25) ** 2

    @qd.merit(symbol="v", unit="1", source="a test")
    def heights(self):
        return self.height() * np.arange(40.0)


@contextlib.contextmanager
def room(size):
    """Files may not grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def found(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)


X = np.linspace(0, 1, 40)


def swept(out, **options):
    return qd.sweep(Hill(), ["height", "heights"], x=X, chunk=4, out=out, **options)


def test_a_sweep_that_cannot_begin(tmp_path):
    """Not even study.json fits, or not the first points: no folder is left, nor one made for it, and the next try is a first one."""
    for size in (100, 2000):
        with room(size), pytest.raises(OSError, match="cannot be written: File too large; no point is kept$") as said:
            swept(tmp_path / "deep" / "er" / "a.nc")
        assert "\n" not in str(said.value) and found(tmp_path) == []
    with swept(tmp_path / "deep" / "er" / "a.nc") as data:
        assert np.allclose(data.height, 3 - (X - 0.25) ** 2, atol=1e-15)


def test_a_file_that_does_not_fit(tmp_path):
    """Its parts do: HDF5, which would fail at every turn and when it is forgotten, hears nothing of it."""
    out = tmp_path / "a.nc"
    with (
        room(8000),
        pytest.raises(OSError, match=r"File too large; 40 of 40 points are kept in .*a\.nc\.parts: make room, and resume$") as said,
    ):
        swept(out)
    gc.collect()
    assert "\n" not in str(said.value) and not out.exists() and len(found(tmp_path)) == 12
    with swept(out, resume=True) as data:
        assert np.allclose(data.heights, (3 - (X - 0.25) ** 2)[:, None] * np.arange(40), atol=1e-13)
    assert found(tmp_path) == ["a.nc"]


def test_a_search(tmp_path):
    """As many evaluations as it says, each line whole; resumed, it is the search that was not disturbed."""

    def search(name, **options):
        return qd.optimize(Hill(), "height", {"x": (0, 1)}, starts=3, steps=8, out=tmp_path / name, **options)

    with room(4000), pytest.raises(OSError, match=r"File too large; \d+ evaluations are kept in .*a.journal\.jsonl: make room") as said:
        search("a")
    journal = (tmp_path / "a" / "journal.jsonl").read_bytes()
    kept = int(str(said.value).partition("too large; ")[2].split()[0])
    assert journal.endswith(b"\n") and journal.count(b"\n") == kept + 1 and kept > 2 and found(tmp_path / "a") == ["journal.jsonl"]
    assert search("a", resume=True).parameters["x"] == pytest.approx(0.25, abs=1e-12)
    assert (tmp_path / "a" / "journal.jsonl").read_bytes().startswith(journal)
    with room(300), pytest.raises(OSError, match="File too large$"):
        search("deep/b")
    with room(300), pytest.raises(OSError, match=r"File too large; \d+ evaluations are kept in"):
        search("a", resume=True)
    best = search("a", resume=True)
    with room(300), pytest.raises(OSError, match="File too large$"):
        best.save(tmp_path / "deep" / "c")
    assert found(tmp_path) == ["a", *(f"a/{name}" for name in ("journal.jsonl", "picture.png", "result.json", "trace.csv"))]


def test_a_long_grid_is_no_text(tmp_path):
    """Its numbers are the file's coordinate; the record tells it from any other, and a rerun and a resume have it."""
    x, out = np.linspace(0, 1, 5000), tmp_path / "a.nc"
    qd.sweep(Hill(), "height", x=x, out=out).close()
    with h5py.File(out) as file:
        study = file.attrs["study"]
    assert len(study) < 2000 and json.loads(study)["grids"]["x"]["size"] == 5000
    assert qd.rerun(out, Hill).same
    with qd.sweep(Hill(), "height", x=x, out=out, resume=True) as data:
        assert np.array_equal(data.x, x) and np.allclose(data.height, 3 - (x - 0.25) ** 2, atol=1e-15)
    with pytest.raises(ValueError, match="it differs in grids$"):
        qd.sweep(Hill(), "height", x=np.where(x == x[77], x[77] + 1e-9, x), out=out, resume=True)
    with pytest.raises(RuntimeError):
        qd.sweep(Hill(), "height", x=x, out=tmp_path / "b.nc", callback=stop)
    assert os.path.getsize(tmp_path / "b.nc.parts" / "study.json") < 2000
    with qd.sweep(Hill(), "height", x=x, out=tmp_path / "b.nc", resume=True) as data:
        assert np.allclose(data.height, 3 - (x - 0.25) ** 2, atol=1e-15)
    out.write_bytes(out.read_bytes()[:-79])  # as another program would write it
    with h5py.File(out, "a") as file:
        file["x"][77] = 0.5
    with pytest.raises(ValueError, match="must be the whole file of a sweep, but its coordinate x is not the grid of its record"):
        qd.rerun(out, Hill)


def stop(done, total):
    if done > 2000:
        raise RuntimeError


def test_long_weights_are_no_text(tmp_path, monkeypatch):
    """a (3 - (x - 1/4)^2) - (1 - a) x is largest at x = 1/4 - (1 - a)/(2a)."""
    monkeypatch.setattr("qdiff.studies.store.provenance._LONG", 2)
    curve = qd.tradeoff(Hill(), "height", "-x", {"x": (-1, 1)}, weights=[0.5, 0.8, 1.0], starts=1, steps=2, out=tmp_path)
    assert curve.parameters["x"] == pytest.approx([-0.25, 0.125, 0.25], abs=1e-9)
    assert json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[0])["study"]["weights"]["size"] == 3
