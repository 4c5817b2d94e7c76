"""The reference numbers of the spintronic engine, each to the accuracy stated beside it or better."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engines import DATA, FIG6, FIG7, GEN1, engine, points, state
from helpers import close, dissipator, unitary
from scipy.linalg import expm

import qdiff as qd
from qdiff.equations.lindblad.solver import matrix
from qdiff.models.base import sharing
from qdiff.models.spintronic.device import _STATE, SPACE

LIMITS = DATA["limit_cycle"]


@jax.jit
def look(model):
    """All figures of merit and the limit cycle, as one program."""
    with sharing():
        return {name: getattr(model, name)() for name in type(model).merits()}, model.limit_cycle()


@jax.jit
def limits(model):
    """What strokes without end give, fast hopping, and no measurement, as one program."""
    with sharing():
        return model.long_stroke_increment(), model.plateau_power(), model.unmeasured_flows()


one_stroke = jax.jit(lambda model, initial: model.coherence_energy(initial))
UD = np.eye(12)[3]


def paper_matrix(model):
    """The 12 x 12 matrix of the generator, in the paper's coordinates, and the map from those of the package."""
    coordinates = model.cycle().coordinates()
    to_paper = np.stack([_paper(coordinates.operator(x, SPACE).dense()) for x in np.eye(12)], axis=1)
    generator = model.generator()
    return to_paper @ np.asarray(matrix(coordinates, coordinates.values(generator))) @ np.linalg.inv(to_paper), to_paper


def _paper(rho):
    rho = np.asarray(rho)[_STATE][:, _STATE]
    return [*np.diag(rho).real, rho[1, 4].real, rho[1, 4].imag, rho[3, 6].real, rho[3, 6].imag]


def test_hamiltonian_and_propagator():
    """The matrix elements of H, its levels, the spectrum of the generator, and what 0.8 of free motion does to three states."""
    want = DATA["hamiltonian_GEN1"]
    model = engine(GEN1, 0.8)
    H = model.generator().H.dense()
    close(np.real(np.diag(H))[_STATE], want["diagonal"], 1e-15)
    close(np.linalg.eigvalsh(H), want["eigenvalues"], 1e-14)
    at = np.real(H[_STATE][:, _STATE])
    assert at[1, 4] == want["H14"] and at[3, 6] == want["H36"] and np.count_nonzero(np.triu(at, 1)) == 2
    G, to_paper = paper_matrix(model)
    spectrum = DATA["generator_spectrum_GEN1"]
    found = np.linalg.eigvals(G)
    want = np.array(spectrum["re"]) + 1j * np.array(spectrum["im"])
    close(np.abs(found[:, None] - want).min(axis=0), np.zeros(12), 1e-13, 1)
    slow = np.sort(np.linalg.eigvals(paper_matrix(engine(DATA["perturbative"]["params"]))[0]).real)[-2]
    close(slow, DATA["perturbative"]["exact_slow_eigenvalue_of_generator"], 1e-9)
    cycle, table = model.cycle(), DATA["propagator_GEN1"]
    change = to_paper @ np.asarray(cycle.parts(cycle.coordinates())[0].change) @ np.linalg.inv(to_paper)
    for k, entry in ((3, "from_state_3"), (5, "from_state_5"), (8, "from_coherence_Re14")):
        close(np.eye(12)[k] + change[:, k], list(table[entry].values()), 1e-14)
    close(_paper(qd.steady_state(model.generator()).dense()), list(table["steady_state"].values()), 1e-14)


