"""Entropy production from the baths' fixed points: states, inverse temperatures, pairs, local states; and entropies' derivatives.

The right values: -sum_b beta_b J_b of the heat currents, or Tr[logm(pi_b) L_b rho] with SciPy's logm and Liouville matrices made of
Kronecker products; derivatives by differences of those, extrapolated.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import (
    close,
    davies,
    derivative,
    dissipator,
    null_state,
    ohmic,
    random_density,
    random_hermitian,
    rates,
    slow_but,
    unitary,
)

import qdiff as qd
from qdiff.thermo.logarithm import logarithm

SPACE = qd.Space(q=qd.Spin())
Q = SPACE.q
PAIR = qd.Space(left=qd.Spin(), right=qd.Spin())
BETAS = {"hot": 0.5, "cold": 1.5}


def thermal(H, beta):
    rho = scipy.linalg.expm(-beta * np.asarray(H))
    return rho / np.trace(rho)


def spohn(dissipators, logs, rho):
    """sum_b Tr[ln(pi_b) L_b rho] on row-major vectors."""
    return sum(
        np.trace(logs[b] @ (L @ rho.ravel()).reshape(rho.shape)).real
        for b, L in dissipators.items()
    )


def qubit(betas=BETAS, gap=2.0):
    """Between two baths that exchange quanta of the gap with it."""
    return qd.Lindblad(
        gap / 2 * Q.z,
        {b: qd.thermal_jumps(Q.minus, gap, qd.BosonicBath(beta, 0.1)) for b, beta in betas.items()},
    )


def qubit_in_numpy(betas=BETAS, gap=2.0):
    minus, H = np.array([[0, 0], [1, 0]]), gap / 2 * np.diag([1.0, -1.0])
    n = {b: 1 / np.expm1(beta * gap) for b, beta in betas.items()}
    L = {b: 0.1 * ((1 + n[b]) * dissipator(minus) + n[b] * dissipator(minus.T)) for b in betas}
    rho = null_state(unitary(H) + sum(L.values()))
    return spohn(L, {b: -beta * H for b, beta in betas.items()}, rho)


FORMS = {
    "inverse temperatures": lambda H, b: b,
    "traced inverse temperatures": lambda H, b: jnp.asarray(b),
    "pairs": lambda H, b: (b, H),
    "Gibbs states": lambda H, b: qd.thermo.gibbs(H, b),
    "arrays": lambda H, b: thermal(H.dense(), b),
    "products": lambda H, b: {"q": thermal(H.dense(), b)},
    "states on a space of one's own": lambda H, b: qd.thermo.gibbs(qd.Space(q=qd.Spin()).q.z, b),
    "stationary states": lambda H, b: qd.steady_state(qubit({"b": b})),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_qubit_between_two_baths(form):
    """Every form of a fixed point gives -sum beta J, and the state may be any form of the stationary one."""
    generator = qubit()
    state = qd.steady_state(generator)
    fixed = {b: FORMS[form](Q.z, beta) for b, beta in BETAS.items()}
    want = qubit_in_numpy()
    assert 0.03 < want < 0.04
    for given in (state, state.rho, np.asarray(state.dense())):
        close(qd.entropy_production(generator.state(given), fixed), want, 1e-13)


def test_logarithms_given_for_states_are_refused():
    """What was asked for before is no state: its trace is not one."""
    generator = qubit()
    state = qd.steady_state(generator)
    with pytest.raises(
        ValueError, match="the fixed point of 'hot' must have trace one, but has trace 0"
    ):
        qd.entropy_production(state, {"hot": -0.5 * Q.z, "cold": 1.5})
    with pytest.raises(
        ValueError, match="the fixed point of 'cold' must be positive, but has the eigenvalue -0.5"
    ):
        qd.entropy_production(state, {"hot": 0.5, "cold": np.diag([1.5, -0.5])})


@pytest.mark.parametrize(
    "pure",
    [Q.up, {"q": "down"}, np.array([0.6, 0.8j]), np.diag([1.0, 0.0])],
    ids=["a level", "a mapping", "a ket", "an array"],
)
def test_empty_levels_are_refused(pure):
    generator = qubit()
    state = qd.steady_state(generator)
    with pytest.raises(ValueError, match="the fixed point of 'hot' must have no empty level"):
        qd.entropy_production(state, {"hot": pure, "cold": 1.5})
    with qd.failures("nan"):
        bad = jax.jit(
            lambda p: qd.entropy_production(state, {"hot": jnp.diag(jnp.stack([1 - p, p])), "cold": 1.5})
        )
        assert np.isnan(bad(0.0)) and np.isfinite(bad(0.3))


@pytest.mark.parametrize("seed", range(4))
def test_global_equations_of_random_systems(seed):
    """Three levels between two Ohmic baths, against a Davies generator of eigh and Kronecker products and SciPy's logm."""
    rng = np.random.default_rng(seed)
    H, A, B = random_hermitian(rng, 3), random_hermitian(rng, 3), random_hermitian(rng, 3)
    beta = {"hot": 0.3 + 0.2 * seed, "cold": 1.7}
    space = qd.Space(a=qd.Levels(3))
    couplings = {"hot": (space.operator(A), qd.BosonicBath(beta["hot"], qd.baths.Ohmic(0.1, 3.0)))}
    couplings["cold"] = space.operator(B), qd.BosonicBath(beta["cold"], qd.baths.Ohmic(0.2, 3.0))
    generator = qd.secular(space.operator(H), couplings)
    L = {
        b: davies(H, C, rates(beta[b], ohmic(s, 3.0))[0])
        for b, C, s in (("hot", A, 0.1), ("cold", B, 0.2))
    }
    rho = null_state(unitary(H) + sum(L.values()))
    want = spohn(L, {b: scipy.linalg.logm(thermal(H, beta[b])) for b in L}, rho)
    assert want > 1e-4
    state = qd.steady_state(generator)
    for fixed in (
        beta,
        {b: thermal(H, beta[b]) for b in L},
        {b: (beta[b], space.operator(H)) for b in L},
    ):
        close(qd.entropy_production(state, fixed), want, 1e-9)


