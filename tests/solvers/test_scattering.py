"""Scattering between momenta: the ring's elimination against dense algebra, derivatives, decay, evolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import close, derivative

import qdiff as qd
from qdiff.generators.scattering import ahead, reach_of
from qdiff.solvers import ring
from qdiff.solvers.rational import exponential


def random_rates(n, reach, bands, seed=0, decades=3.0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(10 ** rng.uniform(-decades, 0, (2 * reach + 1, bands, bands, n)))


SHAPES = [(40, 4, 2), (41, 5, 1), (9, 4, 2), (33, 11, 1), (70, 9, 3)]


@pytest.mark.parametrize(("n", "reach", "bands"), SHAPES)
def test_stationary(n, reach, bands):
    """Against the dense matrix; every population to relative accuracy, where rates span many decades."""
    scattering = qd.Scattering(random_rates(n, reach, bands, decades=12.0))
    W = np.asarray(scattering.matrix(), np.longdouble)
    p = np.asarray(qd.stationary_scattering(scattering)).ravel()
    assert abs(p.sum() - 1) < 1e-14 and p.min() > 0
    flow = np.abs(W) @ p
    assert np.abs(W @ p).max() < 1e-14 * flow.max() and (np.abs(W @ p) / flow).max() < 1e-12
    x = np.random.default_rng(1).normal(size=(bands, n))
    close(scattering.act(x).ravel(), W @ x.ravel(), 1e-13)
    close(scattering.act_T(x).ravel(), W.T @ x.ravel(), 1e-13)


def test_comparison_can_fail():
    scattering = qd.Scattering(random_rates(40, 4, 2))
    other = qd.Scattering(scattering.rate.at[0, 0, 1, 5].mul(1.01))
    with pytest.raises(AssertionError):
        close(qd.stationary_scattering(other), qd.stationary_scattering(scattering), 1e-9)


def test_residence_times():
    """Without subtraction: entries of a nearly singular matrix to relative accuracy, against 50 digits."""
    import mpmath

    rng = np.random.default_rng(3)
    n = 37
    R = 10 ** rng.uniform(-3, 0, (n, n)) * (1 - np.eye(n))
    leaving = 1e-14 * rng.uniform(0.5, 1, n)
    with mpmath.workdps(50):
        K = mpmath.matrix((-R).tolist())
        for j in range(n):
            K[j, j] = mpmath.mpf(float(leaving[j])) + mpmath.fsum(mpmath.mpf(float(x)) for x in R[:, j])
        want = np.array((K**-1).tolist(), float)
    close(ring.residence(jnp.asarray(R), jnp.asarray(leaving)) / want, np.ones((n, n)), 1e-13)


@pytest.mark.parametrize(("n", "reach", "bands"), [(26, 4, 2), (9, 4, 2)])
def test_derivatives(n, reach, bands):
    rate = random_rates(n, reach, bands)
    direction = rate * jnp.asarray(np.random.default_rng(5).normal(size=rate.shape))
    f = jnp.asarray(np.random.default_rng(6).normal(size=(bands, n)))

    def mean(s, rate=rate):
        return jnp.sum(f * qd.stationary_scattering(qd.Scattering(rate * jnp.exp(s * direction / rate))))

    slope = jax.grad(mean)(0.0)
    close(slope, derivative(lambda s: mean(s[0]), np.zeros(1))[0], 1e-8, scale=abs(float(slope)))
    close(jax.jacfwd(mean)(0.0), slope, 1e-12)
    close(jax.grad(jax.grad(mean))(0.0), derivative(lambda s: jax.grad(mean)(float(s[0])), np.zeros(1))[0], 1e-6, scale=1.0)
    both = jax.vmap(jax.grad(mean), (None, 0))(0.0, jnp.stack([rate, 2 * rate]))
    close(both[0], slope, 1e-11, scale=1.0)


def test_difference_to_a_known_state():
    """A drive of 1e-9 moves the state by 1e-9, known to twelve digits of that."""
    rate = random_rates(40, 4, 2)
    p0 = qd.stationary_scattering(qd.Scattering(rate))
    change = 1e-9 * jnp.asarray(np.random.default_rng(2).normal(size=rate.shape)) * rate
    p, x = qd.driven_scattering(qd.Scattering(rate + change), qd.Scattering(change).act(p0))
    exact = jax.jvp(lambda r: qd.stationary_scattering(qd.Scattering(r)), (rate,), (change,))[1]
    close(x, exact, 1e-7)
    close(p, p0 + x, 1e-13)


def test_slowest_decay():
    model = qd.models.ActiveParticle(points=64, phonon_range=0.1, phonon_coupling=1.0)
    scattering = model.scattering()
    values = np.linalg.eigvals(np.asarray(scattering.matrix()))
    want = np.sort(-values.real)[1]
    close(qd.slowest_scattering(scattering), want, 1e-8)
    slope = jax.grad(lambda m: m.momentum_relaxation_time())(model)
    for name in ("T", "phonon_coupling", "theta"):
        step = 1e-4
        high, low = (float(model.replace(**{name: getattr(model, name) + s}).momentum_relaxation_time()) for s in (step, -step))
        close(getattr(slope, name), (high - low) / (2 * step), 1e-5)
    with pytest.raises(NotImplementedError, match="once only"):
        jax.hessian(lambda T: model.replace(T=T).momentum_relaxation_time())(1.0)


def test_evolution_both_ways():
    """The dense propagator, the rational function of the ring, and SciPy; and their derivatives."""
    model = qd.models.ActiveParticle(points=48, phonon_range=0.02, phonon_coupling=1.0)
    scattering, x = model.scattering(), jnp.asarray(np.random.default_rng(0).normal(size=(2, 48)))
    assert 3 * scattering.reach <= 48
    times = jnp.array([0.0, 0.7, 30.0, 4e4])
    W = np.asarray(scattering.matrix())
    want = np.stack([(scipy.linalg.expm(W * t) @ np.asarray(x).ravel()).reshape(2, 48) for t in times])
    dense = qd.evolve_scattering(scattering, x, times, method="dense")
    rational = qd.evolve_scattering(scattering, x, times, method="rational")
    close(dense, want, 1e-11)
    close(rational, want, 1e-11)

    def seen(s, method):
        return jnp.sum(jnp.cos(qd.evolve_scattering(qd.Scattering(scattering.rate * s), x, times[1:3], method=method)))

    slopes = [jax.grad(seen)(1.0, method) for method in ("dense", "rational")]
    close(slopes[1], slopes[0], 1e-9)
    close(jax.jacfwd(seen)(1.0, "rational"), slopes[0], 1e-9)


def test_rational_exponential():
    """e^{-s} for s from 0 to 1e6: 1e-13 of one."""
    s = jnp.concatenate([jnp.zeros(1), jnp.geomspace(1e-6, 1e6, 60)])
    got = exponential(lambda t, theta, y: y / (-t * s - theta), jnp.ones(61), 1.0)
    close(got, jnp.exp(-s), 2e-13)


def test_ahead_and_reach():
    x = jnp.arange(10.0)
    rows = np.asarray(ahead(x, 3))
    for m in range(-3, 4):
        assert np.array_equal(rows[m + 3], np.roll(x, -m))
    assert reach_of(1000, 0.9) == 144 and reach_of(64, 9.0) == 31


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (np.ones((4, 1, 1, 9)), r"shape \(2 reach \+ 1, bands, bands, N\), but has shape \(4, 1, 1, 9\)"),
        (np.ones((11, 1, 1, 9)), "shorter than half of the 9 momenta, but was 5"),
    ],
)
def test_refused(rate, message):
    with pytest.raises(ValueError, match=message):
        qd.Scattering(jnp.asarray(rate))


def test_negative_rates():
    with pytest.raises(qd.SolveError, match="a rate is negative"):
        qd.stationary_scattering(qd.Scattering(random_rates(20, 2, 1).at[0, 0, 0, 3].set(-1.0)))
