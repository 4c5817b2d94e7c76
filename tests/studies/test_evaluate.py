"""`evaluate` against the merits' own methods and `jax.grad`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd


class Damped(qd.Model):
    gap: float = qd.parameter(1.0, low=0, open=True)
    beta: float = qd.parameter(2.0, low=0, open=True)
    rate: float = qd.parameter(0.1, low=0)

    solved = []  # noqa: RUF012  (counts how often the state is solved for)

    @qd.structured
    def generator(self):
        qubit = qd.Space(qubit=qd.Spin()).qubit
        return qd.Lindblad(self.gap / 2 * qubit.z, {"bath": qd.thermal_jumps(qubit.minus, self.gap, qd.BosonicBath(self.beta, self.rate))})

    @qd.shared
    def steady(self):
        self.solved.append(1)
        return qd.steady_state(self.generator())

    @qd.merit(symbol="p", unit="1", source="none")
    def excited(self):
        return self.steady().expect(self.generator().space.qubit.up)

    @qd.merit(symbol="p^2", unit="1", source="none")
    def square(self):
        return self.excited() ** 2

    @qd.merit(symbol="P", unit="1", source="none")
    def populations(self):
        return self.steady().populations()

    @qd.merit(symbol="x", unit="1", source="none")
    def undefined(self):
        return jnp.log(self.rate - self.rate - 1)


class Checked(Damped):
    def diagnostics(self):
        return {"residual": self.steady().residual, "cold": self.beta > 1}

    def warnings(self, numbers):
        return {"words": "cold" if numbers["cold"] else "warm"} if numbers else {}


def test_merits_are_those_of_the_methods():
    device = Damped(beta=1.5)
    found = qd.evaluate(device)
    assert list(found.merits) == ["excited", "square", "populations", "undefined"]
    for name in ("excited", "square", "populations"):
        np.testing.assert_allclose(found.merits[name], getattr(device, name)(), rtol=1e-14)
    assert found.merits["excited"] == pytest.approx(1 / (1 + np.exp(1.5)), rel=1e-14)
    assert found.parameters == {"gap": 1.0, "beta": 1.5, "rate": 0.1}
    assert found.gradients == {}
    assert found.diagnostics == {}


def test_gradients_are_those_of_grad():
    device = Damped(gap=0.7)
    found = qd.evaluate(device, gradient=True)
    assert list(found.gradients) == ["excited", "square", "undefined"]
    for name in ("excited", "square"):
        slope = jax.grad(lambda d, name=name: getattr(d, name)())(device)
        expected = {p: float(getattr(slope, p)) for p in ("gap", "beta", "rate")}
        assert found.gradients[name] == pytest.approx(expected, rel=1e-12, abs=1e-15)
    p = 1 / (1 + np.exp(1.4))
    assert found.gradients["excited"]["gap"] == pytest.approx(-2 * p * (1 - p), rel=1e-13)


def test_one_state_for_all_merits_and_checks():
    Damped.solved.clear()
    found = qd.evaluate(Checked(gap=0.9), ["excited", "square", "populations"])
    assert len(Damped.solved) == 1
    assert found.diagnostics["words"] == "cold"
    assert found.diagnostics["cold"] is True
    assert found.diagnostics["residual"] < 1e-14


def test_one_merit_by_name():
    assert list(qd.evaluate(Damped(), "square").merits) == ["square"]


def test_undefined_merit_stays_nan():
    found = qd.evaluate(Damped(), ["undefined", "excited"])
    assert np.isnan(found.merits["undefined"])
    assert found.merits["excited"] == pytest.approx(1 / (1 + np.exp(2)), rel=1e-14)


def test_failed_solve_is_an_error_with_its_reason():
    with pytest.raises(qd.SolveError, match="^the steady state is not [^\n]*$"):
        qd.evaluate(Damped(rate=0.0), ["undefined", "excited"])


def test_failed_solve_in_a_method_has_the_same_reason():
    with pytest.raises(qd.SolveError, match="^the steady state is not [^\n]*$"):
        Damped(rate=0.0).excited()


def test_wrong_use():
    with pytest.raises(ValueError, match="Damped has no figure of merit 'excitd'; did you mean 'excited'\\? It has excited, square"):
        qd.evaluate(Damped(), ["excitd"])
    with pytest.raises(TypeError, match="model must be a Model"):
        qd.evaluate(Damped)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="concrete values"):
        jax.jit(lambda d: qd.evaluate(d, ["excited"]).merits)(Damped())
