"""Bulk rectification of Yamamoto, Ashida, Kawakami (2020): reference numbers, each to its stated accuracy."""

from functools import partial
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, reference_numbers, slow_but
from scipy.optimize import brentq

import qdiff as qd
from qdiff.equations.channels import periodic_chain

DATA = reference_numbers("gge_rectifier")
RAMAN = {"gamma_neq": "drive", "beta": "beta", "dr": "delta_re", "di": "delta_im", "pr": "delta_prime_re", "pi": "delta_prime_im"}
RASHBA = {"gamma_neq": "drive", "beta": "beta", "ay": "alpha_y", "az": "alpha_z", "h": "field", "gup": "dephasing_up"}


def device(p, **given):
    """The model with the parameters of an entry; a drive that is a list stays the default."""
    given = {"beta": p["beta"], **({"length": p["L"]} if "L" in p else {}), **({"coupling": p["eps"]} if "eps" in p else {}), **given}
    if isinstance(p.get("gamma_neq"), float):
        given = {"drive": p["gamma_neq"], **given}
    if p["model"] == 1:
        deltas = zip(("delta_re", "delta_im", "delta_prime_re", "delta_prime_im"), [*p["delta"], *p["delta_prime"]], strict=True)
        return qd.models.RamanRectifier(**dict(deltas), filling=p.get("filling", 0.5), **given)
    fields = {"alpha_y": p["alpha_y"], "alpha_z": p["alpha_z"], "field": p["h"], "dephasing_up": p["gamma_up"]}
    return qd.models.RashbaRectifier(**fields, filling=p.get("filling_per_site", 1.0), **given)


def entries(start):
    return [key for key in DATA if key.startswith(start)]


def currents(model):
    if isinstance(model, qd.models.RamanRectifier):
        return {"I": model.current()}
    return {"I": model.current(), "I_up": model.current_up(), "I_down": model.current_down()}


@pytest.mark.parametrize("key", entries("m1_rhs") + entries("m2_rhs"))
def test_right_hand_side(key):
    p, value = DATA[key]["params"], DATA[key]["value"]
    model, q = device(p), np.array(p["q"])
    close(model.momenta(), q, 1e-15)
    if p["model"] == 1:
        found = model.rates(0.3 + 0.7 * np.sin(q + 0.2) + 0.5 * np.cos(2 * q))
        close(found, value, 1e-14, scale=1.0)
        return
    lagrange = np.stack([0.2 + 0.6 * np.sin(q + 0.3), -0.4 + 0.5 * np.cos(q - 0.1)])
    found = model.rates(lagrange)
    close(found.lagrange_parameters, value["dlambda"], 1e-14)
    close(found.occupations, value["dn"], 1e-14)
    n, modes = 1 / (1 + np.exp(lagrange)), periodic_chain.momenta(4)
    for name, velocities in (("I_up", model._velocities_up), ("I_down", model._velocities_down)):
        assert float(jnp.sum(velocities(modes) * n)) / 4 == pytest.approx(value[name], abs=1e-15)


@pytest.mark.parametrize("key", entries("m1_I_vs") + entries("m2_I_vs"))
def test_current_over_drive(key):
    """Figs. 3(b), 5(a), 5(b), 6(a) and other parameters."""
    p, value = DATA[key]["params"], DATA[key]["value"]
    with qd.failures("nan"):
        found = jax.jit(jax.vmap(lambda x: currents(device(p, drive=x))))(jnp.array(p["gamma_neq"]))
    for name, want in (value if isinstance(value, dict) else {"I": value}).items():
        close(found[name], want, 3e-15, scale=1.0)


@pytest.mark.parametrize("key", entries("m1_lambda_L8") + entries("m2_lambda_L8"))
def test_short_chain(key):
    model, value = device(DATA[key]["params"]), DATA[key]["value"]
    close(model.lagrange_parameters(), value["lam"], 1e-14)
    found = jax.jit(currents)(model)
    for name in found:
        assert float(found[name]) == pytest.approx(value[name], abs=1e-15)


@pytest.mark.parametrize("key", entries("m1_lambda_Linf") + entries("m2_n_Linf"))
def test_distribution(key):
    """Figs. 3(a) and 5(c) at sixteen momenta, of a chain long enough."""
    p = DATA[key]["params"]
    model = device(p, length=1024)
    found = model.lagrange_parameters() if p["model"] == 1 else model.occupations()
    close(found[..., ::64], DATA[key]["value"], 2e-14)


