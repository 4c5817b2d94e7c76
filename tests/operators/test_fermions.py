"""Fermionic modes: one Jordan-Wigner order through all factors, against dense strings of Pauli matrices."""

import itertools

import numpy as np
import pytest
from helpers import close, dissipator, null_state, unitary

import qdiff as qd

SPACE = qd.Space(left=qd.Fermions("up", "down"), spin=qd.Spin(), right=qd.Fermions("a"), end=qd.Fermions("up", "x"))
MODES = [("left", "up"), ("left", "down"), ("right", "a"), ("end", "up"), ("end", "x")]


def annihilators():
    return [getattr(getattr(SPACE, factor), mode) for factor, mode in MODES]


def textbook(k, space=SPACE):
    """Z x .. x Z x c x 1 x .. x 1 over the modes in order, with identities on what is no fermion."""
    lower, z = np.array([[0, 1], [0, 0]]), np.diag([1, -1])
    out, seen = np.eye(1), 0
    for factor in space.factors.values():
        if not isinstance(factor, qd.Fermions):
            out = np.kron(out, np.eye(factor.dim))
            continue
        for _ in factor.modes:
            out = np.kron(out, z if seen < k else lower if seen == k else np.eye(2))
            seen += 1
    return out


def anticommutators(c):
    """The largest deviation from {c_a, c_b} = 0 and {c_a, c_b^dag} = delta_ab."""
    worst = 0.0
    for (i, a), (j, b) in itertools.product(enumerate(c), repeat=2):
        worst = max(worst, np.abs(a @ b + b @ a).max())
        worst = max(worst, np.abs(a @ b.conj().T + b.conj().T @ a - (i == j) * np.eye(len(a))).max())
    return worst


def test_modes_of_all_factors_anticommute():
    """{c_a, c_b} = 0 and {c_a, c_b^dag} = delta_ab exactly, within and across factors; the strings are the textbook's."""
    c = [op.dense() for op in annihilators()]
    assert anticommutators(c) == 0
    for k, op in enumerate(c):
        close(op, textbook(k), 0, 1)


def test_anticommutators_can_fail():
    """Two modes without a string between them commute, and the comparison says so."""
    lower = np.array([[0, 1], [0, 0]])
    assert anticommutators([np.kron(lower, np.eye(2)), np.kron(np.eye(2), lower)]) == 2


def test_numbers_and_parity():
    """n = sum of c^dag c, parity = (-1)^n; they carry no string and are diagonal."""
    for (factor, mode), c in zip(MODES, annihilators(), strict=True):
        site = getattr(SPACE, factor)
        assert (getattr(site, "n_" + mode) - c.dag @ c).pattern.nnz == 0
    site = SPACE.end
    assert (site.n - site.n_up - site.n_x).pattern.nnz == 0
    assert (site.parity - (SPACE.identity - 2 * site.n_up) @ (SPACE.identity - 2 * site.n_x)).pattern.nnz == 0
    assert np.all(site.n.pattern.row == site.n.pattern.col)


def test_basis_states_and_labels():
    """c_up^dag c_down^dag |0> = + |up+down>, and labels name what is occupied in any order."""
    s = qd.Space(d=qd.Fermions("up", "down"))
    assert s.d.factor.labels == ("0", "down", "up", "up+down")
    full = (s.d.up.dag @ s.d.down.dag).dense()[:, 0]
    close(full, [0, 0, 0, 1], 0)
    close(s.state(d="down+up").dense(), np.diag([0, 0, 0, 1.0]), 0)
    close(s.d.projector(2).dense(), s.d.projector("up").dense(), 0)


@pytest.mark.parametrize("graded", [True, False])
def test_products_of_matrices_on_a_factor_are_kept(graded):
    """Embedding is an algebra homomorphism for any matrix on a factor, odd, even or neither."""
    rng = np.random.default_rng(1)
    name = "end" if graded else "spin"
    d = SPACE.factors[name].dim
    a, b = rng.normal(size=(2, d, d))
    site = getattr(SPACE, name)
    close((site.operator(a) @ site.operator(b)).dense(), site.operator(a @ b).dense(), 1e-14)


