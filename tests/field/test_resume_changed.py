"""What was changed between a study and its resumption never gives the old numbers, and what was not changed goes on.

Objectives are parabolas with their top at c, so that the right optimum is c; sweeps are of c*x.
"""

import functools
import os
import re
import subprocess
import sys
import types
from code import InteractiveInterpreter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qdiff as qd
from qdiff.studies.recomputed import _apart


class Line(qd.Model):
    x: float = qd.parameter(0.0)

    @qd.merit(symbol="p", unit="1", source="a test")
    def place(self):
        return self.x


BOX = {"x": (-1.0, 1.0)}
OLD, NEW = 0.25, -0.25
DIFFERS = "must be the same as this one, but"


@pytest.fixture(autouse=True, scope="module")
def undrawn():
    """A picture of each search would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("optimum_files", "tradeoff_files"):
            patch.setattr(f"qdiff.studies.store.{module}.picture", lambda *given: given[-1].touch())
        yield


def best(merit, out, **options):
    found = qd.optimize(options.pop("model", Line()), merit, BOX, starts=2, steps=3, polish="quasi-newton", out=out, **options)
    assert found.converged
    return found.parameters["x"]


def parabola(c, m):
    return -((m.x - c) ** 2)


class Peak(eqx.Module):
    top: jax.Array

    def __call__(self, m):
        return -jnp.sum((m.x - self.top) ** 2)


class Plain:
    def __init__(self, c):
        self.tops = {"one": [c]}

    def value(self, m):
        return -((m.x - self.tops["one"][0]) ** 2)


def with_default(c):
    def f(m, top=c):
        return -((m.x - top) ** 2)

    return f


def with_keyword(c):
    def f(m, *, top=c):
        return -((m.x - top) ** 2)

    return f


def nested(c):
    def outer(m):
        def inner(x):
            return x - c

        return -(inner(m.x) ** 2)

    return outer


def custom(c):
    @jax.custom_jvp
    def f(x):
        return -((x - c) ** 2)

    f.defjvp(lambda primals, tangents: (f(*primals), -2 * (primals[0] - c) * tangents[0]))
    return lambda m: f(m.x)


def executed(source, **names):
    """f of Python source, as at a prompt, where there is no file."""
    exec(source, names)
    return names["f"]


def attribute(c):
    f = executed("def f(m): return -(m.x - f.top)**2")
    f.top = c
    return f


EDITS = {
    "a lambda within a lambda": lambda c: lambda m: (lambda x: -((x - c) ** 2))(m.x),
    "a function within a function": nested,
    "a default argument": with_default,
    "a keyword's default": with_keyword,
    "a closure over an array": lambda c: (lambda a: lambda m: -jnp.sum((m.x - a) ** 2))(np.full(3, c)),
    "a closure over a JAX array in a dictionary": lambda c: (lambda a: lambda m: -jnp.sum((m.x - a["k"]) ** 2))({"k": jnp.full(2, c)}),
    "a partial": lambda c: functools.partial(parabola, c),
    "a partial of a keyword": lambda c: functools.partial(lambda m, top: -((m.x - top) ** 2), top=c),
    "a callable module": lambda c: Peak(jnp.array([c, c])),
    "a bound method": lambda c: Plain(c).value,
    "a function that was compiled": lambda c: jax.jit(lambda m: -((m.x - c) ** 2)),
    "a function with its own derivative": custom,
    "an attribute of a function": attribute,
    "a constant in the code": lambda c: executed(f"f = lambda m: -(m.x - {c})**2"),
    "a sign in the code": lambda c: executed(f"f = lambda m: -(m.x {'-' if c > 0 else '+'} 0.25)**2"),
    "an option of a command": lambda c: executed(
        "def f(m): return -(m.x - options.top)**2", options=types.SimpleNamespace(top=c, resume=object())
    ),
    "a global constant": lambda c: executed("def f(m): return -(m.x - C)**2", C=c),
    "a global function": lambda c: executed("def f(m): return -g(m)**2", g=lambda m: m.x - c),
    "a global constant of one of two": lambda c: executed(
        "def f(m): return -(g(m) - h(m))**2", g=executed("def f(m): return m.x - C", C=c), h=executed("def f(m): return C", C=0.0)
    ),
    "two functions that change places": lambda c: executed(
        f"def a(m): return m.x - {OLD}\ndef b(m): return m.x - {NEW}\n"
        f"class A:\n  first = {'a' if c == OLD else 'b'}\n  second = {'b' if c == OLD else 'a'}\n"
        "def f(m): return -A.first(m)**2 + 0 * A.second(m)"
    ),
    "a table of functions": lambda c: executed("def f(m): return T['a'](m)", T={"a": functools.partial(parabola, c)}),
    "a class's constant": lambda c: executed(f"class A:\n  top = {c}\n  def __call__(self, m): return -(m.x - self.top)**2\nf = A()"),
    "a helper's helper": lambda c: executed(f"def h(): return {c}\ndef g(x): return x - h()\ndef f(m): return -g(m.x)**2"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_objective(tmp_path, edit):
    """Made again as it was, it resumes, without a new evaluation; edited, it is refused; and its own optimum is the new top."""
    make = EDITS[edit]
    assert best(make(OLD), tmp_path / "a") == pytest.approx(OLD, abs=1e-6)
    journal = (tmp_path / "a" / "journal.jsonl").read_bytes()
    assert best(make(OLD), tmp_path / "a", resume=True) == pytest.approx(OLD, abs=1e-6)
    with pytest.raises(ValueError, match=f"{DIFFERS} differs in the code of ") as refused:
        best(make(NEW), tmp_path / "a", resume=True)
    assert "\n" not in str(refused.value) and (tmp_path / "a" / "journal.jsonl").read_bytes() == journal
    assert best(make(NEW), None) == pytest.approx(NEW, abs=1e-6)


def test_a_constant_of_the_same_function(tmp_path):
    """The very same function object, whose global was set anew: neither the journal nor a compiled program may be of the old one."""
    names = {"C": OLD}
    f = executed("def f(m): return -(m.x - C)**2", **names)
    assert best(f, tmp_path) == pytest.approx(OLD, abs=1e-6)
    f.__globals__["C"] = NEW
    with pytest.raises(ValueError, match="differs in the code of C"):
        best(f, tmp_path, resume=True)
    assert best(f, None) == pytest.approx(NEW, abs=1e-6)


@pytest.mark.parametrize("make", [lambda c: lambda m: m.x - c, lambda c: functools.partial(lambda top, m: m.x - top, c)])
def test_a_constraint(tmp_path, make):
    """The place x is largest at the wall x <= c."""
    assert best("place", tmp_path, constraints=["x <= 0.9", make(OLD)]) == pytest.approx(OLD, abs=1e-6)
    assert best("place", tmp_path, constraints=["x <= 0.9", make(OLD)], resume=True) == pytest.approx(OLD, abs=1e-6)
    with pytest.raises(ValueError, match=f"{DIFFERS} differs in the code of "):
        best("place", tmp_path, constraints=["x <= 0.9", make(NEW)], resume=True)
    with pytest.raises(ValueError, match="differs in constraints, the code of constraint 1, constraint 2"):
        best("place", tmp_path, constraints=[make(OLD), "x <= 0.9"], resume=True)
    assert best("place", None, constraints=["x <= 0.9", make(NEW)]) == pytest.approx(NEW, abs=1e-6)


def test_the_functions_of_a_tradeoff(tmp_path):
    """-a (x - 1/2)^2 - (1 - a)(x - c)^2 is largest at a/2 + (1 - a) c."""

    def curve(c, out, **options):
        functions = functools.partial(parabola, 0.5), functools.partial(parabola, c)
        return qd.tradeoff(Line(), *functions, BOX, weights=3, starts=2, steps=4, out=out, **options).parameters["x"]

    assert curve(OLD, tmp_path) == pytest.approx([OLD, (0.5 + OLD) / 2, 0.5], abs=1e-6)
    assert curve(OLD, tmp_path, resume=True) == pytest.approx([OLD, (0.5 + OLD) / 2, 0.5], abs=1e-6)
    with pytest.raises(ValueError, match=f"{DIFFERS} differs in the code of other"):
        curve(NEW, tmp_path, resume=True)
    assert curve(NEW, None) == pytest.approx([NEW, (0.5 + NEW) / 2, 0.5], abs=1e-6)


def test_a_rule_of_ones_own(tmp_path):
    """Other steps are looked up where they lead, and computed: made again or changed, a rule resumes to the same top."""
    for pace in (0.3, 0.3, 0.1):
        found = best(functools.partial(parabola, OLD), tmp_path, optimizer=optax.sgd(pace), resume=True)
        assert found == pytest.approx(OLD, abs=1e-6)


# ---- classes of a prompt or a notebook ---------------------------------------------------------------------

OWN = """
import qdiff as qd
C = {constant}
def helper(x):
    return {helped}
