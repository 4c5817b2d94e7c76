"""Stationary states in matrix form: closed forms at sizes no direct solver is used for, and the direct solvers elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd
from qdiff.equations.lindblad import steady_wide
from qdiff.equations.lindblad.krylov import Krylov, prepared
from qdiff.equations.lindblad.matrix_form import Explored, MatrixForm
from qdiff.equations.lindblad.reach import reach
from qdiff.equations.lindblad.steady_wide import direct_sector
from qdiff.linalg.lyapunov import Lyapunov
from qdiff.operators.pattern import diagonal

KRYLOV, DENSE = qd.solvers.Krylov(), qd.solvers.Dense()


def spins(n):
    space = qd.Space(**{f"s{k}": qd.Spin() for k in range(n)})
    return [getattr(space, f"s{k}") for k in range(n)]


def chain(p, n=4):
    """An XYZ chain in a tilted field, damped everywhere: no symmetry."""
    s = spins(n)
    H = sum((a.x @ b.x + 0.7 * a.y @ b.y + p[0] * a.z @ b.z for a, b in zip(s, s[1:], strict=False)), p[1] * s[0].x)
    return qd.Lindblad(H + 0.3 * s[1].z, {f"b{k}": (p[2] * (1 + k), a.minus) for k, a in enumerate(s)})


def random(p, d=24):
    """A random Hamiltonian and three random dense jumps, which leave no structure at all."""
    rng = np.random.default_rng(1)
    matrices = rng.normal(size=(4, d, d)) + 1j * rng.normal(size=(4, d, d))
    H, *C = [qd.Operator.from_dense(m) for m in [matrices[0] + matrices[0].conj().T, *matrices[1:] / 6]]
    return qd.Lindblad(p[0] * H, {f"b{k}": (p[k % 3] + 0.1, c) for k, c in enumerate(C)})


def mode_and_spin(p, n=12):
    """A driven mode with a spin: strong drive, weak damping."""
    space = qd.Space(q=qd.Spin(), m=qd.Boson(n))
    a, q = space.m.a, space.q
    H = p[0] * space.m.n + a @ q.plus + a.dag @ q.minus + p[1] * (a + a.dag)
    return qd.Lindblad(H, {"mode": (p[2], a), "spin": [(0.1, q.minus), (0.01, q.plus)]})


def collective(p, n=20):
    """Driven atoms with collective decay: strong jumps along one ladder, above and below the phase transition."""
    atoms = qd.Space(atoms=qd.Spin(n / 2)).atoms
    x = atoms.Sx
    return qd.Lindblad(p[0] * n * x + 4 * p[1] * x @ x, {"light": (p[2], atoms.minus)})


def secular(p):
    """Families of jumps between eigenstates: what every jump operator becomes in the eigenbasis."""
    a, b = spins(2)
    H = a.z + 1.3 * b.z + p[0] * a.x @ b.x
    return qd.secular(H, {"hot": (a.x, qd.BosonicBath(p[1] + 0.5, 0.3)), "cold": (b.x, qd.BosonicBath(p[2] + 0.2, 0.1))})


def redfield(p):
    """Two different operators around rho, and a complex coefficient."""
    (q,) = spins(1)
    Sandwich = qd.lindblad.Sandwich
    term = Sandwich(p[0] * (0.5 + 0.2j), q.minus + 0.3 * q.x, q.minus)
    return qd.lindblad.Master(q.z + p[1] * q.x, {"bath": [term, qd.Jump(p[2], q.plus)]})


CASES = {f.__name__: f for f in (chain, random, mode_and_spin, collective, secular, redfield)}
P = jnp.array([0.4, 0.3, 0.2])


@pytest.mark.parametrize("name", CASES)
def test_states_and_gradients_are_those_of_the_direct_solver(name):
    case = CASES[name]
    weights = jnp.sin(jnp.arange(case(P).H.size**2))

    def merit(p, solver):
        rho = qd.steady_state(case(p), solver).dense().reshape(-1)
        return jnp.real(weights @ rho) + jnp.imag(weights[::-1] @ rho)

    value, slope = jax.jit(jax.value_and_grad(lambda p: merit(p, KRYLOV)))(P)
    right, right_slope = jax.value_and_grad(lambda p: merit(p, DENSE))(P)
    assert abs(value - right) < 1e-11
    assert np.abs(slope - right_slope).max() < 1e-9 * max(1, np.abs(right_slope).max())


def test_currents_of_every_bath_are_those_of_the_direct_solver():
    generator = chain(P)
    found, right = qd.steady_state(generator, KRYLOV), qd.steady_state(generator, DENSE)
    assert found.iterations > 10
    for label in generator.labels:
        assert abs(qd.heat_current(found, label) - qd.heat_current(right, label)) < 1e-13
    assert abs(sum(qd.ledger(found).heat.values())) < 1e-13


def thermal(p):
    a, b = spins(2)
    hot = qd.thermal_jumps(a.minus, 2.0, qd.BosonicBath(p[1], 0.3))
    cold = qd.thermal_jumps(b.minus, 2.4, qd.BosonicBath(p[2], 0.2))
    return qd.Lindblad(a.z + 1.2 * b.z + p[0] * a.x @ b.x, {"hot": hot, "cold": cold})


READERS = {
    "cumulants": lambda s, a: qd.cumulants(s, "hot", "energy", order=3),
    "spectrum": lambda s, a: qd.spectrum(s, a.x, a.x, jnp.array([0.3, 2.0])),
    "correlation": lambda s, a: qd.correlation(s, a.x, a.x, jnp.array([0.3, 2.0])),
    "zero_frequency_noise": lambda s, a: qd.zero_frequency_noise(s, a.z),
    "entropy_production": lambda s, a: qd.entropy_production(s, {"hot": 0.4, "cold": 0.3}),
    "evolve": lambda s, a: qd.evolve(s.generator, s, 1.0, expect=a.z).expectations,
    "relax": lambda s, a: qd.relax(s.generator, s).gap,
    "reduced": lambda s, a: s.reduced("s0").dense(),
    "another generator": lambda s, a: qd.heat_current(thermal(2 * P).state(s), "hot"),
}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_reads_a_state_reads_this_one(reader):
    found, right = (READERS[reader](qd.steady_state(thermal(P), s), spins(2)[0]) for s in (KRYLOV, DENSE))
    assert np.abs(np.asarray(found) - np.asarray(right)).max() < 1e-13 * max(1, np.abs(np.asarray(right)).max())


def test_derivatives_of_every_kind_and_in_batches():
    def merit(p, solver):
        return qd.heat_current(qd.steady_state(chain(p, 3), solver), "b1")

    def krylov(p):
        return merit(p, KRYLOV)

    def dense(p):
        return merit(p, DENSE)

    second = jax.hessian(dense)(P)
    assert np.abs(jax.jacfwd(krylov)(P) - jax.grad(dense)(P)).max() < 1e-11
    assert np.abs(jax.hessian(krylov)(P) - second).max() < 1e-10
    assert np.abs(jax.jacrev(jax.jacrev(krylov))(P) - second).max() < 1e-10
    batch = jnp.stack([P, 2 * P, P[::-1]])
    assert np.abs(jax.vmap(jax.grad(krylov))(batch) - jax.vmap(jax.grad(dense))(batch)).max() < 1e-11


def drummond_walls(p, terms=2000):
    """The mean photon number of a driven Kerr oscillator (Drummond and Walls, 1980).

    H = p0 n + p1/2 n(n - 1) + p2 (a + a^dag) with loss p3: 0F2 of positive terms, summed by their logarithms.
    """
    c, x = (2 * p[0] - 1j * p[3]) / p[1], 8 * p[2] ** 2 / p[1] ** 2
    k = jnp.arange(terms)

    def logarithm(c):
        steps = jnp.log(x) - jnp.log(jnp.abs(c + k) ** 2) - jnp.log(k + 1.0)
        return jax.scipy.special.logsumexp(jnp.append(0.0, jnp.cumsum(steps)))

    return x / 2 / jnp.abs(c) ** 2 * jnp.exp(logarithm(c + 1) - logarithm(c))


MODE = qd.Space(mode=qd.Boson(100)).mode


@jax.jit
@jax.value_and_grad
def photons(p):
    a = MODE.a
    H = p[0] * MODE.n + p[1] / 2 * (a.dag @ a.dag @ a @ a) + p[2] * (a + a.dag)
    return qd.steady_state(qd.Lindblad(H, {"loss": (p[3], a)}), KRYLOV).expect(MODE.n)


@pytest.mark.parametrize("p", [(-0.7, 0.5, 1.1, 1.0), (-0.3, 0.04, 1.5, 1.0), (-2.0, 0.5, 2.0, 1.0)])
def test_driven_kerr_oscillator_of_a_hundred_levels(p):
    """Weak, strong (with eigenvectors of A that are too close to dependent to be used) and bistable.

    The number of photons is largest in levels that are empty, where the plain adjoint equation stalls.
    """
    p = jnp.array(p)
    value, slope = photons(p)
    right, right_slope = jax.value_and_grad(drummond_walls)(p)
    assert abs(value - right) < 1e-10 * right
    assert np.abs(slope - right_slope).max() < 1e-8 * np.abs(right_slope).max()


def dephased_chain(p, n):
    """The occupations of an XX chain driven at its ends, with dephasing in the bulk: two-point functions close."""
    h = p[0] * (jnp.eye(n, k=1) + jnp.eye(n, k=-1))
    feed = jnp.zeros(n).at[0].add(p[1]).at[-1].add(0.1)
    loss = feed + jnp.zeros(n).at[0].add(0.2).at[-1].add(p[2])
    decay = (loss[:, None] + loss) / 2 + p[3] * (1 - jnp.eye(n))
    one = jnp.eye(n)
    motion = 1j * (jnp.kron(h, one) - jnp.kron(one, h)) - jnp.diag(decay.reshape(-1))
    return jnp.real(jnp.linalg.solve(motion, -jnp.diag(feed).reshape(-1).astype(complex)).reshape(n, n).diagonal())


def test_chain_driven_at_its_ends_with_dephasing():
    n, p = 7, jnp.array([0.8, 0.6, 0.5, 0.3])
    s = spins(n)

    def occupation(p):
        H = sum(p[0] * (a.plus @ b.minus + a.minus @ b.plus) for a, b in zip(s, s[1:], strict=False))
        jumps = {"left": [(p[1], s[0].plus), (0.2, s[0].minus)], "right": [(0.1, s[-1].plus), (p[2], s[-1].minus)]}
        jumps |= {f"noise{k}": (p[3], a.up) for k, a in enumerate(s)}
        return qd.steady_state(qd.Lindblad(H, jumps), KRYLOV).expect(s[2].up)

    value, slope = jax.jit(jax.value_and_grad(occupation))(p)
    right, right_slope = jax.value_and_grad(lambda p: dephased_chain(p, n)[2])(p)
    assert abs(value - right) < 1e-12
    assert np.abs(slope - right_slope).max() < 1e-10


@pytest.mark.parametrize("name", ["chain", "random", "collective", "mode_and_spin"])
def test_the_adjoint_takes_as_many_steps_as_the_equation(name):
    """With the transposed preconditioner it does; with that of A^dag in place of A^T it takes some ten times as many."""
    generator = CASES[name](P)
    form = MatrixForm(generator.H.size, generator.labels, Explored(generator).inside(diagonal(generator.H.size)))
    system, _ = prepared(form, form.terms(generator), Krylov())
    r = jnp.asarray(np.random.default_rng(0).normal(size=form.size))
    (x, forth), (y, back) = system.solve(r), system.solve_adjoint(r, jnp.eye(form.dim))
    assert 0.6 < back / forth < 1.6
    assert abs(x @ r - y @ r) < 1e-8 * abs(x @ r)


def idle():
    """A chain beside a spin that nothing touches."""
    space = qd.Space(a=qd.Spin(), b=qd.Spin(), idle=qd.Spin())
    return qd.Lindblad(space.a.x + space.a.z @ space.b.z, {"bath": [(0.3, space.b.minus), (0.1, space.a.minus)]})


def two_dark():
    """Two levels that nothing leaves, and a random rest that decays into both."""
    H = np.random.default_rng(0).normal(size=(20, 20))
    H[:2] = H[:, :2] = 0
    C = np.zeros((20, 20))
    C[0, 5] = C[1, 6] = C[3, 4] = 1
    return qd.Lindblad(qd.Operator.from_dense(H + H.T), {"bath": (1.0, qd.Operator.from_dense(C))})


def two_photons(n=20):
    """Photons that come and go in pairs: an even and an odd stationary state."""
    mode = qd.Space(mode=qd.Boson(n)).mode
    a = mode.a
    return qd.Lindblad(0.4 * mode.n + 0.3 * (a @ a + a.dag @ a.dag), {"pairs": (1.0, a @ a)})


@pytest.mark.parametrize("several", [idle, two_dark, two_photons])
def test_several_stationary_states_are_refused(several):
    with pytest.raises(qd.SolveError, match="steady state is not unique"):
        qd.steady_state(several(), KRYLOV)
    with qd.failures("nan"):
        assert np.isnan(qd.steady_state(several(), KRYLOV).x).all()


def test_one_dark_state_is_found():
    """The motion between jumps does not decay there: its equation alone is singular."""
    generator = two_dark()
    H = np.array(generator.H.dense())
    H[1, 7] = H[7, 1] = 0.5
    state = qd.steady_state(qd.Lindblad(qd.Operator.from_dense(H), generator.jumps), KRYLOV)
    assert abs(state.populations()[0] - 1) < 1e-12


def test_initial_selects_one_of_several():
    for level in (0, 1):
        ket = jnp.zeros(20).at[level].set(1.0)
        found = qd.steady_state(two_photons(), KRYLOV, initial=ket)
        right = qd.steady_state(two_photons(), initial=ket)
        assert np.abs(found.dense() - right.dense()).max() < 1e-12


def test_what_stalls_is_refused():
    with pytest.raises(qd.SolveError, match="Krylov stalled"):
        qd.steady_state(chain(P), qd.solvers.Krylov(restart=3, most=3))


def test_a_gradient_that_stalls_is_refused(monkeypatch):
    """The value is right, and its gradient must be no NaN without a word."""

    def merit(p):
        return qd.steady_state(chain(p, 2), qd.solvers.Krylov(restart=79)).populations()[0]

    monkeypatch.setattr(Lyapunov, "solve_adjoint", lambda self, C: jnp.zeros_like(C))
    for derivative in (jax.grad(merit), jax.jit(jax.grad(merit)), jax.jit(jax.value_and_grad(merit))):
        with pytest.raises(Exception, match="the gradient of the steady state was not solved: Krylov stalled"):
            jax.block_until_ready(derivative(P))
    with qd.failures("nan"):
        assert np.isnan(jax.grad(merit)(P)).any()


def test_wrong_numbers_are_named():
    with pytest.raises(Exception, match="a rate of bath 'b0' is negative or not finite"):
        jax.jit(lambda p: qd.steady_state(chain(p, 2), KRYLOV).x)(jnp.array([0.1, 0.2, -1.0]))
    (q,) = spins(1)
    with pytest.raises(qd.NotUnique, match="a closed system has no stationary state"):
        qd.steady_state(qd.Lindblad(q.z, {}), KRYLOV)
    for bad in ({"restart": 0}, {"most": 1.5}, {"restart": True}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} must be a positive integer, but was"):
            qd.solvers.Krylov(**bad)


def test_diagnostics_tell_the_steps_and_the_condition():
    numbers = qd.steady_state(chain(P), KRYLOV).diagnostics()
    assert numbers["iterations"] > 10
    assert 1e-4 < numbers["rcond"] < 1
    assert numbers["residual"] < 1e-14
    assert 0 < numbers["smallest_eigenvalue"] < 0.1


def test_a_matrix_of_the_generator_is_refused_in_matrix_form():
    state = qd.steady_state(chain(P), KRYLOV)
    with pytest.raises(ValueError, match="needs the generator as a matrix of 256 rows"):
        state.sector.values(state.generator)


def test_matrix_form_is_chosen_where_it_pays():
    """Not for what is narrow or small: a mode of 60 levels has a band, an XX chain few coordinates, two spins are small."""
    mode = qd.Space(mode=qd.Boson(60)).mode
    assert direct_sector(chain(P, 7)) is None
    assert direct_sector(random(P, 90)) is None
    assert direct_sector(qd.Lindblad(mode.n + mode.a + mode.a.dag, {"loss": (1.0, mode.a)})).size == 60 * 60
    s = spins(6)
    H = sum((a.x @ b.x + a.y @ b.y for a, b in zip(s[1:], s[2:], strict=False)), s[0].x @ s[1].x + s[0].y @ s[1].y)
    assert direct_sector(qd.Lindblad(H, {"left": (1.0, s[0].plus), "right": (0.5, s[-1].minus)})).size < 924
    assert direct_sector(chain(P, 2)).size <= 16


def test_what_is_chosen_is_used(monkeypatch):
    monkeypatch.setattr(steady_wide, "_SMALL", 0)
    monkeypatch.setattr(steady_wide, "_FEW", 0)
    monkeypatch.setattr(steady_wide, "_TRUST", 0)
    state = qd.steady_state(chain(P))
    assert state.iterations > 10
    assert np.abs(state.dense() - qd.steady_state(chain(P), DENSE).dense()).max() < 1e-12


@pytest.mark.parametrize("name", CASES)
def test_patterns_reach_all_that_the_sector_holds(name):
    generator = CASES[name](P)
    sector = reach(generator)
    inside = Explored(generator).inside(diagonal(generator.H.size))
    assert inside[sector.row, sector.col].all()
    assert (inside == inside.T).all()
