"""The shape of the package: imports point one way, the front door is complete and quick."""

import ast
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
ROOMS = ["operators", "baths", "generators", "solvers", "thermodynamics", "models", "studies", "figures", "cli"]


def rooms_imported(source: str, room: str) -> set[str]:
    """The rooms of qdiff that a module of `room` imports from."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if node.level == 1:
                found.add(room)
            elif node.level == 2:
                found |= {parts[0]} if parts[0] else {a.name for a in node.names}
            elif parts[0] == "qdiff" and len(parts) > 1:
                found.add(parts[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("qdiff.")}
    return found


def upward(source: str, room: str) -> set[str]:
    """Those of them that come after `room`."""
    return {r for r in rooms_imported(source, room) if r in ROOMS and ROOMS.index(r) > ROOMS.index(room)}


def test_upward_can_fail():
    assert upward("from ..models.base import Model", "solvers") == {"models"}
    assert upward("import qdiff.cli.app", "studies") == {"cli"}
    assert not upward("from ..operators.space import Space", "solvers")


@pytest.mark.parametrize("path", sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("*/*.py")))
def test_imports_point_one_way(path):
    """A module imports from its own room and from rooms before it."""
    room = path.split("/")[0]
    assert room in ROOMS, f"{room} is a room that nobody planned"
    assert upward((ROOT / path).read_text(), room) == set()


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
