"""The spintronic engine and presets from a shell."""

import json

import pytest


def test_a_preset(qdiff):
    args = ("evaluate", "spintronic-engine", "--preset", "fig7", "--merit", "energy_increment", "--merit", "affinity")
    result = qdiff(*args, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["merits"]["energy_increment"] == pytest.approx(6.734127078446631e-4, rel=1e-12)
    assert found["merits"]["affinity"] == pytest.approx(-0.6831968497067772, rel=1e-13)
    assert found["parameters"]["boson_up"] == 0.0101 and abs(found["diagnostics"]["imbalance"]) < 1e-11
    again = json.loads(qdiff(*args, "--set", "tau=1", "--json").stdout)
    assert again["merits"]["energy_increment"] == pytest.approx(0.6187099089322586, rel=1e-12)


def test_without_bosons(qdiff):
    result = qdiff("evaluate", "spintronic-engine", "--preset", "fig5", "--merit", "affinity", "--merit", "entropy_production", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["merits"] == {"affinity": None, "entropy_production": 0.0}
    assert "undefined without bosons" in found["diagnostics"]["affinity"]


def test_show_lists_the_presets(qdiff):
    result = qdiff("show", "spintronic-engine")
    assert result.exit_code == 0 and "fig3" in result.stdout and "left_out=0.2" in result.stdout
    assert "Presets" not in qdiff("show", "rotor-engine").stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--set", "tau=0"], "tau must be above 0, but was 0.0"),
        (["--set", "tau=-1"], "tau must be above 0, but was -1.0"),
        (["--set", "left_out=-0.1"], "left_out must be at least 0, but was -0.1"),
        (["--set", "measured=n_X"], "measured must be one of 'n_R', 'n_down'"),
        (["--set", "measurement_strength=1.5"], "measurement_strength must be between 0 and 1, but was 1.5"),
        (["--preset", "fig8"], "SpintronicEngine has no preset 'fig8'; did you mean 'fig"),
        (["--preset", "fig5", "--set", "gamma=0"], "the limit cycle is not unique"),
    ],
)
def test_bad_input(qdiff, given, message):
    result = qdiff("evaluate", "spintronic-engine", "--merit", "power", *given)
    assert (
        result.exit_code == (3 if "gamma=0" in given else 2)
        and message in result.stderr.replace("\n", " ")
        and "Traceback" not in result.stderr
    )


def test_a_model_without_presets(qdiff):
    result = qdiff("evaluate", "rotor-engine", "--preset", "fig3")
    assert result.exit_code == 2 and "RotorEngine has no preset 'fig3'" in result.stderr
