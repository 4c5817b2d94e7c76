"""Occupations in time: the integrators against each other, and the linear algebra of the implicit one."""

from functools import partial

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from helpers import close

import qdiff as qd
from qdiff.equations.channels.evolve import DiagonalPlusProducts
from qdiff.equations.lindblad.integrators import Stiff


@pytest.mark.parametrize("beta", [2.0, 40.0])
def test_diagonal_plus_products(beta):
    """Against a dense solve, also where rows sit on a few modes."""
    rng = np.random.default_rng(0)
    energy = rng.uniform(-2, 2, size=60)
    rows = np.stack([np.exp(-beta * energy / 2), np.exp(beta * energy / 2), rng.uniform(size=60)])
    rows /= rows.max(axis=1)[:, None]
    A = np.diag(rng.uniform(1, 5, size=60)) + rng.normal(size=(60, 3)) @ rows
    b = rng.normal(size=60)
    solver = DiagonalPlusProducts(jnp.asarray(rows))
    operator = lx.FunctionLinearOperator(lambda x: jnp.asarray(A) @ x, jax.ShapeDtypeStruct((60,), float))
    state = solver.init(operator, {})
    close(solver.compute(state, jnp.asarray(b), {})[0], np.linalg.solve(A, b), 1e-10)
    turned, _ = solver.transpose(state, {})
    close(solver.compute(turned, jnp.asarray(b), {})[0], np.linalg.solve(A.T, b), 1e-10)


def test_explicit_and_stiff_agree():
    """At beta = 4, and with the steady state, from two initial states of the same filling."""
    model = qd.models.RashbaRectifier(length=32, beta=4.0, drive=0.5)
    rng = np.random.default_rng(1)
    other = 0.5 + 0.2 * rng.uniform(-1, 1, size=(2, 32))
    other += 0.5 - other.mean()
    times = np.array([0.0, 0.01, 3.0, 2000.0])
    first = model.relaxation(times)
    stiff = model.relaxation(times, solver=qd.solvers.Stiff(rtol=1e-7, atol=1e-10))
    close(stiff.occupations, first.occupations, 1e-6)
    assert np.abs(first.occupations[1] - first.occupations[0]).max() > 0.01
    for run in (first, model.relaxation(times, initial=other)):
        close(run.occupations[-1], model.occupations(), 1e-11)
        close(jnp.sum(run.occupations, axis=(1, 2)), np.full(4, 32.0), 1e-12)


def test_derivative_of_a_relaxation():
    model = qd.models.RamanRectifier(length=16)

    def current(drive):
        return model.replace(drive=drive).relaxation(jnp.array([2.0])).current[0]

    h = 1e-4
    want = (8 * (current(0.5 + h) - current(0.5 - h)) - (current(0.5 + 2 * h) - current(0.5 - 2 * h))) / (12 * h)
    assert float(jax.grad(current)(0.5)) == pytest.approx(float(want), rel=1e-9)

    def forward(drive):
        return (
            model.replace(drive=drive).relaxation(jnp.array([2.0]), solver=qd.solvers.Explicit(gradient="forward", rtol=1e-12)).current[0]
        )

    assert float(jax.jacfwd(forward)(0.5)) == pytest.approx(float(want), rel=1e-9)


def test_bad_input():
    model = qd.models.RamanRectifier(length=16)
    for times, initial, message in (
        ([-1.0], None, "times must not be negative, but one was -1"),
        ([1.0, 0.5], None, "times must be sorted in ascending order"),
        ([1.0], np.ones(3), r"initial must have shape \(16,\), but has shape \(3,\)"),
        ([1.0], np.full(16, 2.0), "initial must hold occupations between 0 and 1, but has 2 and 2"),
    ):
        with pytest.raises(ValueError, match=message):
            model.relaxation(np.array(times), initial)
    with pytest.raises(TypeError, match=r"solver must be Explicit\(\) or Stiff\(\), but was Propagator"):
        model.relaxation(np.array([1.0]), solver=qd.solvers.Propagator())
    with pytest.raises(ValueError, match=r"lagrange_parameters must have shape \(16,\), but have shape \(3,\)"):
        model.rates(np.zeros(3))


