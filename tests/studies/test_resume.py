"""An optimisation that is killed and resumed ends as the undisturbed one, byte by byte."""

import inspect
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

import qdiff as qd

OVER = {"x": (-1, 1), "y": (-1, 1)}


class Valley(qd.Model):
    """Rosenbrock's."""

    x: float = qd.parameter(0.0)
    y: float = qd.parameter(0.0)

    @qd.merit(symbol="F", unit="energy", source="a test")
    def depth(self):
        return 100 * (self.y - self.x**2) ** 2 + (0.9 - self.x) ** 2


# Slowed down by its callback, so that a kill comes in the middle.
SCRIPT = f"""
import sys, time
import qdiff as qd

{inspect.getsource(Valley)}

if __name__ == "__main__":
    wait = lambda *_: time.sleep(0.02)
    qd.optimize(Valley(), "depth", {OVER}, minimize=True, starts=4, out=sys.argv[1], resume=True, callback=wait)
"""


def search(out, **options):
    return qd.optimize(Valley(), "depth", OVER, minimize=True, starts=4, steps=20, out=out, **options)


def files(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".csv", ".jsonl")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    found = search(folder)
    assert found.converged and found.value == pytest.approx(0, abs=1e-20)
    return files(folder)


def test_a_journal_cut_anywhere(whole, tmp_path):
    """Twenty places in the journal, most of them in the middle of a line: the same files after a resume."""
    journal, pick = whole["journal.jsonl"], random.Random(0)
    assert sorted(whole) == ["journal.jsonl", "result.json", "trace.csv"] and journal.count(b"\n") > 25
    for k, cut in enumerate([0, 10, len(journal), *(pick.randrange(len(journal)) for _ in range(17))]):
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(journal[:cut])
        search(folder, resume=True)
        assert files(folder) == whole, cut


def test_an_interrupt_is_resumed(whole, tmp_path):
    def stop(step, value):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^interrupted: the best so far .depth = .* are kept in .*; resume=True goes on"):
        search(tmp_path, callback=stop)
    assert json.loads((tmp_path / "result.json").read_text())["converged"] is False
    assert search(tmp_path, resume=True).converged
    assert all(files(tmp_path)[name] == whole[name] for name in ("result.json", "trace.csv"))


def test_nothing_is_computed_twice(whole, tmp_path, monkeypatch):
    """A finished search is read, not run: without its compiled programs it still gives its result."""
    from qdiff.studies.search import programs as module

    (tmp_path / "journal.jsonl").write_bytes(whole["journal.jsonl"])
    monkeypatch.setattr(module.Programs, "_compiled", None)
    assert search(tmp_path, resume=True).converged and files(tmp_path) == whole


def test_refusals(whole, tmp_path):
    (tmp_path / "journal.jsonl").write_bytes(whole["journal.jsonl"])
    with pytest.raises(ValueError, match="out has an unfinished or finished study .*: resume it, or give another folder"):
        search(tmp_path)
    with pytest.raises(ValueError, match="must be the same as this one, but differs in seed"):
        search(tmp_path, seed=1, resume=True)
    (tmp_path / "journal.jsonl").write_bytes(b'{"at": 3}\n[7]\n')
    with pytest.raises(ValueError, match=r"journal.jsonl that is damaged: give another folder"):
        search(tmp_path, resume=True)
    with pytest.raises(ValueError, match="out must be given, the folder of the search to go on with"):
        search(None, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="out must be a folder, but .* is a file"):
        search(tmp_path / "file")


@pytest.mark.slow
def test_kill_9_twenty_times(tmp_path):
    """The process is killed at a random moment and started again, until it ends: the files of an undisturbed run."""
    script, pick = tmp_path / "valley.py", random.Random(1)
    script.write_text(SCRIPT)
    folders = [tmp_path / "whole", tmp_path / "killed"]

    def start(folder):
        return subprocess.Popen([sys.executable, str(script), str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(folders[0]).wait() == 0
    killed = 0
    for _ in range(20):
        process, before = start(folders[1]), size(folders[1])
        while process.poll() is None and size(folders[1]) == before:
            time.sleep(0.005)
        time.sleep(pick.random() * 0.1)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        if (folders[1] / "result.json").exists():
            break
    assert start(folders[1]).wait() == 0 and killed >= 5
    assert files(folders[1]) == files(folders[0])


def size(folder: pathlib.Path) -> int:
    path = folder / "journal.jsonl"
    return path.stat().st_size if path.exists() else 0
