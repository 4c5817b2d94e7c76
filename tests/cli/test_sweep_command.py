"""`qdiff sweep` and `qdiff rerun` as a user types them."""

import json

import numpy as np
import pytest
import xarray

# A Lambda system is in equilibrium with each bath by itself: p_i goes as e^{omega_i / T_i}, the apex as one.
IMBALANCE = (np.exp(1.0) - np.exp(0.5)) / (1 + np.exp(1.0) + np.exp(0.5))

SWEEP = ["sweep", "lambda-system", "--grid", "T1=1:3:3", "--grid", "omega1=1,2", "--merit", "imbalance"]


def test_a_grid_into_a_file_and_again(qdiff, tmp_path):
    out = tmp_path / "a.nc"
    found = json.loads(qdiff(*SWEEP, "--gradient", "--out", str(out), "--json").stdout)
    assert found == {"out": str(out), "points": 6, "failed": 0, "shape": {"T1": 3, "omega1": 2}, "reasons": []}
    with xarray.open_dataset(out) as data:
        assert data.imbalance.sel(T1=2, omega1=1).item() == pytest.approx(IMBALANCE, rel=1e-12)
        assert data.imbalance.sel(T1=1, omega1=1).item() == pytest.approx(0, abs=1e-15)  # no difference of temperatures
        assert (data.d_imbalance_d_T1 > 0).all()
    again = qdiff("rerun", str(out), "--json")
    assert again.exit_code == 0 and json.loads(again.stdout)["same"]
    assert qdiff(*SWEEP, "--gradient", "--out", str(out), "--resume").exit_code == 0  # it is there, and of this study


def test_nothing_is_overwritten(qdiff, tmp_path):
    out = tmp_path / "c.nc"
    out.write_text("mine")
    result = qdiff(*SWEEP, "--out", str(out))
    assert result.exit_code == 2 and "out must be a new file" in result.stderr and out.read_text() == "mine"
    other = qdiff(*SWEEP, "--out", str(out), "--resume")
    assert other.exit_code == 2 and out.read_text() == "mine"
    assert qdiff("rerun", str(out)).exit_code == 2


DEVICE = """
import qdiff as qd


class Hill(qd.Model):
    x: float = qd.parameter(0.5)

    def warnings(self, numbers):
        return {"warning": "steep"} if self.x > 0.4 else {}

    @qd.merit(symbol="h", unit="1", source="none")
    def height(self):
        return 2 - self.x**2
"""


def test_the_models_warning_is_printed(qdiff, write, tmp_path):
    result = qdiff("sweep", write(DEVICE) + ":Hill", "--grid", "x=0:1:3", "--merit", "height", "--out", str(tmp_path / "d.nc"))
    assert result.exit_code == 0 and "3 points in " in result.stdout and "warning: at 2 of 3 points: steep" in result.stdout.splitlines()
