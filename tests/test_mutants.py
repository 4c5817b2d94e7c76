"""The mutation check checks: the mutants that it makes, and that it tells those that the tests notice from those they do not."""

import json
import os
import pathlib
import subprocess
import sys

import mutation
import pytest

SAMPLE = '''"""Numbers in a docstring: 1 + 2."""
__all__ = ["f"]
tolerance = 1e-3

def f(x: int | None, y=2, flag=True):
    """Adds 1 and 2."""
    if not x < y and flag:
        raise ValueError(f"must be {y + 1}")
    x = x.at[0].add(-y)
    return jnp.where(x > 0, jnp.where(x > 0, 1.0, x), jnp.sum(x**2, axis=-1)) @ x.conj().T  # 7
'''
MADE = [
    (5, "number", "2", "3"),
    (5, "flag", "True", "False"),
    (7, "not", "not x < y", "(x < y)"),
    (7, "comparison", "<", "<="),
    (7, "comparison", "<", ">="),
    (7, "and/or", "and", "or"),
    (9, "statement removed", "x = x.at[0].add(-y)", "pass"),
    (9, "number", "0", "1"),
    (9, "sign", "-y", "(y)"),
    (10, "branches", "jnp.where(x > 0, 1.0, x), jnp.sum(x**2, axis=-1)", "jnp.sum(x**2, axis=-1), jnp.where(x > 0, 1.0, x)"),
    (10, "branches", "1.0, x", "x, 1.0"),
    (10, "name", "sum", "prod"),
    (10, "number", "2", "3"),
    (10, "sign", "-1", "1"),
    (10, "number", "1", "2"),
    (10, "conjugate", "x.conj()", "(x)"),
    (10, "transpose", ".T", ""),
    *[(10, "comparison", ">", ">="), (10, "comparison", ">", "<="), (10, "number", "0", "1")] * 2,
]


def test_the_mutants_of_a_sample():
    """All of them, and none in annotations, docstrings, messages, tolerances or guards."""
    found = mutation.mutants("sample.py", SAMPLE)
    assert sorted((m.line, m.kind, m.before, m.after) for m in found) == sorted(MADE)
    assert next(m for m in found if m.kind == "transpose").shown(SAMPLE)[1].endswith("@ x.conj()  # 7")
    with pytest.raises(AssertionError, match="not the source"):
        found[0].applied("another source")


def test_a_sample_is_fixed_and_takes_its_share_of_every_room():
    rooms = {"a": mutation.mutants("a.py", SAMPLE), "b": mutation.mutants("b.py", SAMPLE + "\ny = 3")}
    drawn = list(mutation.sample(rooms, 15, 0))
    assert drawn == list(mutation.sample(rooms, 15, 0)) != list(mutation.sample(rooms, 15, 1))
    assert len(set(drawn)) == 15 and [room for room, _ in drawn].count("a") == 7
    assert len(list(mutation.sample(rooms, 10**6, 0))) == len(rooms["a"]) + len(rooms["b"])


TOY = {
    "pyproject.toml": '[tool.pytest.ini_options]\nmarkers = ["slow"]\n',
    "qdiff/__init__.py": "",
    "qdiff/core/__init__.py": "",
    "qdiff/core/toy.py": """
def area(a, b):
    return a * b

def larger(a, b):
    return a if a > b else b

def emptied(n):
    while n:
        n -= 1
    return n
""",
    "tests/core/test_toy.py": """
from qdiff.core.toy import area, emptied, larger

def test_area():
    assert area(2, 3) == 6

def test_larger():
    assert larger(2, 1) == larger(1, 2) == 2

def test_emptied():
    assert emptied(3) == 0

def test_that_always_fails():
    assert area(2, 3) == 7
""",
}
DRIVER = """
import pathlib, sys
import mutants
mutants.REPO, mutants.ROOMS, mutants.HANGS, mutants.UNKNOWN = pathlib.Path(sys.argv[1]), ("core",), (1.0, 3.0), 0.0
mutants.preload = lambda: None
sys.exit(mutants.main(["--processes", "2", "--out", str(mutants.REPO / "out.json"), *sys.argv[2:]]))
"""


def test_a_toy_package(tmp_path):
    """Errors are caught, also by a hang; a change that changes nothing survives; a test that fails anyway catches nothing."""
    for name, text in TOY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(mutation.__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["PYTEST_ADDOPTS"] = "--an-option-of-the-run-around-this-one"
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    first = subprocess.run([*command, "--first", "2"], env=environment, capture_output=True, text=True, timeout=60)
    assert "2/2" in first.stdout, first.stdout + first.stderr
    whole = subprocess.run([*command, "--resume"], env=environment, capture_output=True, text=True, timeout=60)
    results = json.loads((tmp_path / "out.json").read_text())["results"]
    how = {(r["before"], r["after"]): (r["outcome"], r["by"].split("::")[-1]) for r in results}
    assert how == {
        ("return a * b", "return a / b"): ("caught", "test_area"),
        ("return a if a > b else b", "return a if a >= b else b"): ("survived", ""),
        ("return a if a > b else b", "return a if a <= b else b"): ("caught", "test_larger"),
        ("n -= 1", "n += 1"): ("caught", "test_emptied"),
        ("n -= 1", "pass"): ("caught", "test_emptied"),
        ("n -= 1", "n -= 2"): ("caught", "test_emptied"),
    }
    assert "hang in" in str([r["by"] for r in results])
    assert whole.returncode == 1 and "core: 5 caught, 1 survived, 83.3 %" in whole.stdout and "+ return a if a >= b else b" in whole.stdout
    (tmp_path / "tests/conftest.py").write_text("import nothing_of_this_name")
    (tmp_path / "out.json").unlink()
    none = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert none.returncode == 1 and "cannot begin without a mutant" in none.stderr and "nothing_of_this_name" in none.stderr
