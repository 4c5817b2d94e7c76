"""Operators against dense NumPy, with known values and with traced ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, random_hermitian
from hypothesis import given, settings
from hypothesis import strategies as st

import qdiff as qd

SPACE = qd.Space(spin=qd.Spin(), atom=qd.Levels("g", "m", "e"), mode=qd.Boson(2))
FACTORS = {"spin": 2, "atom": 3, "mode": 2}


def sparse(rng, n, density=0.4, real=False):
    a = rng.normal(size=(n, n)) + (0 if real else 1j) * rng.normal(size=(n, n))
    return a * (rng.uniform(size=(n, n)) < density)


def pair(seed, traced):
    rng = np.random.default_rng(seed)
    A, B = sparse(rng, 12), sparse(rng, 12, real=True)
    c = 0.3 - 0.8j
    return A, B, c, SPACE.operator(A), SPACE.operator(B)


def algebra(a, b, c):
    return {
        "sum": (a + b).dense(),
        "difference": (a - b).dense(),
        "scaled": (c * a / 2).dense(),
        "product": (a @ b).dense(),
        "adjoint": (a @ b).dag.dense(),
        "power": (b**3).dense(),
        "trace": (a @ b).trace(),
        "diagonal": (a + b).diagonal(),
        "reduced": (a @ b).reduced("spin", "mode").dense(),
        "negated": (-a).dense(),
    }


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_algebra_equals_dense_numpy(seed):
    """Sum, product, adjoint, power, traces of random sparse matrices: the same numbers as NumPy, to rounding."""
    A, B, c, a, b = pair(seed, False)
    AB = (A @ B).reshape(2, 3, 2, 2, 3, 2)
    want = {
        "sum": A + B,
        "difference": A - B,
        "scaled": c * A / 2,
        "product": A @ B,
        "adjoint": (A @ B).conj().T,
        "power": B @ B @ B,
        "trace": np.trace(A @ B),
        "diagonal": np.diag(A + B),
        "reduced": np.einsum("iajkal->ijkl", AB).reshape(4, 4),
        "negated": -A,
    }
    got = algebra(a, b, c)
    for key in want:
        close(got[key], want[key], 1e-13, 1 + np.abs(A).max() * np.abs(B).max() * 12)


def test_traced_algebra_equals_known_algebra():
    """The same operations under jit, values and factor traced, with structure from the patterns alone."""
    _, _, c, a, b = pair(7, False)
    want = algebra(a, b, c)

    @jax.jit
    def run(va, vb, c):
        return algebra(qd.Operator(a.pattern, va, SPACE), qd.Operator(b.pattern, vb, SPACE), c)

    got = run(jnp.asarray(a.values), jnp.asarray(b.values), c)
    for key in want:
        close(got[key], want[key], 1e-13)


def test_embedding_is_a_kronecker_product():
    """Every factor's operators stand at their place in the tensor product, first factor slowest."""
    rng = np.random.default_rng(3)
    for k, (name, n) in enumerate(FACTORS.items()):
        local = sparse(rng, n, 1.0)
        parts = [np.eye(m) for m in FACTORS.values()]
        parts[k] = local
        close(getattr(SPACE, name).operator(local).dense(), np.kron(np.kron(parts[0], parts[1]), parts[2]), 1e-15)
    close(SPACE.identity.dense(), np.eye(12), 0)


def test_textbook_operators():
    """Pauli algebra, [a, n] = a, [L, E] = E, |to><frm|, cos^2 + sin^2 = 1 inside the truncation."""
    s = qd.Space(q=qd.Spin(), b=qd.Boson(4), r=qd.Rotor(-2, 2), l=qd.Levels("g", "e"))
    q, b, r = s.q, s.b, s.r
    assert (q.x @ q.y - 1j * q.z).pattern.nnz == 0
    assert (q.plus @ q.minus - q.up).pattern.nnz == 0
    close((b.a @ b.n - b.n @ b.a).dense(), b.a.dense(), 1e-15)
    close((b.x - b.a - b.a.dag).dense() + s.identity.dense(), s.identity.dense(), 0)
    close((r.L @ r.E - r.E @ r.L).dense(), r.E.dense(), 1e-15)
    inside = np.ones(5)
    inside[[0, -1]] = 0.5  # E E^dag misses one edge, E^dag E the other
    close((r.cos @ r.cos + r.sin @ r.sin).reduced("r").diagonal() / 16, inside, 1e-14)
    close(s.l.transition("e", "g").reduced("l").dense() / 40, [[0, 0], [1, 0]], 1e-15)
    close((s.l.projector(1) - s.l.projector("e")).dense() + s.identity.dense(), s.identity.dense(), 0)


