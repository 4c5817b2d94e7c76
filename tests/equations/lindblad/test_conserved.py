"""Conserved coherences outside the sector of the populations are counted; where there are none, none are."""

import numpy as np
import pytest
from helpers import close, dissipator, random_hermitian, unitary

import qdiff as qd
from qdiff.equations.lindblad.conserved import MOST, hidden
from qdiff.equations.lindblad.reach import reach

Q = qd.Space(q=qd.Spin()).q
PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())


def count(generator):
    """Stationary operators inside the sector, by its structure, and outside of it."""
    sector = reach(generator)
    return len(sector.classes), hidden(generator, sector)


def brute(H, jumps):
    """The number of null vectors of the full Liouvillian."""
    L = unitary(H.dense()) + sum(r * dissipator(A.dense()) for r, A in jumps)
    singular = np.linalg.svd(L, compute_uv=False)
    return int(np.sum(singular < 1e-12 * singular[0]))


swap = PAIR.a.plus @ PAIR.b.minus
BELL = 0.5 * (PAIR.a.x @ PAIR.b.x + PAIR.a.z @ PAIR.b.z)
CASES = {
    "all along x": (Q.x, [(0.3, Q.x)]),
    "no decay at all": (Q.x, [(0.0, Q.minus)]),
    "driven and damped": (0.4 * Q.x, [(0.3, Q.minus)]),
    "thermal": (Q.z, [(0.3, Q.minus), (0.1, Q.plus)]),
    "a free spectator along x": (PAIR.a.z + PAIR.b.x, [(0.3, PAIR.a.minus), (0.1, PAIR.a.plus), (0.2, PAIR.b.x)]),
    "exchange with one damped": (0.5 * PAIR.a.z + 0.5 * PAIR.b.z + 0.2 * (swap + swap.dag), [(0.3, PAIR.a.minus)]),
    "rotations about y": (PAIR.a.y, [(0.3, PAIR.a.y), (0.1, PAIR.b.minus), (0.2, PAIR.b.plus)]),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_their_number_is_that_of_the_full_liouvillian(name):
    """Inside and outside together are the null vectors that brute force finds."""
    H, jumps = CASES[name]
    classes, more = count(qd.Lindblad(H, {"b": jumps}))
    assert classes == 1 and classes + more == brute(H, jumps)
    assert (more > 0) == (name in ("all along x", "no decay at all", "a free spectator along x", "rotations about y"))


def test_traced_and_structured_parameters():
    """What is conserved for all parameters is counted, what happens to be conserved at the given ones is not."""

    @qd.structured
    def along_x(w, rate):
        return qd.Lindblad(w * Q.x, {"a": (rate, Q.x)})

    @qd.structured
    def by_chance(w, rate, small):
        return qd.Lindblad(w * Q.x, {"a": (rate, Q.x), "b": (small, Q.minus)})

    assert count(along_x(0.7, 0.2)) == (1, 1)
    assert count(by_chance(0.7, 0.2, 0.0)) == (1, 0)


def test_a_slow_decay_outside_is_a_decay():
    """A coherence that decays 1e-9 as fast as the fastest is not conserved."""
    generator = qd.Lindblad(Q.x, {"a": [(0.3, Q.x), (1e-9, Q.z)]})
    assert count(generator) == (1, 0)


def test_large_systems_are_left_alone():
    """Beyond the dimension up to which one looks the answer is zero, without the search."""
    rng = np.random.default_rng(0)
    space = qd.Space(atom=qd.Levels(MOST + 1))
    H = space.operator(np.diag(np.diag(random_hermitian(rng, MOST + 1)).real))
    assert count(qd.Lindblad(H, {"b": (0.1, space.operator(np.diag(np.ones(MOST), 1)))})) == (1, 0)


def test_the_sector_of_an_initial_state_counts_its_conserved_coherence():
    """With a coherence along x as the start there are two stationary operators in reach, with populations alone one."""
    generator = qd.Lindblad(Q.x, {"a": (0.3, Q.x)})
    both = Q.space.operator([[0.5, 0.25], [0.25, 0.5]])
    assert reach(generator, both.pattern).nullity == 2
    assert reach(generator, Q.up.pattern).nullity == 1 and reach(generator).nullity == 1


def test_the_steady_state_names_how_many():
    """It is not one but a plane of them, unless an initial state selects one."""
    generator = qd.Lindblad(Q.x, {"a": (0.3, Q.x)})
    with pytest.raises(qd.NotUnique, match="there are 2 independent stationary operators: coherences .* Give `initial`"):
        qd.steady_state(generator)
    both = Q.space.operator([[0.5, 0.25], [0.25, 0.5]])
    close(qd.steady_state(generator, initial=both).dense(), both.dense(), 1e-14)
    close(qd.steady_state(generator, initial=Q.up).dense(), np.eye(2) / 2, 1e-14)
