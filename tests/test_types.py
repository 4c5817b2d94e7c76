"""What a type checker knows of a user's code: the stubs name what the front door has, and wrong use is seen before it runs."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_architecture import ROOT

import qdiff
from qdiff.front_door import names_of

USER = """
import jax.numpy as jnp
import qdiff as qd

class Valve(qd.Model):
    gap: float = qd.parameter(1.0, unit="energy", low=0)

    @qd.structured
    def generator(self):
        q = qd.Space(q=qd.Spin()).q
        bath = qd.BosonicBath(1.0, qd.baths.Ohmic(0.1))
        return qd.Lindblad(self.gap * q.z, {"hot": qd.thermal_jumps(q.minus, self.gap, bath)})

space = qd.Space(q=qd.Spin())
generator = qd.Lindblad(space.q.z, {"loss": (0.1, space.q.minus)})
state = qd.steady_state(generator, qd.solvers.Dense())
run = qd.evolve(generator, state, jnp.linspace(0, 1, 3), expect=space.q.z)
drive = qd.pulses.PiecewiseConstant([0.0, 1.0], [2.0])
engine = qd.models.RotorEngine(chi=0.2)
found = qd.evaluate(Valve(gap=2.0), gradient=True)
for value in (generator, state, run, drive, engine, found, qd.SolveError("no"), qd.__version__):
    pass
"""
TYPES = {
    "generator": "Lindblad",
    "state": "State",
    "run": "Evolution",
    "drive": "PiecewiseConstant",
    "engine": "RotorEngine",
    "found": "Evaluation",
    "qd.__version__": "str",
    "state.residual": "Array",
}
WRONG = {
    "qd.BosonicBath(1.0, 0.1, temperature=2.0)": "temperature",
    "qd.steady_state(generator, solvr=qd.solvers.Dense())": "solvr",
    "qd.steady_state()": "generator",
    "qd.models.RotorEngine(ch=0.2)": "ch",
    "qd.nonsense": "nonsense",
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The diagnostics of pyright, by the line that they are about."""
    lines = [USER, *(f"reveal_type({what})" for what in TYPES), *WRONG]
    path = tmp_path_factory.mktemp("user") / "valve.py"
    path.write_text("\n".join(lines))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent)
    text = path.read_text().splitlines()
    return [(text[d["range"]["start"]["line"]], d["severity"], d["message"]) for d in json.loads(done.stdout)["generalDiagnostics"]]


def test_a_users_code_has_real_types(seen):
    told = {line: message for line, severity, message in seen if severity == "information"}
    assert told == {f"reveal_type({what})": f'Type of "{what}" is "{kind}"' for what, kind in TYPES.items()}


def test_wrong_use_and_nothing_else_is_an_error(seen):
    errors = [(line, message) for line, severity, message in seen if severity == "error"]
    assert [line for line, _ in errors] == list(WRONG)
    for (line, message), word in zip(errors, WRONG.values(), strict=True):
        assert f'"{word}"' in message, line


NAMESPACES = [qdiff, *(value for name in qdiff.__all__ if hasattr(value := getattr(qdiff, name), "__path__") and name != "figures")]


@pytest.mark.parametrize("module", NAMESPACES, ids=lambda module: module.__name__)
def test_stubs_name_what_there_is(module):
    """Each name loads, passes itself on, and is not hidden by a module of its folder that is loaded first."""
    stub = (Path(module.__file__).parent / "__init__.pyi").read_text()
    assert renamed(stub) == []
    for name, home in names_of(stub).items():
        assert hasattr(module, name), name
        assert home in ("", ".") or not any((Path(module.__file__).parent / name).with_suffix(end).exists() for end in ("", ".py")), name


def renamed(stub: str) -> list[str]:
    """The names that a stub does not pass on: a checker takes an import for private unless it is given its own name."""
    lines = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    return [alias.name for node in lines for alias in node.names if alias.asname != alias.name]


def test_a_stub_that_does_not_pass_on_is_seen():
    assert renamed("from .results import SolveError\nfrom . import models as models") == ["SolveError"]
    assert names_of("from .a.b import C as C\nfrom . import d as d\nE: int") == {"C": ".a.b", "d": ".", "E": ""}


def test_there_are_few_flat_names():
    """Those that are no namespaces."""
    flat = [name for name in qdiff.__all__ if not inspect.ismodule(getattr(qdiff, name))]
    assert len(flat) <= 45
