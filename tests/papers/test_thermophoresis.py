"""The reference numbers of quantum thermophoresis, each to the accuracy stated beside it or better.

The numbers in data/thermophoresis.json were computed independently of this package: closed forms in exact rational
arithmetic, dense linear algebra, elimination in Python, complex-step derivatives.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import reference_numbers
from scipy.optimize import brentq

import qdiff as qd
from qdiff.equations.rates.open_chain import shares
from qdiff.models.base import sharing

DATA = reference_numbers("thermophoresis")
LATTICES = [(key, k) for key in ("fig2b", "fig2c", "fig2d", "fig2e", "ohmic", "other_N", "units_h2") for k in range(len(DATA[key]))]


def close(got, want, relative, scale=0.0):
    """Whether every entry is within `relative` of itself, or of `scale`; NaN is not."""
    got, want = np.asarray(got), np.asarray(want)
    return got.shape == want.shape and bool(np.all(np.abs(got - want) <= relative * np.maximum(np.abs(want), scale)))


def test_close_can_fail():
    assert close([1.0, 1e-30], [1.0, 1e-30 * (1 + 1e-13)], 2e-13) and not close([1.0, 1e-30], [1.0, 1.1e-30], 1e-12)
    assert not close(np.nan, 1.0, 1.0) and not close([1.0], 1.0, 1.0)


@jax.jit
def everything(model):
    with sharing():
        large = isinstance(model, qd.models.ThermophoreticLattice) and model.sites > 256
        return {name: getattr(model, name)() for name in type(model).merits() if not (large and name == "relaxation_gap")}


gradient = jax.jit(jax.jacfwd(lambda model: (model.mean_site(), model.site_populations()[2])))


def three_level(p, kind=qd.models.LambdaSystem):
    """The device with the reference's names of parameters; some stand for both of a pair."""
    names = {"Gamma": "rate", "d": "distance", **{name: name for name in ("omega1", "omega2", "T1", "T2")}}
    given = {names[k]: v for k, v in p.items() if k in names}
    pairs = {f"{k}{n}": p[k] for k in ("omega", "T") if k in p for n in (1, 2)}
    return kind(**given, **pairs)


def kind_of(key):
    return qd.models.LambdaSystem if key.startswith("lambda") else qd.models.VSystem


POPULATIONS = {"site_populations": "P_site", "ground_populations": "P_ground", "level_populations": "P_level"}


def lattice(p, **changes):
    names = {"N": "sites", "T_L": "T_left", "T_R": "T_right", "T_k": "temperatures", "Gamma": "rate", "h": "h", "g": "g"}
    given = {names[k]: v for k, v in p.items() if k in names}
    spectrum = {"const": "flat", "ohmic": "ohmic"}[p.get("J", "const")]
    return qd.models.ThermophoreticLattice(**{"spectrum": spectrum, **given, **changes})


@pytest.mark.parametrize("key", ["lambda_steady", "V_steady"])
@pytest.mark.parametrize("k", range(4))
def test_three_levels(key, k):
    entry = DATA[key][k]
    got = everything(three_level(entry["params"], kind_of(key)))
    assert close(got["populations"], [entry["P1"], entry["P2"], entry["P_apex"]], 1e-14)
    for merit, name in [
        ("imbalance", "Delta_ss"),
        ("mean_position", "X_ss"),
        ("effective_mass", "mass"),
        ("force", "force"),
        ("slow_rate", "rate_slow"),
        ("fast_rate", "rate_fast"),
    ]:
        # Differences of populations or of occupations: relative to what they are differences of.
        assert close(got[merit], entry[name], 1e-14, scale=0.1 if merit in ("imbalance", "mean_position", "force") else 0.0), merit
    assert close(got["frequency"] ** 2, entry["Omega2"], 1e-14)
    # Every bath's own transition balances: no heat flows between baths at different temperatures.
    assert max(abs(got["heat_current_1"]), abs(got["heat_current_2"])) < 1e-14


