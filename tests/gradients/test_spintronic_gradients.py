"""Derivatives of the spintronic engine: against references, forward against reverse, second order, and where things vanish."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engines import DATA, GEN1, NAMES, engine
from helpers import close, derivative

import qdiff as qd
from qdiff.models.base import sharing

PARAMETERS = [name for name, p in qd.models.SpintronicEngine.parameters().items() if not p.static]
MERITS = list(qd.models.SpintronicEngine.merits())


def every(model):
    """All figures of merit, and the entropies of the limit cycle."""
    with sharing():
        end = model.limit_cycle()
        return jnp.stack([*(getattr(model, name)() for name in MERITS), end.entropy_change, end.entropy_before])


@jax.jit
def look(model):
    """The values of `every`, and their gradients by reverse mode, (outputs, parameters)."""
    slopes = jax.jacrev(every)(model)
    return every(model), jnp.stack([getattr(slopes, name) for name in PARAMETERS], axis=1)


def power(model):
    """The power, and its gradient (parameters,)."""
    values, slopes = look(model)
    at = MERITS.index("power")
    return float(values[at]), np.asarray(slopes[at])


@pytest.mark.parametrize("key", DATA["gradient"])
def test_power(key):
    """dP in every parameter, tau included: 1e-12 at generic rates, 3e-8 of each where phases are thousands of radians."""
    table = DATA["gradient"][key]
    value, got = power(engine(table["params"], table["tau"]))
    close(value, table["P"], 1e-12)
    tol = 1e-12 if key == "GEN1" else 3e-8
    found = dict(zip(PARAMETERS, got, strict=True))
    for name, want in table["richardson"].items():
        assert abs(found[NAMES.get(name, name)] - want) <= tol * abs(want) + 1e-15, (name, found, want)
    assert found["eps_down"] + found["eps_right"] == pytest.approx(0, abs=1e-10 * abs(found["eps_down"]) + 1e-12)


def test_forward_against_reverse():
    forward = jax.jit(jax.jacfwd(lambda m: m.power()))
    for table in DATA["gradient"].values():
        model = engine(table["params"], table["tau"])
        slope = forward(model)
        close([float(getattr(slope, name)) for name in PARAMETERS], power(model)[1], 1e-10)


def test_every_merit():
    """Derivatives of all figures of merit and entropies at generic rates, in all parameters, against differences."""
    model = engine(GEN1, 0.8, measurement_strength=0.9)

    def values(x):
        return look(model.replace(**dict(zip(PARAMETERS, x, strict=True))))[0]

    at = np.array([float(getattr(model, name)) for name in PARAMETERS])
    for name, got, want in zip([*MERITS, "rise", "entropy"], look(model)[1], derivative(values, at, 1e-2).T, strict=True):
        assert np.abs(want).max() > 1e-6, name
        close(got, want, 1e-6)


@pytest.mark.slow
def test_second_order():
    """Forward over reverse: the Hessian in gamma, U and tau against differences of the gradient."""
    model = engine(GEN1, 0.8)
    names = ("gamma", "U", "tau")

    def value(x):
        return model.replace(**dict(zip(names, x, strict=True))).power()

    def slope(x):
        return power(model.replace(**dict(zip(names, x, strict=True))))[1][[PARAMETERS.index(name) for name in names]]

    at = np.array([1.3, 6.5, 0.8])
    close(jax.jit(jax.hessian(value))(at), derivative(slope, at, 1e-2), 1e-7)


def test_without_bosons():
    """Delta E and its derivatives in all but the boson rates vanish exactly; those in the boson rates do not, and none is NaN."""
    model = engine({**GEN1, "Lm": 0.0, "Lp": 0.0}, 0.8)
    value, got = power(model)
    assert np.all(np.isfinite(got)) and value == 0
    bosons = np.array([name.startswith("boson") for name in PARAMETERS])
    assert np.all(got[~bosons] == 0) and np.all(np.abs(got[bosons]) > 1e-2)
    few = [power(model.replace(boson_up=up))[0] for up in (1e-6, 2e-6)]
    close((4 * few[0] - few[1]) / 2e-6, got[PARAMETERS.index("boson_up")], 1e-6)
    values, slopes = map(np.asarray, look(model))
    undefined = np.isnan(values)
    assert undefined.tolist() == [name == "affinity" for name in MERITS] + [False, False]
    assert values[MERITS.index("entropy_production")] == 0 and np.all(np.isfinite(slopes))


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
        value, slope = power(engine({**GEN1, **case}, 0.8))
        assert np.isfinite(value) and np.all(np.isfinite(slope)), case
        idle = {"TLm", "TLp"} <= set(case) or {"TRm", "TRp"} <= set(case) or "U" in case
        assert (abs(value) < 1e-15) == idle, case


def test_the_series_and_its_derivative():
    """d Delta E_n by reverse mode through the powers, against differences."""
    model = engine(GEN1, 0.8)

    def late(x):
        return model.replace(tau=x[0], gamma=x[1]).series(jnp.array([1, 2, 7, 1000]), "ud")

    both = jax.jit(lambda x: (late(x), jax.jacrev(late)(x)))
    at = np.array([0.8, 1.3])
    close(both(at)[1], derivative(lambda x: both(x)[0], at, 1e-2).T, 1e-7)
