"""Laws of the global (secular) equation at many random points of systems of up to 16 levels, degenerate ones among them.

For every shape one program is compiled and run at all points; what it returns is checked in plain NumPy.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qutip as qt
from helpers import close, ohmic, rates
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_couplings import BETA, CUTOFF, NUMBERS, SHAPES, STRENGTH

import qdiff as qd

MANY = settings(max_examples=70, deadline=None, derandomize=True, database=None)
COMPILER = {"xla_backend_optimization_level": 0}  # these programs run a few hundred times: compile them fast


@functools.cache
def program(name):
    @qd.structured
    def build(x, betas):
        H, left, right = SHAPES[name](x)
        cold, hot = (qd.BosonicBath(betas[k], qd.baths.Ohmic(STRENGTH, CUTOFF)) for k in (0, 1))
        return qd.secular(H, {"left": (left, cold), "right": (right, hot)})

    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x, betas):
        with qd.failures("nan"):
            generator = build(x, betas)
            state = qd.steady_state(generator)
            heat = qd.ledger(state).heat
            H, left, right = SHAPES[name](x)
            sigma = qd.entropy_production(state, {"left": betas[0], "right": betas[1]})
            couplings = {"left": left.dense(), "right": right.dense()}
            return state.dense(), H.dense(), couplings, heat, sigma, qd.thermo.entropy(state.rho), state.rcond

    return lambda x, betas: jax.tree.map(np.asarray, run(jnp.asarray(x), jnp.asarray(betas)))


def size_of(H, couplings):
    """The largest rate that the baths could make, times the number of levels."""
    return len(H) * STRENGTH * (np.abs(H).max() + 10.0) * sum(np.abs(A).max() ** 2 for A in couplings.values())


@pytest.mark.parametrize("name", sorted(SHAPES))
@given(NUMBERS, BETA)
@MANY
def test_one_temperature_gives_gibbs_and_no_current(name, counted, x, beta):
    """Equal temperatures, whatever the levels: the thermal state, no heat, no entropy production."""
    rho, H, couplings, heat, sigma, entropy, rcond = program(name)(x, [beta, beta])
    assume(np.all(np.isfinite(rho)) and rcond > 1e-9)
    e, v = np.linalg.eigh(H)
    p = np.exp(-beta * (e - e[0]))
    p /= p.sum()
    noise = 1e-13 + 1e-14 / rcond
    close(rho, (v * p) @ v.conj().T, 10 * noise, 1.0)
    close(entropy, -np.sum(p * np.log(np.maximum(p, 1e-300))), 1e-9 + 1e3 * noise, 1.0)
    flows = np.array(list(heat.values()))
    close(flows, 0 * flows, 10 * noise, size_of(H, couplings) * (np.abs(H).max() + 1))
    assert abs(sigma) < 10 * noise * size_of(H, couplings) * (np.abs(H).max() + 1)
    counted("random systems")


@pytest.mark.parametrize("name", sorted(SHAPES))
@given(NUMBERS, st.tuples(BETA, BETA))
@MANY
def test_laws_between_two_temperatures(name, counted, x, betas):
    """A state that is positive and normalised; the first law; entropy is produced; heat flows from hot to cold."""
    rho, H, couplings, heat, sigma, _, rcond = program(name)(x, betas)
    assume(np.all(np.isfinite(rho)) and rcond > 1e-9)
    noise = 1e-13 + 1e-14 / rcond
    close(np.trace(rho), 1.0, 1e-13)
    close(rho, rho.conj().T, 1e-14, 1.0)
    assert np.linalg.eigvalsh(rho)[0] > -10 * noise
    scale = size_of(H, couplings) * (np.abs(H).max() + 1)
    assert abs(heat["left"] + heat["right"]) < 1e-12 * scale
    close(sigma, -betas[0] * heat["left"] - betas[1] * heat["right"], 1e-12, scale)
    assert sigma > -10 * noise * scale
    assert (betas[0] - betas[1]) * heat["right"] > -10 * noise * scale
    counted("random systems")


def moved(H, A, beta, rho):
    """What a bath does to rho: lines grouped by the value of their frequency, in plain NumPy."""
    down, _ = rates(beta, ohmic(STRENGTH, CUTOFF))
    e, v = np.linalg.eigh(H)
    omega, A, rho = e[None, :] - e[:, None], v.conj().T @ A @ v, v.conj().T @ rho @ v
    out = np.zeros(H.shape, complex)
    for w in apart(omega):
        line = np.where(np.abs(omega - w) < 1e-8, A, 0)
        K = line.conj().T @ line
        out += down(w) * (line @ rho @ line.conj().T - (K @ rho + rho @ K) / 2)
    return v @ out @ v.conj().T


def apart(omega):
    """The distinct frequencies, and a guard that no two are close without being equal."""
    w = np.sort(omega.ravel())
    new = np.r_[True, np.diff(w) > 1e-10]
    assert np.all(np.diff(w[new]) > 1e-7), "two frequencies nearly coincide: no reference"
    return w[new]


def test_the_reference_is_that_of_the_helpers():
    """`moved` is the Davies dissipator of `helpers`, applied."""
    from helpers import davies

    rng = np.random.default_rng(0)
    H, A, rho = (m + m.T for m in rng.normal(size=(3, 4, 4)))
    want = davies(H, A, rates(0.7, ohmic(STRENGTH, CUTOFF))[0]) @ rho.ravel()
    close(moved(H, A, 0.7, rho).ravel(), want, 1e-12)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_state_and_currents_are_those_of_brute_force(name, counted):
    """At 50 points without accidental coincidences: stationary to 1e-12 of the rates, and each bath's heat."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        x, betas = rng.uniform(0.2, 1.8, 12), rng.uniform(0.2, 2.0, 2)
        rho, H, couplings, heat, *_ = program(name)(x, betas)
        parts = {b: moved(H, A, beta, rho) for (b, A), beta in zip(couplings.items(), betas, strict=True)}
        scale = size_of(H, couplings)
        close(sum(parts.values()) - 1j * (H @ rho - rho @ H), 0 * rho, 1e-12, scale)
        for bath, part in parts.items():
            close(heat[bath], np.trace(H @ part).real, 1e-12, scale * (np.abs(H).max() + 1))
        counted("random systems")


