"""A parameter that turns out to be no number at run time: whatever depends on it is none either, or an error; never a number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd
from qdiff.models.base import as_number, sharing
from qdiff.studies.search.parameters import Flat

MODELS = {
    "rotor-engine": {"l_min": -3, "l_max": 3},
    "rotor-rectifier": {"l_min": -3, "l_max": 3},
    "spintronic-engine": {},
    "lambda-system": {},
    "v-system": {},
    "thermophoretic-lattice": {"sites": 4},
    "raman-rectifier": {"length": 8},
    "rashba-rectifier": {"length": 8},
    "active-particle": {"points": 24, "phonon_range": 0.3, "cells": 256},
}


def test_every_model_is_here():
    assert set(MODELS) == set(qd.models.NAMES)


def silent(values, x0) -> list[str]:
    """The outputs of `values`, x (n,) -> name -> array, that depend on an entry of x and yet are numbers where it is none."""
    n, points = len(x0), [x0]
    for k in range(n):
        points.append(np.where(np.arange(n) == k, np.where(x0 == 0, 1e-3, 1.003 * x0), x0))
    points += [np.where(np.arange(n) == k, np.nan, x0) for k in range(n)]
    out = {name: np.asarray(v).reshape(2 * n + 1, -1) for name, v in jax.jit(jax.vmap(values))(jnp.asarray(points)).items()}
    found = []
    for name, v in out.items():
        assert np.isfinite(v[0]).all(), name
        for k in range(n):
            depends = np.abs(v[1 + k] - v[0]) > 1e-9 * np.abs(v[0])
            found += [f"{name} of {k}"] if np.isfinite(v[1 + n + k][depends]).any() else []
    return found


def test_silent_can_fail():
    assert silent(lambda x: {"a": jnp.maximum(x[0], 0.0) + jnp.where(x[1] > 0, x[1], 0.0)}, np.array([1.0, 2.0])) == ["a of 1"]


def slowly(names, *slow):
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


@pytest.mark.parametrize("name", slowly(MODELS, "active-particle"))
def test_merits_of_models(name):
    """Every figure of merit that depends on a parameter, for every parameter."""
    kind = getattr(qd.models, qd.models.NAMES[name].split(":")[1])
    flat = Flat.of(kind(**MODELS[name]), None)

    def values(x):
        with qd.failures("nan"), sharing():
            model = flat.at(x)
            return {merit: as_number(merit, getattr(model, merit)()) for merit in kind.merits()}

    assert silent(values, flat.x0) == []


Q = qd.Space(q=qd.Spin()).q
PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
MIXED = np.array([[0.6, 0.3], [0.3, 0.4]])
TIMES = jnp.array([0.4, 1.0])


def qubit(x):
    """An energy, a rate and a drive."""
    return qd.Lindblad(x[0] * Q.z + x[2] * Q.x, {"b": [(x[1], Q.minus), (0.2, Q.plus)]})


def pair(x):
    couplings = {
        "hot": (PAIR.a.x, qd.BosonicBath(x[1], qd.baths.Ohmic(0.1))),
        "cold": (PAIR.b.x, qd.BosonicBath(x[2], qd.baths.Ohmic(0.2))),
    }
    return qd.secular(x[0] * PAIR.a.z + 0.8 * PAIR.b.z + 0.1 * PAIR.a.x @ PAIR.b.x, couplings)


def evolved(solver):
    return lambda x: qd.evolve(qubit(x), MIXED, TIMES, expect=[Q.x, Q.y, Q.z], solver=solver).expectations


def rates(x):
    return qd.rates.Rates(jnp.array([0.0, 1.0, 2.0]), {"b": [(0, 1, x[0]), (1, 0, x[1]), (1, 2, x[2]), (2, 0, 0.3)]})


def hops(x):
    """Between neighbours in a potential, in detailed balance: nothing oscillates."""
    U = x[1] * jnp.cos(jnp.arange(8)) + x[2] * jnp.sin(jnp.arange(8))
    down, up = (jnp.exp((U - jnp.roll(U, shift)) / 2) for shift in (1, -1))
    return qd.momentum.Scattering(x[0] * jnp.stack([down, 0 * down, up])[:, None, None, :])


def ring(x):
    return qd.momentum.DriftDiffusion(lambda k: x[0] + x[1] * jnp.sin(k), lambda k: 1 + x[2] * jnp.cos(k) ** 2)


ENERGIES = jnp.linspace(-1, 1, 5)


def channels(x):
    def weights(p, energies):
        return {
            "hot": qd.channels.Channel(tilt=p[0] * energies),
            "cold": qd.channels.Channel(tilt=p[1] * energies, gain=1 + 0.1 * energies),
        }

    return qd.channels.Channels({"hot": 1.0, "cold": x[2]}, weights, ENERGIES, x)


def bloch(x):
    lower = np.array([[0.0, 1.0], [0.0, 0.0]])

    def function(k, p):
        return p[0] * jnp.cos(k) * np.diag([1.0, -1.0]) + 0.3 * (lower + lower.T), [(p[1], lower), (p[2] * (1 + jnp.sin(k) ** 2), lower.T)]

    return qd.bloch.BlochModel(function, x)


def cycle(x):
    return qd.cycles.Cycle([qd.cycles.Free(qubit(x), 1.0), qd.cycles.Measurement(Q.x, 0.5)])


def counted(x):
    state = qd.steady_state(qubit(x))
    return qd.cumulants(state, "b", (-1.0, 1.0), order=2)


def thermodynamics(x):
    state = qd.steady_state(pair(x))
    heat = qd.currents(state, state.generator.hamiltonian)
    return [*heat.values(), qd.thermo.entropy(state.rho), qd.thermo.ergotropy(state.rho, state.generator.hamiltonian)]


def with_state(function):
    return lambda x: function(qubit(x), qd.steady_state(qubit(x)))


MOMENTA, CELLS, FILLED = jnp.linspace(-3, 3, 7), jnp.full(16, 1 / 16), jnp.full(5, 0.4)
SOLVES = {
    "steady state": lambda x: qd.steady_state(qubit(x)).expect(Q.x),
    "thermodynamics": thermodynamics,
    **{
        f"evolve, {solver!r}": evolved(solver)
        for solver in (qd.solvers.Propagator(), qd.solvers.Action(), qd.solvers.Explicit(), qd.solvers.Stiff())
    },
    "correlation": with_state(lambda m, s: jnp.abs(qd.correlation(s, Q.plus, Q.minus, TIMES))),
    "spectrum": with_state(lambda m, s: qd.spectrum(s, Q.plus, Q.minus, TIMES)),
    "noise": with_state(lambda m, s: qd.zero_frequency_noise(s, Q.z)),
    "counting": counted,
    "relaxation": lambda x: qd.relax(qubit(x)).gap,
    "limit cycle": lambda x: [cycle(x).steady_state().x, cycle(x).steady_state().measured],
    "cycle by cycle": lambda x: cycle(x).evolve(MIXED).measured(3),
    "populations in time": lambda x: rates(x).evolve(jnp.array([0.2, 0.3, 0.5]), TIMES),
    "stationary populations": lambda x: rates(x).steady_state(),
    "slowest decay": lambda x: qd.rates.slowest_decay(rates(x)),
    "scattering": lambda x: hops(x).steady_state(),
    "scattering in time": lambda x: hops(x).evolve(jnp.eye(8)[:1], TIMES, method="dense"),
    "scattering in time, rational": lambda x: hops(x).evolve(jnp.eye(8)[:1], TIMES, method="rational"),
    "slowest scattering": lambda x: hops(x).relax(),
    "density": lambda x: ring(x).steady_state(256).density,
    "cells": lambda x: qd.momentum.finite_volumes(ring(x), 16).steady_state(),
    "cells in time": lambda x: qd.momentum.finite_volumes(ring(x), 16).evolve(CELLS, TIMES),
    "ensemble": lambda x: channels(x).steady_state(0.4).occupations(),
    "ensemble in time": lambda x: channels(x).evolve(FILLED, TIMES),
    "blocks": lambda x: bloch(x).steady_velocity(MOMENTA),
    "mean velocity": lambda x: bloch(x).mean_velocity(MOMENTA, lambda k, p: p[0] * jnp.cos(k)),
}


@pytest.mark.parametrize("name", slowly(SOLVES, "evolve, Stiff()", "ensemble in time"))
def test_solves(name):
    """Energies, rates, temperatures and what else the equations hold, one by one, in a batch beside good points."""

    def values(x):
        with qd.failures("nan"):
            return {str(k): v for k, v in enumerate(jax.tree.leaves(SOLVES[name](x)))}

    assert silent(values, np.array([0.7, 0.4, 0.9])) == []
