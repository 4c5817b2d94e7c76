"""The shape of the package: imports point one way, equations stay apart, the front door is complete and quick."""

import ast
import functools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest
import quick

import qdiff
from qdiff.models import compiling
from qdiff.results import told

ROOT = Path(qdiff.__file__).parent
# In the order in which data passes through them; a module beside the folders is a room of its own.
ROOMS = [
    "front_door", "results", "generator", "progress_bar", "linalg", "operators", "baths", "equations", "solvers",
    "thermo", "models", "studies", "figures", "cli",
]  # fmt: skip

# Equations that import another one, and why.
ACROSS = {
    ("bloch", "lindblad"): "the block of each momentum is made of a Lindblad generator",
    ("cycles", "lindblad"): "the free motion between strokes is a Lindblad generator, in the coordinates of its sector",
    ("rates", "lindblad"): "a Lindblad generator whose coherences decouple is read as rates, and its slowest decay is that of its sector",
    ("channels", "lindblad"): "Explicit and Stiff are how a user asks for steps, of whatever equation",
}

# Lines that a file may have at most: what everything leans on is to be read in one sitting.
LONGEST = {"linalg.": 300, "equations.lindblad.": 300, "": 500}


def modules() -> dict[str, Path]:
    """Every file of the package by its dotted name within it, "linalg.gth"; folders by theirs, and the front door as ""."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(source: str, name: str, when: str = "ever", known=MODULES) -> set[str]:
    """The modules of qdiff that the source of the module `name` imports, or imports from.

    Args:
        when: "ever"; "run", without what only type checkers see; "load", without what functions import either.
    """
    package = ["qdiff", *name.split(".")][: None if known.get(name, Path()).name == "__init__.py" else -1]
    found = set()
    for node in ast.walk(_pruned(ast.parse(source), when)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = [*base, *(node.module or "").split(".")] if node.module else base
            names = [".".join([*parts[1:], alias.name]) for alias in node.names]
            found |= {n if n in known else ".".join(parts[1:]) for n in names} if parts[0] == "qdiff" else set()
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("qdiff.") for alias in node.names if alias.name.startswith("qdiff.")}
    return found - {""}


def _pruned(tree: ast.Module, when: str) -> ast.Module:
    """A module without the parts in which imports do not count."""

    class Prune(ast.NodeTransformer):
        def visit_If(self, node):
            kept = [self.visit(n) for n in node.orelse] if when != "ever" and ast.unparse(node.test) == "TYPE_CHECKING" else None
            return self.generic_visit(node) if kept is None else kept

        def visit_FunctionDef(self, node):
            return None if when == "load" else self.generic_visit(node)

    return Prune().visit(tree)


@functools.cache
def imports(when: str) -> dict[str, set[str]]:
    """Of every module, those that it imports."""
    return {name: imported(path.read_text(), name, when) for name, path in MODULES.items()}


def room(name: str) -> int:
    """The place of a module's room in their order."""
    assert name.split(".")[0] in ROOMS, f"{name} is of a room that nobody planned"
    return ROOMS.index(name.split(".")[0])


def upward(found: dict[str, set[str]]) -> set[tuple[str, str]]:
    """The imports, (module, what it imports), from rooms that come later."""
    return {(name, other) for name, others in found.items() if name for other in others if room(other) > room(name)}


def across(found: dict[str, set[str]]) -> set[tuple[str, str]]:
    """The pairs of equations of which one imports the other."""
    folders = {(name.split(".")[1], other.split(".")[1]) for name, others in found.items() for other in others if _equations(name, other)}
    return {(a, b) for a, b in folders if a != b}


def _equations(*names: str) -> bool:
    return all(name.startswith("equations.") for name in names)


