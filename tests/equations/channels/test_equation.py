"""Channel equations against sums over all pairs of modes, and what they refuse."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.equations.channels import periodic_chain


def pairs(n, rates, weights, speed):
    """dn_q/dt by the sum over all pairs (k, q), weights a list of (g, l) arrays."""
    n = n.ravel()
    sites, out = weights[0][0].shape[-1], np.zeros(n.size)
    for rate, (g, loss) in zip(rates, weights, strict=True):
        g, loss = g.ravel(), loss.ravel()
        for q in range(n.size):
            for k in range(n.size):
                out[q] += rate * ((1 - n[q]) * g[q] * loss[k] * n[k] - n[q] * loss[q] * g[k] * (1 - n[k])) / sites
    return speed * out


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    tilt, gain, loss = rng.normal(size=(2, 7)) * 3, rng.uniform(size=(2, 7)), rng.uniform(size=(2, 7))
    channels = qd.channels.Channels(
        {"bath": 0.3, "other": 0.7},
        lambda _, modes: {"bath": qd.channels.Channel(tilt=modes[0]), "other": qd.channels.Channel(modes[1], modes[2])},
        tuple(jnp.asarray(x) for x in (tilt, gain, loss)),
        speed=0.4,
    )
    return channels, [(np.exp(-tilt / 2), np.exp(tilt / 2)), (gain, loss)], rng.uniform(size=(2, 7))


def test_right_hand_side(case):
    channels, weights, n = case
    want = pairs(n, [0.3, 0.7], weights, 0.4).reshape(2, 7)
    close(channels.right_hand_side(n), want, 1e-13)
    close(np.sum(channels.right_hand_side(n)), 0.0, 1e-13, scale=np.abs(want).max())
    both = channels.right_hand_sides(np.log(1 / n - 1))
    close(both.occupations, want, 1e-13)
    close(both.lagrange_parameters, -want / (n * (1 - n)), 1e-13)
    h = 1e-6
    for q in (0, 9):
        unit = np.zeros(14)
        unit[q] = h
        unit = unit.reshape(2, 7)
        alone = (channels.right_hand_side(n + unit) - channels.right_hand_side(n - unit)).ravel()[q] / (2 * h)
        # All of the diagonal but the mode's own part in the sums, of order 1/sites.
        own = sum(r * w[0].ravel()[q] * w[1].ravel()[q] for r, w in zip([0.3, 0.7], weights, strict=True)) * 0.4 / 7
        assert float(channels.decay(n).ravel()[q]) == pytest.approx(float(own - alone), rel=1e-7)


def test_the_comparison_can_fail(case):
    channels, weights, n = case
    swapped = pairs(n, [0.7, 0.3], weights, 0.4).reshape(2, 7)
    with pytest.raises(AssertionError):
        close(channels.right_hand_side(n), swapped, 1e-3)


def test_lagrange_parameters_far_out(case):
    """Occupations of e^-600 keep their rates."""
    channels = case[0]
    found = channels.right_hand_sides(jnp.where(jnp.arange(7) % 2 == 0, 600.0, -600.0) * jnp.ones((2, 1)))
    assert np.all(np.isfinite(found.lagrange_parameters)) and np.all(np.isfinite(found.occupations))


@pytest.mark.parametrize("n", [2, 3, 8, 9, 1000])
def test_momenta(n):
    k = 2 * np.pi * (np.arange(n) - n // 2) / n
    c, s = periodic_chain.momenta(n)
    close(c, np.cos(k), 1e-15, scale=1.0)
    close(s, np.sin(k), 1e-15, scale=1.0)
    assert np.all(np.asarray(s)[1 - n % 2 :] == -np.asarray(s)[1 - n % 2 :][::-1])  # exactly odd
    assert s[n // 2] == 0 and (n % 2 or s[0] == 0)


def test_bad_input():
    with pytest.raises(ValueError, match="rates must hold at least one channel, name -> rate, but was {}"):
        qd.channels.Channels({}, lambda p, m: {}, jnp.zeros(3))
    with pytest.raises(ValueError, match="the rate of channel 'bath' must be a finite number of at least 0, but was -1"):
        qd.channels.Channels({"bath": -1.0}, lambda p, m: {"bath": qd.channels.Channel()}, jnp.zeros(3))
    wrong = qd.channels.Channels({"bath": 1.0}, lambda p, m: {"bad": qd.channels.Channel()}, jnp.zeros(3))
    with pytest.raises(ValueError, match=r"weights must return the channels \['bath'\], but returned \['bad'\]"):
        wrong.right_hand_side(jnp.full(3, 0.5))
