"""Derivatives of the spintronic engine: against references, forward against reverse, second order, and where things vanish."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engines import DATA, GEN1, NAMES, engine
from helpers import close, derivative

import qdiff as qd

PARAMETERS = [name for name, p in qd.models.SpintronicEngine.parameters().items() if not p.static]
reverse = jax.jit(jax.grad(lambda m: m.power()))
forward = jax.jit(jax.jacfwd(lambda m: m.power()))


def column(gradient):
    return np.array([float(getattr(gradient, name)) for name in PARAMETERS])


@pytest.mark.parametrize("key", DATA["gradient"])
def test_power(key):
    """dP in every parameter, tau included: 1e-13 at generic rates, 3e-8 of each where phases are thousands of radians."""
    table = DATA["gradient"][key]
    model = engine(table["params"], table["tau"])
    tol = 1e-12 if key == "GEN1" else 3e-8
    got = reverse(model)
    for name, want in table["richardson"].items():
        value = float(getattr(got, NAMES.get(name, name)))
        assert abs(value - want) <= tol * abs(want) + 1e-15, (name, value, want)
    assert got.eps_down + got.eps_right == pytest.approx(0, abs=1e-10 * abs(float(got.eps_down)) + 1e-12)
    close(column(forward(model)), column(got), 1e-10)


def test_other_figures():
    """cycles_to_converge, heat_left, entropy_production and the entropy's rise at generic rates, against differences."""
    model = engine(GEN1, 0.8)
    some = ["gamma", "left_in", "boson_down", "tau", "measurement_strength"]

    @jax.jit
    def values(x):
        m = model.replace(**dict(zip(some, x, strict=True)))
        end = m.limit_cycle()
        return jnp.stack([m.cycles_to_converge(), m.heat_left(), m.entropy_production(), end.entropy_change, end.entropy_before])

    at = jnp.array([1.3, 0.21, 0.13, 0.8, 0.9])
    close(jax.jit(jax.jacrev(values))(at), jax.jit(jax.jacfwd(values))(at), 1e-9)
    close(jax.jit(jax.jacfwd(values))(at), derivative(values, at, 1e-2).T, 1e-6)


def test_second_order():
    """Forward over reverse: the Hessian in gamma, U and tau against differences of the gradient."""
    model = engine(GEN1, 0.8)

    def power(x):
        return model.replace(gamma=x[0], U=x[1], tau=x[2]).power()

    at = jnp.array([1.3, 6.5, 0.8])
    slope = jax.jit(jax.grad(power))
    close(jax.jit(jax.hessian(power))(at), derivative(slope, at, 1e-2), 1e-7)


def test_without_bosons():
    """Delta E and its derivatives in all but the boson rates vanish exactly; those in the boson rates do not, and none is NaN."""
    model = engine({**GEN1, "Lm": 0.0, "Lp": 0.0}, 0.8)
    found = reverse(model)
    got = column(found)
    assert np.all(np.isfinite(got)) and float(model.power()) == 0
    bosons = np.array([name.startswith("boson") for name in PARAMETERS])
    assert np.all(got[~bosons] == 0) and np.all(np.abs(got[bosons]) > 1e-2)
    few = jax.vmap(lambda up: model.replace(boson_up=up).power())(jnp.array([1e-6, 2e-6]))
    close((4 * few[0] - few[1]) / 2e-6, float(found.boson_up), 1e-6)
    every = qd.evaluate(model, gradient=True)
    assert np.isnan(every.figures["affinity"]) and every.figures["entropy_production"] == 0
    for name, gradient in every.gradients.items():
        assert np.all(np.isfinite(list(gradient.values()))), name


def test_closed_leads_and_degenerate_levels():
    """A lead that only fills, or only empties, or is shut; Delta = 0 and U = 0: values and derivatives stay finite."""
    cases = [
        {"TLp": 0.0},
        {"TLm": 0.0},
        {"TRp": 0.0},
        {"TLm": 0.0, "TLp": 0.0},
        {"TRm": 0.0, "TRp": 0.0},
        {"eps_down": 0.4, "U": 0.0},
        {"Lm": 0.0},
    ]
    for case in cases:
        model = engine({**GEN1, **case}, 0.8)
        assert np.isfinite(float(model.power())) and np.all(np.isfinite(column(reverse(model)))), case
        idle = {"TLm", "TLp"} <= set(case) or {"TRm", "TRp"} <= set(case) or "U" in case
        assert (abs(float(model.power())) < 1e-15) == idle, case


def test_a_batch():
    """Under vmap the same numbers as one by one."""
    model = engine(GEN1, 0.8)
    gammas = jnp.array([0.2, 1.3, 30.0])
    batch = jax.jit(jax.vmap(jax.grad(lambda g: model.replace(gamma=g).power())))(gammas)
    close(batch, [reverse(model.replace(gamma=g)).gamma for g in gammas], 1e-11)


def test_the_series_and_its_derivative():
    """d Delta E_n by reverse mode through the powers, against differences."""
    model = engine(GEN1, 0.8)

    def late(x):
        return model.replace(tau=x[0], gamma=x[1]).series(jnp.array([1, 2, 7, 1000]), "ud")

    at = jnp.array([0.8, 1.3])
    close(jax.jit(jax.jacrev(late))(at), derivative(jax.jit(late), at, 1e-2).T, 1e-7)
