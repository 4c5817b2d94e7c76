"""Scattering between momenta: the ring's elimination against dense algebra, derivatives, decay, evolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import close, derivative

import qdiff as qd
from qdiff.equations.momentum.scattering import reach_of
from qdiff.linalg import cyclic_elimination
from qdiff.linalg.cram import exponential
from qdiff.linalg.ring import ahead


def random_rates(n, reach, bands, seed=0, decades=3.0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(10 ** rng.uniform(-decades, 0, (2 * reach + 1, bands, bands, n)))


stationary = jax.jit(qd.momentum.Scattering.steady_state)

SHAPES = [(40, 4, 2), (41, 5, 1), (9, 4, 2), (33, 11, 1), (70, 9, 3), (8, 1, 1), (3, 1, 1)]


@pytest.mark.parametrize(("n", "reach", "bands"), SHAPES)
def test_stationary(n, reach, bands):
    """Against the dense matrix; every population to relative accuracy, where rates span many decades."""
    scattering = qd.momentum.Scattering(random_rates(n, reach, bands, decades=12.0))
    W = np.asarray(scattering.matrix(), np.longdouble)
    p = np.asarray(stationary(scattering)).ravel()
    assert abs(p.sum() - 1) < 1e-14 and p.min() > 0
    flow = np.abs(W) @ p
    assert np.abs(W @ p).max() < 1e-14 * flow.max() and (np.abs(W @ p) / flow).max() < 1e-12
    x = np.random.default_rng(1).normal(size=(bands, n))
    close(scattering.act(x).ravel(), W @ x.ravel(), 1e-13)
    close(scattering.act_T(x).ravel(), W.T @ x.ravel(), 1e-13)


def test_comparison_can_fail():
    scattering = qd.momentum.Scattering(random_rates(40, 4, 2))
    other = qd.momentum.Scattering(scattering.rate.at[0, 0, 1, 5].mul(1.01))
    with pytest.raises(AssertionError):
        close(stationary(other), stationary(scattering), 1e-9)


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
    close(cyclic_elimination.residence(jnp.asarray(R), jnp.asarray(leaving)) / want, np.ones((n, n)), 1e-13)


@pytest.mark.parametrize(("n", "reach", "bands"), [(13, 4, 2), (9, 4, 2)])
def test_derivatives(n, reach, bands):
    """Forward, reverse and second order in one batched program, against the pseudo-inverse of the dense matrix."""
    rate = random_rates(n, reach, bands)
    direction = rate * jnp.asarray(np.random.default_rng(5).normal(size=rate.shape))
    f = np.random.default_rng(6).normal(size=(bands, n))

    @jax.jit
    @jax.vmap
    def program(size):
        def mean(s):
            return jnp.sum(f * qd.momentum.Scattering(size * rate * jnp.exp(s * direction / rate)).steady_state())

        return jax.jvp(jax.value_and_grad(mean), (0.0,), (1.0,))

    (value, reverse), (forward, second) = program(jnp.array([1.0, 2.0]))
    W, dW, ddW = (np.asarray(qd.momentum.Scattering(x).matrix()) for x in (rate, direction, direction**2 / rate))
    p = np.linalg.lstsq(np.vstack([W, np.ones(n * bands)]), np.append(np.zeros(n * bands), 1.0))[0]

    def response(x):
        return -np.linalg.lstsq(np.vstack([W, np.ones(n * bands)]), np.append(x, 0.0))[0]

    dp = response(dW @ p)
    close(value, np.full(2, f.ravel() @ p), 1e-11)
    close(reverse, np.full(2, f.ravel() @ dp), 1e-10)
    close(forward, reverse, 1e-12)
    close(second, np.full(2, f.ravel() @ response(ddW @ p + 2 * dW @ dp)), 1e-10)


def test_difference_beside_fast_exchange():
    """Two bands that exchange particles 1e9 times as fast as momenta: the slow response to all digits, against 40."""
    import mpmath

    rng = np.random.default_rng(4)
    rate = 10 ** rng.uniform(-1, 0, (3, 2, 2, 12))
    rate[1] = 1e9 * rng.uniform(0.5, 1, (2, 2, 12))
    source = rng.normal(size=12) * np.array([[1.0], [-1.0]])
    _, x = qd.momentum.Scattering(jnp.asarray(rate)).driven(jnp.asarray(source))
    with mpmath.workdps(40):
        W = mpmath.zeros(24)
        for m, a, b, k in np.ndindex(*rate.shape):
            there, here = a * 12 + (k + m - 1) % 12, b * 12 + k
            W[there, here] += mpmath.mpf(rate[m, a, b, k])
            W[here, here] -= mpmath.mpf(rate[m, a, b, k])
        for j in range(24):
            W[23, j] = 1
        want = np.array(mpmath.lu_solve(W, -mpmath.matrix([*source.ravel()[:-1], 0])).tolist(), float)
    close(x.ravel(), want.ravel(), 1e-12)


def test_difference_to_a_known_state():
    """A drive of 1e-9 moves the state by 1e-9, known to twelve digits of that."""
    rate = random_rates(40, 4, 2)
    change = 1e-9 * jnp.asarray(np.random.default_rng(2).normal(size=rate.shape)) * rate

    @jax.jit
    def program(rate, change):
        p0, exact = jax.jvp(lambda r: qd.momentum.Scattering(r).steady_state(), (rate,), (change,))
        return p0, exact, *qd.momentum.Scattering(rate + change).driven(qd.momentum.Scattering(change).act(p0))

    p0, exact, p, x = program(rate, change)
    close(x, exact, 1e-7)
    close(p, p0 + x, 1e-13)


@pytest.mark.parametrize("points", [8, 24])
def test_slowest_decay(points):
    """The rate, its gradient and its curvature, against eigenvalues and eigenvectors of the dense matrix, however few states there are."""
    device = qd.models.ActiveParticle(points=points, phonon_range=4.8 / points, phonon_coupling=1.0)
    rate = device.scattering().rate
    change = rate * jnp.asarray(np.random.default_rng(3).normal(size=rate.shape))

    def slowest(s):
        return qd.momentum.Scattering(rate + s * change).relax()

    (value, reverse), (forward, second) = jax.jit(lambda: jax.jvp(jax.value_and_grad(slowest), (0.0,), (1.0,)))()
    W, dW = (np.asarray(qd.momentum.Scattering(r).matrix()) for r in (rate, change))
    values, right = np.linalg.eig(W)
    order = np.argsort(-values.real)
    moved = (np.linalg.inv(right) @ dW @ right)[order][:, order]
    others = np.delete(np.arange(len(W)), 1)
    want = sum(2 * moved[1, i] * moved[i, 1] / (values[order[1]] - values[order[i]]) for i in others)
    close(value, -values[order[1]].real, 1e-8)
    close(slowest(0.0), value, 1e-13)  # also where nobody differentiates
    close(reverse, -moved[1, 1].real, 1e-8)
    close(forward, reverse, 1e-12)
    close(second, -want.real, 1e-7)


@pytest.mark.slow
def test_curvature_of_the_relaxation_time():
    """Forward over reverse, reverse over reverse, and differences of the gradient, in parameters of a device.

    At theta = 3 pi / 4, 0.01 away, the two slowest modes cross and the relaxation time has a kink: the differences stay within 0.003.
    """
    device = qd.models.ActiveParticle(points=64, phonon_range=0.1, phonon_coupling=1.0)
    names = ("T", "theta", "phonon_coupling")

    def time(x):
        return jnp.log(device.replace(**dict(zip(names, x, strict=True))).momentum_relaxation_time())

    x = np.array([float(getattr(device, name)) for name in names])
    H = jax.jit(jax.hessian(time))(x)
    close(H, H.T, 1e-9)
    close(jax.jit(jax.jacrev(jax.grad(time)))(x), H, 1e-9)
    close(H, derivative(jax.jit(jax.grad(time)), x, 1e-3), 1e-6)


def test_evolution_both_ways():
    """The dense propagator, the rational function of the ring, and SciPy; and their derivatives."""
    model = qd.models.ActiveParticle(points=48, phonon_range=0.02, phonon_coupling=1.0)
    scattering, x = model.scattering(), jnp.asarray(np.random.default_rng(0).normal(size=(2, 48)))
    assert 3 * scattering.reach <= 48
    times = jnp.array([0.0, 0.7, 30.0, 4e4])
    W = np.asarray(scattering.matrix())
    want = np.stack([(scipy.linalg.expm(W * t) @ np.asarray(x).ravel()).reshape(2, 48) for t in times])

    def seen(s, method):
        found = qd.momentum.Scattering(scattering.rate * s).evolve(x, times, method=method)
        return jnp.sum(jnp.cos(found[1:3])), found

    forward, dense = jax.jit(jax.jacfwd(lambda s: seen(s, "dense"), has_aux=True))(1.0)
    reverse, rational = jax.jit(jax.grad(lambda s: seen(s, "rational"), has_aux=True))(1.0)
    close(dense, want, 1e-11)
    close(rational, want, 1e-11)
    close(reverse, forward, 1e-9)


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
        qd.momentum.Scattering(jnp.asarray(rate))


def test_negative_rates():
    with pytest.raises(qd.SolveError, match="a rate is negative"):
        qd.momentum.Scattering(random_rates(20, 2, 1).at[0, 0, 0, 3].set(-1.0)).steady_state()


def test_driven_forward_is_reverse():
    """In every entry of the source, also in directions that are no source."""
    rate = jnp.asarray(random_rates(9, 2, 2))
    source = jnp.zeros((2, 9)).at[0, 0].set(1.0).at[1, 4].set(-1.0)

    def driven(source):
        return qd.momentum.Scattering(rate).driven(source)[1]

    forward, reverse = jax.jit(lambda: (jax.jacfwd(driven)(source), jax.jacrev(driven)(source)))()
    close(forward, reverse, 1e-11)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_times_that_are_none(wrong):
    with pytest.raises(ValueError, match=f"times must be finite, but has {wrong:g}$"):
        qd.momentum.Scattering(np.ones((3, 1, 1, 8))).evolve(np.ones((1, 8)) / 8, [0.0, wrong])


def test_by_the_verbs():
    """Hops to either side of a ring of eight at rate 2: uniform at rest, and a wave decays at 4 (1 - cos(pi/4))."""
    hops = qd.momentum.Scattering(jnp.stack([jnp.full(8, 2.0), jnp.zeros(8), jnp.full(8, 2.0)])[:, None, None, :])
    wave = 1 + jnp.cos(2 * jnp.pi * jnp.arange(8) / 8)[None]
    gap = 4 * (1 - np.cos(np.pi / 4))
    close(qd.steady_state(hops), np.full((1, 8), 1 / 8), 1e-14)
    close(qd.relax(hops), gap, 1e-12)
    close(qd.evolve(hops, wave, [0.5], method="dense")[0], 1 + (wave - 1) * np.exp(-0.5 * gap), 1e-12)
