"""Exact identities of the rotor engine, which no part of the solver knows of."""

import jax
import numpy as np
import pytest

import qdiff as qd
from qdiff.models.base import sharing


@jax.jit
def identities(model):
    """Both heats, the friction of the load and the mean momentum, entropy production, edge populations."""
    with sharing():
        state, wheel = model.steady(), model.space.wheel
        friction = qd.current(state, wheel.L, "load")
        heats = model.heat_current_cold(), model.heat_current_hot(), model.heat_current_load()
        balance = model.ledger().imbalance
        return heats, friction, model.angular_momentum(), model.entropy_production(), balance, model.rotor_populations()


@pytest.mark.parametrize("seed", range(6))
def test_heat_momentum_and_friction(seed):
    """Q2 = 2 B2 gamma <L>, Q1 = -2 B1 gamma <L>, d<L>/dt under the load alone = -gamma <L>, first law, second law.

    To 1e-9 where the edge levels hold less than 1e-12; at random parameters.
    """
    rng = np.random.default_rng(seed)
    at = dict(B1=4.0, B2=10.0, lam=0.1, g=1.0, inertia=1.0, gamma=5e-5, beta1=0.1, beta2=0.02, beta_load=0.09)
    at = {k: v * rng.uniform(0.9, 1.1) for k, v in at.items()} | {"chi": rng.uniform(-0.3, 0.3)}
    model = qd.models.RotorEngine(**at, l_min=-40, l_max=60)
    (Q1, Q2, Qr), friction, L, entropy, balance, levels = identities(model)
    assert max(levels[0], levels[-1]) < 1e-12
    assert abs(Q2 - 2 * model.B2 * model.gamma * L) < 1e-9 * abs(Q2)
    assert abs(Q1 + 2 * model.B1 * model.gamma * L) < 1e-9 * abs(Q1)
    assert abs(friction + model.gamma * L) < 1e-9 * abs(friction)
    assert abs(balance) < 1e-10 * max(abs(Q1), abs(Q2), abs(Qr))
    assert entropy > 0


def test_the_two_runs_of_a_rectifier():
    """The second run has the temperatures of the first exchanged: its hot bath is the one at the first qubit."""
    model = qd.models.RotorRectifier(l_min=-3, l_max=3)
    forward, reverse = model.forward(), model.reverse()
    assert float(forward.heat_hot) == pytest.approx(float(model.heat_current_forward()), rel=1e-13)
    assert float(reverse.heat_cold) == pytest.approx(float(model.heat_current_reverse()), rel=1e-13)
    mirrored = model.replace(beta1=model.beta2, beta2=model.beta1)
    assert float(mirrored.forward().heat_hot) == pytest.approx(float(reverse.heat_hot), rel=1e-12)
    assert model.operating_mode() in qd.thermo.engine.MODES
