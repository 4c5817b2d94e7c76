"""`qdiff tradeoff`: what it prints and writes."""

import dataclasses
import json
import os

import numpy as np
import pytest

import qdiff as qd

SOURCE = '''
import qdiff as qd


class Ridge(qd.Model):
    """Two hills."""

    x: float = qd.parameter(0.0, unit="length", search=(-1, 2))

    @qd.merit(symbol="f", unit="energy", source="none")
    def left(self):
        return 1 - self.x**2

    @qd.merit(symbol="g", unit="energy", source="none")
    def right(self):
        return 1 - (self.x - 1) ** 2
'''
FAST = ("--weights", "3", "--starts", "2", "--steps", "10")


@pytest.fixture
def ridge(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(SOURCE) + ":Ridge"


def test_json_and_table(qdiff, ridge):
    result = qdiff("tradeoff", ridge, "left", "right", "--json", *FAST)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["parameters"]["x"] == pytest.approx([1.0, 0.5, 0.0], abs=1e-9) and found["out"] == "qdiff-out-Ridge-left-right"
    assert sorted(os.listdir(found["out"])) == ["curve.csv", "journal.jsonl", "picture.png", "result.json"]
    result = qdiff("tradeoff", ridge, "left", "0.5*right", "--out", "here", *FAST)
    assert result.exit_code == 0 and "Largest alpha F + (1 - alpha) G" in result.stdout and "picture.png in here" in result.stdout
    assert qdiff("tradeoff", ridge, "left", "0.5*right", "--out", "here", *FAST).exit_code == 2
    assert qdiff("tradeoff", ridge, "left", "0.5*right", "--out", "here", "--resume", *FAST).exit_code == 0


def test_what_the_table_remarks(ridge, capsys, tmp_path):
    """A row that another one surpasses, and one that did not converge."""
    from qdiff.cli.common import load_model
    from qdiff.cli.tradeoff import _table

    curve = qd.tradeoff(load_model(ridge)(), "left", "right", starts=2, steps=5, weights=3)
    changed = {"efficient": np.array([True, False, False]), "converged": np.array([True, True, False]), "messages": ["", "", "stuck"]}
    _table(dataclasses.replace(curve, **changed), tmp_path)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert ["surpassed by another row" in row for row in rows] == [False, True, True] and "another row; stuck" in rows[2]
