"""The active particle from a shell, and what it refuses."""

import json

import pytest

import qdiff as qd


def test_evaluate(qdiff):
    sets = ("--set", "dT=0.5", "--set", "spin_flips=false")
    result = qdiff("evaluate", "active-particle", *sets, "--merit", "velocity", "--gradient", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["merits"]["velocity"] == pytest.approx(-0.0251289301660904, abs=1e-15)
    assert found["gradients"]["velocity"]["dT"] == pytest.approx(-0.04684080943188174, abs=1e-14)
    assert found["parameters"]["spin_flips"] is False and found["parameters"]["bias_ratio"] is None


@pytest.mark.parametrize("epsilon", ["0.05", "1"])
@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "--merit", "velocity"),
        ("sweep", "--grid", "T=0.5:1:3", "--merit", "velocity", "--out", "grid.nc"),
        pytest.param(("sensitivity", "velocity", "--parameter", "T"), marks=pytest.mark.slow),
        pytest.param(("optimize", "velocity", "--minimize", "--over", "T=0.5:1", "--starts", "1", "--steps", "2"), marks=pytest.mark.slow),
    ],
    ids=lambda command: command[0],
)
def test_warning_with_every_result(qdiff, command, epsilon, tmp_path, monkeypatch):
    """Of a device whose splitting, 0.07, is below its damping, 0.2; and of none whose splitting is 1.4."""
    monkeypatch.chdir(tmp_path)
    name, *options = command
    result = qdiff(name, "active-particle", *options, "--set", f"epsilon={epsilon}", "--set", "d_x=0", "--json")
    assert result.exit_code == 0, result.stderr
    assert ("2 Delta_min = 0.07 < gamma = 0.2" in result.stdout) is (epsilon == "0.05")
    assert ("at 3 of 3 points" in result.stdout) is (name == "sweep" and epsilon == "0.05")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"T": 0.2, "dT": 0.4}, r"T must be above \|dT\|/2 = 0.2, but was 0.2"),
        ({"phonon_range": 0}, "phonon_range must be above 0, but was 0.0"),
        ({"points": 7}, "points must be at least 8, but was 7"),
        ({"phonon_exponent": 5}, "phonon_exponent must be between 1 and 4, but was 5"),
        ({"dT": 0.1, "bias_ratio": 0.1}, "bias_ratio must be given instead of dT"),
        ({"bias_ratio": 2.0}, "bias_ratio must be between -2 and 2, both excluded, but was 2.0"),
        ({"spin_flips": "maybe"}, "spin_flips must be one of True, False, but was 'maybe'"),
    ],
)
def test_refused(given, message):
    with pytest.raises(ValueError, match=message):
        qd.models.ActiveParticle(**given)


def test_refused_in_words():
    model = qd.models.ActiveParticle()
    with pytest.raises(ValueError, match="method must be one of 'bloch', 'scattering', 'drift-diffusion', but was 'exact'"):
        model.velocity_trace([1.0], "exact")
    with pytest.raises(ValueError, match="times must not be negative"):
        model.velocity_correlation([-1.0])


def test_ratio_takes_the_place_of_the_bias():
    model = qd.models.ActiveParticle(T=2.0).replace(bias_ratio=0.25)
    assert model.dT is None and float(model.velocity()) == float(qd.models.ActiveParticle(T=2.0, dT=0.5).velocity())
    assert model.replace(dT=0.1).bias_ratio is None
