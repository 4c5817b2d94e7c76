"""The bulk rectifiers from a shell."""

import json

import pytest


def test_evaluate(qdiff):
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


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("raman-rectifier", "drive=1.2", "drive must be between 0 and 1, but was 1.2"),
        ("raman-rectifier", "drive=-0.1", "drive must be between 0 and 1, but was -0.1"),
        ("raman-rectifier", "filling=1", "filling must be above 0 and below 1, but was 1.0"),
        ("raman-rectifier", "filling=0", "filling must be above 0 and below 1, but was 0.0"),
        ("rashba-rectifier", "filling=2", "filling must be above 0 and below 2, but was 2.0"),
        ("rashba-rectifier", "length=1", "length must be at least 2, but was 1"),
        ("rashba-rectifier", "dephasing_up=1.5", "dephasing_up must be between 0 and 1, but was 1.5"),
        ("rashba-rectifier", "filling=many", "filling must be a number, but was 'many'"),
    ],
)
def test_bad_input(qdiff, model, given, message):
    result = qdiff("evaluate", model, "--set", given, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"qdiff: {message}") and result.stderr.count("\n") == 1


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


def test_show(qdiff):
    for name, merits in (("raman-rectifier", ("current", "lagrange_parameters")), ("rashba-rectifier", ("current_up", "band_energies"))):
        result = qdiff("show", name)
        assert result.exit_code == 0 and all(merit in result.stdout for merit in (*merits, "momenta", "occupations"))
