"""`qdiff evaluate`: what it writes, and where."""

import json

import jax
import numpy as np
import pytest

import qdiff as qd
from qdiff.cli.common import configured, dump, load_model

# A qubit thermalises to p = 1/(1 + e^(beta gap)) with dp/dbeta = -gap p (1 - p): for beta = 2 and gap = 1,
EXCITED = 0.11920292202211755
SLOPE = -0.10499358540350652


@pytest.fixture
def damped(write):
    return write() + ":Damped"


def test_user_model_as_json(qdiff, damped):
    result = qdiff("evaluate", damped, "--json", "--gradient", "--set", "form=full")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert "the file was run" in result.stderr
    found = json.loads(result.stdout)
    assert list(found) == ["model", "parameters", "merits", "gradients", "diagnostics"]
    assert found["model"] == damped
    assert found["parameters"] == {"gap": 1.0, "beta": 2.0, "rate": 0.1, "form": "full", "copies": 2}
    assert list(found["merits"]) == ["excited", "energy", "populations", "amplitude", "undefined"]
    assert found["merits"]["excited"] == pytest.approx(EXCITED, rel=1e-14)
    assert found["merits"]["populations"] == pytest.approx([EXCITED, 1 - EXCITED], rel=1e-14)
    assert found["merits"]["amplitude"] == pytest.approx([np.cos(1), np.sin(1)], rel=1e-14)
    assert found["merits"]["undefined"] is None
    assert set(found["gradients"]) == {"excited", "energy", "undefined"}
    assert set(found["gradients"]["excited"]) == {"gap", "beta", "rate"}
    assert found["gradients"]["excited"]["beta"] == pytest.approx(SLOPE, rel=1e-13)
    assert found["diagnostics"]["nested"]["residual"] < 1e-14
    assert found["diagnostics"]["ok"] is True
    assert found["diagnostics"]["words"] == "full"


def test_chosen_merits_and_parameters(qdiff, damped):
    result = qdiff("evaluate", damped, "--json", "--set", "beta=1", "--set", "gap=2", "--merit", "excited", "--set", "gap=2.0")
    found = json.loads(result.stdout)
    assert found["merits"] == {"excited": pytest.approx(EXCITED, rel=1e-14)}
    assert found["gradients"] == {}
    assert (found["parameters"]["beta"], found["parameters"]["gap"]) == (1.0, 2.0)


def test_tables(qdiff, damped):
    result = qdiff("evaluate", damped, "--gradient")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any("excited" in line and "0.119202922" in line and "Population of the upper level." in line for line in lines)
    assert any("Mean energy [of one copy]." in line for line in lines)
    assert any("beta" in line and "-0.1049935854" in line for line in lines)
    assert any("nested.residual" in line for line in lines)


def test_failed_solve(qdiff, damped):
    result = qdiff("evaluate", damped, "--json", "--set", "rate=0", "--merit", "excited")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1].startswith("qdiff: the steady state is not")


def test_several_stationary_states(qdiff, write):
    source = """
    import qdiff as qd

    class Uncoupled(qd.Model):
        gap: float = 1.0

        @qd.merit(symbol="p", unit="1", source="none")
        def excited(self):
            pair = qd.Space(one=qd.Spin(), two=qd.Spin())
            generator = qd.Lindblad(self.gap * pair.one.z, {"bath": (1.0, pair.one.minus)})
            return qd.steady_state(generator).expect(pair.two.up)
    """
    result = qdiff("evaluate", write(source) + ":Uncoupled")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("qdiff: there are at least 2 stationary states")
    assert result.stderr.count("\n") == 1


def test_error_in_a_users_model(qdiff, write):
    source = """
    import qdiff as qd

    class Odd(qd.Model):
        @qd.merit(symbol="x", unit="1", source="none")
        def x(self):
            return nothing
    """
    path = write(source)
    result = qdiff("evaluate", path + ":Odd")
    assert (result.exit_code, result.stderr) == (2, f"qdiff: {path!r} fails (line 7): NameError: name 'nothing' is not defined\n")


def test_rotor_engine_from_a_shell(process):
    sizes = ["--set", "l_min=-3", "--set", "l_max=4"]
    result = process("evaluate", "rotor-engine", "--json", "--merit", "efficiency", "--merit", "rotor_populations", *sizes)
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    device = qd.models.RotorEngine(l_min=-3, l_max=4)
    assert found["merits"]["efficiency"] == pytest.approx(float(device.efficiency()), rel=1e-11)
    assert found["merits"]["rotor_populations"] == pytest.approx(np.asarray(device.rotor_populations()).tolist(), rel=1e-11)
    assert found["diagnostics"]["operating_mode"] == "engine"
    assert found["diagnostics"]["stationary_states"] == 1


def test_rotor_rectifier_gradient(qdiff):
    sets = ["l_min=-3", "l_max=4", "chi=0.3"]
    result = qdiff("evaluate", "rotor-rectifier", "--json", "--gradient", "--merit", "performance", *(f"--set={s}" for s in sets))
    found = json.loads(result.stdout)
    device = configured(load_model("rotor-rectifier"), sets)
    value, slope = jax.value_and_grad(lambda d: d.performance())(device)
    assert found["merits"]["performance"] == pytest.approx(float(value), rel=1e-11)
    expected = {name: float(getattr(slope, name)) for name in found["gradients"]["performance"]}
    assert len(expected) == 12
    assert found["gradients"]["performance"] == pytest.approx(expected, rel=1e-8)


def test_json_keeps_every_digit_and_has_no_nan():
    value = {"x": np.float64(0.1) + 0.2, "n": [np.nan, np.inf, 1e-300], "z": np.array([1 + 2j]), "k": np.int64(3), "t": (True, None, "a")}
    text = dump(value)
    assert text == '{"x": 0.30000000000000004, "n": [null, null, 1e-300], "z": [[1.0, 2.0]], "k": 3, "t": [true, null, "a"]}'
