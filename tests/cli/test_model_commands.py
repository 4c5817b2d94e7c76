"""The papers' models from a shell, and what the active particle refuses."""

import json

import pytest

import qdiff as qd

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


def test_too_cold_is_a_failed_solve(qdiff):
    result = qdiff("evaluate", "lambda-system", "--set", "T1=0.001", "--set", "T2=0.001", "--merit", "imbalance")
    assert result.exit_code == 3 and "qdiff: the stationary populations are not unique: rates vanish" in result.stderr


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


def test_a_bulk_rectifier(qdiff):
    result = qdiff(
        "evaluate", "rashba-rectifier", "--set", "length=64", "--merit", "current", "--merit", "current_up", "--gradient", "--json"
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["merits"]["current"] == pytest.approx(0.0971945, abs=1e-3)
    assert set(found["gradients"]["current"]) == set(found["parameters"]) - {"length"}
    assert found["diagnostics"]["undetermined_modes"] == 0
    result = qdiff("evaluate", "rashba-rectifier", "--set", "length=64", "--set", "drive=1", "--merit", "current")
    assert result.exit_code == 0 and "not unique: at drive = 1" in result.stdout and "diverges" in result.stdout


@pytest.mark.parametrize("over", ["filling=0:1", "filling=0.1:2", "drive=0:2"])
def test_searches_stay_where_it_is_physical(qdiff, over):
    result = qdiff("optimize", "raman-rectifier", "current", "--over", over, "--json")
    name, bounds = over.split("=")[0], {"f": "above 0 and below 1", "d": "between 0 and 1"}[over[0]]
    said = f"over['{name}'] must stay where {name} is physical, {bounds}, but was"
    assert result.exit_code == 2 and said in result.stderr.replace("\n", " ")


def test_undetermined_is_a_failed_solve(qdiff):
    given = ("--set", "length=16", "--set", "drive=1", "--set", "dephasing_up=0.5", "--set", "alpha_z=0")
    result = qdiff("evaluate", "rashba-rectifier", *given, "--merit", "current")
    assert result.exit_code == 3 and "qdiff: the steady ensemble was not found" in result.stderr


def test_the_active_particle(qdiff):
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


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ("rotor-engine --preset fig3", 2, "RotorEngine has no preset 'fig3'"),
        ("spintronic-engine --preset fig8", 2, "SpintronicEngine has no preset 'fig8'; did you mean 'fig"),
        ("spintronic-engine --preset fig5 --set gamma=0", 3, "the limit cycle is not unique"),
    ],
)
def test_presets_that_do_not_do(qdiff, given, code, message):
    result = qdiff("evaluate", *given.split(), "--merit", "power")
    assert result.exit_code == code and message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raman-rectifier", "current lagrange_parameters momenta occupations"),
        ("rashba-rectifier", "current_up band_energies momenta occupations"),
        ("thermophoretic-lattice", "temperatures thermophoresis relaxation_gap master_equation"),
        ("spintronic-engine", "fig3 left_out=0.2 Presets"),
    ],
)
def test_show(qdiff, name, words):
    result = qdiff("show", name)
    assert result.exit_code == 0 and all(word in result.stdout for word in words.split())
    assert ("Presets" in result.stdout) is (name == "spintronic-engine")
