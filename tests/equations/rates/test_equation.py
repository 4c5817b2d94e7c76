"""Rate equations: what they are made of, and that the secular equation's populations obey exactly one of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, davies, null_state

import qdiff as qd

BATH = qd.BosonicBath(1.0, 0.1)


def lattice(N, **given):
    return qd.models.ThermophoreticLattice(**{"sites": N, "g": 0.7, **given})


def superoperator(model):
    """The whole dissipator of the lattice by brute force, and its eigenbasis: ground states, then levels 1 .. N."""
    N, T = model.sites, np.asarray(model.profile())
    H = np.zeros((2 * N, 2 * N))
    H[N:, N:] = float(model.h) * np.eye(N) + float(model.g) * (np.eye(N, k=1) + np.eye(N, k=-1))
    total = np.zeros(((2 * N) ** 2,) * 2)
    for k in range(N):
        A = np.zeros((2 * N, 2 * N))
        A[k, N + k] = A[N + k, k] = 1
        # Frequency zero belongs to pairs of ground states, which A does not join.
        total += davies(H, A, lambda w, T=T[k]: 1 / abs(np.expm1(-w / T)) if abs(w) > 1e-12 else 0.0).real
    m = np.arange(1, N + 1)
    basis = np.eye(2 * N)
    basis[N:, N:] = np.sqrt(2 / (N + 1)) * np.sin(np.pi * np.outer(m, m) / (N + 1))
    return total, basis, H


@pytest.mark.parametrize("N", [3, 10])
def test_the_whole_secular_equation_has_these_populations(N):
    """In the eigenbasis its populations move among themselves, by exactly the rate equation, and nothing else feeds them."""
    model = lattice(N)
    L, V, _ = superoperator(model)
    turn = np.kron(V, V)
    L = turn.T @ L @ turn
    on = np.arange(2 * N) * (2 * N + 1)
    off = np.setdiff1d(np.arange(4 * N * N), on)
    W = np.asarray(model.rates().matrix())
    close(L[np.ix_(on, on)], W, 1e-13)
    assert np.abs(L[np.ix_(on, off)]).max() < 1e-13 * np.abs(W).max()
    assert np.abs(L[np.ix_(off, on)]).max() < 1e-13 * np.abs(W).max()


@pytest.mark.parametrize("N", [3, 10])
def test_the_secular_builder_makes_this_generator(N):
    """`secular` of the lattice, seen by `pauli`: the same rates, bath by bath, up to the order of the levels."""
    model = lattice(N)
    made, own = qd.rates.pauli(model.generator()), model.rates()
    assert made.labels == own.labels
    order = np.r_[np.arange(N), N + np.argsort(np.asarray(own.energies[N:]))]
    back = np.r_[np.arange(N), N + np.argsort(np.asarray(made.energies[N:]))]
    close(made.energies[back], own.energies[order], 1e-14)
    for k in range(N):
        both = []
        for rates, at in ((made, back), (own, order)):
            one = np.where(rates.transitions.bath == k, rates.rate, 0.0)
            R = np.zeros((2 * N, 2 * N))
            np.add.at(R, (rates.transitions.target, rates.transitions.source), one)
            both.append(R[np.ix_(at, at)])
        close(*both, 1e-13)


@pytest.mark.parametrize("N", [3, 10])
def test_any_basis_of_the_ground_states(N):
    """With the degenerate ground states rotated at random, the secular builder's steady state is the same."""
    model = lattice(N, g=1.3)
    rng = np.random.default_rng(5)
    Q = np.eye(2 * N)
    Q[:N, :N] = np.linalg.qr(rng.normal(size=(N, N)))[0]
    space = qd.Space(lattice=qd.Levels(2 * N))
    generator = model.generator()
    H = Q.T @ np.asarray(generator.hamiltonian.dense()).real @ Q
    H[np.abs(H) < 1e-14] = 0
    couplings = {}
    for k in range(N):
        A = np.zeros((2 * N, 2 * N))
        A[k, N + k] = A[N + k, k] = 1
        bath = qd.BosonicBath(1 / model.profile()[k], model.rate)
        couplings[f"site {k + 1}"] = (qd.Operator.from_dense(Q.T @ A @ Q, space), bath)
    turned = qd.secular(qd.Operator.from_dense(H, space), couplings)
    with pytest.raises(ValueError, match="generator must not couple populations to coherences"):
        qd.rates.pauli(turned)
    rho = Q @ np.asarray(qd.steady_state(turned).dense()) @ Q.T
    state = model.steady()
    want = np.zeros((2 * N, 2 * N))
    want[:N, :N] = np.diag(state.ground_populations)
    m = np.arange(1, N + 1)
    waves = np.sqrt(2 / (N + 1)) * np.sin(np.pi * np.outer(m, m) / (N + 1))
    want[N:, N:] = waves @ np.diag(state.level_populations) @ waves
    close(rho, want, 1e-12)


