"""What the thermophoresis models refuse, what they say of their neighbourhood, and how a profile takes the place of two ends."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd

Lattice, Lambda = qd.models.ThermophoreticLattice, qd.models.LambdaSystem
TEN = list(np.linspace(0.8, 0.4, 10))


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Lattice, {"T_left": -0.1}, "T_left must be above 0, but was -0.1"),
        (Lattice, {"T_right": 0.0}, "T_right must be above 0, but was 0.0"),
        (Lattice, {"temperatures": [*TEN[:9], -1.0]}, "temperatures[9] must be above 0, but was -1.0"),
        (Lattice, {"temperatures": [*TEN[:9], np.nan]}, "temperatures[9] must be finite, but was nan"),
        (Lattice, {"temperatures": TEN[:9]}, "temperatures must be one for each site, shape (10,), but has shape (9,)"),
        (Lattice, {"temperatures": 0.5}, "temperatures must be an array of shape (n,), but has shape ()"),
        (Lattice, {"temperatures": "warm"}, "temperatures must be an array of numbers, but was 'warm'"),
        (
            Lattice,
            {"temperatures": TEN, "T_left": 0.8},
            "temperatures must be given instead of T_left and T_right, but was given together with T_left",
        ),
        (
            Lattice,
            {"temperatures": TEN, "T_right": 0.4},
            "temperatures must be given instead of T_left and T_right, but was given together with T_right",
        ),
        (Lattice, {"g": 0}, "g must not be 0: without hopping the sites are separate, and there are 10 stationary states"),
        (Lattice, {"g": 0.0, "master_equation": "local", "sites": 4}, "g must not be 0: without hopping the sites are separate, and there"),
        (Lattice, {"g": "fast"}, "g must be a number, but was 'fast'"),
        (Lattice, {"h": -1.0}, "h must be above 0, but was -1.0"),
        (Lattice, {"rate": 0.0}, "rate must be above 0, but was 0.0"),
        (Lattice, {"sites": 1}, "sites must be at least 2, but was 1"),
        (Lattice, {"sites": 2.5}, "sites must be an integer, but was 2.5"),
        (Lattice, {"spectrum": "white"}, "spectrum must be one of 'flat', 'ohmic', but was 'white'"),
        (Lattice, {"master_equation": "both"}, "master_equation must be one of 'global', 'local', but was 'both'"),
        (Lambda, {"T1": -1.0}, "T1 must be above 0, but was -1.0"),
        (Lambda, {"omega2": 0.0}, "omega2 must be above 0, but was 0.0"),
        (qd.models.VSystem, {"rate": -1.0}, "rate must be above 0, but was -1.0"),
    ],
)
def test_refused(kind, given, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        kind(**given)


def test_unknown_names():
    with pytest.raises(ValueError, match="ThermophoreticLattice has no parameter 'T_rihgt'; did you mean 'T_right'"):
        Lattice().replace(T_rihgt=0.3)


def test_a_profile_takes_the_place_of_the_ends():
    model = Lattice(g=1.3)
    assert (float(model.T_left), float(model.T_right), model.temperatures) == (0.8, 0.4, None)
    close(model.profile(), TEN, 1e-15)
    free = model.replace(temperatures=TEN)
    assert free.T_left is None and free.T_right is None
    close(free.site_populations(), model.site_populations(), 1e-15)
    back = free.replace(T_left=0.8)
    assert back.temperatures is None and float(back.T_right) == 0.4
    assert float(back.thermophoresis()) == float(model.thermophoresis())


def test_a_gradient_is_a_model():
    slope = jax.jit(jax.grad(lambda m: m.thermophoresis()))(Lattice(g=1.3, temperatures=TEN))
    assert isinstance(slope, Lattice) and slope.T_left is None and slope.temperatures.shape == (10,)


def test_a_list_of_which_some_are_traced():
    slope = jax.jit(jax.grad(lambda T: Lattice(sites=4, temperatures=[T, 0.6, 0.5, T / 2]).mean_site()))(0.9)
    free = jax.jit(jax.grad(lambda T: Lattice(sites=4, temperatures=T).mean_site()))(jnp.array([0.9, 0.6, 0.5, 0.45]))
    close(slope, free[0] + free[3] / 2, 1e-13)


def test_traced_without_hopping():
    """g = 0 that is only known at run time: an error, or NaN in a batch, never a number."""
    for kind in ("global", "local"):
        with pytest.raises(Exception, match="g must not be 0: without hopping the sites are separate"):
            jax.jit(lambda g, kind=kind: Lattice(g=g, sites=3, master_equation=kind).mean_site())(0.0)
    with qd.failures("nan"):
        values = jax.jit(jax.vmap(lambda g: Lattice(g=g, sites=3).mean_site()))(jnp.array([0.0, 0.5]))
    assert np.isnan(values[0]) and np.isfinite(values[1])


def test_traced_negative_temperatures():
    with pytest.raises(Exception, match="T_left must be above 0"):
        jax.jit(lambda T: Lattice(T_left=T, sites=3).mean_site())(-0.2)
    with pytest.raises(Exception, match="T1 must be above 0"):
        jax.jit(lambda T: Lambda(T1=T).imbalance())(-0.2)


def test_too_cold_for_the_smallest_number():
    with pytest.raises(qd.SolveError, match="as where an energy is more than 700 temperatures"):
        Lattice(g=0.1, T_left=1e-3, T_right=5e-4).mean_site()
    with pytest.raises(qd.SolveError, match="when a transition energy is more than 700 temperatures"):
        Lambda(T1=1e-3, T2=1e-3).imbalance()


def test_cold_but_not_too_cold():
    """Almost everything at the coldest site, the other populations to all digits."""
    P = np.asarray(Lattice(g=1e-3, T_left=0.01, T_right=0.005).site_populations())
    assert P[-1] > 1 - 1e-8 and 0 < P[0] < 1e-40
    # Weak hopping: separate sites, p_k proportional to 1 + e^{h/T_k}, up to the width of the band.
    assert abs(np.log(P[0] / P[-1]) + 100) < 1.0


def test_limits_of_size():
    big = Lattice(sites=300)
    for act in (big.relaxation_gap, big.rates, lambda: big.evolution([1.0], np.eye(600)[0])):
        with pytest.raises(ValueError, match="sites must be at most 256 for .*, but was 300"):
            act()
    local = Lattice(sites=40, master_equation="local")
    with pytest.raises(ValueError, match="sites must be at most 32 for the relaxation gap of the local equation, but was 40"):
        local.relaxation_gap()
    with pytest.raises(ValueError, match='master_equation must be "global" for a rate equation, but was "local"'):
        local.rates()
    with pytest.raises(qd.SolveError, match="the highest temperature must be within a factor of 100 of the lowest"):
        Lattice(sites=300, T_left=1.0, T_right=1e-3, g=0.2).mean_site()


@pytest.mark.parametrize(
    ("populations", "message"),
    [
        (np.ones(10) / 10, "populations must be one population for each state, shape (20,), but has shape (10,)"),
        (np.r_[1.5, -0.5, np.zeros(18)], "populations must not be negative, but one was -0.5"),
        (np.ones(20), "populations must sum to one, but sums to 20"),
    ],
)
def test_populations_that_are_none(populations, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Lattice().dufour_currents(populations)
    with pytest.raises(ValueError, match=re.escape(message.replace("populations must", "initial must"))):
        Lattice().evolution([1.0], populations)


def test_notes():
    """Between which crossings g lies, on which side derivatives are taken; nothing where there are no crossings."""
    at = Lattice().crossings()
    assert np.all(np.diff(at) > 0) and at.size == 5
    low, high = Lattice(g=-1.3, h=2.0).crossings()[:2]
    notes = Lattice(g=-1.1, h=2.0).warnings({})
    assert notes["g_interval"] == [low, high] and notes["levels_below_ground"] == 1 and notes["derivatives"] == "two-sided"
    assert Lattice(g=0.3).warnings({})["g_interval"] == [0.0, at[0]]
    assert Lattice(g=9.0).warnings({})["g_interval"] == [at[-1], np.inf]
    there = Lattice(g=at[2])
    assert there.warnings({})["derivatives"] == "one-sided, for E_8 > 0: level 8 crosses the ground states here"
    found = qd.evaluate(there, "mean_site").diagnostics
    assert found["derivatives"] == there.warnings({})["derivatives"]
    for kind in ({"spectrum": "ohmic"}, {"master_equation": "local"}):
        assert Lattice(**kind).warnings({}) == {}


def test_diagnostics():
    found = Lattice(g=1.3).diagnostics()
    assert found["imbalance"] < 1e-13 and abs(found["first_law_residual"]) < 1e-15
    assert float(found["smallest_level_distance"]) == pytest.approx(0.0800790338, abs=1e-10)
    assert 0 < Lattice(sites=300).diagnostics()["interpolation_error"] < 1e-13


def test_sites_mirror_each_other_with_the_temperatures():
    """Hot and cold exchanged, and the sign of g: the same chain seen from the other end."""
    one = Lattice(g=0.9, temperatures=TEN[:3] + [0.9, 0.2, 0.5, 0.6] + TEN[7:])
    other = Lattice(g=-0.9, temperatures=one.temperatures[::-1])
    close(one.site_populations()[::-1], other.site_populations(), 1e-14)
    close(one.thermophoresis(), -other.thermophoresis(), 1e-13)


def test_the_crossing_is_no_trouble_in_time():
    """At a level crossing the rates are infinite: the ground states are equally full from the first moment on."""
    model = Lattice(g=Lattice().crossings()[0])
    moving = model.evolution([1e-3, 1.0], np.eye(20)[3])
    for row in moving.ground_populations:
        close(row, np.full(10, row[0]), 1e-9)
    late = model.evolution([200.0], np.eye(20)[3])
    close(late.site_populations[0], model.site_populations(), 1e-12)


def test_local_and_global_in_time():
    """The local equation against its whole superoperator; both end where they should."""
    N, h, g = 3, 1.0, 0.4
    model = Lattice(sites=N, g=g, master_equation="local")
    T = np.asarray(model.profile())
    H = np.zeros((6, 6))
    H[N:, N:] = h * np.eye(N) + g * (np.eye(N, k=1) + np.eye(N, k=-1))
    L = -1j * (np.kron(H, np.eye(6)) - np.kron(np.eye(6), H))
    for k in range(N):
        for rate, to, frm in ((1 / -np.expm1(-h / T[k]), k, N + k), (1 / np.expm1(h / T[k]), N + k, k)):
            A = np.zeros((6, 6))
            A[to, frm] = 1
            L = L + rate * (np.kron(A, A) - (np.kron(A.T @ A, np.eye(6)) + np.kron(np.eye(6), A.T @ A)) / 2)
    start = np.array([0.1, 0.2, 0.0, 0.4, 0.3, 0.0])
    from scipy.linalg import expm

    rho = (expm(0.8 * L) @ np.diag(start).ravel()).reshape(6, 6)
    moved = model.evolution([0.8, 3000.0], start)
    close(moved.ground_populations[0], np.diag(rho).real[:N], 1e-13)
    close(moved.site_populations[0], (np.diag(rho).real[:N] + np.diag(rho).real[N:]), 1e-13)
    e, v = np.linalg.eigh(H[N:, N:])
    close(moved.level_populations[0][::-1], np.diag(v.T @ rho[N:, N:] @ v).real, 1e-13)
    close(moved.site_populations[1], model.site_populations(), 1e-12)


@pytest.mark.parametrize("kind", [qd.models.LambdaSystem, qd.models.VSystem])
def test_three_levels_by_the_general_equation(kind):
    """The closed form's populations are the stationary state of the master equation of operators."""
    atom = kind(omega1=1.3, omega2=0.8, T1=2.0, T2=0.7)
    close(qd.steady_state(atom.generator()).populations(), atom.populations(), 1e-12)
