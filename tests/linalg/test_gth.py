"""Elimination without subtraction, against 60-digit arithmetic, and its derivatives."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.linalg import gth


def chain(seed, n, decades):
    """Random rates over so many decades, [to, from]."""
    rng = np.random.default_rng(seed)
    R = 10.0 ** rng.uniform(-decades / 2, decades / 2, (n, n))
    np.fill_diagonal(R, 0)
    return R


def exact(R, digits=60):
    """The stationary populations as mpmath numbers."""
    with mpmath.workdps(digits + 60):
        n = len(R)
        W = mpmath.matrix(R.tolist())
        for j in range(n):
            W[j, j] = -mpmath.fsum(W[i, j] for i in range(n) if i != j)
        for j in range(n):
            W[n - 1, j] = 1
        b = mpmath.zeros(n, 1)
        b[n - 1] = 1
        return list(mpmath.lu_solve(W, b))


def as_rates(R):
    target, source = np.nonzero(R)
    return qd.rates.Rates(np.zeros(len(R)), {"all": (source, target, jnp.asarray(R)[target, source])})


def worst(p, reference):
    return max(abs(float(mpmath.mpf(float(x)) / y - 1)) for x, y in zip(p, reference, strict=True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decades", [2, 30])
def test_every_population_to_relative_rounding(seed, decades):
    R = chain(seed, 8, decades)
    reference = exact(R)
    p = as_rates(R).steady_state()
    assert worst(p, reference) < 1e-14
    assert worst(np.asarray(p) * (1 + 1e-13), reference) > 5e-14  # it would notice


def test_populations_of_1e_minus_60():
    """A ladder at a low temperature: each step down to e^-20 of the last."""
    bath = qd.BosonicBath(20.0, 1.0)
    rates = qd.rates.Rates(np.arange(8.0), {"bath": [*qd.rates.thermal_transitions(np.arange(7), np.arange(1, 8), np.ones(7), bath)]})
    p = np.asarray(rates.steady_state())
    assert p[-1] < 1e-60
    want = np.exp(-20.0 * np.arange(8))
    assert np.abs(p / (want / want.sum()) - 1).max() < 2e-14  # e^-140 itself is known to 140 roundings


def test_lu_agrees_relative_to_the_largest():
    R = chain(1, 12, 4)
    close(as_rates(R).steady_state(solver="lu"), as_rates(R).steady_state(), 1e-12)

    def slope(r, solver):
        return jax.grad(lambda r: r.steady_state(solver=solver)[3])(r).rate

    close(*jax.jit(lambda r: [slope(r, s) for s in ("lu", "elimination")])(as_rates(R)), 1e-11)


@pytest.mark.parametrize("decades", [2, 12])
def test_derivatives(decades):
    """Logarithmic derivatives of every population in every rate: forward, reverse and second order."""
    n = 5
    R = chain(7, n, decades)
    on = ~np.eye(n, dtype=bool)

    def f(x):  # of the logarithms of the rates
        return jnp.log(gth.stationary(jnp.zeros((n, n)).at[on].set(jnp.exp(x))))

    x = np.log(R[on])
    quick = {"xla_backend_optimization_level": 0}
    forward = jax.jit(jax.jacfwd(f), compiler_options=quick)
    complex_step = np.stack([np.log(populations(np.exp(x + 1e-30j * e), on)).imag / 1e-30 for e in np.eye(x.size)], axis=1)
    close(forward(x), complex_step, 1e-12)
    close(jax.jit(jax.jacrev(f), compiler_options=quick)(x), complex_step, 1e-12)
    second = np.asarray(jax.jit(jax.jacfwd(jax.jacrev(f)), compiler_options=quick)(x))
    close(second, np.swapaxes(second, 1, 2), 1e-11)
    for k in (0, 7, 13):
        e = np.eye(x.size)[k]
        d = [(np.asarray(forward(x + s * e)) - forward(x - s * e)) / (2 * s) for s in (1e-4, 5e-5)]
        close(second[:, :, k], (4 * d[1] - d[0]) / 3, 1e-8, scale=1.0)


def populations(rates, on):
    """By a plain solve, of complex rates too."""
    W = np.zeros(on.shape, complex)
    W[on] = rates
    W -= np.diag(W.sum(0))
    W[0] = 1
    return np.linalg.solve(W, np.eye(len(on))[0])


def test_a_batch_is_its_members():
    Rs = jnp.asarray(np.stack([chain(s, 6, 6) for s in range(3)]))

    def f(R):
        return gth.stationary(R), jax.grad(lambda R: gth.stationary(R)[2])(R)

    one, batch = jax.jit(f), jax.jit(jax.vmap(f))(Rs)
    for k in range(3):
        for got, want in zip(batch, one(Rs[k]), strict=True):
            close(got[k], want, 1e-14)


def test_decay_times():
    """W K r = -r for what has no sum, and K p = 0."""
    R = chain(3, 7, 3)
    K, p = jax.jit(lambda R: (gth.relaxation(R), gth.stationary(R)))(R)
    W = R - np.diag(R.sum(0))
    r = np.random.default_rng(0).normal(size=7)
    r -= r.mean()
    close(-W @ (K @ r), r, 1e-12)
    assert np.abs(K @ p).max() < 1e-13 * np.abs(K).max()


def test_transient_states_and_where_they_lead():
    """States that are left for good hold nothing; several closed sets are refused, by name."""
    p = qd.rates.Rates(np.zeros(4), {"a": [(0, 1, 1.0), (1, 2, 2.0), (2, 1, 3.0), (3, 0, 1.0)]}).steady_state()
    close(p, np.array([0, 0.6, 0.4, 0]), 1e-15)
    with pytest.raises(qd.NotUnique, match=r"there are 2 stationary states: .* \{0\}, \{2\}"):
        qd.rates.Rates(np.zeros(3), {"a": [(1, 0, 1.0), (1, 2, 1.0)]}).steady_state()


def test_failures():
    def pair(rate):
        return qd.rates.Rates(np.zeros(2), {"a": [(0, 1, rate), (1, 0, rate)]})

    with pytest.raises(qd.SolveError, match="the stationary populations are not unique: rates vanish"):
        pair(0.0).steady_state()
    with pytest.raises(qd.SolveError, match="the stationary populations are not finite: a rate is infinite"):
        pair(np.inf).steady_state()
    with qd.failures("nan"):
        assert np.isnan(pair(0.0).steady_state()).all()
    with pytest.raises(ValueError, match='solver must be "elimination" or "lu", but was \'qr\''):
        pair(1.0).steady_state(solver="qr")