def test_partial_trace_keeps_what_fermions_show():
    """Tr[rho c_left^dag c_end] is that of the reduced state, with the sign of the modes in between traced out."""
    rng = np.random.default_rng(5)
    c = annihilators()
    H = sum((a.dag @ b + b.dag @ a) * rng.normal() for a, b in itertools.combinations(c, 2)) + sum(a.dag @ a * rng.normal() for a in c)
    e, v = np.linalg.eigh(H.dense() + (SPACE.spin.x @ SPACE.left.n).dense())
    rho = SPACE.operator(v * np.exp(-e) @ v.T / np.exp(-e).sum())
    small = rho.reduced("left", "end")
    kept = small.space
    pairs = [(c[0].dag @ c[3], kept.left.up.dag @ kept.end.up), (c[1].dag @ c[4], kept.left.down.dag @ kept.end.x)]
    pairs += [(c[0].dag @ c[1] @ c[3] @ c[4].dag, kept.left.up.dag @ kept.left.down @ kept.end.up @ kept.end.x.dag)]
    for large, reduced in pairs:
        want = (rho @ large).trace()
        assert abs(want) > 1e-3
        close((small @ reduced).trace(), want, 1e-13)


def test_sector_and_steady_state_see_the_strings():
    """A chain of three modes in three factors between two leads: the steady state of the 64 x 64 generator made of
    textbook strings, in the 20 coordinates of equal numbers on both sides; without strings it differs."""
    space = qd.Space(a=qd.Fermions("c"), b=qd.Fermions("c"), d=qd.Fermions("c"))
    a, b, d = space.a.c, space.b.c, space.d.c
    hop = a.dag @ b + 0.7 * (b.dag @ d) + 0.4 * (a.dag @ d)
    H = hop + hop.dag + 0.3 * space.b.n + 2.0 * (space.a.n @ space.b.n)
    jumps = {"left": [(0.3, a), (0.1, a.dag)], "middle": [(0.2, b), (0.35, b.dag)], "right": [(0.2, d), (0.5, d.dag)]}
    generator = qd.Lindblad(H, jumps)
    state = qd.steady_state(generator)
    assert state.sector.size == 20  # coherences between different numbers are not reached

    def dense(c):
        hop = c[0].T @ c[1] + 0.7 * c[1].T @ c[2] + 0.4 * c[0].T @ c[2]
        n = [x.T @ x for x in c]
        L = unitary(hop + hop.T + 0.3 * n[1] + 2.0 * n[0] @ n[1])
        for x, (out, into) in zip(c, [(0.3, 0.1), (0.2, 0.35), (0.2, 0.5)], strict=True):
            L = L + out * dissipator(x) + into * dissipator(x.T)
        return null_state(L)

    close(state.rho.dense(), dense([textbook(k, space) for k in range(3)]), 1e-13)
    bare = [np.abs(textbook(k, space)) for k in range(3)]
    assert np.abs(state.rho.dense() - dense(bare)).max() > 1e-2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: qd.Fermions(), "at least one"),
        (lambda: qd.Fermions("up", "up"), "distinct"),
        (lambda: qd.Fermions("n"), "'n'"),
        (lambda: qd.Fermions("operator"), "'operator'"),
        (lambda: qd.Fermions("n_up"), "'n_up'"),
        (lambda: qd.Fermions(2), "2"),
        (lambda: SPACE.left.projector("left"), "one of"),
        (lambda: SPACE.left.state(np.array([1.0, 1, 0, 0])), "even and odd"),
    ],
)
def test_wrong_use_is_refused(wrong, said):
    """Names that cannot be modes, levels that are none, superpositions that fermions forbid."""
    with pytest.raises(ValueError, match=said):
        wrong()
