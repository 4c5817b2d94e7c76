"""The solved chain of a map, with and without coherences, against dense algebra; its slowest mode, and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from qdiff.equations.cycles import fixed_point


def random_map(populations, coherences, seed=0):
    """M - 1 of populations that mix with coherences, all of which decay; columns have zero trace."""
    rng = np.random.default_rng(seed)
    n = populations + coherences
    N = np.zeros((n, n))
    R = rng.uniform(0.1, 1, (populations, populations)) / populations
    N[:populations, :populations] = R - np.diag(R.sum(axis=0))
    if coherences:
        mix = rng.normal(size=(populations, coherences)) * 0.05
        N[:populations, populations:] = mix - mix.mean(axis=0)
        N[populations:, :populations] = rng.normal(size=(coherences, populations)) * 0.05
        N[populations:, populations:] = -0.7 * np.eye(coherences) + 0.1 * rng.normal(size=(coherences, coherences))
    order = rng.permutation(n)
    return N[order][:, order], (np.arange(n) < populations)[order]


def dense(N, trace):
    """The fixed point, and K with N (K r) = -r and zero trace, for r of zero trace; K of the fixed point is zero."""
    n = len(N)
    x = np.linalg.lstsq(np.vstack([N, trace]), np.append(np.zeros(n), 1.0))[0]
    P = np.eye(n) - np.outer(x, trace)
    return x, -np.linalg.lstsq(np.vstack([N, trace]), np.vstack([P, np.zeros(n)]))[0]


def solved(N, population):
    return jax.jit(lambda N: fixed_point.solve(N, population))(N)


@pytest.mark.parametrize(("populations", "coherences"), [(4, 0), (4, 3), (2, 1), (5, 2)])
def test_fixed_point_and_response(populations, coherences):
    N, population = random_map(populations, coherences)
    got = solved(N, population)
    x, K = dense(N, population.astype(float))
    close(got.fixed, x, 1e-13)
    trace = population.astype(float)
    zero_trace = np.eye(len(N)) - np.outer(x, trace)
    close(np.asarray(got.response) @ zero_trace, K @ zero_trace, 1e-12)


def test_what_is_not_unique_is_nan():
    """Two sets of populations, and a coherence that is conserved."""
    two = np.kron(np.eye(2), np.array([[-0.3, 0.2], [0.3, -0.2]]))
    assert not np.all(np.isfinite(solved(two, np.ones(4, bool)).fixed))
    N, population = random_map(3, 2)
    N[~population] = 0
    assert not np.all(np.isfinite(solved(N, population).fixed))


@pytest.mark.parametrize("short", [1e-9, 1e-4, 1.0])
def test_short_cycles_change_little(short):
    """All changes in proportion to the length of a cycle: the same fixed point, and a response of one over the length."""
    N, population = random_map(4, 3)
    one, got = solved(N, population), solved(short * N, population)
    close(got.fixed, one.fixed, 1e-13)
    close(short * got.response, one.response, 1e-12)
    held = np.zeros((7, 7))
    held[np.flatnonzero(~population)[0]] = 1
    assert not np.all(np.isfinite(solved(short * N * (1 - held), population).fixed))  # one of the coherences does not decay


def test_the_order_of_elimination_leaves_every_state():
    """States that only lead on, whatever their numbers: the fixed point is the last, exactly."""
    for order in (np.arange(4), np.array([2, 0, 3, 1]), np.arange(4)[::-1]):
        N = np.zeros((4, 4))
        for a, b in zip(order, order[1:], strict=False):
            N[b, a], N[a, a] = 0.25, -0.25
        close(solved(N, np.ones(4, bool)).fixed, np.eye(4)[order[-1]], 1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_the_slowest_mode(seed):
    """1 - lambda of largest |lambda|, real or one of a pair, with its first two derivatives."""
    rng = np.random.default_rng(seed)
    N, population = random_map(4, 2 if seed % 2 else 0, seed)
    if seed == 2:
        N = 0.9 * (np.roll(np.eye(5), 1, axis=0) - np.eye(5)) * rng.uniform(0.8, 1, 5)
        population = np.ones(5, bool)
    change = N * rng.uniform(-1, 1, N.shape)
    change -= np.outer(population / population.sum(), change[population].sum(axis=0))

    def mode(s):
        value = fixed_point.slowest(fixed_point.solve(jnp.asarray(N + s * change), population).response)
        return jnp.stack([jnp.real(value), jnp.abs(jnp.imag(value))])

    e = np.linalg.eigvals(N)
    e = e[np.argsort(np.abs(e))[1:]]
    want = -e[np.argmax(np.abs(1 + e))]
    first = jax.jit(jax.jacfwd(mode))
    close(mode(0.0), [want.real, abs(want.imag)], 1e-12)
    close(first(0.0), differences(mode), 1e-8)
    close(jax.jit(jax.jacfwd(jax.jacrev(mode)))(0.0), differences(first), 1e-7)


def differences(f, h=2e-4):
    """f'(0), the error being of fourth order."""
    f = jax.jit(f)
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def test_a_slowest_mode_that_is_double():
    """Two equal decays: the value, and the derivative along the vector that is found, of a change that moves both alike."""
    p = np.full(3, 1 / 3)
    N = 0.2 * (np.outer(p, np.ones(3)) - np.eye(3))
    K = solved(N, np.ones(3, bool)).response
    close(fixed_point.slowest(K), 0.2 + 0j, 1e-13)
    slope = jax.jit(jax.jacfwd(lambda s: jnp.real(fixed_point.slowest(fixed_point.solve(s * N, np.ones(3, bool)).response))))(1.0)
    close(slope, 0.2, 1e-12)
