"""Laws of rate equations, of scattering between momenta, of channels, and of Bloch equations, at random points.

One program for each kind, whose numbers are arguments; what it returns is checked in plain NumPy.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, dissipator, unitary
from random_couplings import CUTOFF, SHAPES, STRENGTH

import qdiff as qd

COMPILER = {"xla_backend_optimization_level": 0}  # these programs are small: compile them fast

# ---- rate equations -------------------------------------------------------------------------------------------

STATES = 12
_RNG = np.random.default_rng(17)
# A ring and six chords; the first bath drives every link, the second every other one.
LINKS = np.array([(k, (k + 1) % STATES) for k in range(STATES)] + [tuple(_RNG.choice(STATES, 2, replace=False)) for _ in range(6)]).T
TIMES = np.array([0.1, 1.0, 10.0, 1e20])


@functools.partial(jax.jit, compiler_options=COMPILER)
def rate_equation(energies, strengths, betas, start):
    """Populations by both solvers, of the Lindblad equation with the same jumps, and in time; heat; the rates."""
    jumps, families = {}, {}
    for k, (bath, links) in enumerate({"cold": LINKS, "hot": LINKS[:, ::2]}.items()):
        low, high = links
        gap = energies[high] - energies[low]
        reservoir = qd.BosonicBath(betas[k], qd.baths.Ohmic(1.0, CUTOFF))
        weight = strengths[k, : len(low)]
        jumps[bath] = [(s, t, weight * rate) for s, t, rate in qd.rates.thermal_transitions(low, high, gap, reservoir)]
        space = qd.Space(atom=qd.Levels(STATES))
        families[bath] = [(rate[n], space.atom.transition(int(t[n]), int(s[n]))) for s, t, rate in jumps[bath] for n in range(len(s))]
    rates = qd.rates.Rates(energies, jumps)
    p = rates.steady_state()
    generator = qd.Lindblad(space.operator(jnp.diag(energies)), families)
    state = qd.steady_state(generator)
    heat, other = rates.heat_currents(p), qd.ledger(state).heat
    flows = [jnp.stack([h["cold"], h["hot"]]) for h in (heat, other)]
    by_bath = [qd.rates.Rates(energies, {bath: jumps[bath]}).jumps() for bath in jumps]
    return p, rates.steady_state("lu"), state.populations(), rates.evolve(start, TIMES), flows, by_bath


def random_rates(rng):
    """Energies of which many coincide or nearly do, strengths over two decades, and a start on a single state."""
    energies = np.where(rng.uniform(size=STATES) < 0.5, rng.choice([0.0, 1.0, 1.0 + 1e-9], STATES), rng.uniform(-2, 2, STATES))
    return energies, 10 ** rng.uniform(-2, 0, (2, LINKS.shape[1])), np.eye(STATES)[rng.integers(STATES)]


def condition(R):
    """The fastest decay over the slowest: what solves with pivots may lose."""
    decays = np.sort(np.abs(np.linalg.eigvals(R - np.diag(R.sum(axis=0)))))
    return decays[-1] / decays[1]


def test_one_temperature(counted):
    """Boltzmann's populations, each to 1e-13 of itself by elimination and in time, and no heat."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        energies, strengths, start = random_rates(rng)
        beta = rng.uniform(0.1, 5.0)
        p, lu, quantum, run, flows, by_bath = rate_equation(energies, strengths, np.full(2, beta), start)
        want = np.exp(-beta * (energies - energies.min()))
        want /= want.sum()
        close(p / want, np.ones(STATES), 1e-13)
        close(run[-1] / want, np.ones(STATES), 1e-12)
        for other in (lu, quantum):
            close(other, want, 1e-15 * condition(sum(by_bath)), 1.0)
        for heat in flows:
            close(heat, np.zeros(2), 1e-14, 10.0)
        counted("random systems")


