"""Steady ensembles: found at any parameters, unique, exact at strong tilts; roots with implicit derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd
from qdiff.linalg.roots import Root, implicit, search


def fermi(tilt, filling):
    """1/(1 + e^{tilt - mu}) of the given filling, by bisection."""
    low, high = tilt.min() - 50, tilt.max() + 50
    for _ in range(200):
        mu = (low + high) / 2
        n = 1 / (1 + np.exp(np.clip(tilt - mu, -700, 700)))
        low, high = (mu, high) if n.sum() / tilt.shape[-1] < filling else (low, mu)
    return n


@pytest.mark.parametrize("beta", [0.0, 2.0, 50.0, 200.0])
def test_one_bath_is_gibbs(beta):
    model = qd.models.RashbaRectifier(drive=0.0, beta=beta, filling=0.7, length=64)
    tilt = beta * np.asarray(model.band_energies())
    close(model.occupations(), fermi(tilt, 0.7), 1e-12, scale=1.0)


def test_two_baths_of_different_temperature():
    """The general case of several tilted channels: stationary, and Gibbs when the temperatures are equal."""
    energies = jnp.asarray(np.random.default_rng(0).normal(size=40))

    def weights(betas, energies):
        return {"hot": qd.channels.Channel(tilt=betas[0] * energies), "cold": qd.channels.Channel(0.5, 2.0, tilt=betas[1] * energies)}

    for betas in ((2.0, 2.0), (1.0, 40.0), (300.0, 0.1)):
        channels = qd.channels.Channels({"hot": 0.4, "cold": 0.6}, weights, energies, parameters=betas)
        n = channels.steady_state(0.3).occupations()
        assert float(jnp.mean(n)) == pytest.approx(0.3, abs=1e-14)
        close(channels.right_hand_side(n), np.zeros(40), 1e-13, scale=float(channels.decay(n).max()))
        if betas[0] == betas[1]:
            close(n, fermi(2.0 * np.asarray(energies), 0.3), 1e-13)


@pytest.mark.parametrize("beta", [6.0, 50.0, 200.0])
def test_no_failure_anywhere(beta):
    """A thousand random points of each model, limits of the drive included: solved, of the right filling, stationary."""
    rng = np.random.default_rng(int(beta))
    u = rng.uniform(size=(1000, 7))
    u[:25, 0], u[25:50, 0] = 0, 1
    filling = 0.02 + 0.96 * u[:, 6]

    def raman(u, f):
        d = 4 * u[2:6] - 2
        return qd.models.RamanRectifier(u[0], beta * u[1], d[0], d[1], d[2], d[3], f, length=256)

    def rashba(u, f):
        return qd.models.RashbaRectifier(u[0], beta * u[1], 2 * u[2], 2 * u[3], 2 * u[4], u[5], 2 * f, length=256)

    @jax.jit
    @jax.vmap
    def look(u, f):
        out = []
        for model, per_band in ((raman(u, f), 1), (rashba(u, f), 2)):
            state, channels = model.ensemble(), model.channels()
            n = state.occupations()
            rest = jnp.max(jnp.abs(channels.right_hand_side(n))) / jnp.max(channels.decay(n))
            out.append((model.current(), jnp.mean(n) * per_band - model.filling, rest, state.steps))
        return out

    with qd.failures("nan"):
        for current, off, rest, steps in look(jnp.asarray(u), jnp.asarray(filling)):
            assert np.all(np.isfinite(current)) and np.abs(off).max() < 1e-13 and steps.max() <= 30
            assert np.nanmax(rest) < 1e-14  # the rates themselves overflow at beta = 200 for some


def test_more_modes_than_the_sample():
    """A long chain starts from a short one, and needs one or two rounds more; without a sample it finds the same."""
    model = qd.models.RashbaRectifier(length=5000, drive=0.999)
    state = model.ensemble()
    c = model.channels()
    plain = qd.channels.Channels(dict(zip(c.names, c.rates, strict=True)), c.weights, c.modes, c.parameters).steady_state(1.0)
    close(state.moments, plain.moments, 1e-12)
    assert int(state.steps) <= int(plain.steps) + 4


def test_untouched_modes_are_counted():
    state = qd.models.RashbaRectifier(drive=1.0, length=16).ensemble()
    assert int(state.untouched()) == 2 and int(qd.models.RashbaRectifier(length=16).ensemble().untouched()) == 0


def test_what_is_not_determined_is_refused():
    """Dephasing of both spins without spin flips and without a bath conserves each spin."""
    model = qd.models.RashbaRectifier(drive=1.0, dephasing_up=0.5, alpha_z=0.0, length=16)
    with pytest.raises(qd.SolveError, match="the steady ensemble was not found: channels that do not join all modes"):
        model.current()


def test_impossible_filling():
    c = qd.models.RamanRectifier(length=16).channels()
    with pytest.raises(qd.SolveError, match="filling must be above 0 and below the number of bands"):
        c.steady_state(1.5)


def test_roots():
    """x^3 + x = a and y = x: value, first and second derivatives in both modes; and a root that is not there."""

    def residual(x, a):
        return jnp.stack([a - x[0] ** 3 - x[0], x[0] - x[1]])

    def solve(a) -> Root:
        return search(lambda x: (residual(x, a), jax.jacfwd(residual)(x, a)), jnp.zeros(2), jnp.ones(2), 1.0)

    def root(a):
        return implicit(solve, residual, a).x[0]

    x = float(root(10.0))
    assert x == pytest.approx(2.0, abs=1e-15)
    for d in (jax.grad(root), jax.jacfwd(root)):
        assert float(d(10.0)) == pytest.approx(1 / 13, abs=1e-15)
    assert float(jax.grad(jax.grad(root))(10.0)) == pytest.approx(-6 * x / 13**3, abs=1e-15)
    assert float(jax.hessian(root)(10.0)) == pytest.approx(-6 * x / 13**3, abs=1e-15)
    close(derivative(lambda a: root(float(a[0])), [10.0]), [1 / 13], 1e-9)
    found = search(lambda x: (x**2 + 1, 2 * jnp.diag(x)), jnp.ones(1), jnp.ones(1), 1.0)
    assert bool(found.failed)


def test_channels_without_a_tilt():
    """Infinitely hot baths fill all modes alike."""
    flat = qd.channels.Channels({"hot": 1.0}, lambda p, energies: {"hot": qd.channels.Channel()}, jnp.linspace(-1, 1, 5), 1.0)
    close(flat.steady_state(0.4).occupations(), np.full(5, 0.4), 1e-14)


def test_a_channel_that_is_not_used_does_not_matter():
    """However strong its tilt would be."""
    energies = jnp.linspace(-1, 1, 5)

    def weights(p, energies):
        return {"used": qd.channels.Channel(tilt=2 * energies), "not": qd.channels.Channel(tilt=4000 * energies, gain=1 + energies**2)}

    alone = qd.channels.Channels({"used": 0.7}, lambda p, e: {"used": weights(p, e)["used"]}, energies, 1.0)
    both = qd.channels.Channels({"used": 0.7, "not": 0.0}, weights, energies, 1.0)
    close(both.steady_state(0.3).occupations(), alone.steady_state(0.3).occupations(), 1e-13)


@pytest.mark.parametrize("filling", [0.1, 0.4, 0.5, 0.9])
def test_few_steps(filling):
    """A guard of the cost, which no formula gives: four steps of Newton's method here; one where the start is the answer."""
    energies = jnp.linspace(-1, 1, 5)

    def weights(p, energies):
        return {"hot": qd.channels.Channel(tilt=0.5 * energies), "cold": qd.channels.Channel(tilt=3 * energies, gain=1 + 0.3 * energies)}

    assert int(qd.channels.Channels({"hot": 1.0, "cold": 0.5}, weights, energies, 1.0).steady_state(filling).steps) <= 4
    flat = qd.channels.Channels({"hot": 1.0}, lambda p, energies: {"hot": qd.channels.Channel()}, energies, 1.0)
    assert int(flat.steady_state(filling).steps) == 1