@pytest.mark.parametrize("key", LIMITS)
def test_limit_cycle(key):
    """Populations, Delta E, flows and entropies of the limit cycle; Delta E to 1e-12, or 1e-13 where it is zero."""
    want = LIMITS[key]
    found, end = look(engine(want["params"], want["tau"]))
    close(end.populations_after, want["p_star"], 1e-15, 1)
    before = want["x_before_measurement"]
    close(end.populations_before, [before[f"p{k}"] for k in range(8)], 1e-9)  # float64 in the reference
    coherences = [complex(before["Re14"], before["Im14"]), complex(before["Re36"], before["Im36"])]
    close(end.coherences_before, coherences, 1e-12, 1)  # float64 in the reference, where they are zero without bosons
    close(found["energy_increment"], want["dE"], 1e-12, want["dE"] or 1.0)
    close(found["power"], want["P"], 1e-12, want["P"] or 1.0)
    flows = want["flows_into_system_per_cycle"]
    for name, other in (("particles_left", "N_L"), ("particles_boson", "N_B_up_to_down")):
        close(found[name], flows[other], 1e-13, 1)
    for name, other in (("heat_left", "Q_L"), ("heat_right", "Q_R"), ("heat_bosons", "Q_B")):
        close(found[name], flows[other], 1e-11, 1)
    close(end.entropy_before, want["S_before_measurement"], 1e-13)
    close(end.entropy_after, want["S_after_measurement"], 1e-14)
    close(end.entropy_change, want["Delta_S"], 1e-13, 1)
    close(end.work_bound(10.0), want["W_th_at_T10"], 1e-12, 1)
    close(found["cycles_to_converge"], want["cycles_per_e_fold_of_slowest_mode"], 1e-7)
    if want["T_c"]:
        # The reference subtracts two entropies, which leaves 1e-16/Delta_S.
        close(end.critical_temperature, want["T_c"], 2e-13 / want["Delta_S"] + 1e-13)
        close(end.efficiency_bound(10.0), 1 - 10 / end.critical_temperature, 1e-14)
        close(end.power_bound(10.0), -end.work_bound(10.0) / want["tau"], 1e-14)
    else:
        assert np.isnan(end.critical_temperature) and np.isnan(found["affinity"]) and found["entropy_production"] == 0


@pytest.mark.parametrize(("key", "params"), [("FIG6", FIG6), ("FIG7", FIG7), ("GEN1", GEN1)])
def test_limits_of_long_strokes_and_fast_hopping(key, params):
    """Delta E for tau to infinity, the plateau of the power, and the currents without any measurement."""
    model = engine(params)
    want = DATA["steady_state_dE_tau_infinite"][key]
    long, plateau, flows = limits(model)
    close(long, want["dE"], 1e-12)
    close(look(model)[0]["affinity"], want["affinity"], 1e-14)
    close(plateau, DATA["fast_hopping_plateau_P"][key]["P"], 1e-12)
    want = DATA["unmeasured_steady_flows_per_time"][key]
    names = {"particles_left": "J_L", "particles_right": "J_R", "heat_left": "Q_L", "heat_right": "Q_R", "heat_bosons": "Q_B"}
    for name, other in names.items():
        close(getattr(flows, name), want[other], 1e-10, abs(want["Q_L"]) if "Q" in other else None)
    # Both limits are those of the cycle itself.
    close(look(model.replace(tau=1e6))[0]["energy_increment"], long, 1e-9)
    close(look(model.replace(gamma=1e6, tau=3e-5))[0]["power"], plateau, 1e-2)


@pytest.mark.parametrize("key", DATA["series"])
def test_series(key):
    """Delta E of single cycles up to the millionth, down to 1e-130 meV, with relative accuracy."""
    want = DATA["series"][key]
    model = engine(want["params"], want["tau"])
    got = np.asarray(model.series(np.array(want["n"]), state(want["initial"])))
    off = np.abs(got - want["dE_n"])
    # Within a hundred cycles large energies cancel; what the reference's own float64 lost is the measure of that.
    # In Fig. 5a at tau = 1e-3 the slow mode holds 1e-8 of the energies that cancel in it.
    relative = 3e-8 if key == "Fig5a_tau1e-3" else 1e-9
    lost = np.maximum(relative * np.abs(want["dE_n"]), 4 * np.abs(want["dE_n_float64_minus_80bit"]))
    assert np.all(off <= lost + 2e-13 * np.abs(want["dE_star"])), (got, off, lost)
    close(look(model)[0]["energy_increment"], want["dE_star"], 1e-12, want["dE_star"] or 1.0)


def test_all_cycles_equal_some_cycles():
    """The table of all cycles holds what is computed one by one; and the billionth is the limit cycle's."""
    model = engine(FIG7, 1e-3)
    every = np.asarray(model.series(100_000, "ud"))
    some = np.array([1, 2, 3, 64, 65, 1000, 4096, 99_999, 100_000])
    found = np.asarray(model.series(np.append(some, 10**9), "|ud>"))
    close(every[some - 1], found[:-1], 1e-12, 1)
    close(every[:3], found[:3], 1e-14)
    close(found[-1], look(model)[0]["energy_increment"], 1e-13)