def test_two_temperatures(counted):
    """All solvers find one state; heat is conserved and goes from hot to cold; entropy production is Schnakenberg's sum.

    In time probability is kept and the relative entropy to the stationary state falls.
    """
    rng = np.random.default_rng(1)
    for _ in range(30):
        energies, strengths, start = random_rates(rng)
        betas = rng.uniform(0.1, 3.0, 2)
        p, lu, quantum, run, flows, by_bath = jax.tree.map(np.asarray, rate_equation(energies, strengths, betas, start))
        W = sum(by_bath)
        close(W @ p, W.sum(axis=0) * p, 1e-14, W.max())
        close(run[-1] / p, np.ones(STATES), 1e-12)
        for other in (lu, quantum):
            close(other, p, 1e-15 * condition(W), 1.0)
        close(flows[1], flows[0], 1e-12, W.max())
        assert abs(flows[0].sum()) < 1e-13 * W.max()
        one_way = [(R * p)[R > 0] for R in by_bath]
        back = [(R * p).T[R > 0] for R in by_bath]
        schnakenberg = sum(np.sum((a - b) * np.log(a / b)) for a, b in zip(one_way, back, strict=True)) / 2
        close(-betas @ flows[0], schnakenberg, 1e-14, W.max())
        assert -betas @ flows[0] > 0 and flows[0][1] * (betas[0] - betas[1]) > 0
        assert run.min() >= 0
        close(run.sum(axis=1), np.ones(len(TIMES)), 1e-14)
        distance = [np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1) / p), 0)) for q in (start, *run)]
        assert np.all(np.diff(distance) < 1e-14) and distance[0] > 0.1 > distance[-1] + 0.09
        counted("random systems")


@functools.cache
def global_populations(name):
    @qd.structured
    def build(x, betas):
        H, left, right = SHAPES[name](x)
        baths = [qd.BosonicBath(betas[k], qd.baths.Ohmic(STRENGTH, CUTOFF)) for k in (0, 1)]
        return qd.secular(H, {"left": (left, baths[0]), "right": (right, baths[1])})

    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x, betas):
        generator = build(x, betas)
        state, rates = qd.steady_state(generator), qd.rates.pauli(generator)
        p = rates.steady_state()
        heat, own = qd.ledger(state).heat, rates.heat_currents(p)
        flows = [jnp.stack([h[b] for b in ("left", "right")]) for h in (heat, own)]
        return state.dense(), generator.frame.dense(), p, flows, jnp.max(rates.rate)

    return run


@pytest.mark.parametrize("name", ["levels", "rotor"])
def test_the_global_equation_is_its_rate_equation(name, counted):
    """Populations of eigenstates and heat by elimination of the rates are those of the master equation: rounding."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        x = np.where(rng.uniform(size=12) < 0.3, rng.choice([1.0, 0.5], 12), rng.uniform(0.2, 2, 12))
        rho, V, p, flows, fastest = jax.tree.map(np.asarray, global_populations(name)(x, rng.uniform(0.2, 2.0, 2)))
        close(rho, (V * p) @ V.conj().T, 1e-13, 1.0)
        close(flows[1], flows[0], 1e-13, fastest)
        counted("random systems")


# ---- scattering between momenta ---------------------------------------------------------------------------------

BANDS, MOMENTA, REACH = 2, 12, 3


@functools.partial(jax.jit, compiler_options=COMPILER)
def scattered(rate):
    scattering = qd.momentum.Scattering(rate)
    return scattering.steady_state(), scattering.matrix()


def test_scattering(counted):
    """Symmetric rates times Boltzmann factors: Boltzmann's populations; any rates: positive, and stationary to rounding."""
    rng = np.random.default_rng(3)
    n = BANDS * MOMENTA
    there = (np.arange(MOMENTA) + np.arange(-REACH, REACH + 1)[:, None]) % MOMENTA  # (m, k) -> k + m
    to = np.arange(BANDS)[None, :, None, None] * MOMENTA + there[:, None, None, :]
    frm = np.arange(BANDS)[None, None, :, None] * MOMENTA + np.arange(MOMENTA)
    for thermal in (True, False) * 10:
        E = rng.choice([0.0, 1.0], n) + rng.choice([0.0, 1e-9, 1.0]) * rng.normal(size=n)
        S = 10 ** rng.uniform(-3, 0, (n, n))
        R = (S + S.T) * np.exp(2.0 * (E - E[:, None])) if thermal else S
        p, W = map(np.asarray, scattered(R[to, frm]))
        p = p.ravel()
        assert p.min() > 0
        close(p.sum(), 1.0, 1e-14)
        close(W @ p, np.zeros(n), 1e-13, np.abs(np.diag(W) * p).max())
        if thermal:
            want = np.exp(-4.0 * E)
            close(p / want * want.sum(), np.ones(n), 1e-12)
        counted("random systems")


# ---- channels between the modes of a chain ----------------------------------------------------------------------


