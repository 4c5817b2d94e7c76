"""Bose and thermal factors against fifty digits, and detailed balance."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd
from qdiff.baths.occupation import thermal, x_coth

SIZES = (0.0, 1e-300, 1e-12, 1e-5, 0.1, 0.7499, 0.75, 0.7501, 1.0, 5.0, 30.0, 700.0, 1e4, 1e300)
POINTS = np.array(sorted({s * x for x in SIZES for s in (1, -1)}))
ORDERS = {0: jax.jit(jax.vmap(thermal)), 1: jax.jit(jax.vmap(jax.grad(thermal))), 2: jax.jit(jax.vmap(jax.grad(jax.grad(thermal))))}


def exact(x, order):
    """x/(e^x - 1) and derivatives: closed forms to 80 digits, the series in exact Bernoulli numbers below 0.01."""
    with mpmath.workdps(80):
        x = mpmath.mpf(float(x))
        if abs(x) < 0.01:
            terms = [mpmath.bernoulli(k) / mpmath.factorial(k) * mpmath.ff(k, order) * x ** (k - order) for k in range(order, 24)]
            return float(mpmath.fsum(terms))
        if abs(x) > 1e3:
            return float({0: max(-x, 0), 1: -1 if x < 0 else 0, 2: 0}[order])
        e = mpmath.exp(x)
        f = {0: x / (e - 1), 1: (e - 1 - x * e) / (e - 1) ** 2, 2: e * (x * (e + 1) - 2 * (e - 1)) / (e - 1) ** 3}
        return float(f[order])


@pytest.mark.parametrize("order, tol", [(0, 1e-15), (1, 1e-14), (2, 1e-14)])
def test_thermal_factor_against_mpmath(order, tol):
    """Value relative at every point from 0 to 1e300; derivatives to 1e-14 of their largest value (1 and 1/6)."""
    got = np.asarray(ORDERS[order](POINTS))
    want = np.array([exact(x, order) for x in POINTS])
    assert np.all(np.isfinite(got))
    scale = np.abs(want) if order == 0 else {1: 1.0, 2: 1 / 6}[order]
    assert np.all(np.abs(got - want) <= 2 * tol * scale + 1e-300), POINTS[np.abs(got - want) > 2 * tol * scale]
    if order == 0:
        assert got[np.flatnonzero(POINTS == 0)[0]] == 1.0


@pytest.mark.parametrize("x", [1e-300, 1e-12, 1e-5, 0.7499, 0.7501, 1.0, 30.0, 700.0, 1e4, -1e-5, -0.8, -30.0, -1e4])
def test_bose_factor(x):
    """1/(e^x - 1) to 2e-15 relative at either sign, no overflow."""
    with mpmath.workdps(50):
        want = float(1 / mpmath.expm1(mpmath.mpf(x)))
    assert abs(float(qd.baths.bose(x)) - want) <= 2e-15 * abs(want)


def test_fermi_factor_and_coth():
    """Fermi to 1e-16 absolute with gradient -1/4 at 0 and none far away; x coth x is 1 at zero and |x| far away."""
    xs = np.array([-1e300, -800.0, -3.0, 0.0, 1e-9, 2.0, 800.0, 1e300])
    close(qd.baths.fermi(xs), [float(1 / (mpmath.exp(min(x, 1e4)) + 1)) for x in xs], 2e-16)
    close(jax.vmap(jax.grad(qd.baths.fermi))(xs)[np.array([0, 3, 7])], [0, -0.25, 0], 1e-16)
    close(x_coth(np.array([0.0, 1e-8, 1.0, -1.0, 500.0])), [1, 1, 1 / np.tanh(1), 1 / np.tanh(1), 500], 1e-15)
    close(jax.vmap(jax.grad(jax.grad(x_coth)))(np.array([0.0, 1e-7])), [2 / 3, 2 / 3], 1e-13)


def custom(strength, cutoff):
    return qd.baths.Custom(lambda w, a, c: a * w * jnp.exp(-w / c), strength, cutoff)


SPECTRA = {"flat": qd.baths.Flat(0.2), "ohmic": qd.baths.Ohmic(0.2), "cutoff": qd.baths.Ohmic(0.2, 3.0), "custom": custom(0.2, 3.0)}


@pytest.mark.parametrize("name", sorted(SPECTRA))
def test_detailed_balance(name):
    """absorption / emission = e^{-beta omega} at either sign, from 1e-6 to where e^{beta omega} is 1e260; both >= 0."""
    for beta in (0.02, 1.0, 30.0):
        bath = qd.BosonicBath(beta, SPECTRA[name])
        omega = np.array([1e-6, 0.01, 0.5, 3.0, 20.0])
        omega = np.concatenate([-omega, omega])
        up, down = np.asarray(bath.absorption(omega)), np.asarray(bath.emission(omega))
        assert np.all(up >= 0) and np.all(down >= 0) and np.all(np.isfinite(up + down))
        close(np.log(up) - np.log(down), -beta * omega, 1e-13, 1 + beta * 20)
        rest = (down - up - np.asarray(SPECTRA[name](omega))) / (up + down)  # spontaneous part: emission - absorption = J
        assert np.all(np.abs(rest) < 1e-14)


@pytest.mark.parametrize("name", ["ohmic", "cutoff", "custom"])
def test_rates_at_zero_frequency(name):
    """The limit J'(0)/beta, and the derivative with respect to frequency by differences across zero.

    d(absorption)/d omega at zero is J''(0)/(2 beta) - J'(0)/2; the one-sided second derivative of an odd continued
    density (custom: J'' = -2a/c from the right) makes a kink, so that case is compared from the right.
    """
    bath = qd.BosonicBath(0.7, SPECTRA[name])
    close(bath.absorption(0.0), 0.2 / 0.7, 1e-15)
    slope = jax.grad(lambda w: bath.absorption(w))
    assert np.isfinite(float(slope(0.0)))
    if name != "custom":
        close(slope(0.0), -0.1, 1e-14)
        close(jax.grad(slope)(0.0), derivative(lambda x: slope(float(x[0])), [0.0], 0.1)[0], 1e-6)
    close(slope(1e-7), slope(3e-6), 1e-4)  # across the switch of `Custom` to its series


def test_rates_differentiate_in_bath_parameters():
    """Gradients in beta, strength and cutoff at a positive, a negative and the zero frequency against differences."""
    x = np.array([0.7, 0.2, 3.0])
    for kind in (qd.baths.Ohmic, custom):
        for omega in (1.3, -1.3, 0.0):
            f = jax.jit(lambda x, k=kind, w=omega: qd.BosonicBath(x[0], k(x[1], x[2])).emission(w))
            close(jax.grad(f)(x), derivative(f, x), 1e-9)


@pytest.mark.parametrize("s, omega", [(1.0, 0.7), (2.0, 0.7), (3.0, 0.7), (1.0, -0.7), (3.0, 0.0)])
def test_custom_density_with_a_traced_exponent(s, omega):
    """eta omega^s e^{-omega/c}, the usual family: gradients in eta and s are finite and equal the closed form."""

    def up(eta, s):
        bath = qd.BosonicBath(1.0, qd.baths.Custom(lambda w, eta, s: eta * w**s * jnp.exp(-w / 3), eta, s))
        return bath.absorption(omega)

    value, (by_eta, by_s) = jax.value_and_grad(up, argnums=(0, 1))(0.1, s)
    close(by_eta, value / 0.1, 1e-12, 1.0)
    close(by_s, value * np.log(abs(omega)) if omega else 0.0, 1e-12, 1.0)
