"""The jumps and kinks of functions of time, read off their programs: where they are, and that nothing else remains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from qdiff.equations.lindblad.corners import corners, rooms
from qdiff.equations.lindblad.switches import CURVE, LINE, STEPS, Inputs, Program

U, X = jnp.arange(20.0), jnp.array([1.0, 2.5, 7.0])


def inner(t):
    return jax.lax.cond(t > 4, lambda t: jnp.where(t < 6, 1.0, 2.0) * t, lambda t: jnp.cos(t), t)


# name: the function on 0 to 10, its corners, how it depends on time between them.
FUNCTIONS = {
    "a window": (lambda t: jnp.where((t > 5) & (t < 5.5), 1.0, 0.0), [5, 5.5], STEPS),
    "an index": (lambda t: U[(t / 2.5).astype(int)], [2.5, 5, 7.5], STEPS),
    "a floor division": (lambda t: U[jnp.clip((t // 2.5).astype(int), 0, 19)], [2.5, 5, 7.5], STEPS),
    "searchsorted": (lambda t: X[jnp.searchsorted(X, t)], [1, 2.5, 7], STEPS),
    "interp": (lambda t: jnp.interp(t, X, X**2), [1, 2.5, 7], LINE),
    "a remainder": (lambda t: jnp.where(t % 4.0 < 0.5, 1.0, 0.0), [0.5, 4, 4.5, 8, 8.5], STEPS),
    "a square wave": (lambda t: jnp.sign(jnp.cos(t)), [np.pi / 2, 3 * np.pi / 2, 5 * np.pi / 2], STEPS),
    "levels of a curve": (lambda t: jnp.floor(0.25 * t**2), [2 * np.sqrt(k) for k in range(1, 25)], STEPS),
    "a kink": (lambda t: jnp.maximum(0.0, 1 - jnp.abs(t - 3)), [2, 3, 4], LINE),
    "the lower of two": (lambda t: jnp.minimum(t, 10 - t), [5], LINE),
    "a ramp": (lambda t: jnp.clip((t - 2) / 3, 0, 1), [2, 5], LINE),
    "a clamp": (lambda t: jax.lax.clamp(2.0, t, 5.0), [2, 5], LINE),
    "rounding": (lambda t: jnp.round(t / 4) + jnp.ceil(t / 5), [2, 5, 6], STEPS),
    "pieces": (lambda t: jnp.piecewise(t, [t < 1, (t >= 1) & (t < 3)], [0.0, lambda t: t, 2.0]), [1, 3], LINE),
    "branches with switches": (inner, [4, 6], CURVE),
    "a branch without": (lambda t: jax.lax.cond(t > 4, lambda t: t, lambda t: 2 * t, t), [4], LINE),
    "an integer's remainder": (lambda t: U[(t / 2.5).astype(int) % 2] + jnp.abs((t / 5).astype(int)), [2.5, 5, 7.5], STEPS),
    "complex numbers": (lambda t: jnp.abs(jnp.exp(1j * t)) + jnp.real(jnp.sign(1j * t)) + jnp.where(1j * t == 3j, 1.0, 0.0), [], CURVE),
    "a truth": (lambda t: (t - 4).astype(bool).astype(float), [4], STEPS),
    "a Gaussian": (lambda t: jnp.exp(-((t - 3) ** 2)), [], CURVE),
    "no time at all": (lambda t: jnp.sum(U), [], 0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_corners(name):
    """Their times, and between them the function as it goes on with the answers of its switches kept."""
    function, want, level = FUNCTIONS[name]
    program = Program(lambda t: function(t), ())
    assert program.level == level
    room = rooms(program, (), 0.0, 10.0)
    found, missed = jax.jit(lambda a, b: corners(program, Inputs(()), a, b, room))(0.0, 10.0)
    found = np.asarray(found)
    distinct = found[np.concatenate([[True], np.diff(found) > 1e-9])]
    close(distinct, [0.0, *want, 10.0], 1e-12)
    assert not missed
    frozen = jax.jit(lambda t, middle: program(t, Inputs(()), program.answers(middle, Inputs(()))))
    for a, b in zip(distinct, distinct[1:], strict=False):
        for part in (0.03, 0.4, 0.96):
            t = a + part * (b - a)
            close(frozen(t, (a + b) / 2), function(t), 1e-12, 1.0)


def test_more_jumps_than_room():
    """Numbers that are not known while tracing leave room for 256 jumps: more are told, and as many are found."""

    def ends(width, last):
        program = Program(lambda t, w: jnp.floor(t / w), (width,))
        return corners(program, Inputs((width,)), jnp.zeros(()), last, rooms(program, (width,), 0.0, last))

    times, missed = jax.jit(ends)(0.1, 10.0)
    assert not missed and np.sum((np.asarray(times) > 0) & (np.asarray(times) < 10)) == 99
    assert jax.jit(ends)(0.001, 10.0)[1]
    slopes = jax.jit(jax.jacfwd(lambda w: ends(w, 10.0)[0]))(0.1)
    close(np.asarray(slopes)[1:100], np.arange(1.0, 100.0), 1e-12)
