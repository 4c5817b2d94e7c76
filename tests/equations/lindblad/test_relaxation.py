"""Relaxation: gaps and modes against closed forms and NumPy's eigenvalues, times against the evolution itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd

Q = qd.Space(q=qd.Spin()).q


def driven(x):
    w, c, down, up = x
    return qd.Lindblad(w * Q.z + c * Q.x, {"b": [(down, Q.minus), (up, Q.plus)]})


def matrix(generator, state):
    """The sector's dense matrix, by NumPy."""
    sector = state.sector
    G = np.zeros((sector.size,) * 2)
    G[sector.target, sector.source] = np.asarray(sector.values(generator))
    return G


def test_thermal_qubit():
    """Populations relax at G = down + up, coherences at G/2 + 2 i w; the time is the logarithm of the distance."""
    generator = qd.Lindblad(0.7 * Q.z, {"b": [(0.5, Q.minus), (0.1, Q.plus)]})
    found = qd.relax(generator, {"q": "up"}, tolerance=1e-4)
    p = 0.1 / 0.6
    assert float(found.gap) == pytest.approx(0.6, rel=1e-14) and found.rates.shape == (1,)
    assert float(found.time) == pytest.approx(np.log((1 - p) / 1e-4) / 0.6, rel=1e-5)
    assert float(found.excitation[0]) == pytest.approx(2 * (1 - p), rel=1e-12)
    plus = qd.relax(generator, np.ones(2) / np.sqrt(2))
    close(plus.rates, [0.3, 0.3, 0.6], 1e-14)
    close(np.sort(plus.frequencies), [-1.4, 0, 1.4], 1e-14)
    # rho holds the coherence 1/2 (trace norm one) and 1/2 - p of population on each level.
    close(plus.excitation, [1.0, 1.0, 1 - 2 * p], 1e-12)
    assert float(plus.gap) == float(plus.rates[0])


def test_modes_against_numpy():
    """The slowest eight rates and frequencies of the rotor engine are NumPy's; the state is the steady one."""
    model = qd.models.RotorEngine(lam=0.4, gamma=0.02, l_min=-3, l_max=3)
    generator = model.generator()
    found = qd.relax(generator, model.start(), count=8)
    want = np.linalg.eigvals(matrix(generator, found.final))
    want = want[np.argsort(-want.real)][1:9]
    close(found.rates, -want.real, 1e-10)
    close(np.sort(np.abs(found.frequencies)), np.sort(np.abs(want.imag)), 1e-9, 1.0)
    close(found.final.dense(), qd.steady_state(generator).dense(), 1e-12)


def test_the_time_is_when_the_distance_falls():
    """Just before it the trace distance is above the tolerance, at it and later below."""
    model = qd.models.RotorEngine(lam=0.4, gamma=0.02, l_min=-2, l_max=3)
    generator, initial = model.generator(), model.start()
    found = qd.relax(generator, initial, tolerance=1e-2)
    end = np.asarray(found.final.dense())
    run = qd.evolve(generator, initial, float(found.time) * np.array([0.999, 1.001, 2.0]))
    distance = [np.abs(np.linalg.eigvalsh(r - end)).sum() / 2 for r in np.asarray(run.dense())]
    assert distance[0] > 1e-2 > distance[1] > distance[2]


def test_a_state_that_has_arrived():
    """From the stationary state itself the time is zero."""
    generator = driven((1.0, 0.3, 0.5, 0.1))
    assert float(qd.relax(generator, qd.steady_state(generator)).time) == 0.0


def test_gradients_of_the_gap():
    """Rates and frequencies, also of complex pairs: forward, reverse, second order, in a batch, against differences."""
    x = np.array([1.0, 0.3, 0.5, 0.1])

    def f(x):
        found = qd.relax(driven(x), np.array([0.6, 0.8j]))
        return jnp.stack([found.gap, found.rates[2], found.frequencies[0] ** 2])

    value, forward = jax.jit(f), jax.jit(jax.jacfwd(f))
    got = forward(x)
    close(got.T, derivative(lambda x: value(jnp.array(x)), x), 1e-9)
    close(jax.jit(jax.jacrev(f))(x), got, 1e-12)
    second = jax.jit(jax.jacfwd(jax.jacrev(f)))(x)
    close(np.moveaxis(second, 2, 0), np.moveaxis(derivative(lambda x: forward(jnp.array(x)), x), 0, 0), 1e-8)
    with qd.failures("nan"):
        close(jax.vmap(jax.jacfwd(f))(jnp.stack([x, x])), jnp.stack([got, got]), 1e-12)