class Base(qd.Model):
    factor = {attribute}
    def inner(self):
        return {inner}
class Own(Base):
    x: float = qd.parameter(1.0, scale="{scale}")
    @qd.shared
    def half(self):
        return {shared}
    @property
    def again(self):
        return {property}
    @qd.merit(symbol="h", unit="1", source="{source}")
    def height(self):
        "{doc}"
        return {merit}
"""
SAME = {"constant": 1.0, "helped": "x", "attribute": 1.0, "inner": "1.0", "scale": "linear", "shared": "0.5", "property": "1.0"}
SAME |= {"source": "", "doc": "Height.", "merit": "C * helper(self.x) * self.factor * self.inner() * 2 * self.half() * self.again"}
CLASSES = {
    "constant": (5.0, 5.0),
    "helped": ("3 * x", 3.0),
    "attribute": (4.0, 4.0),
    "inner": ("7.0", 7.0),
    "shared": ("1.0", 2.0),
    "property": ("C + 5.0", 6.0),
    "merit": ("self.x * 9", 9.0),
}


def typed(**changes):
    """The class as it comes from lines typed at Python's prompt."""
    prompt = InteractiveInterpreter({"__name__": "__main__"})
    prompt.runcode(compile(OWN.format(**{**SAME, **changes}), "<stdin>", "exec"))
    return prompt.locals["Own"]


