"""Rate equations in time, against 50-digit arithmetic."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd
from qdiff.equations.rates.evolve import propagator


def chain(seed, n, decades):
    rng = np.random.default_rng(seed)
    R = 10.0 ** rng.uniform(-decades / 2, decades / 2, (n, n))
    np.fill_diagonal(R, 0)
    return R


def exact(R, t):
    """e^{Wt} as mpmath numbers, from the rates as they are."""
    with mpmath.workdps(60):
        n = len(R)
        W = mpmath.matrix(R.tolist())
        for j in range(n):
            W[j, j] = -mpmath.fsum(W[i, j] for i in range(n) if i != j)
        return mpmath.expm(W * mpmath.mpf(t), method="taylor")


def worst(P, reference):
    return max(abs(float(mpmath.mpf(float(P[i, j])) / reference[i, j] - 1)) for i in range(len(P)) for j in range(len(P)))


@pytest.mark.parametrize("decades, t", [(1, 1e-9), (1, 0.3), (1, 40.0), (6, 1.0), (6, 300.0)])
def test_every_probability_to_relative_accuracy(decades, t):
    R = chain(2, 4, decades)
    P = np.asarray(jax.jit(propagator)(jnp.asarray(R), t))
    reference = exact(R, t)
    assert worst(P, reference) < 1e-13
    assert worst(P * (1 + 1e-12), reference) > 5e-13  # it would notice


def test_a_chain_of_rare_jumps():
    """From one end of a ladder to the other within a time far too short for it: t^5/5! times the rates."""
    rates = qd.rates.Rates(np.zeros(6), {"up": [(np.arange(5), np.arange(1, 6), 1e-3)]})
    p = rates.evolve(np.eye(6)[0], [1e-2])
    close(p[0, 5], 1e-25 / 120 * (1 - 5e-5 / 6), 1e-9)  # the next term of the series is 1e-10
    assert 0 < p[0, 5] < 1e-26


def test_long_times_end_in_the_stationary_state():
    R = chain(4, 6, 3)
    target, source = np.nonzero(R)
    rates = qd.rates.Rates(np.zeros(6), {"all": (source, target, R[target, source])})
    p = rates.evolve(np.eye(6)[2], [0.0, 1e4, 1e12])
    assert np.array_equal(p[0], np.eye(6)[2])
    for late in p[1:]:
        close(late, rates.steady_state(), 1e-13)


def test_two_steps_are_one():
    R = jnp.asarray(chain(5, 5, 2))
    f = jax.jit(propagator)
    close(f(R, 0.7) @ f(R, 0.4), f(R, 1.1), 1e-14)
    assert np.abs(np.asarray(f(R, 1.1)).sum(0) - 1).max() < 1e-15


def test_derivatives():
    """In the rates and in the time, forward, reverse, second order and in a batch."""
    R = chain(6, 3, 1)
    on = R > 0

    def f(x):
        return propagator(jnp.zeros((3, 3)).at[on].set(x[:-1]), x[-1])[1, 0]

    x = np.r_[R[on], 0.6]
    quick = {"xla_backend_optimization_level": 0}
    value, slope, forward, second = (jax.jit(g, compiler_options=quick) for g in (f, jax.grad(f), jax.jacfwd(f), jax.hessian(f)))
    close(slope(x), derivative(value, x), 1e-9)
    close(forward(x), slope(x), 1e-13)
    close(second(x), derivative(slope, x), 1e-8)
    close(jax.jit(jax.vmap(jax.grad(f)), compiler_options=quick)(np.stack([x, 2 * x]))[0], slope(x), 1e-13)


def test_infinite_speed_in_the_limit():
    """Rates of 1e30, as beside a level crossing: what they join stays equal, exactly."""
    rates = qd.rates.Rates(np.zeros(3), {"fast": [(0, 1, 1e30), (1, 0, 1e30)], "slow": [(1, 2, 1.0), (2, 0, 1.0)]})
    p = rates.evolve([1.0, 0.0, 0.0], [0.5])[0]
    late = (1 - np.exp(-1.5 * 0.5)) / 3  # half of what is in the pair leaves at rate one
    close(p, np.array([(1 - late) / 2, (1 - late) / 2, late]), 1e-14)


@pytest.mark.parametrize(
    ("initial", "times", "message"),
    [
        ([1.0], [0.0], r"initial must be one population for each state, shape \(2,\), but has shape \(1,\)"),
        ([1.5, -0.5], [0.0], "initial must not be negative, but one was -0.5"),
        ([0.5, np.nan], [0.0], "initial must not be negative, but one was nan"),
        ([0.5, 0.4], [0.0], "initial must sum to one, but sums to 0.9"),
        ([1.0, 0.0], 1.0, r"times must have shape \(k,\), but has shape \(\)"),
        ([1.0, 0.0], [1.0, -2.0], "times must not be negative, but one was -2"),
    ],
)
def test_bad_input(initial, times, message):
    with pytest.raises(ValueError, match=message):
        qd.rates.Rates([0.0, 1.0], {"a": (0, 1, 1.0)}).evolve(initial, times)


def test_failures():
    with pytest.raises(qd.SolveError, match="the populations are not finite: a rate is infinite"):
        qd.rates.Rates([0.0, 1.0], {"a": (0, 1, np.inf)}).evolve([1.0, 0.0], [1.0])
    with pytest.raises(qd.SolveError, match="the populations are not finite: a time is not finite"):
        qd.rates.Rates([0.0, 1.0], {"a": (0, 1, 1.0)}).evolve([1.0, 0.0], [np.inf])