def circles(found: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules of which each imports each other, if over others."""

    def reached(name):
        seen, ahead = set(), [name]
        while ahead:
            new = found.get(ahead.pop(), set()) - seen
            seen |= new
            ahead += new
        return seen

    ahead = {name: reached(name) for name in found}
    groups = {frozenset(other for other in ahead[name] if name in ahead[other]) for name in found if name in ahead[name]}
    return sorted(map(set, groups), key=sorted)


def too_long(texts: dict[str, str]) -> dict[str, int]:
    """Modules of more lines than a file may have, and how many."""
    lines = {name: len(text.splitlines()) for name, text in texts.items()}
    return {name: n for name, n in lines.items() if n > next(most for room, most in LONGEST.items() if name.startswith(room))}


def test_imports_are_found():
    """Relative and absolute ones, of modules and from modules, in functions and for types."""
    known = {"a": Path("a.py"), "b": Path("b/__init__.py"), "b.c": Path("b/c.py"), "b.d": Path("b/d.py")}
    source = "from . import c\nfrom .d import f\nfrom ..a import g\nimport qdiff.a\nimport numpy\nfrom numpy import a\n"
    assert imported(source, "b.e", known=known) == {"b.c", "b.d", "a"}
    assert imported("from . import c\nfrom .. import a", "b", known=known) == {"b.c", "a"}
    assert imported("from qdiff.b import c, nothing\nfrom qdiff import b", "a", known=known) == {"b.c", "b"}
    source = "if TYPE_CHECKING:\n    from .c import T\nelse:\n    from ..a import T\ndef f():\n    from .d import g"
    assert [imported(source, "b.e", when, known) for when in ("ever", "run", "load")] == [{"b.c", "b.d", "a"}, {"b.d", "a"}, {"a"}]


def test_wrong_imports_are_found():
    assert upward({"thermo.flows": {"models.base", "thermo.gibbs_state", "linalg.gth"}}) == {("thermo.flows", "models.base")}
    assert upward({"linalg.gth": {"results"}, "results": {"linalg.gth"}}) == {("results", "linalg.gth")}
    with pytest.raises(AssertionError, match="attic.trunk is of a room that nobody planned"):
        upward({"attic.trunk": {"results"}})
    assert across({"equations.a.x": {"equations.b.y", "equations.a.z", "linalg.gth"}, "thermo.b": {"equations.a.x"}}) == {("a", "b")}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": set(), "f": {"f"}}) == [{"a", "b", "c"}, {"f"}]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    files = {"a": "x\n" * 500, "b": "x\n" * 501, "linalg.a": "x\n" * 301, "linalg.b": "x\n" * 300}
    assert too_long(files) == {"b": 501, "linalg.a": 301}


def test_every_file_is_of_a_room():
    assert all(room(name) >= 0 for name in MODULES if name) and len(MODULES) > 100


def test_imports_point_one_way():
    """A module imports from its own room and from rooms before it."""
    assert upward(imports("run")) == set()


def test_annotations_point_one_way():
    """So they do where only annotations need the names."""
    assert upward(imports("ever")) == set()


def test_equations_stay_apart():
    """No equation imports another one, but for those that are listed."""
    assert across(imports("run")) == set(ACROSS)


def test_modules_are_loaded_without_circles():
    assert circles(imports("load")) == []


def test_no_other_circles():
    """No files need each other: not in functions and not for types either."""
    assert circles(imports("ever")) == []


def test_no_file_is_too_long():
    assert too_long({name: path.read_text() for name, path in MODULES.items()}) == {}


@pytest.mark.parametrize("name", sorted(name for name, path in MODULES.items() if path.name == "__init__.py"))
def test_every_folder_says_what_lives_there(name):
    assert len((ast.get_docstring(ast.parse(MODULES[name].read_text())) or "").splitlines()) >= 4


def test_every_public_name_is_there():
    """Each name of the front door loads, and is documented."""
    for name in qdiff.__all__:
        assert getattr(qdiff, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = qdiff.nonsense


def seconds_of(code: str, **environment) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment})
    return time.perf_counter() - start, done.stdout + done.stderr


def test_import_is_quick_and_leaves_jax_alone():
    """import qdiff takes under two seconds, and does not import jax."""
    seconds, out = seconds_of("import sys, qdiff; print('jax' in sys.modules)")
    assert out.strip() == "False" and seconds < 2


@pytest.mark.parametrize(
    ("code", "environment", "said"),
    [
        ("import qdiff, jax; print(jax.config.read('jax_enable_x64'))", {}, "True"),
        ("import jax, qdiff; print(jax.config.read('jax_enable_x64'))", {}, "True"),
        ("import jax, qdiff; print(jax.config.read('jax_enable_x64'))", {"JAX_ENABLE_X64": "0"}, "False"),
        ("import qdiff as qd; qd.models.RotorEngine(l_min=-2, l_max=2).cop()", {"JAX_ENABLE_X64": "0"}, "qdiff needs 64-bit numbers"),
    ],
)
def test_sixty_four_bits(code, environment, said):
    """Importing qdiff switches JAX to 64 bit, before or after jax, unless the environment says otherwise."""
    kept = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**kept, **environment})
    assert said in done.stdout + done.stderr


def test_names_are_listed_before_they_are_loaded():
    assert {"steady_state", "models", "Lindblad"} <= set(dir(qdiff)) and {"NAMES", "RotorEngine"} <= set(dir(qdiff.models))
    with pytest.raises(AttributeError, match="module 'qdiff.models' has no attribute 'RotorEngin'"):
        qdiff.models.RotorEngin  # noqa: B018


NOT_FLAT = ("rates.Rates", "solvers.Dense", "pulses.CubicSpline", "baths.Ohmic", "models.RotorEngine")


@pytest.mark.parametrize("name", NOT_FLAT)
def test_a_name_that_is_not_flat_is_found(name):
    """The error says in which namespace a name is, whether that is a folder or a module."""
    with pytest.raises(AttributeError, match=rf"no attribute '\w+'; it is qd\.{re.escape(name)}$"):
        getattr(qdiff, name.partition(".")[2])


def test_a_name_that_is_nowhere():
    with pytest.raises(AttributeError, match="module 'qdiff' has no attribute 'nonsense'$"):
        qdiff.nonsense  # noqa: B018


def test_an_option_that_this_compiler_lacks_is_left_out():
    assert compiling._known("xla_backend_optimization_level", 1) and not compiling._known("xla_no_such_option", 1)


def test_an_error_of_the_compiler_itself_stays_what_it_is():
    """It is passed on whole."""

    def broken():
        raise jax.errors.JaxRuntimeError("INTERNAL: nobody knows")

    with pytest.raises(jax.errors.JaxRuntimeError, match="nobody knows"):
        told(broken)


def flags_in(source: str) -> set[str]:
    """The flags of XLA that a source sets in the environment."""
    return set(re.findall(r"--xla_\w+=\w+", source))


def test_no_flag_is_set_that_this_compiler_lacks():
    """XLA ends the process over a flag that it does not know: only `quick` sets one that may be gone, and it asks first."""
    assert flags_in("XLA_FLAGS='--xla_a=1 --xla_b_c=true'") == {"--xla_a=1", "--xla_b_c=true"}
    assert not quick.known("--xla_no_such_flag=1")
    repository = ROOT.parent
    own = repository / "tests" / "test_architecture.py"
    sources = [p for room in ("qdiff", "tests", "benchmarks") for p in (repository / room).rglob("*.py") if p != own]
    found = set().union(*(flags_in(p.read_text()) for p in sources))
    assert "--xla_force_host_platform_device_count=3" in found
    assert quick.known(*found) and quick.known(*os.environ["XLA_FLAGS"].split())
