"""No program does more work than it did: operations, bytes, lines, compilations and sector sizes against a record."""

import json

import jax
import pytest
import work

KNOWN = json.loads(work.RECORD.read_text())
# Another version of JAX writes another program for the same mathematics.
SAME = jax.__version__.split(".")[:2] == KNOWN["jax"].split(".")[:2]
RISE = 1.1 if SAME else 1.5


def risen(found: dict[str, float], known: dict[str, float], factor: float) -> dict[str, tuple[float, float]]:
    """What is more than `factor` times what is known, with both numbers; what is not known counts as zero."""
    return {k: (v, known.get(k, 0.0)) for k, v in found.items() if not v <= factor * known.get(k, 0.0)}


def test_risen_can_fail():
    assert risen({"a": 1.2, "b": 1.0}, {"a": 1.0, "b": 1.0}, 1.1) == {"a": (1.2, 1.0)}
    assert risen({"a": 1.0}, {}, 1.1) and risen({"a": float("nan")}, {"a": 1.0}, 1.1) and not risen({"a": 0.5}, {"a": 1.0}, 1.1)


@pytest.mark.parametrize("gradient", [False, True], ids=["value", "gradient"])
@pytest.mark.parametrize("name", work.PROGRAMS)
def test_compiled_work(name, gradient):
    """Operations and bytes by XLA's cost analysis, and the length of the program that XLA is given, to ten per cent."""
    found = work.program(name, gradient)
    assert found["flops"] > 0 and found["bytes"] > 0
    assert not risen(found, KNOWN["programs"][name + " gradient" * gradient], RISE)


def test_compilations():
    """As many programs as before, and none at a second point of the same shape."""
    found = work.programs_of_calls()
    assert not risen(found, KNOWN["calls"], RISE)
    assert all(n == 0 for name, n in found.items() if "second point" in name)


def test_sectors():
    """Sizes of the sectors, their entries and levels: not one more."""
    found = work.sectors()
    for name, sizes in found.items():
        assert all(a <= b for a, b in zip(sizes, KNOWN["sectors"][name], strict=True)), (name, sizes)
