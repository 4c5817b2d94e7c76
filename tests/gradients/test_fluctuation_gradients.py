"""Derivatives of correlations, spectra and cumulants: forward, reverse and second order, in batches, at degenerate points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd

QUBIT = qd.Space(q=qd.Spin()).q


@qd.structured
def driven(drive, gap, hot, cold):
    """A driven qubit between two baths."""
    baths = {"hot": qd.BosonicBath(hot, 0.3), "cold": qd.BosonicBath(cold, 0.2)}
    jumps = {k: qd.thermal_jumps(QUBIT.minus, gap, b) for k, b in baths.items()}
    return qd.Lindblad(0.5 * gap * QUBIT.z + drive * QUBIT.x, jumps)


def correlations(theta):
    *given, t = theta
    generator = driven(*given)
    c = qd.correlation(qd.steady_state(generator), QUBIT.plus, QUBIT.minus, jnp.stack([t, 3 * t, 0 * t]))
    return jnp.concatenate([c.real, c.imag])


def spectra(theta):
    *given, omega = theta
    generator = driven(*given)
    state = qd.steady_state(generator)
    s = qd.spectrum(state, QUBIT.plus, QUBIT.z, jnp.stack([omega, 0 * omega]))
    return jnp.concatenate([s.real, s.imag, qd.zero_frequency_noise(state, QUBIT.plus)[None]])


def counts(theta):
    generator = driven(*theta)
    return qd.cumulants(qd.steady_state(generator), "hot", "energy", order=3)


POINT = np.array([0.4, 1.1, 0.3, 1.2])
CASES = {"correlations": (correlations, 0.7), "spectra": (spectra, 0.7), "counts": (counts, None)}


def point_of(last, **changes):
    x = np.array([changes.get(n, v) for n, v in zip(("drive", "gap", "hot", "cold"), POINT, strict=True)])
    return x if last is None else np.append(x, last)


def compiled(f):
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})  # run a few times only: compiled fast


def mixed(values):
    """One number in which all values take part."""
    return jnp.cos(jnp.arange(len(values))) @ values


@pytest.fixture(scope="module", params=sorted(CASES))
def case(request):
    f, last = CASES[request.param]
    return f, last, compiled(f), compiled(jax.jacfwd(f)), compiled(jax.grad(lambda x: mixed(f(x))))


def test_first_order(case):
    """Forward and reverse against extrapolated differences: 1e-9 (eps/h and h^6 at h = 1e-2), and each other: 1e-12."""
    f, last, value, forward, reverse = case
    for changes in ({}, {"drive": 0.0}, {"hot": 1.2}, {"drive": 0.0, "hot": 1.2}):
        x = jnp.asarray(point_of(last, **changes))
        got = forward(x)
        close(got.T, derivative(value, x), 2e-9)
        close(reverse(x), mixed(got), 1e-12)


@pytest.mark.parametrize("case", ["correlations", "spectra"], indirect=True)
def test_at_the_ends(case):
    """The derivatives at time and frequency zero; those in the time ahead, by one-sided differences of fourth order."""
    f, _, value, forward, reverse = case
    x = jnp.asarray(point_of(0.0))
    got = forward(x)
    close(reverse(x), mixed(got), 1e-12)
    if f is spectra:
        close(got.T, derivative(value, x), 2e-9)
        return
    h = 1e-3
    ahead = [np.asarray(value(x.at[4].set(k * h))) for k in range(5)]
    slope = (-25 * ahead[0] + 48 * ahead[1] - 36 * ahead[2] + 16 * ahead[3] - 3 * ahead[4]) / (12 * h)
    close(got[:, 4], slope, 1e-8)


@pytest.mark.slow
def test_second_order_and_batches(case):
    """The Hessian is symmetric and that of differences of the gradient, and `vmap` returns what single calls do."""
    f, last, value, _, reverse = case
    x = jnp.asarray(point_of(last))
    second = compiled(jax.jacfwd(jax.grad(lambda x: mixed(f(x)))))(x)
    close(second, derivative(reverse, x), 1e-8)
    close(second, second.T, 1e-11)
    points = jnp.stack([x, 1.1 * x, 0.9 * x])
    close(compiled(jax.vmap(f))(points), np.stack([value(p) for p in points]), 1e-12)


def test_noise_of_a_rectified_current_at_rest():
    """With one bath switched off nothing flows: mean and noise vanish, and their derivatives in its rate are finite."""

    def flow(rate):
        generator = qd.Lindblad(0.5 * QUBIT.z, {"a": [(rate, QUBIT.plus)], "b": (1.0, QUBIT.minus)})
        return qd.cumulants(qd.steady_state(generator), "a", (1.0,), order=3)

    close(compiled(flow)(0.0), [0.0, 0.0, 0.0], 1e-16, 1.0)
    # c_1 = r/(1 + r), and all cumulants start as those of independent events: slope one.
    close(compiled(jax.jacfwd(flow))(0.0), [1.0, 1.0, 1.0], 1e-14)
    close(compiled(jax.jacrev(flow))(0.0), [1.0, 1.0, 1.0], 1e-14)


def test_an_ansatz_with_noise():
    """The gradient of an uncertainty ratio through everything: closed form of two states, as a user would write it."""

    def ratio(a):
        jumps = {
            "l": [qd.Jump(a, QUBIT.plus, quanta=1), qd.Jump(0.2, QUBIT.minus, quanta=-1)],
            "r": [(0.3, QUBIT.plus), (0.7, QUBIT.minus)],
        }
        generator = qd.Lindblad(0.5 * QUBIT.z, jumps)
        mean, noise = qd.cumulants(qd.steady_state(generator), "l", "quanta", order=2)
        return qd.thermo.uncertainty_ratio(mean, noise, mean * jnp.log(a * 0.7 / (0.2 * 0.3)))

    def closed(a):
        G, f, b = a + 0.2 + 0.3 + 0.7, a * 0.7, 0.2 * 0.3
        mean, noise = (f - b) / G, (f + b) / G - 2 * (f - b) ** 2 / G**3
        return noise / mean * jnp.log(f / b)

    value, slope = compiled(jax.value_and_grad(ratio))(0.9)
    close(value, closed(0.9), 1e-13)
    close(slope, jax.grad(closed)(0.9), 1e-12)
