"""How many real coordinates a generator's sector has: as few as its structure allows, and no block larger than it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import random_hermitian

import qdiff as qd
from qdiff.equations.cycles.stroke_maps import _reached, image, reached
from qdiff.equations.lindblad.eigenbasis import _blocks
from qdiff.equations.lindblad.reach import reach

Q = qd.Space(q=qd.Spin()).q
PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
RNG = np.random.default_rng(0)
DAMP = {"b": [(0.3, Q.minus), (0.1, Q.plus)]}
HOP = PAIR.a.plus @ PAIR.b.minus
BOTH = {"a": (0.3, PAIR.a.minus), "b": (0.1, PAIR.b.plus)}
ATOM = qd.Space(atom=qd.Levels(3))


def matrix(rng):
    return ATOM.operator(rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)))


SIZES = {
    "populations alone": (qd.Lindblad(Q.z, DAMP), 2),
    "a drive out of phase": (qd.Lindblad(0.4 * Q.x, DAMP), 3),  # without detuning the real part of the coherence stays apart
    "a drive in phase": (qd.Lindblad(0.4 * Q.y, DAMP), 3),
    "a detuned drive": (qd.Lindblad(0.7 * Q.z + 0.4 * Q.x, DAMP), 4),
    "exchange at resonance": (qd.Lindblad(PAIR.a.z + PAIR.b.z + 0.3 * (HOP + HOP.dag), BOTH), 5),
    "exchange": (qd.Lindblad(PAIR.a.z + 0.7 * PAIR.b.z + 0.3 * (HOP + HOP.dag), BOTH), 6),
    "all of it": (qd.Lindblad(ATOM.operator(random_hermitian(RNG, 3)), {"b": [matrix(RNG), matrix(RNG)]}), 9),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_coordinates_that_populations_reach(name):
    generator, size = SIZES[name]
    sector = reach(generator)
    assert sector.size == size and f"size={size}, nnz=" in repr(sector)


def test_blocks_that_are_hidden_in_one():
    """Four levels that are two times two in a tilted basis; and in the given one."""
    tilted = 0.6 * PAIR.a.z + 0.8 * PAIR.a.x

    @jax.jit
    def tell(x, y):
        basis, blocks, _ = _blocks(x * tilted @ PAIR.b.z + y * PAIR.b.x + 0.3 * tilted)
        assert basis is not None and sorted(map(len, blocks)) == [2, 2]
        basis, blocks, _ = _blocks(x * (PAIR.a.x @ PAIR.b.x) + y * (PAIR.a.y @ PAIR.b.y) + 0.3 * PAIR.a.z + 0.2 * PAIR.b.z)
        assert basis is None and sorted(map(len, blocks)) == [2, 2]
        return x

    tell(0.4, 0.7)


def test_a_measurement_joins_only_what_it_joins():
    """Of populations a diagonal operator makes populations; a jump moves them; a rotation makes coherences of its own qubit."""
    populations = np.eye(4, dtype=bool)
    assert np.array_equal(image(PAIR.a.z, populations), populations)
    assert image(PAIR.a.minus, populations).sum() == 2
    assert np.array_equal(image(PAIR.a.x + PAIR.identity, populations), np.kron(np.ones((2, 2)), np.eye(2)) > 0)
    exchange = qd.cycles.Measurement(HOP + HOP.dag)  # 1 and -1 of two of the states, 0 of the other two
    assert _reached(exchange, populations).sum() == 6 and reached([qd.cycles.Free(qd.Lindblad(PAIR.a.z, BOTH), 1.0), exchange]).size == 6
    assert jnp.array_equal(image(PAIR.a.x, image(PAIR.a.x, populations)), populations)