@pytest.mark.parametrize("kind", [qd.models.LambdaSystem, qd.models.VSystem])
def test_three_levels_in_closed_form(kind):
    """The populations are those of the table, n_k (n_j + 1)/Z and so on, to rounding at random parameters."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        w1, w2, T1, T2, rate = rng.uniform(0.2, 3, 5)
        n1, n2 = 1 / np.expm1(w1 / T1), 1 / np.expm1(w2 / T2)
        if kind is qd.models.LambdaSystem:
            weight = np.array([n2 * (n1 + 1), n1 * (n2 + 1), n1 * n2])
        else:
            weight = np.array([n1 * (n2 + 1), n2 * (n1 + 1), (n1 + 1) * (n2 + 1)])
        got = everything(kind(omega1=w1, omega2=w2, T1=T1, T2=T2, rate=rate))
        assert close(got["populations"], weight / weight.sum(), 1e-14)
        # The oscillator's stationary position is force over stiffness, and its roots are the rate equation's.
        assert close(got["force"] / (got["effective_mass"] * got["frequency"] ** 2), got["mean_position"], 1e-13, scale=1e-2)
        decays = np.sort(np.linalg.eigvals(np.asarray(kind(omega1=w1, omega2=w2, T1=T1, T2=T2, rate=rate).rates().matrix())).real)
        assert close([-decays[1], -decays[0]], [got["slow_rate"], got["fast_rate"]], 1e-13, scale=decays.max())


@pytest.mark.parametrize("key, k", [("lambda_time", 0), ("lambda_time", 1), ("V_time", 0)])
def test_three_levels_in_time(key, k):
    entry = DATA[key][k]
    model = three_level(entry["params"], kind_of(key))
    start = entry["params"]["P0_1_2_apex"]
    assert close(model.position_trace(entry["times"], start), entry["X"], 1e-14, scale=1.0)
    assert close(model.evolution(entry["times"], start), entry["P_1_2_apex"], 1e-14, scale=1.0)


@pytest.mark.parametrize("k", range(4))
def test_high_temperature(k):
    """Eqs. (3) and (11) are 4/3 of the force of Eq. (2), and for a V system of the other sign."""
    entry = DATA["lambda_highT"][k]
    kinds = (qd.models.LambdaSystem, qd.models.VSystem)
    got, mirrored = (everything(three_level(entry["params"], kind)) for kind in kinds)
    for merit, name in (("force", "F_exact_eq2"), ("force_overdamped", "F_eq11"), ("force_high_temperature", "F_eq3")):
        # n2 - n1 cancels about n/(n2 - n1) of its digits.
        assert close(got[merit], entry[name], 1e-12)
        assert close(mirrored[merit], -entry[name], 1e-12)
    assert close(got["mean_position"], entry["X_ss_exact"], 1e-15, scale=1.0)
    assert close(got["slow_rate"], entry["slow_rate_exact"], 1e-13)
    n = (1 / got["effective_mass"] - 2) / 4  # the mean occupation
    assert close(3 / 4 * got["force_overdamped"] / got["force"], 1 + 1 / (2 * n), 1e-14)


@pytest.mark.parametrize("k", range(2))
def test_dufour_of_a_lambda_system(k):
    """Minus the reference's currents, which count what leaves the system."""
    entry = DATA["dufour_lambda"][k]
    got = three_level(entry["params"]).dufour_currents(entry["params"]["P_1_2_e"])
    assert close(got, [-entry["J1"], -entry["J2"]], 1e-14, scale=0.1)