def test_the_steady_state_of_the_whole_equation():
    model = lattice(3, g=1.3)
    L, V, H = superoperator(model)
    commutator = -1j * (np.kron(H, np.eye(6)) - np.kron(np.eye(6), H))
    rho = null_state(L + commutator)
    state = model.steady()
    close(np.diag(V.T @ rho @ V).real, np.r_[state.ground_populations, state.level_populations], 1e-13)


@pytest.mark.parametrize("N", [2, 4])
def test_the_local_equation(N):
    """Its closed form is the stationary state of the master equation, for any hopping, and no heat flows."""
    model = lattice(N, g=0.3, master_equation="local")
    generator = model.generator()
    rho = np.asarray(qd.steady_state(generator).dense())
    state = model.steady()
    close(np.diag(rho).real[:N], state.ground_populations, 1e-13)
    close(rho[N:, N:], float(state.level_populations[0]) * np.eye(N), 1e-13, scale=0.1)
    assert np.abs(model.heat_currents()).max() < 1e-16


def test_two_sites_in_closed_form():
    """p_g1 : p_g2 = R_21 : R_12, R_ij = sum over levels of gamma_i(-E) gamma_j(E)/(gamma_1(E) + gamma_2(E))."""
    rng = np.random.default_rng(2)
    for _ in range(10):
        h, g, T1, T2 = rng.uniform(0.2, 2, 4)

        def gamma(E, T):
            return 1 / abs(np.expm1(-E / T))

        def R(Ti, Tj, h=h, g=g, T1=T1, T2=T2):
            return sum(gamma(-E, Ti) * gamma(E, Tj) / (gamma(E, T1) + gamma(E, T2)) for E in (h + g, h - g))

        p = np.array([R(T2, T1), R(T1, T2)])
        levels = [sum(gamma(-E, T) * x for T, x in zip((T1, T2), p, strict=True)) / (gamma(E, T1) + gamma(E, T2)) for E in (h + g, h - g)]
        total = p.sum() + sum(levels)
        model = lattice(2, h=h, g=g, T_left=T1, T_right=T2)
        close(model.ground_populations(), p / total, 1e-14)
        close(model.level_populations(), np.array(levels) / total, 1e-14)


def test_equal_temperatures_are_gibbs():
    """One temperature everywhere, cold: every population relative to every other is a Boltzmann factor, no heat flows."""
    model = lattice(10, g=1.3, T_left=0.05, T_right=0.05)
    state = model.steady()
    p = np.r_[state.ground_populations, state.level_populations]
    x = np.r_[np.zeros(10), np.asarray(model.level_energies()) / 0.05]
    assert p.min() < 1e-40
    assert np.abs(p / p[0] / np.exp(-x) - 1).max() < 1e-12
    assert np.abs(model.heat_currents()).max() < 1e-16 and abs(model.thermophoresis()) < 1e-14