@pytest.mark.parametrize("key", entries("m1_relax") + entries("m2_relax"))
def test_relaxation(key):
    """Fig. 2 and its like. The reference's occupations are right to 3e-12, which for lambda = 10 is 6e-8 in lambda."""
    p, value = DATA[key]["params"], DATA[key]["value"]
    run = device(p).relaxation(np.array(p["t"]))
    want = np.array(value["n"]) if "n" in value else 1 / (1 + np.exp(np.array(value["lam"])))
    close(run.occupations, want, 5e-12, scale=1.0)
    close(run.current, value["I"], 5e-12, scale=1.0)
    if "n" in value:
        close(run.current_up, value["I_up"], 5e-12, scale=1.0)
        close(run.current_down, value["I_down"], 5e-12, scale=1.0)
    elif p["beta"] == 2:
        close(run.lagrange_parameters, value["lam"], 5e-12, scale=1.0)


@pytest.mark.parametrize(("key", "names", "last"), [("m1_gradient", RAMAN, 1e-14), ("m2_gradient", RASHBA, 1e-13)])
def test_gradient(key, names, last):
    slope = jax.jit(jax.grad(lambda m: m.current()))(device(DATA[key]["params"]))
    for name, field in {**names, "rho": "filling"}.items():
        assert float(getattr(slope, field)) == pytest.approx(DATA[key]["value"][name]["value"], abs=last), field
    assert abs(slope.coupling) < 1e-15


def test_current_is_largest_at_the_end():
    """Raman: at drive = 1, with a positive slope."""
    drive, flow, slope = DATA["m1_peak"]["value"]
    found = jax.jit(jax.value_and_grad(lambda m: m.current()))(device(DATA["m1_peak"]["params"], drive=drive))
    assert (float(found[0]), float(found[1].drive)) == pytest.approx((flow, slope), abs=2e-15)


def test_peak():
    """Rashba: the maximum by Newton's method on exact derivatives, and the currents at it. The reference curvature is a difference."""
    at, flow, up, down, curvature = DATA["m2_peak"]["value"]
    model = device(DATA["m2_peak"]["params"], drive=0.9)
    first = jax.grad(lambda x: model.replace(drive=x).current())
    both = jax.jit(lambda x: (first(x), jax.jacfwd(first)(x)))
    x = 0.985
    for _ in range(6):
        slope, bend = both(x)
        x = float(x - slope / bend)
    assert x == pytest.approx(at, abs=1e-12) and float(bend) == pytest.approx(curvature, rel=2e-6)
    found = jax.jit(currents)(model.replace(drive=x))
    assert [float(found[name]) for name in ("I", "I_up", "I_down")] == pytest.approx([flow, up, down], abs=1e-13)


@pytest.mark.slow
def test_sign_change_and_second_extremum():
    """What the paper does not mention: close to drive = 1 the current turns around, and returns to zero as a square root."""
    p = DATA["m2_sign_change"]["params"]
    value = jax.jit(lambda x: device(p, drive=x, length=8192).current())
    found = brentq(lambda x: float(value(x)), 0.999, 0.9999, xtol=1e-15, rtol=1e-15)
    assert found == pytest.approx(DATA["m2_sign_change"]["value"], abs=1e-12)
    entry = DATA["m2_negative_extremum"]
    slope = jax.jit(jax.grad(lambda x: device(entry["params"], drive=x).current()))
    at = brentq(lambda x: float(slope(x)), 0.9999, 0.99998, xtol=1e-15, rtol=1e-15)
    assert at == pytest.approx(entry["value"][0], abs=1e-11)
    got = jax.jit(currents)(device(entry["params"], drive=at))
    assert [float(got[name]) for name in ("I", "I_up", "I_down")] == pytest.approx(entry["value"][1:], abs=1e-11)
    ratios = [float(device(p, drive=1 - x, length=2**17).current()) / x**0.5 for x in (1e-6, 1e-7)]
    assert ratios == pytest.approx([-11.204, -11.376], abs=1e-3)


def test_joint_maximum_of_the_raman_rectifier():
    """J/2 exactly, at drive = 1, delta = i, delta' = -i: n = (1 + sin q)/2, and no slope leads on."""
    drive, *deltas, flow = DATA["m1_joint_max"]["value"]
    names = ("delta_re", "delta_im", "delta_prime_re", "delta_prime_im")
    model = qd.models.RamanRectifier(drive=drive, **dict(zip(names, deltas, strict=True)))
    value, slope = jax.jit(jax.value_and_grad(lambda m: m.current()))(model)
    assert float(value) == pytest.approx(flow, abs=1e-15) and float(slope.drive) > 0
    assert [float(getattr(slope, n)) for n in names] == pytest.approx([0] * 4, abs=1e-14)
    close(model.occupations(), (1 + np.sin(model.momenta())) / 2, 1e-15)


