"""Sites and levels that exchange probability: by elimination and by sweeps, and where one level is infinitely fast."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.equations.rates import open_chain
from qdiff.equations.rates.bipartite import Dense, Exchange, StandingWaves
from qdiff.equations.rates.bipartite_steady import exchange_populations
from qdiff.equations.rates.separable import separable_rates

QUICK = {"xla_backend_optimization_level": 0}  # these programs run a few times: compile them fast
solve = jax.jit(lambda e: jnp.concatenate(exchange_populations(e)))
by_rates = jax.jit(lambda e: e.rates().steady_state())


def exchange(seed, levels, sites, slowness=None, holes=()):
    rng = np.random.default_rng(seed)
    up, down = rng.uniform(0.1, 1, (2, levels, sites))
    for at in holes:
        up[at] = down[at] = 0
    slow = jnp.asarray(rng.uniform(0.5, 2, levels) if slowness is None else slowness)
    return Exchange(Dense(jnp.asarray(up)), Dense(jnp.asarray(down)), slow, slow, jnp.ones(levels))


def test_it_is_the_rate_equation():

    @jax.jit
    def everything(one):
        p, q = exchange_populations(one)
        rates = one.rates()
        heat = jnp.stack(list(rates.heat_currents(jnp.concatenate([p, q])).values()))
        return (jnp.concatenate([p, q]), one.heat_currents(p, q)), (rates.steady_state(), heat), one.imbalance(p, q)

    got, want, imbalance = everything(exchange(0, 4, 6))
    close(got[0], want[0], 1e-14)
    close(got[1], want[1], 1e-13)
    assert abs(sum(want[1])) < 1e-15 and imbalance < 1e-14


def test_kernels_of_two_kinds():
    """Standing waves one way and a matrix the other: the populations are those of two matrices."""
    rng = np.random.default_rng(3)
    waves = StandingWaves(*(jnp.asarray(rng.uniform(0.1, 1, (1, 5))) for _ in range(2)))
    matrix = jnp.stack([waves.row(m) for m in range(5)])
    down, slow = Dense(jnp.asarray(rng.uniform(0.1, 1, (5, 5)))), jnp.asarray(rng.uniform(0.5, 2, 5))
    both = [exchange_populations(Exchange(up, down, slow, slow, jnp.ones(5))) for up in (waves, Dense(matrix))]
    for got, want in zip(*both, strict=True):
        close(got, want, 1e-12)


def test_one_wrong_state_is_an_imbalance():
    """Of its own size, whichever of the sites and levels it is."""
    one = exchange(0, 4, 6)
    p, q = exchange_populations(one)
    for k in range(6):
        assert float(one.imbalance(p.at[k].mul(1.01), q)) > 0.0095
    for m in range(4):
        assert float(one.imbalance(p, q.at[m].mul(1.01))) > 0.0095


@pytest.mark.parametrize("holes", [(), ((1, 2), (1, 4))])
def test_an_infinitely_fast_level(holes):
    """The limit is reached exactly: sites joined to it are as full as it says; the others are found by their own levels."""
    slow = np.array([1.0, 0.0, 0.7, 1.3])
    at_limit = solve(exchange(1, 4, 6, slow, holes))
    for tiny in (1e-8, 1e-12, 1e-30):
        near = exchange(1, 4, 6, slow + tiny * np.eye(4)[1], holes)
        close(solve(near), at_limit, 100 * tiny + 1e-14)
        close(solve(near), by_rates(near), 1e-13)
    one = exchange(1, 4, 6, slow, holes)
    joined = np.asarray(one.up.matrix[1]) > 0
    want = np.asarray(one.down.matrix[1] * at_limit[7] / one.up.matrix[1])[joined]
    close(at_limit[:6][joined], want, 1e-14)


@pytest.mark.parametrize("holes", [(), ((1, 2), (1, 4))])
def test_derivatives_beside_it(holes):
    """In the slowness of the fast level, from the side where it is positive: the same at 0, at 1e-15 and by differences."""
    slow = np.array([1.0, 0.0, 0.7, 1.3])
    up = exchange(1, 4, 6, slow, holes)

    def f(x):
        return jnp.concatenate(exchange_populations(Exchange(up.up, up.down, slow + x * np.eye(4)[1], up.energies, up.heat)))

    value, slope, second = (jax.jit(g, compiler_options=QUICK) for g in (f, jax.jacfwd(f), jax.jacfwd(jax.jacrev(f))))
    at = slope(0.0)
    for x in (1e-30, 1e-15, 1e-12):
        close(slope(x), at, 100 * x + 1e-13)
        close(second(x), second(0.0), 1000 * x + 1e-12)
    h = 1e-4  # one-sided, of third order
    one_sided = (-11 * value(0.0) + 18 * value(h) - 9 * value(2 * h) + 2 * value(3 * h)) / (6 * h)
    close(at, one_sided, 1e-8)
    one_sided = (-11 * at + 18 * slope(h) - 9 * slope(2 * h) + 2 * slope(3 * h)) / (6 * h)
    close(second(0.0), one_sided, 1e-7)


def lattice(N, h, g, T, waves):
    """The flat-spectrum lattice, with dense kernels or with standing waves."""
    E = h + 2 * g * open_chain.cosines(N)
    size, sign = jnp.where(E >= 0, E, -E), jnp.where(E >= 0, 1.0, -1.0)
    if waves:
        down, up, right, scale, _ = separable_rates(E, T)
        return Exchange(StandingWaves(up, right * scale), StandingWaves(down, right), size, E, sign)
    bath, w = qd.BosonicBath(1 / T, qd.baths.Ohmic(1.0)), open_chain.shares(N)
    return Exchange(Dense(w * bath.absorption(E[:, None])), Dense(w * bath.emission(E[:, None])), size, E, sign)


def test_sweeps_agree_with_elimination():
    """Populations, currents and all derivatives, for two wholly different ways to the same numbers."""
    N = 60

    def f(x, waves):
        one = lattice(N, x[0], x[1], jnp.linspace(x[2], x[3], N), waves)
        p, q = exchange_populations(one)
        return jnp.concatenate([p, q, one.heat_currents(p, q)])

    def both(x, waves):
        return f(x, waves), jax.jacfwd(lambda x: f(x, waves))(x)

    direct, swept = (jax.jit(lambda x, w=w: both(x, w), compiler_options=QUICK) for w in (False, True))
    reverse = jax.jit(jax.grad(lambda x: f(x, True)[: 2 * N] @ np.arange(2 * N)), compiler_options=QUICK)
    for x in ([1.0, 1.3, 0.8, 0.4], [1.0, 0.2, 0.1, 0.3]):
        (value, slope), (want, want_slope) = swept(jnp.array(x)), direct(jnp.array(x))
        close(value[: 2 * N], want[: 2 * N], 1e-13)
        close(value[2 * N :], want[2 * N :], 1e-12)
        close(slope, want_slope, 1e-11)
        close(reverse(jnp.array(x)), np.arange(2 * N) @ want_slope[: 2 * N], 1e-11)


def test_sweeps_to_second_order_in_a_batch():
    """Forward over reverse, for two lattices at once, against differences of the gradient."""

    def f(x):
        p, _ = exchange_populations(lattice(20, 1.0, x[0], jnp.linspace(x[1], 0.4, 20), True))
        return p @ np.arange(20.0)

    xs, direction = jnp.array([[1.3, 0.8], [0.6, 0.5]]), jnp.array([1.0, 0.7])
    slope, second = jax.jit(jax.vmap(lambda x: jax.jvp(jax.grad(f), (x,), (direction,))), compiler_options=QUICK)(xs)
    gradient = jax.jit(jax.vmap(jax.grad(f)), compiler_options=QUICK)
    close(gradient(xs), slope, 1e-13)
    d = [(gradient(xs + h * direction) - gradient(xs - h * direction)) / (2 * h) for h in (2e-4, 1e-4)]
    close(second, (4 * d[1] - d[0]) / 3, 1e-8)


def test_populations_of_1e_minus_40():
    """A cold lattice, every population against 60-digit elimination."""
    h, g = 1.0, 0.75
    T = np.linspace(0.02, 0.012, 6)
    E, w = np.asarray(h + 2 * g * open_chain.cosines(6)), open_chain.shares(6)
    with mpmath.workdps(120):
        W = mpmath.zeros(12, 12)
        for m in range(6):
            for k in range(6):
                # Shares and energies are taken as they are rounded; what they lead to is exact.
                size, x = abs(mpmath.mpf(E[m])), mpmath.mpf(E[m]) / mpmath.mpf(T[k])
                W[6 + m, k] = mpmath.mpf(w[m, k]) * mpmath.mpf(T[k]) * x / mpmath.expm1(x) / size
                W[k, 6 + m] = mpmath.mpf(w[m, k]) * mpmath.mpf(T[k]) * x / -mpmath.expm1(-x) / size
        for j in range(12):
            W[j, j] = -mpmath.fsum(W[i, j] for i in range(12) if i != j)
        for j in range(12):
            W[11, j] = 1
        exact = mpmath.lu_solve(W, mpmath.matrix([0] * 11 + [1]))
    p = solve(lattice(6, h, g, jnp.asarray(T), False))
    assert float(min(exact)) < 1e-40
    assert max(abs(float(mpmath.mpf(float(x)) / y - 1)) for x, y in zip(p, exact, strict=True)) < 1e-12


def test_failures():
    with pytest.raises(qd.SolveError, match="the stationary populations are not finite or not unique"):
        exchange_populations(exchange(0, 2, 3, [np.nan, 1.0]))
    # Two levels and two sites that nothing joins.
    one = exchange(0, 2, 2, holes=((0, 1), (1, 0)))
    with pytest.raises(qd.SolveError, match="the stationary populations are not finite or not unique"):
        exchange_populations(one)
