"""One bath coupled through several operators, independent or correlated, against an independent construction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, davies, derivative, dissipator, flow, null_state, ohmic, rates, unitary

import qdiff as qd

S = qd.Space(a=qd.Spin(), b=qd.Levels(3))
BETA, ETA = 0.7, 0.3
BATH = qd.BosonicBath(BETA, qd.baths.Ohmic(ETA, 4.0))
DOWN, UP = rates(BETA, ohmic(ETA, 4.0))
RNG = np.random.default_rng(3)


def matrix(hermitian):
    m = RNG.normal(size=(6, 6)) + 1j * RNG.normal(size=(6, 6))
    return m + m.conj().T if hermitian else np.tril(m)


H = matrix(True)
HERMITIAN, LOWERING = [matrix(True) for _ in range(3)], [matrix(False) for _ in range(3)]
C = np.array([[1.0, 0.6, -0.2], [0.6, 0.8, 0.1], [-0.2, 0.1, 0.5]])


def correlated(operators, C, wave=False):
    """sum_ij C_ij sum_w gamma(w) (A_i(w) . A_j(w)^dag - {A_j(w)^dag A_i(w), .}/2), pair by pair, in the basis of H."""
    e, v = np.linalg.eigh(H)
    omega = e[None, :] - e[:, None]
    eye = np.eye(6)
    parts = [v.conj().T @ A @ v for A in operators]
    out = np.zeros((36, 36), complex)
    left = np.ones(omega.shape, bool)
    while left.any():
        w = omega[left][0]
        on = np.abs(omega - w) < 1e-8
        left &= ~on
        lines = [v @ np.where(on, A, 0) @ v.conj().T for A in parts]
        for rate, group in ((DOWN(w), lines), (UP(w), [A.conj().T for A in lines]))[: 2 if wave else 1]:
            for i, A in enumerate(group):
                for j, B in enumerate(group):
                    K = B.conj().T @ A
                    out += rate * C[i, j] * (np.kron(A, B.conj()) - 0.5 * np.kron(K, eye) - 0.5 * np.kron(eye, K.T))
    return out


def test_the_reference_of_one_coupling_is_that_of_the_helpers():
    """The pairwise construction with C = 1 is `davies` of the sum, with C = identity the sum of `davies`."""
    close(correlated(HERMITIAN[:2], np.ones((2, 2))), davies(H, HERMITIAN[0] + HERMITIAN[1], DOWN), 1e-12)
    close(correlated(LOWERING[:2], np.eye(2), True), sum(davies(H, A, DOWN, UP) for A in LOWERING[:2]), 1e-12)


def told(generator):
    """State, and the heat from the bath in question and from a leak beside it."""
    state = qd.steady_state(generator)
    heat = qd.currents(state, generator.hamiltonian)
    return state.dense(), jnp.stack([heat["bath"], heat["leak"]])


LEAK = 0.2 * np.diag(np.ones(5), 1)


def generator(couplings, **options):
    return qd.secular(S.operator(H), {"bath": couplings}, {"leak": S.operator(LEAK)}, **options)


def expected(L):
    leak = dissipator(LEAK)
    rho = null_state(unitary(H) + L + leak)
    return rho, np.array([flow(L, rho, H), flow(leak, rho, H)])


CASES = {
    "list": lambda ops: ((ops, BATH), np.eye(3)),
    "pairs": lambda ops: ([(A, BATH) for A in ops], np.eye(3)),
    "correlated": lambda ops: ((ops, BATH, C), C),
    "traced": lambda ops: ((tuple(ops), BATH, jnp.asarray(C)), C),
    "fully correlated": lambda ops: ((ops, BATH, np.ones((3, 3))), np.ones((3, 3))),
    "one and a pair": lambda ops: (
        [(ops[0], BATH), (ops[1:], BATH, C[:2, :2])],
        np.block([[np.eye(1), np.zeros((1, 2))], [np.zeros((2, 1)), C[:2, :2]]]),
    ),
}


@pytest.mark.parametrize("wave", [False, True], ids=["hermitian", "rotating wave"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_state_and_currents_of_several_couplings(name, wave):
    """Every way of writing it, as matrices that are known: state to 1e-11 and heat currents to 1e-10."""
    matrices = LOWERING if wave else HERMITIAN
    couplings, correlation = CASES[name]([S.operator(A) for A in matrices])
    rho, heat = expected(correlated(matrices, correlation, wave))
    got = told(generator(couplings))
    close(got[0], rho, 1e-11, 1.0)
    close(got[1], heat, 1e-10)


def test_a_single_operator_in_a_list_is_that_operator():
    """[A] and A are the same coupling, and so is a list of one pair."""
    A = S.operator(HERMITIAN[0])
    alone = told(generator((A, BATH)))[0]
    close(told(generator(([A], BATH)))[0], alone, 1e-14, 1.0)
    close(told(generator([(A, BATH)]))[0], alone, 1e-14, 1.0)


@qd.structured
def pair(c, strength):
    """Two qubits in a common field; c = 0: a bath for each, c = 1: one that both share."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    bath = qd.BosonicBath(0.8, qd.baths.Ohmic(strength))
    energy = 0.5 * s.a.z + 0.8 * s.b.z + 0.3 * s.a.x @ s.b.x
    return qd.secular(
        energy,
        {"bath": ([s.a.x, s.b.x], bath, [[1.0, c], [c, 1.0]]), "cold": (s.a.x + 0.3 * s.b.z, qd.BosonicBath(3.0, qd.baths.Ohmic(0.1)))},
    )


