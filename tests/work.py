"""How much work compiled programs do, in numbers that do not depend on the machine: what a rise in cost shows first.

`python tests/work.py` writes tests/data/work.json anew; do so when a rise is wanted, and say why.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys

import jax
import jax.monitoring

import qdiff as qd
from qdiff.equations.lindblad.reach import reach
from qdiff.models import compiling

RECORD = pathlib.Path(__file__).parent / "data" / "work.json"
# The same passes for everybody who has the same jaxlib, whatever XLA_FLAGS says.
OPTIONS = compiling.options(level=0)
# name -> (model, merit): small enough to compile in a second or two, and through every kind of solve.
PROGRAMS = {
    "rotor": (lambda: qd.models.RotorEngine(l_min=-8, l_max=12), "heat_current_hot"),
    "rectifier": (lambda: qd.models.RotorRectifier(l_min=-3, l_max=3), "performance"),
    "lambda": (lambda: qd.models.LambdaSystem(), "force"),
    "lattice": (lambda: qd.models.ThermophoreticLattice(sites=64), "thermophoresis"),
    "raman": (lambda: qd.models.RamanRectifier(length=512), "current"),
    "particle": (lambda: qd.models.ActiveParticle(points=256), "velocity"),
    "engine": (lambda: qd.models.SpintronicEngine(), "power"),
}


def program(name: str, gradient: bool) -> dict[str, float]:
    """Floating-point operations and bytes moved, by XLA's count (a loop's body once), and lines of the program before XLA."""
    build, merit = PROGRAMS[name]
    value = lambda model: getattr(model, merit)()  # noqa: E731  (the name of the program is part of its lines)
    lowered = jax.jit(jax.value_and_grad(value) if gradient else value).lower(build())
    cost = lowered.compile(OPTIONS).cost_analysis()
    return {"flops": cost["flops"], "bytes": cost["bytes accessed"], "lines": float(len(lowered.as_text().splitlines()))}


@contextlib.contextmanager
def compilations():
    """Counts the programs that XLA compiles within: a list that grows by one for each."""
    found: list[str] = []

    def listen(name, duration, **about):
        if name.endswith("backend_compile_duration"):
            found.append(about.get("fun_name", "?"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def programs_of_calls() -> dict[str, int]:
    """How many programs the README's calls compile: the first call of a figure of merit, its gradient, a second point, an evaluation."""
    jax.clear_caches()
    out = {}
    device, other = qd.models.LambdaSystem(T1=0.9), qd.models.LambdaSystem(T1=0.8)
    calls = {
        "first call": lambda: device.force(),
        "second point": lambda: other.force(),
        "gradient": lambda: jax.grad(lambda d: d.force())(device),
        "gradient at a second point": lambda: jax.grad(lambda d: d.force())(other),
        "evaluate": lambda: qd.evaluate(device, ["force", "imbalance"], gradient=True),
        "evaluate a second point": lambda: qd.evaluate(other, ["force", "imbalance"], gradient=True),
    }
    for name, call in calls.items():
        with compilations() as found:
            call()
        out[name] = len(found)
    return out


def sectors() -> dict[str, list[int]]:
    """Coordinates, entries and levels of the sector of each generator: what every solve costs."""
    generators = {
        "rotor-engine": qd.models.RotorEngine().generator(),
        "rotor-rectifier": qd.models.RotorRectifier().generator(0.1, 0.02),
        "spintronic-engine": qd.models.SpintronicEngine().generator(),
    }
    found = {name: reach(generator, None) for name, generator in generators.items()}
    return {name: [s.size, int(s.target.size), len(s.bands)] for name, s in found.items()}


def measured() -> dict:
    """All of it, as it is recorded."""
    work = {f"{name}{' gradient' if g else ''}": program(name, g) for name in PROGRAMS for g in (False, True)}
    return {"jax": jax.__version__, "programs": work, "calls": programs_of_calls(), "sectors": sectors()}


if __name__ == "__main__":
    os.makedirs(RECORD.parent, exist_ok=True)
    RECORD.write_text(json.dumps(measured(), indent=1) + "\n")
    sys.stdout.write(f"wrote {RECORD}\n")
