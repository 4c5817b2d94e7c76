"""Derivatives of the thermophoresis models in every parameter, against complex steps and differences, and at degenerate points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd
from qdiff.models.base import sharing

QUICK = {"xla_backend_optimization_level": 0}
Lattice = qd.models.ThermophoreticLattice
N = 10


def observed(h, g, T, spectrum):
    """(<k>, P_3, p_g of site 7, p of level 2, heat into site 4) by a plain solve of the 2N equations, of complex numbers too."""
    m = np.arange(1, N + 1)
    w = 2 / (N + 1) * np.sin(np.pi * np.outer(m, m) / (N + 1)) ** 2
    E = (h + 2 * g * np.cos(np.pi * m / (N + 1)))[:, None]
    T = np.asarray(T)[None]
    down = E / (1 - np.exp(-E / T))
    up = down * np.exp(-E / T)
    if spectrum == "flat":
        size = np.where(E.real > 0, E, -E)
        down, up = down / size, up / size
    W = np.zeros((2 * N, 2 * N), complex)
    W[N:, :N], W[:N, N:] = w * up, (w * down).T
    W -= np.diag(W.sum(0))
    W[0] = 1
    p = np.linalg.solve(W, np.eye(2 * N)[0])
    P = p[:N] + w.T @ p[N:]
    heat = np.sum(E[:, 0] * w[:, 3] * (up[:, 3] * p[3] - down[:, 3] * p[N:]))
    return np.array([m @ P, P[2], p[6], p[N + 1], heat])


@jax.jit
def same(model):
    with sharing():
        state = model.steady()
        parts = (model.mean_site(), state.site_populations[2], state.ground_populations[6], state.level_populations[1])
        return jnp.stack([*parts, model.heat_currents()[3]])


forward = jax.jit(jax.jacfwd(same), compiler_options=QUICK)
reverse = jax.jit(jax.jacrev(same), compiler_options=QUICK)


@pytest.mark.parametrize("spectrum", ["flat", "ohmic"])
def test_in_every_parameter_with_ten_free_temperatures(spectrum):
    """Forward and reverse against complex steps at random points, warm and cold, either sign of g."""
    rng = np.random.default_rng(8)
    for k in range(3):
        h, g, T = rng.uniform(0.7, 1.5), rng.uniform(-2, 2), rng.uniform(0.15 if k else 0.04, 1.0, N)
        x = np.r_[h, g, T]
        want = np.stack([observed(*(y := x + 1e-30j * e)[:2], y[2:], spectrum).imag / 1e-30 for e in np.eye(N + 2)], axis=1)
        model = Lattice(h=h, g=g, temperatures=T, spectrum=spectrum)
        close(same(model), observed(h, g, T, spectrum).real, 1e-13, scale=1.0)
        for slope in (forward(model), reverse(model)):
            got = np.concatenate([np.stack([slope.h, slope.g], axis=1), slope.temperatures], axis=1)
            for mine, reference in zip(got, want, strict=True):
                close(mine, reference, 1e-11)
            assert np.abs(slope.rate[:4]).max() < 1e-12  # populations do not depend on it


def test_second_order():
    """Symmetric, forward over reverse, equal to differences of the gradient; ten temperatures, g and h."""
    at = np.r_[1.0, 1.3, np.linspace(0.8, 0.4, N)]

    def S(x):
        return Lattice(h=x[0], g=x[1], temperatures=x[2:]).thermophoresis()

    slope = jax.jit(jax.grad(S), compiler_options=QUICK)
    second = np.asarray(jax.jit(jax.jacfwd(jax.grad(S)), compiler_options=QUICK)(at))
    close(second, second.T, 1e-12)
    close(second, derivative(slope, at, h=2e-3), 1e-7)


def test_the_linear_profile_is_the_chain_rule():
    model = Lattice(g=1.3)
    ends, free = forward(model), forward(model.replace(temperatures=model.profile()))
    s = np.arange(N) / (N - 1)
    close(ends.T_left, free.temperatures @ (1 - s), 1e-13)
    close(ends.T_right, free.temperatures @ s, 1e-13)


def test_equal_temperatures():
    """S vanishes for every g there, so that its slopes in g and h do, but not those in the temperatures."""
    model = Lattice(g=1.3, T_left=0.5, T_right=0.5)
    slope = jax.jit(jax.grad(lambda m: m.thermophoresis()))(model)
    assert max(abs(slope.g), abs(slope.h)) < 1e-13 and abs(slope.T_left) > 1e-2
    close(slope.T_left, -slope.T_right, 1e-12)


def test_at_a_level_crossing():
    """Exactly where a level meets the ten degenerate ground states: the slope from the side E > 0, and its own slope."""

    # 2 g cos = -h without rounding: three sites, whose levels are h and h -+ sqrt(2) g.
    def merits(g):
        model = Lattice(sites=3, h=jnp.sqrt(2.0) * jnp.float64(1.0), g=g)
        return jnp.stack([model.mean_site(), model.site_populations()[0], model.level_populations()[2]])

    value, slope, second = (jax.jit(f, compiler_options=QUICK) for f in (merits, jax.jacfwd(merits), jax.jacfwd(jax.jacrev(merits))))
    assert abs(float(Lattice(sites=3, h=np.sqrt(2.0), g=1.0).level_energies()[2])) < 1e-15
    below = 1 - 1e-12  # g below the crossing: E > 0
    h = 1e-4
    one_sided = (11 * value(1.0) - 18 * value(1 - h) + 9 * value(1 - 2 * h) - 2 * value(1 - 3 * h)) / (6 * h)
    close(slope(below), one_sided, 1e-8)
    other = (-11 * value(1.0) + 18 * value(1 + h) - 9 * value(1 + 2 * h) + 2 * value(1 + 3 * h)) / (6 * h)
    close(slope(1 + 1e-12), other, 1e-8)
    assert np.abs(slope(below) - slope(1 + 1e-12)).max() > 0.1  # a kink
    assert np.all(np.isfinite(slope(1.0))) and np.all(np.isfinite(second(1.0)))
    side = below if np.abs(slope(1.0) - slope(below)).max() < np.abs(slope(1.0) - slope(1 + 1e-12)).max() else 1 + 1e-12
    close(slope(1.0), slope(side), 1e-9)
    close(second(1.0), second(side), 1e-8)


def test_exactly_zero_energy_is_taken_from_above():
    """E_m = 0 to the last bit, by an even number of sites with h = 2 g cos exactly: the slope is that of E > 0."""
    cosine = 2 * np.sin(np.pi / 6)  # the levels of two sites are h + g and h - g
    assert cosine == pytest.approx(1.0)

    def mean(h):
        return Lattice(sites=2, h=h, g=1.0, T_left=0.9, T_right=0.3).mean_site()

    energy = float(Lattice(sites=2, h=1.0, g=1.0).level_energies()[1])
    at = 1.0 - energy
    assert float(Lattice(sites=2, h=at, g=1.0).level_energies()[1]) == 0.0
    slope, second = jax.jit(jax.grad(mean)), jax.jit(jax.grad(jax.grad(mean)))
    close(slope(at), slope(at + 1e-12), 1e-9)
    close(second(at), second(at + 1e-12), 1e-8)
    assert abs(slope(at) - slope(at - 1e-12)) > 0.05
    assert float(mean(at)) == pytest.approx(1.5, abs=1e-15)


@pytest.mark.parametrize("kind", [qd.models.LambdaSystem, qd.models.VSystem])
def test_three_levels(kind):
    """Every figure of merit in every parameter against differences, forward and reverse; the Hessian of two of them."""
    names = list(kind.parameters())
    merits = [n for n in kind.merits() if n not in ("populations", "heat_current_1", "heat_current_2")]

    def f(x, merits=merits):
        model = kind(**dict(zip(names, x, strict=True)))
        with sharing():
            return jnp.stack([getattr(model, n)() for n in merits])

    def two(x):
        return f(x, ("imbalance", "slow_rate"))

    x = np.array([1.0, 1.3, 0.9, 0.6, 0.7, 1.4])
    value, slope = (jax.jit(g, compiler_options=QUICK) for g in (f, jax.jacfwd(f)))
    close(slope(x), np.asarray(derivative(value, x)).T, 1e-9)
    first, second = (jax.jit(g, compiler_options=QUICK) for g in (jax.jacrev(two), jax.jacfwd(jax.jacrev(two))))
    close(first(x), slope(x)[np.array([merits.index("imbalance"), merits.index("slow_rate")])], 1e-14)
    close(second(x), np.moveaxis(derivative(first, x), 0, -1), 1e-8)


def test_of_transients_gaps_and_dufour_currents():
    """In h, g, the rate and a temperature, against differences."""

    def f(x):
        model = Lattice(sites=4, h=x[0], g=x[1], T_left=x[2], rate=x[3])
        moving = model.evolution(jnp.array([0.7, 3.0]), jnp.eye(8)[1])
        return jnp.concatenate([moving.site_populations.ravel(), model.relaxation_gap()[None], model.dufour_currents(jnp.full(8, 1 / 8))])

    x = np.array([1.0, 0.9, 0.8, 1.2])
    value, slope = (jax.jit(g, compiler_options=QUICK) for g in (f, jax.jacfwd(f)))
    close(slope(x), np.asarray(derivative(value, x)).T, 1e-9)


def test_batches():
    """A hundred lattices at once are those one by one, values and gradients."""
    gs = jnp.linspace(0.2, 3.0, 7)

    def both(g):
        return jax.value_and_grad(lambda g: Lattice(g=g, sites=6).thermophoresis())(g)

    values, slopes = jax.jit(jax.vmap(both), compiler_options=QUICK)(gs)
    one = jax.jit(both, compiler_options=QUICK)
    for k, g in enumerate(gs):
        close(values[k], one(g)[0], 1e-14, scale=1.0)
        close(slopes[k], one(g)[1], 1e-12)