@pytest.mark.parametrize("mu", [1.0, 0.5, 0.25, 0.0])
def test_perturbative_increment(mu):
    """Eq. (24) as corrected; and the exact one tends to it for weak hopping."""
    table = DATA["perturbative"]
    model = engine(table["params"])
    close(model.perturbative_increment(mu), table["entries"][str(mu)]["dE"], 1e-13, 1e-3)
    weak, up = model.replace(gamma=1e-3, tau=1500.0), 0.5
    initial = np.kron([1 - mu, mu], np.kron([1 - up, up], [0.5, 0.5]))  # n_down slowest, then n_up and n_R, as in the basis
    close(one_stroke(weak, np.r_[initial, np.zeros(4)]), weak.perturbative_increment(mu), 1e-5, 7.2e-8)


@pytest.mark.parametrize("panel", ["a", "b", "c", "d"])
def test_figure_4(panel):
    """-<C> after one stroke from |ud>, over wide ranges of leads, U and gamma."""
    for params, want in points(DATA["fig4"][panel]):
        scale = max(params["gamma"], params["U"])
        rounding = 1e-12 * scale * (1 + 3 * scale * 1e-4)
        close(one_stroke(engine(params), UD), want, rounding, 1)
    table = DATA["fig4_TR_transition"]
    for rate, want in zip(table["TR"], table["minusC_80bit"], strict=True):
        close(one_stroke(engine({**table["base"], "TRm": rate, "TRp": rate}), UD), want, 1e-9, 1)


def test_labels_stand_for_coordinates():
    model = engine(FIG6)
    want = pytest.approx(float(one_stroke(model, UD)), rel=1e-12)  # another program, rounded differently
    assert float(model.coherence_energy("|ud>")) == float(model.coherence_energy("ud")) == want


def test_figures_6b_and_7():
    """Maps over boson and lead rates: one stroke, the limit cycle, and long strokes, whose sign is that of minus the affinity."""
    for params, want in points(DATA["fig6b"]["single_stroke_from_ud"]):
        close(one_stroke(engine(params, 1e-3), UD), want, 1e-14 * 650, 1)
    for table, tau in ((DATA["fig6b"]["limit_cycle_tau1e_3"], 1e-3), (DATA["fig7"]["c_limit_tau1e_3"], 1e-3)):
        for params, want in points(table):
            found, _ = look(engine(params, tau))
            close(found["energy_increment"], want, 1e-12, 1)
            assert found["energy_increment"] * found["affinity"] <= 0 <= found["entropy_production"]
    for table in (DATA["fig6b"]["steady_state"], DATA["fig7"]["c_steady"], DATA["fig7"]["d_steady"]):
        for params, want in points(table):
            close(limits(engine(params))[0], want, 1e-12, 100)


@pytest.mark.parametrize("measured", ["n_R", "left_not_empty", "left_doubly_occupied", "n_up"])
def test_other_measurements(measured):
    """What is measured matters by which of the two coherences it deletes."""
    table = DATA["alternative_measurements"]
    model = engine(table["params"], table["tau"], measured=measured)
    increment = jax.jit(lambda m: m.energy_increment())
    close(increment(model), table["dE_limit"][measured], 1e-13, 0.04)
    if measured == "n_R":
        for kept, want in table["weak"].items():
            close(increment(model.replace(measurement_strength=1 - float(kept))), want, 1e-13, 0.04)
        assert abs(increment(model.replace(measurement_strength=0.0))) < 1e-16


def test_every_measurement_deletes_the_coherences_that_it_should():
    for measured, want in DATA["measurement_channels_k14_k36"].items():
        assert engine(GEN1, measured=measured)._factors().tolist() == want


@pytest.mark.parametrize("key", ["selective_GEN1", "selective_FIG5_tau1"])
def test_a_trajectory(key):
    """One selective run with given random numbers: outcomes, probabilities, -<C> and jumps of the energy."""
    table = DATA[key]
    run = engine(table["params"], table["tau"]).trajectory([k * 0.6180339887498949 % 1 for k in range(1, 21)], "ud")
    outcome, P, given, jump = np.array(table["trajectory"]).T
    assert run.outcome[0].tolist() == outcome.tolist() and run.values == ((0.0, 1.0),)
    close(np.where(outcome == 1, run.probability[0], 1 - run.probability[0]), P, 3e-12)
    close(run.given[0], given, 2e-12)
    close(run.jump[0], jump, 2e-12)


