"""Laws of the spintronic engine at random parameters over many decades, a hundred of them in one batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engines import DATA, engine
from helpers import close

from qdiff.models.base import sharing

RATES = ("TLm", "TLp", "TRm", "TRp", "Lm", "Lp")
FLOWS = ("energy_increment", "particles_left", "particles_boson", "heat_left", "heat_right", "heat_bosons")
MERITS = (*FLOWS, "affinity", "entropy_production")


@jax.jit
@jax.vmap
def look(model):
    with sharing():
        return {name: getattr(model, name)() for name in MERITS} | {"imbalance": model.diagnostics()["imbalance"]}


def random_points(seed, count=100):
    """Rates from 1e-3 to 10, U and gamma from 0.1 to 1000, tau from 1e-4 to 10, levels of either sign: {name: (count,)}."""
    rng = np.random.default_rng(seed)
    point = {name: 10 ** rng.uniform(-3, 1, count) for name in RATES}
    point |= {name: 10 ** rng.uniform(-1, 3, count) for name in ("U", "gamma")}
    point |= {name: 8 * rng.normal(size=count) for name in ("eps_up", "eps_down", "eps_R", "J")}
    return {**point, "tau": 10 ** rng.uniform(-4, 1, count)}


def batch(point):
    """The models of all points, as one whose parameters are arrays."""
    models = [engine({name: values[k] for name, values in point.items() if name != "tau"}, point["tau"][k]) for k in range(len(point["U"]))]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)


def test_nothing_flows_without_bosons(counted):
    """For any leads and any duration, exactly; entropy production is zero, the affinity undefined."""
    zero = np.zeros(100)
    found = look(batch({**random_points(1), "Lm": zero, "Lp": zero}))
    for name in (*FLOWS, "entropy_production"):
        assert np.all(np.asarray(found[name]) == 0), name
    assert np.all(np.isnan(found["affinity"]))
    counted("random systems", 100)


def test_nothing_flows_where_the_affinity_is_zero(counted):
    """Bosons balanced against the leads: zero to the rounding of the rates, of which one is computed from the others."""
    p = random_points(2)
    p["Lm"] = p["Lp"] * p["TLp"] * p["TRm"] / (p["TLm"] * p["TRp"])
    found = look(batch(p))
    size = np.maximum.reduce([p["U"], p["gamma"], p["Lm"] * p["tau"]])
    for name in FLOWS:
        off = np.abs(found[name])
        limit = 1e-15 * (np.maximum(p["Lm"], p["Lp"]) * p["tau"] + 1) * (1 if "particles" in name else 100 * size)
        assert np.all(off <= limit), (name, off.max())
    counted("random systems", 100)
    table = DATA["zero_affinity"]
    one = look(batch({**{k: [v] for k, v in table["params"].items()}, "tau": [table["tau"]]}))
    for name, want in (("energy_increment", "dE"), ("particles_left", "N_L"), ("heat_bosons", "Q_B")):
        close(one[name], [table[want]], 1e-15, 1)


def test_balance_and_signs(counted):
    """Energy and particles are conserved over the limit cycle; where Delta > 0 the engine energises when the affinity is negative."""
    p = random_points(3)
    found = {name: np.asarray(values) for name, values in look(batch(p)).items()}
    total = found["energy_increment"] + found["heat_left"] + found["heat_right"] + found["heat_bosons"]
    assert np.abs(total).max() < 1e-11 and np.abs(found["imbalance"]).max() < 1e-11
    close(found["particles_left"], found["particles_boson"], 1e-13, 1)
    assert np.all(found["entropy_production"] > 0)
    above = p["eps_down"] > p["eps_R"]
    assert np.all((found["energy_increment"] * found["affinity"] < 0)[above]) and above.sum() > 20
    counted("random systems", 100)


def test_some_energies_do_not_matter(counted):
    """eps_up and exchange shift conserved energies: the increment and the currents stay, the heats do not."""
    p = random_points(4)
    one, other = look(batch(p)), look(batch({**p, "eps_up": p["eps_up"] + 37, "J": p["J"] - 91}))
    for name in ("energy_increment", "particles_left"):
        assert np.all(np.abs(one[name] - other[name]) <= 1e-11 * np.abs(one[name])), name
    counted("random systems", 100)
    assert np.abs(np.asarray(one["heat_left"]) - other["heat_left"]).max() > 1
    with pytest.raises(AssertionError):
        shifted = look(batch({**p, "eps_down": p["eps_down"] + 1}))
        close(shifted["energy_increment"], one["energy_increment"], 1e-3)