@pytest.mark.parametrize("g", [0.0, 0.05, 0.7])
def test_local_baths_of_two_qubits(g):
    """Each bath leads its own qubit to its Gibbs state, whatever couples them: by the reduced state, a mapping and a pair."""
    gaps, beta = {"left": 1.0, "right": 1.6}, {"left": 0.4, "right": 1.3}
    parts = {b: gaps[b] * getattr(PAIR, b).up for b in gaps}
    hop = PAIR.left.plus @ PAIR.right.minus
    H = parts["left"] + parts["right"] + g * (hop + hop.dag)
    generator = qd.Lindblad(
        H,
        {
            b: qd.thermal_jumps(getattr(PAIR, b).minus, gaps[b], qd.BosonicBath(beta[b], 0.1))
            for b in gaps
        },
    )
    one, minus = np.eye(2), np.array([[0, 0], [1, 0]])
    lower = {"left": np.kron(minus, one), "right": np.kron(one, minus)}
    n = {b: 1 / np.expm1(beta[b] * gaps[b]) for b in gaps}
    L = {b: 0.1 * ((1 + n[b]) * dissipator(lower[b]) + n[b] * dissipator(lower[b].T)) for b in gaps}
    rho = null_state(unitary(H.dense()) + sum(L.values()))
    small = {b: thermal(np.diag([gaps[b], 0.0]), beta[b]) for b in gaps}
    logs = {
        "left": np.kron(scipy.linalg.logm(small["left"]), one),
        "right": np.kron(one, scipy.linalg.logm(small["right"])),
    }
    want, state = spohn(L, logs, rho), qd.steady_state(generator)
    assert want > (0.0 if g else -1e-12)
    for fixed in (
        {b: {b: small[b]} for b in gaps},
        {b: (beta[b], parts[b]) for b in gaps},
        {b: qd.thermo.gibbs(gaps[b] * getattr(qd.Space(**{b: qd.Spin()}), b).up, beta[b]) for b in gaps},
        {
            "left": np.kron(small["left"], one / 2),
            "right": {"left": one / 2, "right": small["right"]},
        },
    ):
        close(qd.entropy_production(state, fixed), want, 1e-12, 1e-2)