@pytest.mark.parametrize("key, k", LATTICES)
def test_lattices(key, k):
    """Figure 2: populations of every kind to 1e-13, currents, the relaxation gap."""
    entry = DATA[key][k]
    got = everything(lattice(entry["params"]))
    for merit, name in POPULATIONS.items():
        assert close(got[merit], entry[name], 1e-13), merit
    assert close(got["level_energies"], entry["E_level"], 1e-14, scale=1.0)
    assert close(got["mean_site"], entry["mean_position"], 1e-14)
    assert close(got["thermophoresis"], entry["S"], 1e-14, scale=1.0)
    assert int(np.argmax(got["site_populations"])) + 1 == entry["argmax_site"]
    # A current is the difference of flows up and down, which leaves them ten to a thousand times less.
    assert close(got["heat_currents"], -np.array(entry["heat_current_into_bath"]), 5e-12, scale=1e-9)
    assert abs(got["heat_currents"].sum()) < 1e-15
    # The reference took the gap from the eigenvalues of the whole matrix: 1e-15 of its largest rate.
    assert close(got["relaxation_gap"], entry["relaxation_gap"], 2e-15, scale=1e3 * entry["relaxation_gap"] + 0.1)


@pytest.mark.parametrize("k", range(2))
def test_profiles(k):
    entry = DATA["profile"][k]
    got = everything(lattice(entry["params"]))
    for merit, name in POPULATIONS.items():
        assert close(got[merit], entry[name], 1e-13), merit
    assert close(got["heat_currents"], -np.array(entry["heat_current_into_bath"]), 1e-13, scale=1e-2)
    assert close(got["mean_site"], entry["mean_position"], 1e-14)


@pytest.mark.parametrize("k", range(len(DATA["local_master_equation"])))
def test_local_equation(k):
    """It knows nothing of g, and its site populations are those of separate sites."""
    entry = DATA["local_master_equation"][k]
    model = lattice(entry["params"], master_equation="local")
    assert close(model.site_populations(), entry["P_site"], 1e-14)
    assert close(model.thermophoresis(), entry["S"], 1e-14)
    if "S_global_same_params" in entry:
        assert close(lattice(entry["params"]).thermophoresis(), entry["S_global_same_params"], 1e-13, scale=1.0)


