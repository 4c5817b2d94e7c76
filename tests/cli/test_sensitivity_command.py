"""`qdiff sensitivity` as a user types it."""

import json

import pytest


def test_json(qdiff):
    out = qdiff("sensitivity", "lambda-system", "force", "--uncertainty", "T1=0.01", "--parameter", "T1", "--parameter", "rate", "--json")
    found = json.loads(out.stdout)
    assert out.exit_code == 0 and found["ranking"] == ["T1", "rate"]
    assert found["parameters"]["rate"]["elasticity"] == pytest.approx(2, rel=1e-12)
    assert found["error_linear"] == pytest.approx(0.01 * found["parameters"]["T1"]["derivative"], rel=1e-12)


def test_table(qdiff):
    out = qdiff("sensitivity", "lambda-system", "force", "--uncertainty", "T1=0.01", "--parameter", "T1")
    assert out.exit_code == 0 and "force = 0.0767989714296" in out.stdout and "error bar 0.000543105 (linear)" in out.stdout


@pytest.mark.parametrize(
    ("sigmas", "text"),
    [(["T3=1"], "did you mean"), (["T1=1", "T1=2"], "T1 must have one uncertainty")],
)
def test_bad_input(qdiff, sigmas, text):
    options = [word for sigma in sigmas for word in ("--uncertainty", sigma)]
    out = qdiff("sensitivity", "lambda-system", "force", *options)
    assert out.exit_code == 2 and text in out.stderr and out.stdout == ""


DEVICE = """
import jax.numpy as jnp
import qdiff as qd


class Hill(qd.Model):
    x: float = qd.parameter(0.5, low=0)

    def warnings(self, numbers):
        return {"warning": "steep"} if self.x > 0.4 else {}

    @qd.merit(symbol="h", unit="1", source="none")
    def height(self):
        return 2 - jnp.abs(self.x - 0.5)
"""


def test_what_the_table_remarks(qdiff, write):
    """A kink, samples that do not count, and the model's own warning."""
    out = qdiff("sensitivity", write(DEVICE) + ":Hill", "height", "--uncertainty", "x=0.5", "--samples", "200")
    assert out.exit_code == 0, out.output
    lines = out.stdout.splitlines()
    assert "x: the slope jumps: 1 below, -1 above" in lines and "warning: steep" in lines
    (lost,) = [line for line in lines if "samples were not physical or had no solution, and do not count" in line]
    assert 15 < int(lost.split()[0]) < 60  # one in six normal draws lies a standard deviation below
