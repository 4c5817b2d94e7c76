"""Near equilibrium: Onsager symmetry and fluctuation-dissipation of the global equation, for heat and for particles.

J_i = sum_j L_ij X_j for the flows that baths bring and small affinities X; L is symmetric and positive, and the noise of J_i
is 2 L_ii. Derivatives are automatic, through the stationary state.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, random_hermitian
from random_couplings import SHAPES

import qdiff as qd

COMPILER = {"xla_backend_optimization_level": 0}  # these programs are small: compile them fast
BATHS = ("left", "middle", "right")


def check_response(L, tolerance, scale):
    """Symmetric, with eigenvalues that are not negative."""
    close(L, L.T, tolerance, scale)
    assert np.linalg.eigvalsh((L + L.T) / 2)[0] > -tolerance * scale, "a flow runs against its affinity"


def test_the_check_can_fail():
    """An antisymmetric share of 1e-9, and a flow uphill."""
    L = np.array([[2.0, -1.0], [-1.0, 2.0]])
    check_response(L, 1e-12, 1.0)
    for wrong in (L + 1e-9 * np.array([[0, 1], [-1, 0]]), -L, L - 1.1 * np.eye(2)):
        with pytest.raises(AssertionError):
            check_response(wrong, 1e-12, 1.0)


# ---- heat between three baths ---------------------------------------------------------------------------------


def dense(x):
    """Five levels in one complex block; x: H and three couplings as matrices (4, 5, 5)."""
    atom = qd.Space(atom=qd.Levels(5)).atom
    H, *couplings = [(op + op.dag) * 0.5 for op in map(atom.operator, x)]
    return H, couplings


def identical(x):
    """Three spins in one field, whose levels and lines coincide."""
    H, left, right = SHAPES["identical"](x)
    s = H.space.q1
    return H, [left, s.x + 0.3 * s.z, right]


def number_lists(name, rng):
    """What `dense` and `identical` take; fields and links of 1 or 0 are common."""
    if name == "dense":
        return np.stack([random_hermitian(rng, 5) for _ in range(4)])
    return np.where(rng.uniform(size=2) < 0.5, rng.choice([1.0, -1.0, 0.5], 2), rng.uniform(-2, 2, 2))


@functools.cache
def response(name):
    @qd.structured
    def build(x, betas):
        H, couplings = {"dense": dense, "identical": identical}[name](x)
        baths = [qd.BosonicBath(betas[k], qd.baths.Ohmic(0.3, 4.0)) for k in range(3)]
        return qd.secular(H, dict(zip(BATHS, zip(couplings, baths, strict=True), strict=True)))

    def flows(x, betas):
        generator = build(x, betas)
        return jnp.stack([qd.ledger(qd.steady_state(generator)).heat[b] for b in BATHS])

    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x, beta):
        betas = jnp.full(3, beta)
        generator = build(x, betas)
        noise = [qd.cumulants(qd.steady_state(generator), b, order=2)[1] for b in BATHS]
        return flows(x, betas), -jax.jacfwd(flows, 1)(x, betas), jnp.stack(noise)

    return run


@pytest.mark.parametrize("name", ["dense", "identical"])
def test_heat(name, counted):
    """L_ij = -dJ_i/dbeta_j symmetric and positive, columns without a sum, noise 2 L_ii: rounding, times conditions below a hundred."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        J, L, noise = map(np.asarray, response(name)(number_lists(name, rng), rng.uniform(0.2, 2.0)))
        size = noise.max()
        assert size > 1e-6
        close(J, 0 * J, 1e-13, size)
        check_response(L, 1e-12, size)
        close(L.sum(axis=0), np.zeros(3), 1e-13, size)
        close(np.diag(L), noise / 2, 1e-13, size)
        counted("random systems")


# ---- particles and energy between two leads -------------------------------------------------------------------


class Electrons(qd.baths.AbstractBath):
    """A lead as a bath of `secular`: an annihilator gives the energy omega and one electron to it."""

    lead: qd.FermionicLead

    def emission(self, omega):
        return self.lead.out_of(omega)

    def absorption(self, omega):
        return self.lead.into(omega)


@qd.structured
def dots(x, bias):
    """Three interacting modes, one of them coupled to the left lead and two to the right; bias: (beta mu, beta) of each lead."""
    s = qd.Space(a=qd.Fermions("c"), b=qd.Fermions("up", "down"))
    modes, n = (s.a.c, s.b.up, s.b.down), (s.a.n_c, s.b.n_up, s.b.n_down)
    hop, other = modes[0].dag @ modes[1], modes[1].dag @ modes[2]
    H = x[0] * n[0] + x[1] * n[1] + x[2] * n[2] + x[3] * n[0] @ n[1] + x[4] * n[1] @ n[2]
    H = H + x[5] * (hop + hop.dag) + 1j * x[6] * (other - other.dag)
    left, right = (Electrons(qd.FermionicLead(b[1], b[0] / b[1], r)) for b, r in zip(bias, (0.2, 0.5), strict=True))
    return qd.secular(H, {"left": (modes[0], left), "right": (modes[2] + 0.3 * modes[1], right)}), s.a.n + s.b.n


def particle_flows(x, bias):
    """(particles, energy) that the left lead and the right lead bring."""
    generator, N = dots(x, bias)
    state = qd.steady_state(generator)
    particles, energy = qd.currents(state, N), qd.ledger(state).heat
    return jnp.stack([f[b] for b in ("left", "right") for f in (particles, energy)])


@functools.partial(jax.jit, compiler_options=COMPILER)
def particle_response(x, beta, mu):
    bias = jnp.array([[beta * mu, beta]] * 2)
    generator, N = dots(x, bias)
    state = qd.steady_state(generator)
    slope = jax.jacrev(particle_flows, 1)(x, bias).reshape(4, 4) * jnp.array([1.0, -1.0, 1.0, -1.0])
    noise = [qd.cumulants(state, "left", of, order=2)[1] for of in (N, "energy")]
    return state.dense(), generator.hamiltonian.dense(), N.dense(), particle_flows(x, bias), slope, jnp.stack(noise)


def test_particles_and_energy(counted):
    """One temperature and potential: the grand canonical state, no flow; thermopower and Peltier coefficient are one number.

    Affinities beta mu for particles, -beta for energy. 1e-12 of the largest response, at conditions up to 1e3; the state likewise.
    """
    rng = np.random.default_rng(2)
    for _ in range(25):
        x = np.where(rng.uniform(size=7) < 0.4, rng.choice([1.0, 0.5, -1.0], 7), rng.uniform(-2, 2, 7))
        beta, mu = rng.uniform(0.2, 2.0), rng.uniform(-1, 1)
        rho, H, N, J, L, noise = map(np.asarray, particle_response(x, beta, mu))
        e, v = np.linalg.eigh(H - mu * N)
        p = np.exp(-beta * (e - e[0]))
        close(rho, (v * p / p.sum()) @ v.conj().T, 1e-12, 1.0)
        size = np.abs(L).max()
        assert size > 1e-4
        close(J, 0 * J, 1e-13, size)
        check_response(L, 1e-12, size)
        close(L[:2] + L[2:], np.zeros((2, 4)), 1e-12, size)
        close(np.diag(L)[:2], noise / 2, 1e-12, size)
        counted("random systems")
