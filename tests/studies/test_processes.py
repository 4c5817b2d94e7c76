"""Two processes with one study: who computes what, and how a failure of one ends the other. And `Company` by itself, in one process."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import qdiff as qd
from qdiff.studies import processes
from qdiff.studies.store import journal

BEGIN = """
import os, sys, time
import jax
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", num_processes=2, process_id=int(sys.argv[3]), heartbeat_timeout_seconds=30)
import numpy as np
import qdiff as qd
out, me = sys.argv[1], int(sys.argv[3])
try:
    CODE
except Exception as error:  # whatever it is, the test reads it from what this process prints
    print("raised", type(error).__name__, error, flush=True)
"""
SHARES = """
    for points in (5, 200):
        done = []
        with qd.sweep(qd.models.LambdaSystem(), "imbalance", T1=np.linspace(0.5, 3, points), out=f"{out}{points}.nc",
                      callback=lambda now, total: done.append(now)) as data:
            print(done[-1], data.imbalance.values.tolist(), flush=True)
"""
FAILS = """
    def stop(done, total):
        if me == 1 and done >= 4:
            raise ERROR
    time.sleep(3 * me)
    qd.sweep(qd.models.LambdaSystem(), "imbalance", T1=np.linspace(0.5, 3, 20), out=out + ".nc", chunk=2, callback=stop)
"""
KILLED = """
    from qdiff.studies import processes
    processes._SILENCE, processes._BEAT = 6.0, 0.5
    def wait(done, total):
        print("computing", flush=True)
        time.sleep(1000 if me == 1 else 0)
    qd.sweep(qd.models.LambdaSystem(), "imbalance", T1=np.linspace(0.5, 3, 20), out=out + ".nc", chunk=2, callback=wait)
"""
SEARCH = """
    box = {"T1": (0.5, 2), "omega1": (0.5, 2)}
    best = qd.optimize(qd.models.LambdaSystem(), "imbalance", box, starts=3, steps=4, out=out)
    plain = lambda record: str(record).replace(chr(10), " ")
    print(plain([best.record(), best.starts, best.trace]), flush=True)
    curve = qd.tradeoff(qd.models.LambdaSystem(), "imbalance", "force", box, starts=2, steps=3, weights=2, out=out + "-curve")
    print(plain(curve.record()), flush=True)
    missing = qd.optimize(qd.models.LambdaSystem(), "imbalance", box, out=out)