@pytest.mark.slow
def test_searches_find_the_joint_maxima():
    found = qd.optimize(qd.models.RamanRectifier(), "current", starts=8, seed=1)
    assert found.value == pytest.approx(0.5, abs=1e-9)
    want = DATA["m2_joint_max_fixed_gamma"]["value"]
    model = qd.models.RashbaRectifier(drive=0.9)
    found = qd.optimize(model, "current", {"alpha_y": (0, 2), "alpha_z": (0.05, 2), "field": (0, 2)}, starts=8, seed=1)
    assert found.value == pytest.approx(want[3], abs=1e-11)
    assert found.parameters == pytest.approx({"alpha_y": want[0], "alpha_z": want[1], "field": want[2]}, abs=1e-6)


def test_slopes_at_the_joint_maximum_of_the_rashba_rectifier():
    y, z, h, flow, *slopes = DATA["m2_joint_max_fixed_gamma"]["value"]
    model = qd.models.RashbaRectifier(drive=0.9, alpha_y=y, alpha_z=z, field=h)
    value, slope = jax.jit(jax.value_and_grad(lambda m: m.current()))(model)
    assert float(value) == pytest.approx(flow, abs=1e-13) and abs(slope.alpha_z) < 1e-10
    assert [float(slope.alpha_y), float(slope.field), float(slope.drive)] == pytest.approx(slopes, abs=1e-11)


@pytest.mark.parametrize("key", slow_but(entries("m1_exact_sector") + entries("m2_exact_sector"), "m1_exact_sector#0", "m2_exact_sector#0"))
def test_many_body_steady_states(key):
    """At finite coupling, and towards the limit of small coupling, which is not the ensemble's."""
    p, value = DATA[key]["params"], DATA[key]["value"]
    for want in value["finite_eps"]:
        found = device(p, coupling=want["eps"]).exact_occupations(p["N"])
        close(np.ravel(found), want["n"], 2e-14, scale=1.0)
    # What is left at small coupling is linear in it (quadratic for spins), and extrapolated.
    tiny = 2 * device(p, coupling=5e-7).exact_occupations(p["N"]) - device(p, coupling=1e-6).exact_occupations(p["N"])
    close(np.ravel(tiny), value["limit_eps0"]["n"], DATA[key]["abs_error"], scale=1.0)
    ensemble = device(p).replace(filling=p["N"] / p["L"]).occupations()
    close(np.ravel(ensemble), value["tGGE_same_L"]["n"], 1e-13)
    assert np.abs(ensemble - tiny).max() > 0.01


def test_infinite_temperature_mixture():
    """All numbers of particles, each weighted with its share of the states."""
    entry = DATA["m1_exact_infT_mixture"]
    model = device(entry["params"])
    found = sum(comb(4, n) / 16 * np.asarray(model.exact_occupations(n)) for n in range(5))
    close(found, entry["value"], 1e-13)


def test_figure_2_in_closed_form():
    """Without drive at half filling: n - n_F decays as e^{-2 cosh(beta E/2) tau}, t = int d tau/A."""
    model = qd.models.RamanRectifier(drive=0.0, length=16)
    energy = -2 * np.cos(np.asarray(model.momenta()))
    fermi, taus = 1 / (1 + np.exp(2 * energy)), np.linspace(0, 0.5, 2001)
    decay = np.exp(-2 * np.cosh(energy) * taus[:, None])
    n = fermi + (0.5 - fermi) * decay
    one_over = 1 / np.mean(np.exp(energy) * n, axis=1)
    times = np.concatenate([[0], [np.trapezoid(one_over[: k + 1], taus[: k + 1]) for k in (500, 1000, 2000)]]) / 0.05
    run = model.relaxation(times)
    close(run.occupations, n[[0, 500, 1000, 2000]], 1e-7)


def test_merits_do_not_depend_on_the_portions(monkeypatch):
    """Long chains are summed portion by portion, padded at the end."""
    from qdiff.equations.channels import gibbs_ensemble

    model = qd.models.RashbaRectifier(length=1531)
    value = partial(jax.value_and_grad(lambda m: m.current()), model)
    whole = value()
    monkeypatch.setattr(gibbs_ensemble, "_PORTION", 100)
    jax.clear_caches()
    parts = value()
    assert float(parts[0]) == pytest.approx(float(whole[0]), abs=1e-15)
    close(jax.tree.leaves(parts[1]), jax.tree.leaves(whole[1]), 1e-13)