def test_where_the_gap_has_no_derivative():
    """Two equal and uncoupled qubits share their rate: separation zero and a derivative that is NaN, not wrong."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())

    def found(rate):
        return qd.relax(qd.Lindblad(s.a.z, {"a": (rate, s.a.minus), "b": (rate, s.b.minus)}))

    assert float(found(0.5).separation[0]) < 1e-12 and float(found(0.5).gap) == pytest.approx(0.5, rel=1e-12)
    assert np.isnan(jax.grad(lambda r: found(r).gap)(0.5))


def test_several_stationary_states():
    """Two wells that do not exchange: refused without an initial state, relaxed within one with it."""
    atom = qd.Space(atom=qd.Levels(4)).atom
    generator = qd.Lindblad(atom.projector(1), {"b": [(0.3, atom.transition(0, 1)), (0.7, atom.transition(2, 3))]})
    with pytest.raises(qd.NotUnique):
        qd.relax(generator)
    found = qd.relax(generator, {"atom": 1})
    assert float(found.gap) == pytest.approx(0.3, rel=1e-14)
    close(found.final.populations(), [1, 0, 0, 0], 1e-13)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"count": 0}, "count must be"), ({"tolerance": 2.0}, "tolerance must be"), ({"initial": np.eye(3) / 3}, "initial must have shape")],
)
def test_refused(given, said):
    with pytest.raises(ValueError, match=said):
        qd.relax(driven((1.0, 0.3, 0.5, 0.1)), **given)
    with pytest.raises(TypeError, match="generator must be"):
        qd.relax(Q.z)


def test_what_is_taken_if_nothing_is_said():
    """The maximally mixed state, four modes; one mode if one is asked for, and no half ones."""
    model = qd.models.RotorEngine(lam=0.4, gamma=0.02, l_min=-2, l_max=2)
    generator = model.generator()
    found, said = qd.relax(generator), qd.relax(generator, np.eye(generator.H.size) / generator.H.size, count=6)
    assert found.rates.shape == (4,) and said.rates.shape == (6,)
    close(found.rates, said.rates[:4], 1e-10)
    close(found.time, said.time, 1e-6)
    assert qd.relax(generator, count=1).rates.shape == (1,)
    with pytest.raises(ValueError, match="count must be a positive integer, but was 2.5"):
        qd.relax(generator, count=2.5)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("slow", [1e-9, 1e-6, 1e-2])
def test_a_slow_mode_keeps_its_digits(slow):
    """Beside one that is 1e9 times as fast, to 1e-12 of itself; and its oscillating neighbours likewise."""
    pair = qd.Space(a=qd.Spin(), b=qd.Spin())
    jumps = {"a": [(1.3, pair.a.minus), (0.4, pair.a.plus)], "b": [(2 * slow, pair.b.minus), (slow, pair.b.plus)]}
    generator = qd.Lindblad(pair.a.up + 0.3 * slow * pair.b.up, jumps)
    start = np.kron(np.diag([0.5, 0.5]), np.array([[0.6, 0.2], [0.2, 0.4]]))
    found = qd.relax(generator, start, count=3)
    assert float(found.gap) == pytest.approx(1.5 * slow, rel=1e-12)
    assert np.sort(found.rates) == pytest.approx([1.5 * slow, 1.5 * slow, 3 * slow], rel=1e-12)
    assert np.sort(np.abs(found.frequencies)) == pytest.approx([0.0, 0.3 * slow, 0.3 * slow], abs=3e-16)  # rounded beside energies of one


def test_derivatives_of_a_turning_coherence():
    """Its vector (1, i) has length zero without the conjugate: frequency w, rate (g + h)/2, in first and second derivatives."""
    start = np.full((2, 2), 0.5)

    def mode(x):
        w, g, h = x
        found = qd.relax(qd.Lindblad(w / 2 * Q.z, {"b": [(g, Q.minus), (h, Q.plus)]}), start, count=2)
        at = jnp.argmax(jnp.abs(found.frequencies))
        return jnp.stack([jnp.abs(found.frequencies[at]), found.rates[at] ** 2])

    value, slope, second = jax.jit(lambda x: (mode(x), jax.jacfwd(mode)(x), jax.hessian(mode)(x)))(jnp.array([1.3, 0.5, 0.2]))
    close(value, [1.3, 0.35**2], 1e-13)
    close(slope, [[1, 0, 0], [0, 0.35, 0.35]], 1e-12)
    close(second, [np.zeros((3, 3)), [[0, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]]], 1e-12)
