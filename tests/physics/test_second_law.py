"""Where heat may flow: grand canonical states of local leads, the free energy in time, and what local equations do wrong."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, random_density
from random_couplings import CUTOFF, SHAPES, STRENGTH

import qdiff as qd

COMPILER = {"xla_backend_optimization_level": 0}  # these programs are small: compile them fast


# ---- a chain of interacting sites between local leads ---------------------------------------------------------

SITES = ("a", "b", "c", "d")


@functools.partial(jax.jit, compiler_options=COMPILER)
def chain(x, level, beta, mu):
    """Four sites, complex hops, repulsion of all pairs; leads at the ends and one in the middle with energies `level` (3,)."""
    s = qd.Space(chain=qd.Fermions(*SITES))
    c, n = [getattr(s.chain, k) for k in SITES], [getattr(s.chain, "n_" + k) for k in SITES]
    pairs = [(i, j) for i in range(4) for j in range(i)]
    hops = [(x[k] + 1j * x[6 + k]) * (c[i].dag @ c[j]) for k, (i, j) in enumerate(pairs)]
    H = sum(h + h.dag for h in hops) + sum(x[12 + k] * n[i] @ n[j] for k, (i, j) in enumerate(pairs)) + x[18] * s.chain.n
    at = {"left": 0, "middle": 1, "right": 3}
    leads = {b: qd.FermionicLead(beta[k], mu[k], 0.1 + x[k] ** 2) for k, b in enumerate(at)}
    generator = qd.Lindblad(H, {b: qd.lead_jumps(c[i], level[k], leads[b]) for k, (b, i) in enumerate(at.items())})
    state = qd.steady_state(generator)
    fixed = {b: (beta[k], (level[k] - mu[k]) * n[i]) for k, (b, i) in enumerate(at.items())}
    flow = qd.currents(state, s.chain.n)
    counted = jnp.stack([qd.cumulants(state, b, "quanta", order=1)[0] for b in at])
    bare = jnp.stack([qd.current(state, n[i], b) for b, i in at.items()])
    return state.dense(), jnp.stack([flow[b] for b in at]), counted, bare, qd.entropy_production(state, fixed)


def test_grand_canonical_state_of_local_leads(counted):
    """One energy, temperature and potential: e^{-beta (level - mu) N}, whatever hops and repels; nothing flows. To rounding."""
    rng = np.random.default_rng(0)
    number = np.array([bin(k).count("1") for k in range(16)])
    for _ in range(15):
        level, beta, mu = rng.uniform(-2, 2), rng.uniform(0, 3), rng.uniform(-1, 1)
        rho, flow, by_counting, _, sigma = chain(random_links(rng), np.full(3, level), np.full(3, beta), np.full(3, mu))
        p = np.exp(-beta * (level - mu) * number)
        close(rho, np.diag(p / p.sum()), 1e-14, 1.0)
        for zero in (flow, by_counting, sigma):
            close(zero, 0 * zero, 1e-14, 1.0)
        counted("random systems")


def test_leads_of_different_kinds(counted):
    """Particles are conserved, counted in three ways; entropy is produced in the sense of Spohn, by every lead on its site."""
    rng, largest = np.random.default_rng(1), 0.0
    for _ in range(15):
        level, beta, mu = rng.uniform(-2, 2, 3), rng.uniform(0, 3, 3), rng.uniform(-1, 1, 3)
        rho, flow, by_counting, bare, sigma = chain(random_links(rng), level, beta, mu)
        close(flow.sum(), 0.0, 1e-14, 1.0)
        for other in (by_counting, bare):
            close(other, flow, 1e-14, 1.0)
        close(sigma, -np.sum(beta * (level - mu) * np.asarray(flow)), 1e-14, 1.0)
        assert sigma > 1e-9 and np.linalg.eigvalsh(rho)[0] > 0
        largest = max(largest, np.abs(flow).max())
        counted("random systems")
    assert largest > 0.02


def random_links(rng):
    """Hops, repulsions and an energy of all particles; those that are equal or zero are common, but no site is left alone."""
    x = np.where(rng.uniform(size=19) < 0.3, rng.choice([1.0, 0.5, 0.0], 19), rng.uniform(-1, 1, 19))
    x[:6] += np.where(np.abs(x[:6]) < 0.2, 0.3, 0.0)
    return x


# ---- two qubits that exchange quanta: the local equation against the global one --------------------------------


@functools.partial(jax.jit, compiler_options=COMPILER)
def qubits(gaps, g, betas, rates):
    """Heat of the left bath, sums of -beta Q: of the local equation by all of H, by its parts, and of the global one."""
    s = qd.Space(left=qd.Spin(), right=qd.Spin())
    swap = s.left.plus @ s.right.minus
    parts = {"left": gaps[0] * s.left.up, "right": gaps[1] * s.right.up}
    H = parts["left"] + parts["right"] + g * (swap + swap.dag)
    baths = {b: qd.BosonicBath(betas[k], qd.baths.Ohmic(rates[k])) for k, b in enumerate(parts)}
    local = qd.Lindblad(H, {b: qd.thermal_jumps(getattr(s, b).minus, gaps[k], baths[b]) for k, b in enumerate(parts)})
    globally = qd.secular(H, {b: (getattr(s, b).x, baths[b]) for b in parts})
    state, other = qd.steady_state(local), qd.steady_state(globally)
    whole, bare = qd.ledger(state), qd.ledger(state, parts["left"] + parts["right"])
    quanta = qd.current(state, s.left.up, "left")

    def clausius(heat):
        return -betas[0] * heat["left"] - betas[1] * heat["right"]

    spohn = qd.entropy_production(state, {b: (betas[k], parts[b]) for k, b in enumerate(parts)})
    sums = [clausius(whole.heat), clausius(bare.heat), spohn, clausius(qd.ledger(globally.state(other)).heat)]
    books = jnp.stack([whole.imbalance, bare.imbalance, sum(bare.work.values())])
    return whole.heat["left"], quanta, jnp.stack(sums), books


def test_the_local_equation_breaks_the_second_law_and_where(counted):
    """By the energy of all of H, heat flows against the temperatures wherever the ratios gap/temperature stand the other way.

    It is then exactly Q = I (Gamma_R w_L + Gamma_L w_R)/(Gamma_L + Gamma_R), with I the quanta that the left bath brings and
    Gamma the sum of a bath's rates; I has the sign of n_L - n_R. What the local bath does to the coupling counts as work in the
    ledger with the uncoupled H0; by that one, and by the global equation, no entropy is destroyed.
    """
    rng, broken, kept = np.random.default_rng(2), 0, 0
    for _ in range(200):
        gaps, betas, rates = rng.uniform(0.3, 2.0, (3, 2))
        g = rng.uniform(0.05, 0.5) * min(gaps)
        heat, quanta, (whole, bare, spohn, globally), books = qubits(gaps, g, betas, rates)
        n = 1 / np.expm1(betas * gaps)
        total = rates * gaps * (2 * n + 1)
        close(heat, quanta * (total[1] * gaps[0] + total[0] * gaps[1]) / total.sum(), 1e-14, total.max())
        assert quanta * (n[0] - n[1]) > 0
        uphill = (n[0] - n[1]) * (betas[1] - betas[0]) < 0
        assert (whole < 0) == uphill
        close(bare, spohn, 1e-14, total.max())
        assert spohn > 0 and globally > -1e-15
        close(books[:2], np.zeros(2), 1e-14, total.max())
        close(books[2], -(gaps[0] - gaps[1]) * quanta, 1e-14, total.max())
        broken, kept = broken + bool(uphill), kept + (not uphill)
        counted("random systems")
    assert broken > 20 and kept > 20


# ---- in time ----------------------------------------------------------------------------------------------------

TIMES = jnp.array([0.0, 1e-3, 2e-3, 0.1, 0.5, 1.0, 3.0, 10.0, 100.0])


@functools.cache
def relaxing(name):
    @qd.structured
    def build(x, beta):
        H, left, right = SHAPES[name](x)
        bath = qd.BosonicBath(beta, qd.baths.Ohmic(STRENGTH, CUTOFF))
        return qd.secular(H, {"left": (left, bath), "right": (right, bath)})

    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x, beta, rho):
        generator = build(x, beta)
        run = qd.evolve(generator, rho, TIMES)
        H = generator.hamiltonian
        free, energy = (run.map(f) for f in (lambda s: qd.thermo.free_energy(s.rho, H, 1 / beta), lambda s: s.expect(H)))
        heat = run.map(lambda s: sum(qd.ledger(s).heat.values()))
        return free, energy, heat, qd.thermo.free_energy(qd.thermo.gibbs(H, beta), H, 1 / beta)

    return run


@pytest.mark.parametrize("name", ["pair", "levels"])
def test_free_energy_falls_to_that_of_the_gibbs_state(name, counted):
    """At every step, from random states, with levels that coincide; the energy changes by the heat, if that lasts."""
    rng = np.random.default_rng(3)
    for _ in range(15):
        x = np.where(rng.uniform(size=12) < 0.4, rng.choice([1.0, 1.0 + 1e-9, 0.5], 12), rng.uniform(-2, 2, 12))
        beta, rho = rng.uniform(0.2, 2.0), random_density(rng, {"pair": 4, "levels": 5}[name])
        free, energy, heat, bottom = map(np.asarray, relaxing(name)(x, beta, rho))
        size = np.abs(free).max()
        assert np.all(np.diff(free) < 1e-13 * size) and free[0] - free[5] > 1e-4
        assert np.all(free > bottom - 1e-12 * size)
        # Simpson's rule over a hundredth of the fastest decay time at most is good to eight digits, of flows up to a hundred.
        close(energy[2] - energy[0], 2e-3 / 6 * (heat[0] + 4 * heat[1] + heat[2]), 1e-7, max(abs(energy[2] - energy[0]), 1e-3))
        counted("random systems")
