"""Curves of best compromises against closed forms, and where they are hollow."""

import csv
import json
import re

import numpy as np
import pytest

import qdiff as qd


class Ridge(qd.Model):
    x: float = qd.parameter(0.0)
    y: float = qd.parameter(0.0)

    @qd.merit(symbol="f", unit="energy", source="a test")
    def left(self):
        return 1 - self.x**2 - self.y**2

    @qd.merit(symbol="g", unit="energy", source="a test")
    def right(self):
        return 1 - (self.x - 1) ** 2 - self.y**2

    @qd.merit(symbol="a", unit="1", source="a test")
    def along(self):
        return self.x

    @qd.merit(symbol="b", unit="1", source="a test")
    def up(self):
        return self.y

    @qd.merit(symbol="k", unit="1", source="a test")
    def kinked(self):
        return -abs(self.x - 0.3)

    @qd.merit(symbol="h", unit="1", source="a test")
    def hollow(self):
        return 1 - self.x**0.5


BOX = {"x": (-2, 2), "y": (-2, 2)}


def test_two_parabolas(tmp_path):
    """alpha (1 - x^2) + (1 - alpha)(1 - (x - 1)^2) is largest at x = 1 - alpha; saved, resumed, and read again."""
    curve = qd.tradeoff(Ridge(), "left", "right", BOX, weights=5, out=tmp_path)
    alpha = np.linspace(0, 1, 5)
    assert np.allclose(curve.parameters["x"], 1 - alpha, atol=1e-9) and np.allclose(curve.parameters["y"], 0, atol=1e-9)
    assert np.allclose(curve.values, np.stack([1 - (1 - alpha) ** 2, 1 - alpha**2], axis=1), atol=1e-9)
    assert curve.converged.all() and curve.efficient.all()
    with open(tmp_path / "curve.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["alpha", "left", "right", "x", "y", "converged"]
    assert [float(row[1]) for row in rows[1:]] == curve.values[:, 0].tolist()
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["merits"] == ["left", "right"] and record["values"] == curve.values.tolist()
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    again = qd.tradeoff(Ridge(), "left", "right", BOX, weights=5, out=tmp_path, resume=True)
    assert np.array_equal(again.values, curve.values)


def test_on_a_constraint_and_with_a_tie():
    """x and y on the unit disk: the direction (alpha, 1 - alpha); with y tied to x, both at once."""
    curve = qd.tradeoff(Ridge(), "along", "up", BOX, weights=[0.2, 0.5, 0.9], constraints="x**2 + y**2 <= 1")
    want = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    assert np.allclose(curve.values, want / np.linalg.norm(want, axis=1, keepdims=True), atol=1e-9)
    tied = qd.tradeoff(Ridge(), "left", "right", {"x": (-2, 2)}, weights=[0.5], ties={"y": "x"})
    assert np.allclose(tied.parameters["x"], 0.25, atol=1e-9) and tied.ties == {"y": "x"}


def test_a_hollow_front_is_jumped_over():
    """1 - sqrt x against x bends inwards: only its ends are best for some alpha."""
    curve = qd.tradeoff(Ridge(), "hollow", "along", {"x": (0, 1)}, weights=[0.1, 0.4, 0.6, 0.9])
    assert curve.parameters["x"].tolist() == [1.0, 1.0, 0.0, 0.0] and curve.at_bound[0] == {"x": "high"}


def test_a_kink_is_marked(tmp_path):
    """0.9 (-|x - 0.3|) + 0.1 x is best at the kink, which is no optimum that a gradient could show."""
    curve = qd.tradeoff(Ridge(), "kinked", "along", {"x": (0, 1)}, weights=[0.0, 0.9], out=tmp_path)
    assert curve.converged.tolist() == [True, False] and np.allclose(curve.parameters["x"], [1.0, 0.3], atol=1e-6)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_surpassed():
    from qdiff.studies.tradeoff import _efficient

    assert _efficient(np.array([[0.0, 1.0], [0.5, 0.5], [0.4, 0.5], [1.0, 0.0], [1.0, 0.0]])).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [0.5, 1.5]}, "weights must be a count or numbers from 0 to 1, but was [0.5, 1.5]"),
        ({"weights": []}, "weights must be a count or numbers from 0 to 1, but was []"),
        ({"weights": "many"}, "weights must be a count or numbers from 0 to 1, but was 'many'"),
        ({"starts": 0}, "starts must be an integer of at least 1, but was 0"),
        ({"model": 3}, "model must be a qdiff.Model, but was 3"),
        ({"constraints": "x >= 5"}, "left and right are finite and allowed at none of the points tried: change `over`"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        qd.tradeoff(**{"model": Ridge(), "merit": "left", "other": "right", "over": BOX, "weights": 2, "steps": 5, **change})


@pytest.mark.slow
def test_the_rectifier():
    """Between rectification and heat flow: every alpha as good as a search for that alpha alone."""
    curve = qd.tradeoff(qd.models.RotorRectifier(), "rectification", "heat_flow", weights=[0.25, 0.5, 0.75])
    assert curve.converged.all()
    for alpha, (R, J) in zip(curve.weights, curve.values, strict=True):
        alone = qd.optimize(qd.models.RotorRectifier(alpha=alpha), "performance")
        assert alpha * R + (1 - alpha) * J >= alone.value - 1e-9
