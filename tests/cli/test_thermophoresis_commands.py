"""The thermophoresis models from a shell."""

import json

import pytest

TEN = "0.8,0.8,0.8,0.8,0.8,0.4,0.4,0.4,0.4,0.4"


def test_a_profile(qdiff):
    args = ("evaluate", "thermophoretic-lattice", "--set", "g=1.3", "--set", f"temperatures={TEN}", "--merit", "thermophoresis")
    result = qdiff(*args, "--gradient", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["merits"]["thermophoresis"] == pytest.approx(0.1386786886486, abs=1e-12)
    assert found["parameters"]["T_left"] is None and len(found["parameters"]["temperatures"]) == 10
    assert len(found["gradients"]["thermophoresis"]["temperatures"]) == 10
    assert found["diagnostics"]["derivatives"] == "two-sided"
    table = qdiff(*args)
    assert table.exit_code == 0 and "0.1386786886" in table.stdout and "Traceback" not in table.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--set", f"temperatures={TEN}", "--set", "T_left=1"], "temperatures must be given instead of T_left and T_right, but was"),
        (["--set", "temperatures=0.5"], "temperatures must be one for each site, shape (10,), but has shape (1,)"),
        (["--set", "temperatures=0.5,warm"], "temperatures must be an array of numbers, but was '0.5,warm'"),
        (["--set", "g=0"], "g must not be 0: without hopping the sites are separate, and there are 10 stationary states"),
        (["--set", "sites=1"], "sites must be at least 2, but was 1"),
        (["--set", "T_left=-1"], "T_left must be above 0, but was -1.0"),
    ],
)
def test_bad_input(qdiff, given, message):
    result = qdiff("evaluate", "thermophoretic-lattice", *given, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"qdiff: {message}") and result.stderr.count("\n") == 1


def test_too_cold_is_a_failed_solve(qdiff):
    result = qdiff("evaluate", "lambda-system", "--set", "T1=0.001", "--set", "T2=0.001", "--merit", "imbalance")
    assert result.exit_code == 3 and "qdiff: the stationary populations are not unique: rates vanish" in result.stderr


def test_show(qdiff):
    result = qdiff("show", "thermophoretic-lattice")
    assert result.exit_code == 0
    for name in ("temperatures", "thermophoresis", "relaxation_gap", "master_equation"):
        assert name in result.stdout


@pytest.mark.slow
def test_the_default_search_and_the_ten_temperatures(qdiff, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = json.loads(qdiff("optimize", "thermophoretic-lattice", "thermophoresis", "--json").stdout)
    assert found["parameters"] == pytest.approx({"g": 1.8728268827625, "T_left": 1.9253542653986}, abs=1e-9)
    assert found["notes"]["g_interval"] == pytest.approx([1.2036156237755653, 3.5133370916661386])
    args = ("--over", "temperatures=0.4:0.8", "--set", "g=1.3")
    found = json.loads(qdiff("optimize", "thermophoretic-lattice", "thermophoresis", *args, "--json").stdout)
    assert found["parameters"] == {"temperatures": [0.8] * 5 + [0.4] * 5} and found["converged"]
    table = qdiff("optimize", "thermophoretic-lattice", "thermophoresis", *args, "--starts", "2", "--steps", "10")
    assert "temperatures[9]" in table.stdout and "g interval: [1.2036" in table.stdout