def test_a_fixed_point_that_is_no_gibbs_state():
    """A squeezed bath leads a qubit to a tilted state with coherences; logm of the null vector of its own dissipator."""
    c, s = np.cosh(0.4), np.sinh(0.4)
    A = np.array([[0, s], [c, 0]])
    B = np.array([[0, 0], [1, 0]]) + 0.3 * np.diag([1.0, -1.0])
    L = {
        "squeezed": 0.2 * dissipator(A) + 0.05 * dissipator(A.T) + 0.1 * dissipator(B),
        "other": 0.1 * dissipator(B + 0.2 * np.eye(2)[::-1]),
    }
    L["other"] = L["other"] + 0.03 * dissipator(A.T)
    pi = {b: null_state(X) for b, X in L.items()}
    H = 0.3 * np.eye(2)[::-1]
    generator = qd.Lindblad(
        SPACE.operator(H),
        {
            "squeezed": [
                (0.2, SPACE.operator(A)),
                (0.05, SPACE.operator(A.T)),
                (0.1, SPACE.operator(B)),
            ],
            "other": [
                (0.1, SPACE.operator(B + 0.2 * np.eye(2)[::-1])),
                (0.03, SPACE.operator(A.T)),
            ],
        },
    )
    want = spohn(
        L, {b: scipy.linalg.logm(pi[b]) for b in L}, null_state(unitary(H) + sum(L.values()))
    )
    assert want > 1e-4 and abs(pi["squeezed"][0, 1]) > 1e-3
    close(qd.entropy_production(qd.steady_state(generator), pi), want, 1e-10)


def test_very_cold_baths_by_their_inverse_temperatures():
    """beta times the gap is 800, where the Gibbs state underflows: -sum beta J still, J = rate * gap * population above."""
    beta = {"hot": 1.0, "cold": 400.0}
    generator = qubit(beta)
    state = qd.steady_state(generator)
    n = 1 / np.expm1(2.0)
    p = n / (2 + 2 * n)  # rates up 0.1 n, down 0.1 (1 + n) + 0.1
    want = 0.1 * p * 2 * (400.0 - 1.0)  # what the cold bath takes, times the difference
    close(qd.entropy_production(state, beta), want, 1e-12)
    close(qd.entropy_production(state, {"hot": 1.0, "cold": (400.0, Q.z)}), want, 1e-12)


def test_a_state_that_is_not_stationary():
    """One bath at its fixed point's temperature: minus the rate at which the relative entropy to it falls (Spohn), from |+>."""
    generator = qubit({"b": 0.7})
    rho, pi = np.array([[0.4, 0.3], [0.3, 0.6]]), thermal(np.diag([1.0, -1.0]), 0.7)
    n = 1 / np.expm1(1.4)
    minus = np.array([[0, 0], [1, 0]])
    L = 0.1 * ((1 + n) * dissipator(minus) + n * dissipator(minus.T))
    close(
        qd.entropy_production(generator.state(rho), {"b": pi}),
        spohn({"b": L}, {"b": scipy.linalg.logm(pi)}, rho),
        1e-13,
    )


# ---- derivatives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "populations",
    slow_but([(0.25, 0.25, 0.25, 0.25), (0.4, 0.2, 0.2, 0.2), (0.5, 0.3, 0.15, 0.05), (0.3, 0.3, 0.2, 0.2)], (0.4, 0.2, 0.2, 0.2)),
)
def test_derivatives_of_the_logarithm_and_of_entropy(populations):
    """Equal eigenvalues included: forward, reverse and second order, in two directions, against differences of SciPy's logm."""
    rng = np.random.default_rng(7)
    u = np.linalg.qr(random_hermitian(rng, 4))[0]
    base = (u * np.array(populations)) @ u.conj().T
    ways = [
        0.03 * (W - np.trace(W) / 4 * np.eye(4))
        for W in (random_hermitian(rng, 4), random_hermitian(rng, 4))
    ]
    M = random_hermitian(rng, 4)

    def at(x):
        return base + x[0] * ways[0] + x[1] * ways[1]

    def in_numpy(x):
        log = scipy.linalg.logm(at(x))
        return np.array([np.trace(M @ log).real, -np.trace(at(x) @ log).real])

    def in_qdiff(x):
        rho = qd.Operator.from_dense(at(x))
        return jnp.stack([jnp.real(jnp.trace(M @ logarithm(rho).dense())), qd.thermo.entropy(rho)])

    x = np.zeros(2)
    close(in_qdiff(jnp.asarray(x)), in_numpy(x), 1e-12)
    first = derivative(in_numpy, x, 1.0).T
    for slope in (jax.jacfwd(in_qdiff), jax.jacrev(in_qdiff), jax.jit(jax.jacrev(in_qdiff))):
        close(slope(jnp.asarray(x)), first, 1e-7)

    # Second derivatives by integrals over resolvents: D^2 ln[E, F] = -sum of both orders of int R E R F R dt, R = (rho + t)^-1.
    nodes, weights = np.polynomial.legendre.leggauss(800)
    t, w = np.exp(38 * nodes), weights * 38 * np.exp(38 * nodes)
    R = np.linalg.inv(base + t[:, None, None] * np.eye(4))

    def curve(read, E, F):
        product = R @ E @ R @ F @ R + R @ F @ R @ E @ R
        return -np.einsum("t,tij,ji->", w, product, read).real

    def bend(E, F):
        return -np.einsum("t,tij,ji->", w, R @ E @ R, F).real  # of -Tr rho ln rho

    second = np.array(
        [[[curve(M, E, F) for F in ways] for E in ways], [[bend(E, F) for F in ways] for E in ways]]
    )
    for hessian in (
        jax.hessian(in_qdiff),
        jax.jacrev(jax.jacrev(in_qdiff)),
        jax.jacfwd(jax.jacfwd(in_qdiff)),
    ):
        close(hessian(jnp.asarray(x)), second, 1e-8)


