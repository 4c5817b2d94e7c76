"""The active particle from a shell, and what it refuses."""

import json

import pytest

import qdiff as qd


def test_evaluate(qdiff):
    sets = ("--set", "dT=0.5", "--set", "spin_flips=false")
    result = qdiff("evaluate", "active-particle", *sets, "--figure", "velocity", "--gradient", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["figures"]["velocity"] == pytest.approx(-0.0251289301660904, abs=1e-15)
    assert found["gradients"]["velocity"]["dT"] == pytest.approx(-0.04684080943188174, abs=1e-14)
    assert found["parameters"]["spin_flips"] is False and found["parameters"]["bias_ratio"] is None


def test_warning_with_every_result(qdiff, tmp_path):
    """Evaluate, sensitivity, sweep and optimize of a device whose splitting, 0.07, is below its damping, 0.2."""
    doubtful, message = ("--set", "epsilon=0.05", "--set", "d_x=0", "--json"), "2 Delta_min = 0.07 < gamma = 0.2"
    fine = ("--set", "epsilon=1", *doubtful[2:])
    grid = ("--grid", "T=0.5:1:3", "--figure", "velocity", "--out")
    search = ("velocity", "--minimize", "--over", "T=0.5:1", "--starts", "1", "--steps", "2", "--out", str(tmp_path / "best"))
    for doubt, command, *options in (
        (True, "evaluate", "--figure", "velocity", *doubtful),
        (False, "evaluate", "--figure", "velocity", *fine),
        (True, "sensitivity", "velocity", "--parameter", "T", *doubtful),
        (True, "sweep", *grid, str(tmp_path / "doubtful.nc"), *doubtful),
        (False, "sweep", *grid, str(tmp_path / "fine.nc"), *fine),
        (True, "optimize", *search, *doubtful),
    ):
        result = qdiff(command, "active-particle", *options)
        assert result.exit_code == 0, result.stderr
        assert (message in result.stdout) is doubt, (command, result.stdout)
        assert command != "sweep" or not doubt or "at 3 of 3 points" in result.stdout


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