@functools.partial(jax.jit, compiler_options=COMPILER)
def ensemble(rates, gains, losses, tilts, filling):
    """Three channels between two bands of twelve modes."""

    def weights(numbers, modes):
        gains, losses, tilts = numbers
        # All modes are looked at at once, so that what they are is an index.
        at = modes.astype(int)
        return {f"c{k}": qd.channels.Channel(gains[k][:, at], losses[k][:, at], tilts[k][:, at]) for k in range(3)}

    channels = qd.channels.Channels({f"c{k}": rates[k] for k in range(3)}, weights, jnp.arange(12.0), (gains, losses, tilts))
    n = channels.steady_state(filling).occupations()
    return n, channels.right_hand_side(n)


def test_channels(counted):
    """Stationary, between empty and full, of the given filling; of one tilt and equal weights Fermi's function, at any rates."""
    rng = np.random.default_rng(4)
    for thermal in (True, False) * 10:
        rates, (gains, losses) = rng.uniform(0.1, 1.0, 3), 10 ** rng.uniform(-1, 1, (2, 3, 2, 12))
        tilts, filling = 3 * rng.normal(size=(3, 2, 12)), rng.uniform(0.1, 1.9)
        if thermal:
            tilts, losses = np.broadcast_to(tilts[:1], tilts.shape), gains
        n, change = map(np.asarray, ensemble(rates, gains, losses, tilts, filling))
        assert 0 < n.min() and n.max() < 1
        close(n.sum() / 12, filling, 1e-13)
        come, go = (1 - n) * gains * np.exp(-tilts / 2), n * losses * np.exp(tilts / 2)
        flows = [r * (a * b.sum() - b * a.sum()) for r, a, b in zip(rates, come, go, strict=True)]
        size = np.abs(flows).max()
        assert size > 1e-6 or thermal
        size = max(size, np.max(rates[:, None, None] * come * go.sum(axis=(1, 2), keepdims=True)))
        close(sum(flows), np.zeros((2, 12)), 1e-12, size)
        close(change, np.zeros((2, 12)), 1e-13, size)
        if thermal:
            half = np.argmin(np.abs(n - 0.5))
            mu = (tilts[0] + np.log(n / (1 - n))).ravel()[half]
            close(n, 1 / (1 + np.exp(tilts[0] - mu)), 1e-14)
        counted("random systems")


# ---- Bloch equations --------------------------------------------------------------------------------------------

K = np.linspace(-np.pi, np.pi, 16)


@functools.partial(jax.jit, compiler_options=COMPILER)
def bloch(numbers):
    """Three bands: H(k) and two jumps are Fourier series with complex coefficients (2, 3, 3) each, rates (2,)."""

    def function(k, numbers):
        hop, jumps, rates = numbers
        H = hop[0] + hop[1] * jnp.exp(1j * k)
        return H + jnp.conj(H).T, [(rates[n], jumps[n, 0] + jumps[n, 1] * jnp.exp(-1j * k)) for n in range(2)]

    model = qd.bloch.BlochModel(function, numbers)
    return model.steady_state(jnp.asarray(K)), model.steady_velocity(jnp.asarray(K))


def test_bloch_equations(counted):
    """At every momentum the state is normalised, Hermitian, positive and stationary, and the velocity that of dH/dk."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        hop, *jumps = rng.normal(size=(3, 2, 3, 3)) + 1j * rng.normal(size=(3, 2, 3, 3))
        if rng.uniform() < 0.5:  # flat bands, all at one energy
            hop[0], hop[1] = np.eye(3), 0
        rates = rng.uniform(0.1, 1.0, 2)
        states, velocities = map(np.asarray, bloch((jnp.asarray(hop), jnp.asarray(jumps), rates)))
        for k, rho, v in zip(K, states, velocities, strict=True):
            H, slope = hop[0] + hop[1] * np.exp(1j * k), 1j * hop[1] * np.exp(1j * k)
            L = unitary(H + H.conj().T) + sum(r * dissipator(A[0] + A[1] * np.exp(-1j * k)) for r, A in zip(rates, jumps, strict=True))
            close(np.trace(rho), 1.0, 1e-13)
            close(rho, rho.conj().T, 1e-15, 1.0)
            assert np.linalg.eigvalsh(rho)[0] > 1e-6
            close(L @ rho.ravel(), np.zeros(9), 1e-13, np.abs(L).max())
            close(v, np.trace((slope + slope.conj().T) @ rho).real, 1e-13, max(1.0, np.abs(slope).max()))
        counted("random systems")