@pytest.mark.parametrize("key", ["selective_GEN1", "selective_FIG5_tau1"])
def test_moments_of_trajectories(key):
    """Means and standard deviations over 20,000 runs, within four standard errors."""
    table = DATA[key]
    run = engine(table["params"], table["tau"]).trajectories(7, 12, 20_000, "ud")
    for n, want in table["moments"].items():
        for values, name in ((run.given, "minusC"), (run.jump, "jump")):
            values = np.asarray(values)[:, int(n) - 1]
            std = want[f"std_{name}"]
            assert abs(values.mean() - want[f"mean_{name}"]) <= 4 * std / 20_000**0.5 + 1e-9 * abs(want[f"mean_{name}"])
            assert abs(values.std() - std) <= 0.05 * std + 1e-9


def test_against_the_whole_liouvillian():
    """The limit cycle of the 64 x 64 map made of dense strings, and the same Delta E."""
    model = engine(GEN1, 0.8)
    generator = model.generator()
    L = unitary(generator.H.dense())
    for jumps in generator.jumps.values():
        for j in jumps:
            L = L + float(j.rate) * dissipator(j.operator.dense())
    n = np.real(np.diag(SPACE.right.n.dense()))
    measure = np.diag((n[:, None] == n).astype(float).ravel())
    values, vectors = np.linalg.eig(measure @ expm(0.8 * L))
    at = np.argmin(np.abs(values - 1))
    rho = vectors[:, at].reshape(8, 8) / np.trace(vectors[:, at].reshape(8, 8))
    found, end = look(model)
    close(np.real(np.diag(rho))[_STATE], end.populations_after, 1e-13)
    before = (expm(0.8 * L) @ rho.ravel()).reshape(8, 8)
    hop = generator.H.dense() - np.diag(np.diag(generator.H.dense()))
    close(found["energy_increment"], -np.trace(hop @ before).real, 1e-12)
    second = np.sort(np.abs(values))[-2]
    close(found["cycles_to_converge"], -1 / np.log(second), 1e-10)


def test_units():
    want = DATA["unit_conversion"]
    close(qd.models.SpintronicEngine.watts(1.0), want["meV2_per_hbar_in_W"], 1e-9)
    close(qd.models.SpintronicEngine.seconds(1.0), DATA["conventions"]["hbar_over_meV_ps"] * 1e-12, 1e-9)


def test_optimum_in_U_and_tau():
    """At gamma = 0.1 the largest power lies inside; ripples in tau notwithstanding."""
    want = DATA["optimum_FIG6"]["U_tau_at_gamma0p1"]
    best = qd.optimize(qd.models.SpintronicEngine.preset("fig6", gamma=0.1), "power", {"U": (0, 2000), "tau": (1e-4, 10)})
    close(best.value, want["P"], 1e-8)
    close(best.parameters["U"], want["params"]["U"], 1e-4)
    close(best.parameters["tau"], want["tau"], 1e-4)
    assert best.converged and not best.at_bound


@pytest.mark.slow
def test_optima_in_tau_and_on_a_bound():
    table = DATA["optimum_FIG6"]
    for key, free, held in (("tau_at_gamma10", ["tau"], {"gamma": 10.0}), ("gamma_tau", ["gamma", "tau"], {})):
        want = table[key]
        model = qd.models.SpintronicEngine.preset("fig6", **held)
        best = qd.optimize(model, "power", {name: tuple(want["bounds"][name]) for name in free})
        close(best.value, want["P"], 1e-8)
        close(best.parameters["tau"], want["tau"], 1e-4)
        assert best.converged and best.at_bound == ({"gamma": "high"} if "gamma" in free else {})


def test_presets_are_the_captions():
    for name, params in (("fig3", "FIG3_tau_1"), ("fig5", "FIG5_tau_1"), ("fig6", "FIG6_tau_1"), ("fig7", "FIG7_tau_1e-3")):
        given = qd.models.SpintronicEngine.preset(name)
        assert jax.tree.all(jax.tree.map(jnp.array_equal, given, engine(LIMITS[params]["params"], LIMITS[params]["tau"])))
    assert float(qd.models.SpintronicEngine.preset("fig4", U=5.0).U) == 5


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: m.coherence_energy("uu2"), "initial must be one of .* or the 12 real coordinates, but was 'uu2'"),
        (lambda m: m.coherence_energy(np.ones(8)), r"initial must be one of .* or the 12 real coordinates, but has shape \(8,\)"),
        (lambda m: m.series(2.5, "ud"), "cycles must be an integer or an array of them, but was 2.5"),
        (lambda m: m.replace(measured="left_not_empty").plateau_power(), "alike on both coherences, but measured is"),
    ],
)
def test_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(engine(FIG6))