@pytest.mark.parametrize("k", range(len(DATA["large_N"])))
def test_larger_lattices(k):
    entry = DATA["large_N"][k]
    N = entry["params"]["N"]
    got = everything(lattice(entry["params"]))
    P = np.asarray(got["site_populations"])
    assert close([P[0], P[-1], P[(N - 1) // 2], P.max()], [entry[n] for n in ("P_first", "P_last", "P_mid", "P_max")], 1e-12)
    assert close(got["mean_site"], entry["mean_position"], 1e-13)
    assert close(got["thermophoresis"] / N, entry["S_over_N"], 1e-12, scale=0.1)
    assert int(np.argmax(P)) + 1 == entry["argmax"]
    assert close(np.abs(got["level_energies"]).min(), entry["min_abs_E"], 1e-12)


@pytest.mark.slow
def test_twenty_thousand_sites():
    entry = DATA["large_N_fft"]
    got = everything(lattice(entry["params"]))
    P = np.asarray(got["site_populations"])
    assert close([P[0], P[-1]], [entry["P_first"], entry["P_last"]], 1e-11)
    assert close(got["mean_site"], entry["mean_position"], 1e-12)
    assert close(got["thermophoresis"] / 20000, entry["S_over_N"], 1e-10)
    assert abs(got["heat_currents"].sum()) < 1e-12 * np.abs(got["heat_currents"]).sum()


def test_where_levels_cross():
    found = qd.models.ThermophoreticLattice().crossings()
    assert close(found, [e["g_over_h"] for e in DATA["crossings_N10"]], 1e-14)


@pytest.mark.parametrize("k", range(2))
def test_limits_at_a_crossing(k):
    """At a crossing all ground states are equally full, the sites mirror each other, and the kink has two slopes."""
    entry = DATA["crossing_limits_TD"][k]
    at = entry["g_c"]

    def of(g):
        return everything(lattice({"N": 10, "T_L": entry["T_L"], "T_R": entry["T_R"]}, g=g))

    got = of(at)
    assert close(got["site_populations"], entry["P_site_limit"], 1e-13)
    assert close(got["ground_populations"], np.full(10, entry["P_ground_limit"]), 1e-13)
    assert abs(got["thermophoresis"]) < 1e-13
    beside = [np.abs(of(at + s)["site_populations"] - got["site_populations"]).max() for s in (1e-3, 1e-5, 1e-7, -1e-7, -1e-5, -1e-3)]
    assert close(beside, entry["max_dev_at_gc_plus_1e_3_1e_5_1e_7_and_minus_1e_7_1e_5_1e_3"], 1e-8)
    left, right = (gradient(lattice({"N": 10}, g=at + s))[0].g for s in (-1e-9, 1e-9))
    # The reference's slopes were taken at a distance of about 1e-8: the slope changes by 6000 times that.
    assert close([left, right], [entry["dpos_dg_left"], entry["dpos_dg_right"]], 5e-6)


def test_transient():
    entry = DATA["nsite_transient"][0]
    start = np.eye(20)[0]
    found = lattice(entry["params"]).evolution(entry["times"], start)
    assert close(found.site_populations, entry["P_site"], 1e-13, scale=1.0)
    assert close(found.ground_populations.sum(1) + found.level_populations.sum(1), np.ones(4), 1e-14)


@pytest.mark.parametrize("k", range(2))
def test_dufour_of_the_lattice(k):
    """Minus the reference's currents; at g = 1.3 h the effect is reversed."""
    entry = DATA["nsite_dufour"][k]
    p = entry["params"]
    model = qd.models.ThermophoreticLattice(g=p["g"], T_left=p["T"], T_right=p["T"])
    ground = 1 + p["slope"] * (np.arange(1, 11) - 5.5) / 4.5
    levels = np.exp(-np.asarray(model.level_energies()) / p["T"])
    state = np.concatenate([ground, levels])
    got = model.dufour_currents(state / state.sum())
    assert close(got, -np.array(entry["heat_current_into_bath"]), 1e-14, scale=1.0)
    assert np.sign(float(got[0])) == (-1 if p["g"] < 0.5 else 1)


@pytest.mark.parametrize("k", range(3))
def test_gradients(k):
    """All parameters, and all ten temperatures, against complex-step derivatives."""
    entry = DATA["gradients_nsite"][k]
    model = lattice(entry["params"])
    mean, third = gradient(model)
    for name, field in (("g", "g"), ("h", "h"), ("TL", "T_left"), ("TR", "T_right")):
        assert close(getattr(mean, field), entry[f"dpos_d{name}"], 1e-11), field
        assert close(getattr(third, field), entry[f"dP3_d{name}"], 1e-11), field
    assert abs(mean.rate) < 1e-12
    free = gradient(model.replace(temperatures=model.profile()))[0]
    assert close(free.temperatures, entry["dpos_dTk"], 1e-11)
    # Only ratios of energies matter (Euler).
    assert abs(model.h * mean.h + model.g * mean.g + model.T_left * mean.T_left + model.T_right * mean.T_right) < 1e-12


@pytest.mark.parametrize("k", range(2))
def test_gradients_of_a_lambda_system(k):
    entry = DATA["gradients_lambda"][k]
    model = three_level(entry["params"])
    slope = jax.jit(jax.grad(lambda m: m.imbalance()))(model)
    assert close(model.imbalance(), entry["Delta"], 1e-13)
    for name in ("omega1", "omega2", "T1", "T2"):
        assert close(getattr(slope, name), entry[f"dDelta_d{name}"], 1e-13), name
    assert abs(slope.rate) < 1e-14 and slope.distance == 0


def test_where_thermophoresis_changes_sign():
    """With a flat spectrum exactly where a level crosses; with an Ohmic one smoothly, at the reference's places."""
    value = jax.jit(lambda m: m.thermophoresis())
    for key, T, spectrum, inside in (
        ("TD_ohmic", (0.8, 0.4), "ohmic", (0.8, 1.1)),
        ("TE_ohmic", (0.3, 0.1), "ohmic", (0.6, 0.75)),
        ("TD", (0.8, 0.4), "flat", (0.70, 0.85)),
        ("TE", (0.3, 0.1), "flat", (0.57, 0.62)),
    ):
        model = qd.models.ThermophoreticLattice(T_left=T[0], T_right=T[1], spectrum=spectrum)
        found = brentq(lambda g, m=model: float(value(m.replace(g=g))), *inside, xtol=1e-14, rtol=1e-14)
        assert found == pytest.approx(DATA["S_sign_changes_in_g"][key][0], abs=1e-11), key


def test_interior_optimum_of_the_wide_box():
    """The default search, from several seeds: the recommended well-posed target."""
    want = DATA["optimum_const_wide_range"]
    for seed in (0, 7):
        found = qd.optimize(qd.models.ThermophoreticLattice(), "thermophoresis", seed=seed)
        assert found.converged and found.at_bound == {}
        assert found.bounds == {"g": (0.05, 3.4), "T_left": (0.4, 4.0)}
        assert found.value == pytest.approx(want["S"], abs=1e-13)
        assert found.parameters == pytest.approx({"g": want["g"], "T_left": want["T_L"]}, abs=1e-9)
        assert found.notes["g_interval"] == pytest.approx([want["g_interval"][0], DATA["crossings_N10"][-1]["g_over_h"]], abs=1e-12)


def test_bang_bang_profile():
    """Ten free temperatures: hot on the left half, cold on the right, whatever the start."""
    want = DATA["optimum_site_temperatures"]
    model = qd.models.ThermophoreticLattice(g=1.3)
    found = qd.optimize(model, "thermophoresis", {"temperatures": (0.4, 0.8)}, seed=3)
    assert found.converged and found.value == pytest.approx(want["S_best"], abs=1e-13)
    assert found.parameters == {"temperatures": want["T_k_best"]}
    assert found.at_bound == {f"temperatures[{k}]": "high" if k < 5 else "low" for k in range(10)}
    slope = jax.jit(jax.grad(lambda m: m.thermophoresis()))(found.model)
    assert close(slope.temperatures, want["dS_dTk_at_best"], 1e-11)


@pytest.mark.parametrize("key, spectrum", [("optimum_const", "flat"), ("optimum_ohmic", "ohmic")])
def test_optimum_on_the_edge(key, spectrum):
    want = DATA[key]["best"]
    found = qd.optimize(qd.models.ThermophoreticLattice(spectrum=spectrum), "thermophoresis", {"g": (0.05, 1.5), "T_left": (0.4, 1.5)})
    assert found.converged and found.at_bound == {"g": "high"}
    assert found.value == pytest.approx(want["S"], abs=1e-13)
    assert found.parameters["T_left"] == pytest.approx(want["T_L"], abs=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_local_maxima_between_crossings(k):
    """A search within one interval finds that interval's own maximum, and says which interval it is."""
    want = DATA["optimum_const"]["segments"][k]
    low, high = want["g_interval"]
    found = qd.optimize(
        qd.models.ThermophoreticLattice(), "thermophoresis", {"g": (low + 1e-3, high - 1e-3), "T_left": (0.41, 1.5)}, starts=8
    )
    assert found.converged and found.at_bound == {}
    assert found.value == pytest.approx(want["S"], abs=1e-12)
    assert found.parameters == pytest.approx({"g": want["g"], "T_left": want["T_L"]}, abs=1e-7)
    assert found.notes["g_interval"] == pytest.approx([low, high], abs=1e-12)


def test_without_spontaneous_emission_there_is_no_thermophoresis():
    """With equal rates up and down, all sites are equally full: what the paper says of n + 1 -> n."""
    model = qd.models.ThermophoreticLattice(g=1.3)
    rates = model.rates()
    t, n = rates.transitions, 1 / np.expm1(np.abs(np.asarray(model.level_energies()))[None] / np.asarray(model.profile())[:, None])
    site, level = np.minimum(t.source, t.target), np.maximum(t.source, t.target) - 10
    equal = qd.rates.Rates(rates.energies, {"all": (t.source, t.target, jnp.asarray(shares(10)[level, site] * n[site, level]))})
    p = equal.steady_state()
    assert close(p, np.full(20, 0.05), 1e-13)