def test_cancellation_is_seen_through_traced_parameters_and_a_tiny_remainder_is_kept():
    """g A - g A has no entry left although g is traced; (1 + 1e-13) A - A keeps its entry."""
    q = qd.Space(q=qd.Spin()).q
    seen = []

    @jax.jit
    def f(g):
        seen.append((g * q.x - g * q.plus).pattern.nnz)
        return (g * q.x - g * q.plus).dense()

    close(f(0.7), [[0, 0], [0.7, 0]], 1e-15)
    assert seen == [1]
    assert ((1 + 1e-12) * q.plus - q.plus).pattern.nnz == 1


def test_partial_trace_of_a_product_state():
    """Tr over the rest returns each factor of a product, in the order of the space whatever order is asked for."""
    rng = np.random.default_rng(0)
    parts = {k: random_hermitian(rng, n) for k, n in FACTORS.items()}
    parts = {k: v / np.trace(v) for k, v in parts.items()}
    op = SPACE.operator(np.kron(np.kron(parts["spin"], parts["atom"]), parts["mode"]))
    for name in FACTORS:
        close(op.reduced(name).dense(), parts[name], 1e-13)
    close(op.reduced("mode", "spin").dense(), np.kron(parts["spin"], parts["mode"]), 1e-13)


@pytest.mark.parametrize(
    "wrong, error",
    [
        (lambda q: q.x + 1.0, TypeError),
        (lambda q: q.x * q.x, TypeError),
        (lambda q: q.x * np.ones(2), ValueError),
        (lambda q: q.x**0, ValueError),
        (lambda q: q.x + qd.Space(b=qd.Boson(2)).b.n, ValueError),
        (lambda q: q.operator(np.eye(3)), ValueError),
        (lambda q: q.space.operator(np.ones((2, 3))), ValueError),
        (lambda q: q.sx, AttributeError),
        (lambda q: q.space.p, AttributeError),
        (lambda q: q.x.reduced("nobody"), ValueError),
        (lambda q: q.x / 0, ZeroDivisionError),
        (lambda q: 2.0 / q.x, TypeError),
        (lambda q: q.x * "two", TypeError),
        (lambda q: 1 - q.x, TypeError),
        (lambda q: [[1.0, 0.0], [0.0, 1.0]] @ q.x, TypeError),
        (lambda q: qd.Operator.from_dense(np.eye(2)).reduced("q"), ValueError),
        (lambda q: qd.Operator(np.eye(2), [1.0, 1.0]), TypeError),
        (lambda q: qd.Operator(q.x.pattern, "ab"), TypeError),
        (lambda q: qd.Operator(q.x.pattern, [1.0, 1.0, 1.0]), ValueError),
        (lambda q: qd.Operator(q.x.pattern, [[1.0], [1.0, 2.0]]), TypeError),
        (lambda q: qd.Space(factors=qd.Spin()), ValueError),
        (lambda q: qd.Space(**{"a b": qd.Spin()}), ValueError),
        (lambda q: qd.Space(**{"class": qd.Spin()}), ValueError),
        (lambda q: q.space.coordinates(2), ValueError),
        (lambda q: q.space.coordinates(0.5), ValueError),
        (lambda q: qd.Levels("a", "a"), ValueError),
        (lambda q: qd.Rotor(2, 2), ValueError),
        (lambda q: qd.Space(), ValueError),
        (lambda q: qd.Space(l=qd.Levels("g")).l.projector("e"), ValueError),
    ],
)
def test_wrong_use_is_refused(wrong, error):
    """Mistakes are refused when they are made, with a message that says more than a line number."""
    with pytest.raises(error) as caught:
        wrong(qd.Space(q=qd.Spin()).q)
    assert len(str(caught.value)) > 25


def test_signs_and_how_things_are_shown():
    q = qd.Space(q=qd.Spin()).q
    assert +q.x is q.x or np.array_equal((+q.x).dense(), q.x.dense())
    assert np.array_equal((0 - q.plus).dense(), -q.plus.dense()) and np.array_equal((q.plus - 0).dense(), q.plus.dense())
    assert repr(q.x) == "Operator(size=2, nnz=2, space=Space(q=Spin()))" and repr(q.x.pattern) == "Pattern(size=2, nnz=2)"


@pytest.mark.parametrize("make", [lambda x: qd.Levels(x, "e"), lambda x: qd.Fermions(x, "e"), lambda x: qd.Space(**{x: qd.Spin()})])
def test_equal_spaces_are_one(make):
    """So that operators made at different places go together, and nothing is compiled twice."""
    assert make("g") == make("g") and hash(make("g")) == hash(make("g")) and make("g") != make("f")