def test_currents_by_bath():
    """Two baths and one pair of levels: what one brings the other takes, and any observable can be followed."""
    pair = [qd.rates.thermal_transitions(0, 1, 2.0, qd.BosonicBath(b, 0.1)) for b in (0.5, 1.0)]
    rates = qd.rates.Rates([0.0, 2.0], dict(zip(("hot", "cold"), pair, strict=True)))
    p = rates.steady_state()
    hot, cold = 1 / np.expm1(1.0), 1 / np.expm1(2.0)
    want = 2 * 0.1 * (hot - cold) / (2 * (1 + hot + cold))
    heat = rates.heat_currents(p)
    close(heat["hot"], want, 1e-14)
    close(heat["cold"], -want, 1e-14)
    close(rates.currents(p, [0.0, 1.0])["hot"], want / 2, 1e-14)
    close(rates.matrix() @ p, np.zeros(2), 1e-17, scale=1.0)


def test_rates_are_linear_in_traced_values():
    def first(rate):
        return qd.rates.Rates([0.0, 1.0, 2.0], {"a": [([0, 1], [1, 2], rate), ([1, 2], [0, 1], 1.0)]}).steady_state()[0]

    assert float(jax.jit(first)(2.0)) == pytest.approx(1 / 7, rel=1e-15)
    assert float(jax.grad(first)(2.0)) == pytest.approx(-5 / 49, rel=1e-14)


@pytest.mark.parametrize(
    ("energies", "jumps", "error", "message"),
    [
        ([[0.0]], {"a": (0, 1, 1.0)}, ValueError, r"energies must be one for each state, shape \(n,\), but has shape \(1, 1\)"),
        ([0.0, 1.0], {}, ValueError, "jumps must hold at least one jump"),
        ([0.0, 1.0], {"a": (0, 2, 1.0)}, ValueError, r"the target of a jump of bath 'a' must be between 0 and 1, but was \[2\]"),
        ([0.0, 1.0], {"a": (0.5, 1, 1.0)}, ValueError, "the source of a jump of bath 'a' must be integers, but was 0.5"),
        ([0.0, 1.0], {"a": (1, 1, 1.0)}, ValueError, "a jump of bath 'a' must lead to another state, but state 1 leads to itself"),
        ([0.0, 1.0], {"a": (0, 1, -1.0)}, ValueError, "the rate of a jump of bath 'a' must not be negative, but was -1"),
        ([0.0, 1.0], {"a": ([0, 1], [1], 1.0)}, ValueError, r"source and target of a jump of bath 'a' must have one shape"),
        ([0.0, 1.0], {"a": (0, 1, [1.0, 2.0])}, ValueError, r"the rate of a jump of bath 'a' must have shape \(1,\), but has shape \(2,\)"),
        ([0.0, 1.0], {"a": [(0, 1)]}, TypeError, r"a jump of bath 'a' must be \(source, target, rate\), but was \(0, 1\)"),
    ],
)
def test_bad_input(energies, jumps, error, message):
    with pytest.raises(error, match=message):
        qd.rates.Rates(energies, jumps)


def test_the_comparisons_can_fail():
    """The rate equation of slightly different parameters is told apart by the helpers above."""
    with pytest.raises(AssertionError, match="differs by"):
        close(lattice(3).rates().matrix(), lattice(3, g=0.7 + 1e-11).rates().matrix(), 1e-13)
    assert jnp.any(lattice(3).rates().rate != lattice(3, g=0.7 + 1e-11).rates().rate)


def test_by_the_verbs():
    """Two states, up at rate 1 and down at rate 3."""
    rates = qd.rates.Rates([0.0, 1.0], {"a": [(0, 1, 1.0), (1, 0, 3.0)]})
    close(qd.steady_state(rates), np.array([0.75, 0.25]), 1e-15)
    close(qd.steady_state(rates, solver="lu"), np.array([0.75, 0.25]), 1e-15)
    close(qd.relax(rates), 4.0, 1e-14)
    close(qd.evolve(rates, [1.0, 0.0], [0.5])[0, 1], (1 - np.exp(-2.0)) / 4, 1e-14)