def heat(x):
    m = pair(*x)
    return qd.heat_current(qd.steady_state(m), "bath")


HEAT = jax.jit(heat)
SLOPE = jax.jit(jax.grad(heat))


@pytest.mark.parametrize("c", [-0.4, 0.0, 0.7])
def test_derivatives_in_the_correlation(c):
    """Gradient and Hessian in the correlation and the strength against extrapolated differences."""
    x = np.array([c, 0.2])
    close(SLOPE(x), derivative(HEAT, x), 1e-8)
    close(jax.jit(jax.hessian(heat))(x), derivative(SLOPE, x), 1e-7)


def test_derivative_where_a_pair_becomes_fully_correlated():
    """At c = 1 one rate vanishes; the derivative is that from the inside, and beyond it the generator is refused."""
    x = np.array([1.0, 0.2])
    inside = [float(HEAT(x - [h, 0])) for h in (0.0, 1e-3, 2e-3, 3e-3)]
    backward = (11 * inside[0] - 18 * inside[1] + 9 * inside[2] - 2 * inside[3]) / 6e-3  # error of order h^3
    close(SLOPE(x)[0], backward, 1e-6, abs(backward))
    with qd.failures("nan"):
        assert np.isnan(float(jax.jit(lambda x: heat(x))(np.array([1.01, 0.2]))))


def test_correlations_that_are_none_are_refused():
    """A wrong shape, an asymmetric or indefinite matrix, Hermitian beside other operators: one sentence each."""
    A, B, low = S.operator(HERMITIAN[0]), S.operator(HERMITIAN[1]), S.operator(LOWERING[0])
    for operators, matrix, said in (
        ([A, B], np.eye(3), r"shape \(2, 2\)"),
        ([A, B], [[1, 2], [2, 1]], "negative eigenvalue, but has -1"),
        ([A, B], [[1, 0.5], [0.2, 1]], "symmetric"),
        ([A, B], [[1, np.nan], [np.nan, 1]], "finite"),
        ([A, B], [[1, 0.5], [0.2]], r"shape \(2, 2\)"),
        ([A, B], "near", "matrix of real numbers"),
        ([A, B], [[1, 0.5j], [-0.5j, 1]], "real numbers"),
        ([A, low], np.eye(2), "all be Hermitian"),
    ):
        with pytest.raises((ValueError, TypeError), match=said):
            generator((operators, BATH, matrix))


def test_a_coupling_that_hides_its_hermiticity_is_not_counted_twice():
    """A traced matrix as coupling: NaN rather than twice the rates; written as (A + A^dag)/2 it is right."""

    def f(A, symmetric):
        op = S.operator(A)
        with qd.failures("nan"):
            return told(generator(((op + op.dag) * 0.5 if symmetric else op, BATH)))[1]

    A = jnp.asarray(HERMITIAN[0])
    want = expected(davies(H, HERMITIAN[0], DOWN))[1]
    close(jax.jit(f, static_argnums=1)(A, True), want, 1e-10)
    assert np.all(np.isnan(jax.jit(f, static_argnums=1)(A, False)))
