"""The slowest decay, of rate equations and of Lindblad equations, and its derivatives."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd


def rates_of(R):
    target, source = np.nonzero(np.asarray(R))
    return qd.rates.Rates(np.zeros(len(R)), {"all": (source, target, jnp.asarray(R)[target, source])})


def test_against_all_eigenvalues_in_fifty_digits():
    """Also where it is 1e-9 of the other rates, and where it belongs to a complex pair."""
    rng = np.random.default_rng(1)
    slow = np.kron(np.eye(2), rng.uniform(1, 2, (3, 3)))
    slow[3, 0], slow[0, 3] = 3e-9, 5e-9
    ring = np.roll(np.eye(5), 1, axis=0) * rng.uniform(1, 2, 5)
    for R in (rng.uniform(0, 1, (6, 6)), slow, ring):
        np.fill_diagonal(R, 0)
        with mpmath.workdps(50):
            W = mpmath.matrix(R.tolist())
            for j in range(len(R)):
                W[j, j] = -mpmath.fsum(W[i, j] for i in range(len(R)) if i != j)
            decays = sorted(-mpmath.re(e) for e in mpmath.eig(W, left=False, right=False))
        close(rates_of(R).relax(), float(decays[1]), 1e-13)


def test_derivatives():
    """First and second, forward and reverse, of a real decay and of a complex pair."""
    rng = np.random.default_rng(3)
    ring = np.roll(np.eye(4), 1, axis=0) + 0.05
    target, source = np.nonzero(1 - np.eye(4))

    def gap(x):
        return qd.rates.Rates(np.zeros(4), {"all": (source, target, x)}).relax()

    quick = {"xla_backend_optimization_level": 0}
    f, slope, forward, second = (jax.jit(g, compiler_options=quick) for g in (gap, jax.grad(gap), jax.jacfwd(gap), jax.hessian(gap)))
    for R in (rng.uniform(0.2, 1, (4, 4)), ring):
        x = R[target, source] * rng.uniform(0.9, 1.1, 12)
        close(slope(x), derivative(f, x), 1e-9)
        close(forward(x), slope(x), 1e-13)
        close(second(x), derivative(slope, x), 1e-8)


def test_a_damped_qubit_by_both_descriptions():
    """Its populations decay at emission + absorption; the Lindblad equation of the populations says so too."""
    qubit = qd.Space(qubit=qd.Spin()).qubit
    bath = qd.BosonicBath(1.0, 0.1)
    generator = qd.Lindblad(qubit.z, {"bath": qd.thermal_jumps(qubit.minus, 2.0, bath)})
    want = float(bath.emission(2.0) + bath.absorption(2.0))
    close(qd.rates.slowest_decay(generator), want, 1e-14)
    close(qd.rates.slowest_decay(qd.rates.pauli(generator)), want, 1e-14)


def test_the_local_lattice():
    """The slowest decay of the local equation, coherences included, against the whole superoperator."""
    model = qd.models.ThermophoreticLattice(sites=3, g=0.4, master_equation="local")
    h, g, T = 1.0, 0.4, np.asarray(model.profile())
    H = np.zeros((6, 6))
    H[3:, 3:] = h * np.eye(3) + g * (np.eye(3, k=1) + np.eye(3, k=-1))
    L = -1j * (np.kron(H, np.eye(6)) - np.kron(np.eye(6), H))
    for k in range(3):
        for rate, to, frm in ((1 / -np.expm1(-h / T[k]), k, 3 + k), (1 / np.expm1(h / T[k]), 3 + k, k)):
            A = np.zeros((6, 6))
            A[to, frm] = 1
            L = L + rate * (np.kron(A, A) - (np.kron(A.T @ A, np.eye(6)) + np.kron(np.eye(6), A.T @ A)) / 2)
    block = np.zeros((6, 6), bool)
    block[3:, 3:] = True
    block[np.arange(3), np.arange(3)] = True
    on = np.flatnonzero(block.ravel())
    decays = np.sort(-np.linalg.eigvals(L[np.ix_(on, on)]).real)
    close(model.relaxation_gap(), decays[1], 1e-12)


def test_failures():
    with pytest.raises(qd.NotUnique, match="there are 2 stationary states"):
        qd.rates.Rates(np.zeros(3), {"a": [(1, 0, 1.0), (1, 2, 1.0)]}).relax()
    with pytest.raises(qd.SolveError, match="the slowest decay is not defined"):
        qd.rates.slowest_decay(qd.rates.Rates(np.zeros(2), {"a": [(0, 1, 0.0), (1, 0, 0.0)]}))
    with pytest.raises(TypeError, match="generator must be Rates or a Lindblad, but was float"):
        qd.rates.slowest_decay(1.0)  # pyright: ignore[reportArgumentType]
