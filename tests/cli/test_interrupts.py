"""Ctrl-C in a command: one sentence says what is kept, where, and how to go on; exit 130; resumed, it ends as if undisturbed."""

import json
import os
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import xarray

from qdiff.studies.search.search import Search
from qdiff.studies.store.netcdf import Layout
from qdiff.studies.sweep import Batches

SWEEP = ["sweep", "lambda-system", "--grid", "T1=1:3:20", "--merit", "imbalance", "--chunk", "2", "--out", "run.nc"]
HILL = '''
import qdiff as qd

class Hill(qd.Model):
    """A hill."""

    x: float = qd.parameter(0.0, search=(0, 1))
    y: float = qd.parameter(0.5, search=(0, 1))

    @qd.merit(symbol="h", unit="1", source="none")
    def height(self):
        return 3 - (self.x - 0.25) ** 2 - (self.y - self.x) ** 4

    @qd.merit(symbol="g", unit="1", source="none")
    def depth(self):
        return -self.x * self.y
'''


@pytest.fixture
def press(monkeypatch):
    """A function that has a method press Ctrl-C when it is called for the k-th time."""

    def at(kind, name, k):
        method, calls = getattr(kind, name), [0]

        def pressed(self, *args):
            calls[0] += 1
            if calls[0] == k:
                raise KeyboardInterrupt
            return method(self, *args)

        monkeypatch.setattr(kind, name, pressed)

    return at


@pytest.mark.parametrize(
    "kind, name, k, said",
    [
        (Batches, "_compile", 1, "interrupted: nothing is kept, as no point was computed yet"),
        (Batches, "__call__", 1, "interrupted: nothing is kept, as no point was computed yet"),
        (Batches, "__call__", 8, "interrupted: 14 of 20 points are kept in run.nc.parts; --out run.nc --resume goes on from there"),
        (Layout, "write", 1, "interrupted: 20 of 20 points are kept in run.nc.parts; --out run.nc --resume goes on from there"),
    ],
)
def test_a_sweep(qdiff, press, tmp_path, monkeypatch, kind, name, k, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)
    press(kind, name, k)
    result = qdiff(*SWEEP)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.splitlines()[-1] == f"qdiff: {said}"
    assert os.listdir(tmp_path) == (["run.nc.parts"] if "resume" in said else [])
    assert qdiff(*SWEEP, *(["--resume"] if "resume" in said else [])).exit_code == 0
    qdiff(*SWEEP[:-1], "whole.nc")
    with xarray.open_dataset("run.nc", engine="h5netcdf") as data, xarray.open_dataset("whole.nc", engine="h5netcdf") as whole:
        assert np.array_equal(data.imbalance, whole.imbalance) and sorted(os.listdir(tmp_path)) == ["run.nc", "whole.nc"]


@pytest.mark.parametrize(
    "command, begin",
    [("optimize", "the best so far (height = 2.9"), ("tradeoff", "the best so far (of each weight)")],
)
def test_a_search(qdiff, press, write, tmp_path, monkeypatch, command, begin):
    """The best so far is in the folder, without the second derivatives that the end has."""
    monkeypatch.chdir(tmp_path)
    model = write(HILL) + ":Hill"
    search = [command, model, "height", *(["depth", "--weights", "3"] if command == "tradeoff" else [])]
    options = ["--starts", "4", "--steps", "8", "--out", "best"]
    with monkeypatch.context():
        press(Search, "_note", 6)
        monkeypatch.setattr("qdiff.studies.search.programs.Programs.one", None)
        result = qdiff(*search, *options)
        monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert (result.exit_code, result.stdout) == (130, "")
    said = result.stderr.splitlines()[-1]
    assert said.startswith(f"qdiff: interrupted: {begin}")
    assert said.endswith(" and all evaluations are kept in best; --out best --resume goes on from there")
    half = json.loads((tmp_path / "best" / "result.json").read_text())
    assert np.all(np.logical_not(half["converged"]))
    assert qdiff(*search, *options, "--resume").exit_code == 0
    assert qdiff(*search, *options[:-1], "whole").exit_code == 0
    found, whole = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("best", "whole"))
    assert found == whole and np.all(found["converged"])


def test_a_search_that_has_nothing(qdiff, press, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(Search, "run", 1)
    result = qdiff("optimize", write(HILL) + ":Hill", "height", "--starts", "2", "--steps", "3", "--out", "best")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].endswith("interrupted: nothing is kept, as nothing was computed yet")
    assert not (tmp_path / "best").exists()


def test_another_command(qdiff, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("qdiff.studies.evaluate.evaluate", stop)
    result = qdiff("evaluate", "lambda-system", "--merit", "force")
    assert (result.exit_code, result.stderr) == (130, "qdiff: interrupted: nothing is kept\n")


# The file of the model presses Ctrl-C itself: in a callback of the collector, which swallows what is raised, as JAX's do.
SWALLOWED = '''
import gc, os, signal, time
import qdiff as qd

class Hill(qd.Model):
    """A hill."""

    x: float = qd.parameter(0.0)

    @qd.merit(symbol="h", unit="1", source="none")
    def height(self):
        def callback(*_):
            gc.callbacks.remove(callback)
            signal.raise_signal(signal.SIGINT)

        gc.callbacks.append(callback)
        gc.collect()
        for _ in range(2000):
            time.sleep(0.01)
        return self.x
'''
# Twice, while a call that hears no handler of Python's is at work: 2^30 rounds of a hash.
TWICE = '''
import hashlib, os, signal, threading, time
import qdiff as qd

class Hill(qd.Model):
    """A hill."""

    x: float = qd.parameter(0.0)

    @qd.merit(symbol="h", unit="1", source="none")
    def height(self):
        def press():
            for wait in (0.2, 0.2):
                time.sleep(wait)
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=press).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**30)
        return self.x
'''

AT_ONCE = "qdiff: {}; what was kept before is whole, and --resume goes on from there"


@pytest.mark.parametrize(
    "source, said",
    [
        (SWALLOWED, ["qdiff: interrupted: nothing is kept, as no point was computed yet"]),
        (TWICE, ["", AT_ONCE.format("interrupted twice, and ended at once")]),
    ],
)
def test_signals(write, tmp_path, source, said):
    """One that is swallowed while a figure of merit is traced is heard; a second one ends at once, in the middle of anything."""
    # A shell that started pytest in the background has Ctrl-C ignored by all below it.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heard}; from qdiff.cli.app import main; main()", "sweep", write(dedent(source)) + ":Hill"]
    command += ["--grid", "x=0:1:3", "--merit", "height", "--out", str(tmp_path / "run.nc")]
    environment = {**os.environ, "QDIFF_CACHE_DIR": "off"}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    lines = [line for line in found.stderr.split("\n")[:-1] if "points/s" not in line]
    assert (found.returncode, found.stdout, lines) == (130, "", said)
    assert sorted(os.listdir(tmp_path)) == ["device.py"]