def redfield(H, A, beta):
    """QuTiP's Bloch-Redfield tensor of one coupling, terms between unequal frequencies left out."""
    down, _ = rates(beta, ohmic(STRENGTH, CUTOFF))
    return qt.bloch_redfield_tensor(qt.Qobj(H), [[qt.Qobj(A), lambda w: float(down(w))]], sec_cutoff=1e-8, fock_basis=True)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_state_and_currents_are_those_of_bloch_and_redfield(name, counted):
    """Ten other points, in QuTiP's tensor: its stationary state by singular values to 1e-10, and each bath's heat."""
    rng = np.random.default_rng(6)
    for _ in range(10):
        x, betas = rng.uniform(0.2, 1.8, 12), rng.uniform(0.2, 2.0, 2)
        rho, H, couplings, heat, _, _, rcond = program(name)(x, betas)
        apart(np.subtract.outer(*[np.linalg.eigvalsh(H)] * 2))
        parts = {b: redfield(H, A, beta) for (b, A), beta in zip(couplings.items(), betas, strict=True)}
        coherent = qt.liouvillian(qt.Qobj(H))
        scale = size_of(H, couplings)
        for bath, R in parts.items():
            flow = np.trace(H @ ((R - coherent)(qt.Qobj(rho))).full()).real
            close(heat[bath], flow, 1e-12, scale * (np.abs(H).max() + 1))
        R = sum(parts.values()) - coherent
        close(R(qt.Qobj(rho)).full(), 0 * rho, 1e-12, scale)
        if len(H) < 16:
            close(rho, qt.steadystate(R).full(), 1e-12 + 1e-14 / rcond, 1.0)
        counted("random systems")
        counted("oracle comparisons", 2)


def test_bloch_and_redfield_can_disagree():
    """Another temperature, or terms between unequal frequencies, are seen."""
    x, betas = np.linspace(0.3, 1.7, 12), [0.5, 1.5]
    rho, H, couplings, *_ = program("pair")(x, betas)
    for other in ([0.5, 1.5 + 1e-6], [1.5, 0.5]):
        R = sum(redfield(H, A, beta) for A, beta in zip(couplings.values(), other, strict=True)) - qt.liouvillian(qt.Qobj(H))
        with pytest.raises(AssertionError, match="differs by"):
            close(R(qt.Qobj(rho)).full(), 0 * rho, 1e-12, size_of(H, couplings))