def swept(out, kind, **options):
    with qd.sweep(kind(), "height", x=[0.0, 1.0, 2.0], out=out, **options) as data:
        return data.height.values.tolist()


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A finished sweep, an unfinished one and a search of the class as it was."""
    folder = tmp_path_factory.mktemp("old")
    assert swept(folder / "a.nc", typed()) == [0.0, 1.0, 2.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)
        with pytest.raises(Stopped):
            swept(folder / "b.nc", typed(), chunk=1, callback=stopped)
    assert best("height", folder / "c", model=typed()()) == 1.0
    return folder


class Stopped(Exception):
    pass


def stopped(done, _):
    if done == 3:
        raise Stopped("by the test")


def resumed(folder, kind):
    """Each study of `old`, resumed: its numbers, or what was said."""
    out = []
    for call in (
        lambda: swept(folder / "a.nc", kind, resume=True),
        lambda: swept(folder / "b.nc", kind, resume=True, callback=stopped),
        lambda: best("height", folder / "c", model=kind(), resume=True),
    ):
        try:
            out.append(call())
        except (ValueError, Stopped) as error:
            out.append(str(error))
    return out


def test_a_class_typed_again(old):
    """Also with another docstring; the unfinished sweep goes on, at its second point, from which on it is not stopped."""
    for changes in ({}, {"doc": "The height."}):
        finished, unfinished, found = resumed(old, typed(**changes))
        assert finished == [0.0, 1.0, 2.0] and found == 1.0 and unfinished in ([0.0, 1.0, 2.0], "by the test")


@pytest.mark.parametrize("what", CLASSES)
def test_a_class_edited(old, what):
    text, factor = CLASSES[what]
    kind = typed(**{what: text})
    said = resumed(old, kind)
    assert all("differs in the code of" in sentence and "\n" not in sentence for sentence in said)
    assert swept(None, kind) == [0.0, factor, 2 * factor]


def test_a_scale_edited(old):
    """The journal knows points by their place between the bounds, which is another one on a logarithmic scale."""
    assert "differs in the code of Own" in resumed(old, typed(scale="log"))[2]


# ---- what no code shows ------------------------------------------------------------------------------------

FACTOR = "QDIFF_TEST_FACTOR"


class Outside(qd.Model):
    """Its numbers come from the environment, of which nothing is recorded."""

    x: float = qd.parameter(1.0)

    @qd.merit(symbol="h", unit="1", source="a test")
    def height(self):
        return float(os.environ[FACTOR]) * self.x


@pytest.fixture
def factor(monkeypatch):
    monkeypatch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)

    def put(value):
        monkeypatch.setenv(FACTOR, str(value))

    put(2.0)
    return put


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_kept_points_are_computed_again(tmp_path, factor, chunk):
    """2 x at 0, 1, 2: with the factor 2.001 finished file and parts are refused; with 2 they go on, in calls of any size."""
    out = tmp_path / "a.nc"
    with pytest.raises(Stopped):
        swept(out, Outside, chunk=chunk, callback=lambda done, _: stopped(3, _) if done >= 2 else None)
    assert chunk > 2 or (tmp_path / "a.nc.parts").exists()
    if chunk == 1:
        factor(2.001)
        assert len(list((tmp_path / "a.nc.parts").glob("*.npz"))) == 1  # at x = 0, where no factor shows
        factor(2.0)
    assert swept(out, Outside, resume=True) == [0.0, 2.0, 4.0]
    factor(2.001)
    with pytest.raises(ValueError, match=r"out must be a new file or one of the same study, but in .*height at x=.* now and was"):
        swept(out, Outside, resume=True)
    assert swept(None, Outside) == pytest.approx([0.0, 2.001, 4.002])


def test_kept_parts_are_computed_again(tmp_path, factor):
    with pytest.raises(Stopped):
        qd.sweep(Outside(), "height", x=[1.0, 2.0, 3.0], chunk=1, out=tmp_path / "a.nc", callback=stopped)
    factor(2.001)
    with pytest.raises(ValueError, match=f"the unfinished study in .*a.nc.parts {DIFFERS} height at x=2 is 4.002 now and was 4"):
        qd.sweep(Outside(), "height", x=[1.0, 2.0, 3.0], out=tmp_path / "a.nc", resume=True)


@pytest.mark.parametrize(("before", "after"), [("nan", 2.0), (2.0, "nan"), ("inf", 2.0)])
def test_failed_points(tmp_path, factor, before, after):
    """A point without a value stays one; it is another study where it has one now, or had one."""
    out = tmp_path / "a.nc"
    factor(before)
    first = swept(out, Outside)
    assert swept(out, Outside, resume=True) == pytest.approx(first, nan_ok=True)
    factor(after)
    with pytest.raises(ValueError, match="one of the same study, but in .* now and was"):
        swept(out, Outside, resume=True)


@pytest.mark.parametrize("study", ["optimize", "tradeoff", "constraint"])
def test_kept_evaluations_are_computed_again(tmp_path, factor, study):
    """x with the factor 2 or 2.001, in each place where an evaluation is kept."""

    def call(**options):
        options |= {"starts": 2, "steps": 3, "out": tmp_path}
        if study == "optimize":
            return qd.optimize(Outside(), "height", BOX, **options).value
        if study == "constraint":
            return qd.optimize(Outside(), "-(x - 1)**2", BOX, constraints=["height <= 1"], **options).value
        return qd.tradeoff(Outside(), "-x**2", "height", BOX, weights=2, **options).values[0, 1]

    right = {"optimize": 2.0, "constraint": -0.25, "tradeoff": 2.0}[study]
    assert call() == pytest.approx(right, abs=1e-6) and call(resume=True) == pytest.approx(right, abs=1e-6)
    factor(2.001)
    with pytest.raises(ValueError, match=f"the study in .*journal.jsonl {DIFFERS} .* at x=.* now and was") as refused:
        call(resume=True)
    assert "\n" not in str(refused.value)


def test_rounding_is_no_change():
    """Values of size 1 off by 1e-9, a value that is all rounding, and one without a value as before; not one off by 1e-5."""
    old = np.array([1.0, 3e-17, np.nan])
    again = np.array([[1 + 1e-9, 1.0, 1.0], [-8e-17, 2e-17, 5e-17], [np.nan, np.nan, 1.0]])
    assert _apart(old, again, 1.0).size == 0
    assert _apart(old[1:2], again[1:2], 3e-17).size == 0
    assert _apart(old, again + 1e-5, 1.0).tolist() == [0, 1]
    assert _apart(old, np.zeros((3, 3)), 1.0).tolist() == [0, 2]


# ---- files, in processes of their own ----------------------------------------------------------------------

SCRIPT = """
import argparse, time
import jax.numpy as jnp, numpy as np
import middle
import qdiff as qd

