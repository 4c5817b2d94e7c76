"""`qdiff optimize`: what it writes, and where."""

import json
import os
import pathlib

import pytest

LARGEST = 0.45016600268752216  # p = 1/(1 + e^(beta gap)) at the lowest beta gap of the search, 0.2
SOURCE = '''
import qdiff as qd
import jax.numpy as jnp

print("the file was run")


class Hill(qd.Model):
    """A hill."""

    x: float = qd.parameter(0.0, unit="energy", search=(0, 1))
    y: float = qd.parameter(0.0, low=0, search=(0, 2))
    wide: float = qd.parameter(1.0, low=0, open=True)
    kind: int = qd.setting(1)

    @qd.merit(symbol="h", unit="energy^2", source="none")
    def height(self):
        return 3 - (self.x - 0.25) ** 2 / self.wide + self.y

    @qd.merit(symbol="n", unit="1", source="none")
    def nowhere(self):
        return self.x * jnp.nan
'''
FILES = ["journal.jsonl", "picture.png", "result.json", "trace.csv"]
FAST = ("--starts", "4", "--steps", "10")


@pytest.fixture
def hill(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(SOURCE) + ":Hill"


def test_json(qdiff, hill):
    result = qdiff("optimize", hill, "height", "--json", "--set", "wide=2", *FAST)
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1 and "the file was run" in result.stderr and "done: height = 5 " in result.stderr
    found = json.loads(result.stdout)
    assert found["merit"] == "height" and found["value"] == 5.0
    assert found["parameters"] == {"x": 0.25, "y": 2.0}
    assert found["at_bound"] == {"y": "high"}
    assert found["converged"] is True and found["message"] == "converged" and found["gradient_norm"] <= 1e-7
    assert 40 < found["evaluations"] < 80
    assert found["out"] == "qdiff-out-Hill-height"
    assert sorted(os.listdir(found["out"])) == FILES


def test_tables(qdiff, hill):
    result = qdiff("optimize", hill, "height", "--over", "x=-1:0.125", "--over", "wide = 1 : 4", "--minimize", *FAST, "--out", "here")
    assert result.exit_code == 0
    # the least: x at its low bound, as narrow as possible, 3 - 1.25^2
    assert "Least height: 1.4375 energy^2" in result.stdout
    lines = {line.split()[1]: line for line in result.stdout.splitlines() if line.startswith("│")}
    assert "low (-1)" in lines["x"] and "energy" in lines["x"] and "low (1)" in lines["wide"]
    assert "converged" in result.stdout and "picture.png in here" in result.stdout
    assert sorted(os.listdir("here")) == FILES


def test_a_shipped_way_of_writing_a_device(qdiff, write, tmp_path):
    over = ("--over", "beta=0.2:3", "--over", "gap=1:2")
    out = str(tmp_path / "a" / "b")
    result = qdiff("optimize", write() + ":Damped", "excited", *over, "--starts", "2", "--steps", "3", "--json", "--out", out)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["value"] == pytest.approx(LARGEST, rel=1e-13)
    assert found["parameters"] == {"beta": 0.2, "gap": 1.0} and found["at_bound"] == {"beta": "low", "gap": "low"}


def test_no_run_is_overwritten(qdiff, hill):
    args = ("optimize", hill, "height", "--json", *FAST)
    names = [json.loads(qdiff(*args).stdout)["out"] for _ in range(3)]
    assert names == ["qdiff-out-Hill-height", "qdiff-out-Hill-height-2", "qdiff-out-Hill-height-3"]
    before = pathlib.Path(names[0], "result.json").read_bytes()
    result = qdiff(*args, "--out", names[0])
    assert (result.exit_code, result.stdout) == (2, "")
    want = f"--out must be a folder without the files of another run, but {names[0]} has result.json, trace.csv, picture.png"
    assert f"qdiff: {want}" in result.stderr.splitlines()
    assert pathlib.Path(names[0], "result.json").read_bytes() == before


def test_a_search_that_finds_nothing(qdiff, hill):
    result = qdiff("optimize", hill, "nowhere", "--json", *FAST)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "qdiff: nowhere is not a finite number at any of the 4 starts: narrow the bounds `over`, or take more starts" in result.stderr
    assert os.listdir() == ["device.py"] or sorted(os.listdir()) == ["__pycache__", "device.py"]


@pytest.mark.slow
def test_the_default_search_in_a_process_of_its_own(process, tmp_path):
    args = ("optimize", "rotor-rectifier", "performance", "--starts", "4", "--json", "--out", str(tmp_path / "out"))
    result = process(*args)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr and "Warning" not in result.stderr
    found = json.loads(result.stdout)
    assert found["value"] == pytest.approx(1.0610867933, abs=1e-9)
    assert found["parameters"] == pytest.approx({"chi": 0.849424, "B2": 8.923563, "lam": 0.030193}, abs=1e-5)
    assert found["converged"] is True and found["at_bound"] == {}


@pytest.mark.parametrize(
    ("tie", "message"),
    [
        (["T9=T1"], "LambdaSystem has no parameter 'T9'"),
        (["T2=T1", "T2=rate"], "T2 must be tied to one parameter, but --tie gives it two"),
    ],
)
def test_bad_ties(qdiff, tmp_path, tie, message):
    options = [word for entry in tie for word in ("--tie", entry)]
    result = qdiff("optimize", "lambda-system", "force", "--over", "T1=1:2", *options, "--out", str(tmp_path / "out"))
    assert result.exit_code == 2 and message in result.stderr and not (tmp_path / "out").exists()


def test_constraints(qdiff, tmp_path):
    """The force is proportional to rate^2: rate is as large as omega1 allows."""
    options = ["--over", "rate=0.1:2", "--over", "omega1=0.9:1.1", "--starts", "4", "--json"]
    result = qdiff("optimize", "lambda-system", "force", "--constraint", "rate + omega1 <= 2", *options, "--out", str(tmp_path / "a"))
    found = json.loads(result.stdout)
    assert found["active"] == ["rate + omega1 <= 2"] and sum(found["parameters"].values()) == pytest.approx(2, abs=1e-12)


def test_resume(qdiff, hill, tmp_path):
    """A search that was cut short ends as the whole one; what cannot be resumed is refused."""
    args = ("optimize", hill, "2*height - x", "--json", *FAST)
    assert qdiff(*args, "--out", "whole").exit_code == 0
    os.mkdir("cut")
    journal = pathlib.Path("whole", "journal.jsonl").read_bytes()
    pathlib.Path("cut", "journal.jsonl").write_bytes(journal[: len(journal) // 2])
    assert qdiff(*args, "--out", "cut", "--resume").exit_code == 0
    assert pathlib.Path("cut", "result.json").read_bytes() == pathlib.Path("whole", "result.json").read_bytes()
    refused = [(), ("--out", "cut"), ("--out", "new", "--resume"), ("--resume",), ("--out", "cut", "--resume", "--seed", "3")]
    codes = [qdiff(*args, *more).exit_code for more in refused]
    assert codes == [0, 2, 2, 2, 2]


COMB = """
import jax.numpy as jnp
import qdiff as qd


class Comb(qd.Model):
    heights: object = qd.parameter(None, unit="length", low=0, high=2, array="all_heights")
    slope: float = qd.parameter(0.1)
    twin: float = qd.parameter(0.7)

    def all_heights(self):
        return jnp.full(2, 0.5) if self.heights is None else self.heights

    @qd.merit(symbol="F", unit="1", source="a test")
    def fit(self):
        return -jnp.sum((self.all_heights() - jnp.array([0.3, 3.0])) ** 2) - (self.slope - 0.2) ** 2 - (self.twin - 0.4) ** 2
"""


def test_arrays_and_ties_in_the_table(qdiff, write, tmp_path, monkeypatch):
    """Each entry of an array in a line of its own, and what follows another parameter says whom."""
    monkeypatch.chdir(tmp_path)
    over = ("--over", "heights=0:1.5", "--over", "slope=0:1", "--tie", "twin=slope")
    result = qdiff("optimize", write(COMB) + ":Comb", "fit", *over, *FAST)
    assert result.exit_code == 0, result.output
    rows = {line.split()[1]: line.replace("│", " ").split() for line in result.stdout.splitlines() if line.startswith("│")}
    assert rows["heights[0]"][1:3] == ["0.5", "0.3"] and rows["heights[1]"][1:] == ["0.5", "1.5", "length", "high", "(1.5)"]
    assert rows["slope"][1:3] == ["0.1", "0.3"] and rows["twin"][1:3] == ["0.7", "0.3"] and rows["twin"][-2:] == ["as", "slope"]