def test_derivatives_of_the_production_in_every_parameter():
    """Gap and temperatures of the qubit, and at equal temperatures, by states and by numbers, against differences in NumPy."""

    def produced(x, number):
        betas = {"hot": x[1], "cold": x[2]}
        generator = qubit(betas, x[0])
        fixed = betas if number else {b: qd.thermo.gibbs(generator.H, betas[b]) for b in betas}
        return qd.entropy_production(qd.steady_state(generator), fixed)

    x = np.array([1.7, 0.6, 1.4])
    want = derivative(lambda x: qubit_in_numpy({"hot": x[1], "cold": x[2]}, x[0]), x, 1e-2)
    slopes = [jax.jit(d(produced), static_argnums=1) for d in (jax.grad, jax.jacfwd)]
    for slope in slopes:
        close(slope(x, False), want, 1e-8)
    close(slopes[0](x, True), want, 1e-8)
    second = jax.jit(jax.hessian(produced), static_argnums=1)(x, False)
    close(second, derivative(lambda x: slopes[0](x, True), x, 1e-2), 1e-7)
    batch = jax.vmap(lambda b: produced(jnp.stack([1.7, b, 1.4]), False))(jnp.array([0.3, 0.6]))
    close(batch, [qubit_in_numpy({"hot": b, "cold": 1.4}, 1.7) for b in (0.3, 0.6)], 1e-12)


def test_entropy_bends_at_the_maximally_mixed_state():
    """S(1/2 + x, 1/2 - x) and S(1/2 + x X): -4 at x = 0, from ln 2 - 2 x^2; the populations of a level that stays empty add nothing."""
    bend = jax.jit(jax.hessian(lambda x, way: qd.thermo.entropy(jnp.eye(2) / 2 + x * way)))
    for way in (Q.z, Q.x, Q.y):
        close(bend(0.0, way.dense().astype(complex)), -4.0, 1e-13)
    empty = jax.grad(lambda x: qd.thermo.entropy(jnp.diag(jnp.stack([0.5 + x, 0.5 - x, 0 * x]))))(0.1)
    close(empty, -np.log(0.6 / 0.4), 1e-13)


def test_the_rotor_counts_what_its_currents_say():
    """Of the shipped engine: -beta J of the qubits' own energies, and the load's fixed point."""
    device = qd.models.RotorEngine(l_min=-2, l_max=2)
    state, s = device.steady(), device.space
    heat = (
        qd.currents(state, device.B1 * s.cold.z),
        qd.currents(state, device.B2 * s.hot.z),
    )
    load = qd.current(state, device.load_fixed_point(), "load")
    want = -device.beta1 * heat[0]["cold"] - device.beta2 * heat[1]["hot"] + load
    close(device.entropy_production(), want, 1e-12)
    mixed = random_density(np.random.default_rng(0), 5)
    close(
        qd.thermo.entropy(mixed),
        -np.sum(np.linalg.eigvalsh(mixed) * np.log(np.linalg.eigvalsh(mixed))),
        1e-13,
    )