START = time.time()
parser = argparse.ArgumentParser()
parser.add_argument("--resume", action="store_true")
parser.add_argument("--top", type=float, default=0.25)
options = parser.parse_args()
KNOTS = {"a", "b", "c", "d", "e"}
table = np.linspace(0, 1, 5)

class Device(qd.Model):
    x: float = qd.parameter(0.5)

    @qd.merit(symbol="h", unit="1", source="a test")
    def height(self):
        return middle.scaled(self.x)

if __name__ == "__main__":
    goal = lambda m: -(m.x - options.top) ** 2 - middle.scaled(0.0) + (0 if "a" in KNOTS else table.sum())
    small = {"starts": 2, "steps": 3, "resume": options.resume}
    print(qd.optimize(Device(), goal, {"x": (-1.0, 1.0)}, out="search", polish="quasi-newton", **small).parameters["x"])
    print(qd.sweep(Device(), "height", x=[1.0, 2.0], out="a.nc", resume=options.resume).height.values.tolist())
"""


def run(folder, *words):
    environment = {**os.environ, "PYTHONHASHSEED": str(len(words)), "PYTHONDONTWRITEBYTECODE": "1", "QDIFF_CACHE_DIR": "off"}
    return subprocess.run([sys.executable, "script.py", *words], cwd=folder, env=environment, capture_output=True, text=True)


def test_a_script_and_a_helper_two_imports_away(tmp_path):
    """The same script in a new process goes on, whatever its other options; a helper's helper that was changed is named."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "middle.py").write_text("def scaled(x):\n    from deep import FACTOR\n    return FACTOR * x\n")
    (tmp_path / "deep.py").write_text("FACTOR = 3.0\n")
    first, again = run(tmp_path), run(tmp_path, "--resume")
    place, values = first.stdout.splitlines()
    assert abs(float(place) - 0.25) < 1e-6 and values == "[3.0, 6.0]"
    assert (again.stdout, again.returncode) == (first.stdout, 0), again.stderr
    (tmp_path / "deep.py").write_text("FACTOR = 4.0\n")
    refused = run(tmp_path, "--resume")
    assert re.search(r"ValueError: the study in .* differs in the code of .*deep.py", refused.stderr.splitlines()[-1])
