"""The rotor engine in time: populations to 1e-9 of themselves each (Figs. 6, 7), powers to 1e-9 of the largest (Fig. 8).

The reference numbers in data/rotor_in_time.json were computed independently of this package. The populations beside them
with 25 digits are from integer arithmetic (400 binary digits, Taylor series and squaring of the same equations, written
out again); they show that the reference is off by 5e-10 at its smallest population and 3e-10 at its longest time.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import reference_numbers

import qdiff as qd

DATA = reference_numbers("rotor_in_time")
FIG8 = DATA["lme_fig8_r0.8"]
POWERS = {"kinetic": "Wkin", "intrinsic": "Wint", "net": "Wnet", "back_action": "QBA"}


def model_of(entry):
    return qd.models.RotorEngine(**entry["parameters"])


def off(value, reference):
    """The largest relative error of any entry."""
    value, reference = np.asarray(value), np.asarray(reference)
    assert value.shape == reference.shape and np.all(reference != 0)
    return float(np.max(np.abs(value / reference - 1)))


def test_off_can_fail():
    assert off([1e-58, 1.0], [1e-58, 1.0]) == 0 and off([1.1e-58, 1.0], [1e-58, 1.0]) > 0.09
    assert np.isnan(off([np.nan], [1.0]))


@pytest.mark.parametrize("name", ["lme_fig67_gamma0", "lme_fig67_gamma0.0005"])
def test_rotor_populations(name):
    """All sixteen levels from 3e-58 to 0.998 at five times over six decades, each relative to itself."""
    entry = DATA[name]
    got = model_of(entry).rotor_populations(entry["values"]["t"])
    assert off(got, entry["values"]["P_l"]) < 1e-9
    # Rates are known to 1e-16 of the fastest; 25 squarings leave 1e-14 (measured: 4e-15).
    assert off(got, np.array(entry["values"]["P_l 25 digits"], float)) < 3e-14


def test_rotor_populations_still_are_a_merit():
    """Without arguments they are the stationary ones, which late times meet."""
    device = qd.models.RotorEngine(gamma=0.02, l_min=-8, l_max=9)
    assert "rotor_populations" in type(device).merits()
    late = device.rotor_populations([1e9])
    assert off(late[0], device.rotor_populations()) < 1e-11


def test_powers():
    """Kinetic, intrinsic, net power and back-action at nine times over seven decades, to 1e-9 of the largest of each."""
    values = FIG8["values"]
    got = model_of(FIG8).powers(values["t"])
    for name, key in POWERS.items():
        reference = np.array(values[key])
        assert np.max(np.abs(getattr(got, name) - reference)) < 1e-9 * np.max(np.abs(reference)), name


def test_momentum_and_heat():
    """<L> and the heat from both baths along the way, from the snapshots of one evolution."""
    values, device = FIG8["values"], model_of(FIG8)

    @jax.jit
    def read(times):
        run = device.evolution(times)
        heat = run.map(lambda s: qd.currents(s, device.uncoupled()))
        work = run.map(lambda s: qd.currents(s, device.interaction()))
        return run.expect(device.space.wheel.L), heat["cold"], heat["hot"], work["cold"] + work["hot"]

    for got, key in zip(read(jnp.array(values["t"])), ("Lz", "Q1", "Q2", "WQ"), strict=True):
        reference = np.array(values[key])
        assert np.max(np.abs(got - reference)) < 1e-9 * np.max(np.abs(reference)), key


def test_net_power_has_its_maximum():
    """Where the net power is largest its derivative in time vanishes, and its value is known."""
    peak, device = FIG8["values"]["net_power_max"], model_of(FIG8)
    net, slope = jax.value_and_grad(lambda t: device.powers(t[None]).net[0])(jnp.asarray(peak["t"]))
    assert float(net) == pytest.approx(peak["Wnet"], rel=peak["rel_acc_Wnet"])
    assert abs(float(slope)) * peak["t"] < peak["rel_acc_t"] * float(net)


def test_powers_are_derivatives():
    """The kinetic power is the time derivative of <L^2>/2I, the net power that of <L>^2/2I, by forward differentiation."""
    device = qd.models.RotorEngine(gamma=0.02, lam=0.4, inertia=0.8, l_min=-6, l_max=7)
    wheel = device.space.wheel

    def energies(t):
        run = device.evolution(t[None])
        return jnp.stack([run.expect(wheel.L2)[0], run.expect(wheel.L)[0] ** 2]) / (2 * device.inertia)

    for t in (0.3, 40.0):
        rate = jax.jit(jax.jacfwd(energies))(t)
        got = device.powers([t])
        assert off(rate, [got.kinetic[0], got.net[0]]) < 1e-11
        assert off(got.kinetic, got.intrinsic + got.back_action) < 1e-14


def test_times_are_checked():
    """The compiled figure of merit refuses unsorted times with one sentence."""
    with pytest.raises(ValueError, match="times must be sorted"):
        qd.models.RotorEngine(l_min=-3, l_max=3).powers([2.0, 1.0])