def test_one_fast_mode_makes_it_stiff():
    """Modes that exchange at rates of four decades: the solver for stiff equations is taken, and particles are kept."""
    speed = jnp.array([0.01, 1.0, 300.0])
    channels = qd.channels.Channels(
        {"hot": 1.0}, lambda p, modes: {"hot": qd.channels.Channel(gain=speed, loss=speed)}, jnp.arange(3.0), 1.0
    )
    start = jnp.array([0.9, 0.2, 0.4])
    fast = channels.evolve(start, jnp.array([0.0, 10.0]))
    slowly = channels.evolve(start, jnp.array([0.0, 10.0]), solver=Stiff(rtol=1e-8, atol=1e-12))
    assert np.array_equal(fast, slowly)
    close(jnp.sum(fast, axis=1), np.full(2, 1.5), 1e-7)


def test_the_longest_step_is_heeded():
    """With tolerances that refuse nothing it alone decides how good the result is; known and traced it is the same."""
    energies, start = jnp.linspace(-1, 1, 5), jnp.full(5, 0.4)
    channels = qd.channels.Channels({"bath": 1.0}, lambda b, e: {"bath": qd.channels.Channel(tilt=b * e)}, energies, parameters=2.0)

    def last(**given):
        return channels.evolve(start, jnp.array([3.0]), qd.solvers.Explicit(**given))[0]

    want = channels.evolve(start, jnp.array([3.0]))[0]
    short = last(rtol=1.0, atol=1.0, max_step=0.05)
    close(short, want, 1e-8)
    with pytest.raises(AssertionError):
        close(last(rtol=1.0, atol=1.0), want, 1e-8)
    close(jax.jit(lambda h: last(rtol=1.0, atol=1.0, max_step=h))(0.05), short, 1e-14)


def test_derivatives_at_rest():
    """Occupations that stay where they are, and their derivatives in temperature, by SciPy's exponential and DOP853."""
    energies, last, beta = jnp.linspace(-1, 1, 5), 5.0, 2.0
    rest = 1 / (1 + jnp.exp(beta * energies))

    def channels(beta):
        return qd.channels.Channels({"bath": 1.0}, lambda b, e: {"bath": qd.channels.Channel(tilt=b * e)}, energies, parameters=beta)

    def later(beta, gradient):
        solver = qd.solvers.Explicit(rtol=1e-15, atol=1e-20, gradient=gradient)
        return channels(beta).evolve(rest, jnp.array([last]), solver)[0]

    close(later(beta, "reverse"), rest, 1e-13)

    # First order: v' = J v + df/dbeta.
    augmented = np.zeros((6, 6))
    augmented[:5, :5] = jax.jacfwd(channels(beta).right_hand_side)(rest)
    augmented[:5, 5] = jax.jacfwd(lambda b: channels(b).right_hand_side(rest))(beta)
    want = scipy.linalg.expm(last * augmented)[:5, 5]
    # Steps that look at the occupations alone made derivatives that were off by 4e-5 of these.
    both = jax.jit(jax.jacfwd(partial(later, gradient="both")))
    close(jax.jacrev(later)(beta, "reverse"), want, 1e-9)
    close(both(beta), want, 1e-9)
    # Implicit steps that grow at rest made 8e-4, and up to 3e-3 with faster rates.
    implicit = qd.solvers.Stiff(rtol=1e-8, atol=1e-12)
    close(jax.jacrev(lambda b: channels(b).evolve(rest, jnp.array([last]), implicit)[0])(beta), want, 1e-10)
    several = jnp.array([1.5, beta, 2.5])
    close(jax.vmap(both)(several), jnp.stack([both(b) for b in several]), 1e-9)

    # Second order, from SciPy's runs at other temperatures.
    flow = jax.jit(lambda b, n: channels(b).right_hand_side(n))

    def run(b):
        return scipy.integrate.solve_ivp(lambda t, n: flow(b, n), (0, last), rest, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]

    differences = [(run(beta + h) - 2 * run(beta) + run(beta - h)) / h**2 for h in (0.04, 0.02)]
    close(jax.jacfwd(both)(beta), (4 * differences[1] - differences[0]) / 3, 1e-7)