"""


def start(out: pathlib.Path, code: str) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", BEGIN.replace("CODE", code.strip()), str(out), port]
    return [subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for k in (0, 1)]


def said(run: list[subprocess.Popen]) -> list[list[str]]:
    try:
        return [process.communicate(timeout=200)[0].splitlines() for process in run]
    finally:
        for process in run:
            process.kill()


@pytest.mark.slow
def test_a_small_grid_is_shared_out(tmp_path):
    """Each of two processes computes half; of five points, three and two; the numbers are those of one process."""
    lines = said(run := start(tmp_path / "data", SHARES))
    assert [process.returncode for process in run] == [0, 0]
    done = [[int(line.partition(" ")[0]) for line in each] for each in lines]
    assert sorted(done) == [[2, 100], [3, 100]]
    for k, points in enumerate((5, 200)):
        want = qd.sweep(qd.models.LambdaSystem(), "imbalance", T1=np.linspace(0.5, 3, points)).imbalance.values
        for each in lines:
            assert np.allclose(json.loads(each[k].partition(" ")[2]), want, rtol=0, atol=1e-14)
    deadline = time.monotonic() + 5
    while len(os.listdir(tmp_path)) > 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(os.listdir(tmp_path)) == ["data200.nc", "data5.nc"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "error, told",
    [('ValueError("the" + chr(10) + "twelfth")', "failed: ValueError: the twelfth"), ("KeyboardInterrupt", "was interrupted")],
)
def test_a_failure_of_one_ends_the_other(tmp_path, error, told):
    """Its sentence is that of the one that failed; resumed, the study is whole."""
    lines = said(start(tmp_path / "data", FAILS.replace("ERROR", error)))
    assert lines[0] == [f"raised Another process 1 of 2 of this sweep {told}"]
    assert lines[1] == (["raised ValueError the", "twelfth"] if "ValueError" in error else [])
    assert (tmp_path / "data.nc.parts").is_dir()
    grid = {"T1": np.linspace(0.5, 3, 20)}
    with qd.sweep(qd.models.LambdaSystem(), "imbalance", out=tmp_path / "data.nc", resume=True, **grid) as data:
        assert np.array_equal(data.imbalance, qd.sweep(qd.models.LambdaSystem(), "imbalance", chunk=2, **grid).imbalance)


@pytest.mark.slow
def test_a_kill_of_one_ends_the_other(tmp_path):
    run = start(tmp_path / "data", KILLED)
    assert run[1].stdout is not None and run[1].stdout.readline() == "computing\n"
    os.kill(run[1].pid, signal.SIGKILL)
    lines = said(run)
    assert lines[0][-1].startswith("raised Another process 1 of 2 of this sweep has not been heard of for 6 s: it was killed")


@pytest.mark.slow
def test_one_searches_and_both_have_the_result(tmp_path):
    """The second process computes nothing, writes nothing, and has the same optimum and curve; what is refused, it refuses as well."""
    lines = said(run := start(tmp_path / "best", SEARCH))
    assert [process.returncode for process in run] == [0, 0]
    assert lines[0][:2] == lines[1][:2] and len(lines[0]) == 3
    assert "raised ValueError out has an unfinished or finished study" in lines[0][2]
    assert "raised Another process 0 of 2 of this search failed: ValueError: out has an unfinished or finished" in lines[1][2]
    box = {"T1": (0.5, 2), "omega1": (0.5, 2)}
    alone = qd.optimize(qd.models.LambdaSystem(), "imbalance", box, starts=3, steps=4, out=tmp_path / "alone")
    assert json.loads((tmp_path / "best" / "result.json").read_text())["value"] == pytest.approx(alone.value, abs=1e-14)
    counts = [(tmp_path / name / "journal.jsonl").read_text().count("\n") for name in ("best", "alone")]
    assert counts[0] == counts[1]


@pytest.fixture
def second(monkeypatch, tmp_path):
    """A function that makes the company of process k, of three."""
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr(processes, "_BEAT", 0.02)
    monkeypatch.setattr(processes, "_POLL", 0.01)

    def process(k):
        processes.Company._known.clear()  # each is of another process
        monkeypatch.setattr(jax, "process_index", lambda: k)
        return processes.Company(tmp_path / "data.nc", "sweep")

    return process


def test_who_failed_is_known(second, tmp_path):
    """Also to those that come later; the files of all go when all have left."""
    first, other = second(0), second(1)
    first.look()
    other.leave(ValueError("too\nhot"))
    late = second(2)
    for company in (first, late):
        with pytest.raises(processes.Another, match="^process 1 of 3 of this sweep failed: ValueError: too hot$") as caught:
            company.wait(lambda: False)
        company.leave(caught.value)
    gone(tmp_path / "data.nc.processes")


def test_what_an_earlier_run_left_is_not_believed(second, tmp_path):
    folder = tmp_path / "data.nc.processes"
    folder.mkdir()
    for k, state in ((1, "failed"), (2, "done")):
        (folder / f"{k}.json").write_text(json.dumps({"name": "old", "beats": 3, "state": state, "why": "of old"}))
    first = second(0)
    time.sleep(0.1)
    assert first.state(1) is None and first.state(2) is None
    others = [second(1), second(2)]
    assert first.state(1) == "at work"
    for company in (first, *others):
        company.leave(None)
    gone(folder)


def test_silence(second, monkeypatch):
    """One that was heard and is not any more; one that has not begun is waited for."""
    monkeypatch.setattr(processes, "_SILENCE", 0.5)
    first, other = second(0), second(1)
    assert first.state(1) == "at work"
    time.sleep(0.7)
    assert (first.state(1), first.state(2)) == ("at work", None)
    other._ended.set()
    with pytest.raises(processes.Another, match="process 1 of 3 of this sweep has not been heard of"):
        first.wait(lambda: False)
    first._ended.set()


def gone(folder: pathlib.Path):
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not folder.exists()


def test_a_reader_writes_nothing(tmp_path):
    kept = journal.Journal.of(tmp_path / "a", {"study": "x"}, False)
    with journal.read_only():
        assert kept("f", lambda x: [2 * x], np.ones(1))[0] == 2
        kept.remove()
    assert not (tmp_path / "a").exists()
    kept("g", lambda x: [3 * x], np.ones(1))
    assert (tmp_path / "a" / "journal.jsonl").read_text().count("\n") == 2
