"""`qdiff new`: the template is a model on which every command works, and never overwrites a file."""

import json

import pytest


def test_every_command_works_on_the_template(qdiff, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = qdiff("new", "HeatValve")
    assert made.exit_code == 0 and "heat_valve.py:HeatValve" in made.stdout
    model = "heat_valve.py:HeatValve"
    assert "Heat per time from the hot bath" in qdiff("show", model).stdout
    found = json.loads(qdiff("evaluate", model, "--json").stdout)["merits"]
    # Two baths of equal strength: the mean of their Bose factors sets the population, their difference the current.
    hot, cold = (1 / (pow(2.718281828459045, b) - 1) for b in (0.5, 2.0))
    assert found["excited"] == pytest.approx((hot + cold) / (2 * (hot + cold) + 2), rel=1e-12)
    assert found["heat_current"] == pytest.approx(0.01 * (hot - cold) / (2 * (hot + cold) + 2), rel=1e-12)
    best = json.loads(qdiff("optimize", model, "heat_current", "--over", "gap=0.1:5", "--starts", "4", "--out", "best", "--json").stdout)
    assert best["converged"] and best["value"] >= found["heat_current"]
    table = json.loads(qdiff("sensitivity", model, "heat_current", "--json").stdout)
    assert table["parameters"]["rate"]["elasticity"] == pytest.approx(1, rel=1e-12)
    swept = json.loads(qdiff("sweep", model, "--grid", "gap=1:2:3", "--merit", "excited", "--out", "s.nc", "--json").stdout)
    assert swept["points"] == 3 and swept["failed"] == 0


@pytest.mark.parametrize("name", ["3d", "a b", "class", "_x", "a/b"])
def test_names_that_no_class_can_have(qdiff, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    out = qdiff("new", name)
    assert out.exit_code == 2 and "a Python class can have" in out.stderr and not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written(qdiff, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = qdiff("new", "valve" * 100)
    assert out.exit_code == 2 and ".py cannot be written: File name too long" in out.stderr and not list(tmp_path.iterdir())
