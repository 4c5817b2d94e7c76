"""The examples of the documentation inside `jax.jit`, with their arrays made there (traced) or outside (known while it is traced).

Checks of known numbers used to fail there: within a function that is being compiled, JAX traces what is done to known arrays too.
"""

import ast
import doctest
import importlib
import pkgutil

import jax
import jax.numpy as jnp
import pytest

import qdiff as qd


def examples():
    """Examples with numbers; studies and the command line run compiled functions themselves."""
    rooms = ("results", "generator", "progress_bar", "linalg", "operators", "baths", "equations", "thermo")
    names = [m.name for m in pkgutil.walk_packages(qd.__path__, "qdiff.") if m.name.split(".")[1] in rooms]
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in names for test in finder.find(importlib.import_module(name)) if test.examples]
    return [pytest.param(test, id=test.name) for test in found]


def statements(test: doctest.DocTest):
    """Its code without the lines that print."""
    body = [line for example in test.examples for line in ast.parse(example.source).body]
    return compile(ast.Module([line for line in body if not isinstance(line, ast.Expr | ast.Import)], []), test.name, "exec")


class Known:
    """jax.numpy, whose functions return numbers that are known although a function is being compiled."""

    def __getattr__(self, name):
        found = getattr(jnp, name)

        def known(*args, **kwargs):
            with jax.ensure_compile_time_eval():
                return found(*args, **kwargs)

        return known if callable(found) and not isinstance(found, type) else found


@pytest.mark.parametrize("numpy", [jnp, Known()], ids=["traced", "known"])
@pytest.mark.parametrize("test", examples())
def test_example(test, numpy):
    code, ran = statements(test), []

    def example():
        exec(code, {"qd": qd, "jax": jax, "jnp": numpy})
        ran.append(test.name)

    jax.jit(example)()
    assert ran == [test.name]


def test_what_is_known_stays_so():
    """The stand-in makes what it says, and a check in JAX of such a number would fail here."""

    def checked():
        x = Known().full(3, 0.5)
        assert not isinstance(x, jax.core.Tracer) and isinstance(jnp.full(3, 0.5), jax.core.Tracer)
        with pytest.raises(jax.errors.TracerBoolConversionError):
            bool(jnp.all(x <= 1))
        return x

    assert jax.jit(checked)().tolist() == [0.5] * 3


def test_strokes_from_known_arrays():
    """A swap given as an array, a strength and uniform numbers, all known: U^dag U is checked, and the cycle runs."""
    q = qd.Space(q=qd.Spin()).q
    swap, strength, uniforms = jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.array(1.0), jnp.array([0.5])

    def up():
        stay = qd.cycles.Free(qd.Lindblad(q.z, {"dephasing": (0.1, q.z)}), 1.0)
        cycle = qd.cycles.Cycle([stay, qd.cycles.Unitary(qd.Operator.from_dense(swap, q.x.space)), qd.cycles.Measurement(q.z, strength)])
        return qd.cycles.replay(cycle, uniforms, {"q": "down"})

    found = jax.jit(up)()
    assert found.values[0][int(found.outcome[0, 0])] == pytest.approx(1.0) and float(found.probability[0, 0]) == pytest.approx(1.0)
    with jax.ensure_compile_time_eval():
        twice = 2 * swap
    with pytest.raises(ValueError, match="operator must be unitary"):
        jax.jit(lambda: qd.cycles.Unitary(qd.Operator.from_dense(twice)))()
