"""Derivatives where the right-hand side of the solve behind them is zero, all rounding, or tiny: zero or tiny, never NaN.

Two qubits that exchange quanta between two baths. What is right is computed here from dense 16 x 16 Liouvillians with NumPy:
the noise from the inverse on what has no trace, its slopes by extrapolated differences. The noise of a number that is
conserved, and that of anything with the identity, is exactly zero whatever the parameters are.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative, dissipator, unitary

import qdiff as qd
from qdiff.equations.lindblad.null_vector import null_vector, response
from qdiff.equations.lindblad.reach import reach
from qdiff.equations.lindblad.resolvent import resolvent
from qdiff.equations.lindblad.solver import choose
from qdiff.equations.rates.bipartite_steady import _neumann
from qdiff.linalg.right_side import sized, solvable

PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
HOP = PAIR.a.plus @ PAIR.b.minus
HOP = HOP + HOP.dag
POINTS = np.random.default_rng(5).uniform(0.3, 1.5, (60, 6))
OPERATORS = (PAIR.identity, PAIR.a.up, HOP)
ONE, UP, HOPPING = np.eye(3)


def pair(x):
    first, second, coupling, hot, cold, rate = x
    H = first / 2 * PAIR.a.z + second / 2 * PAIR.b.z + coupling * HOP
    hot, cold = qd.BosonicBath(hot, rate), qd.BosonicBath(cold, rate)
    return qd.Lindblad(H, {"hot": qd.thermal_jumps(PAIR.a.minus, first, hot), "cold": qd.thermal_jumps(PAIR.b.minus, second, cold)})


def mixed(c):
    return c[0] * OPERATORS[0] + c[1] * OPERATORS[1] + c[2] * OPERATORS[2]


def noise(a, b, x):
    """Of the operators with these shares of 1, of an excitation of the first qubit, and of hopping."""
    generator = pair(x)
    return jnp.real(qd.zero_frequency_noise(qd.steady_state(generator), mixed(a), mixed(b)))


def dense(x):
    """The generator less u w^T, and the stationary state."""
    first, second, coupling, hot, cold, rate = x
    L = unitary(first / 2 * PAIR.a.z.dense() + second / 2 * PAIR.b.z.dense() + coupling * HOP.dense())
    for lower, gap, beta in ((PAIR.a.minus.dense(), first, hot), (PAIR.b.minus.dense(), second, cold)):
        n = 1 / np.expm1(beta * gap)
        L = L + rate * (n + 1) * dissipator(lower) + rate * n * dissipator(np.asarray(lower).T)
    trace = np.eye(4).ravel()
    shifted = L - np.outer(trace, trace) / 4
    return shifted, np.linalg.solve(shifted, -trace / 4).reshape(4, 4)


def population(x):
    return np.trace(PAIR.a.up.dense() @ dense(x)[1]).real


def by_hand(a, b, x):
    """The noise of x."""
    A, B = (sum(share * np.asarray(op.dense()) for share, op in zip(c, OPERATORS, strict=True)) for c in (a, b))
    shifted, rho = dense(x)

    def half(read, kicked):
        rest = kicked - np.trace(kicked) * rho
        return -np.trace(read @ np.linalg.solve(shifted, rest.ravel()).reshape(4, 4))

    return (half(A, B @ rho) + half(B, rho @ A)).real


def slopes(a, b, x):
    """Its six derivatives, right to 1e-10."""
    return derivative(lambda x: by_hand(a, b, x), x)


FORWARD = np.arange(1.0, 7.0) / 3


@jax.jit
@jax.vmap
def twenty(a, b, x):
    """Value, slopes in reverse, and the slope in one direction forward. Called with twenty points each time."""
    with qd.failures("nan"):
        value, slope = jax.value_and_grad(noise, 2)(a, b, x)
        return value, slope, jax.jvp(lambda x: noise(a, b, x), (x,), (FORWARD,))[1]


def copies(c):
    return np.broadcast_to(c, (20, 3))


@pytest.mark.parametrize("a, b", [(UP, ONE), (ONE, UP), (ONE, ONE), (HOPPING, ONE)])
def test_noise_with_the_identity_is_zero_with_zero_slopes(a, b):
    """<A(t) 1> - <A> is zero at all times: 60 parameter sets, forward and reverse."""
    for at in range(0, 60, 20):
        for found in twenty(copies(a), copies(b), POINTS[at : at + 20]):
            close(found, np.zeros(found.shape), 1e-13, 1.0)


def checked(a, b, x, scale):
    """Twenty points against NumPy, whatever is that much too large and divided by it being of order one; scale (20,)."""
    value, back, forward = twenty(a, b, x)
    for k in range(20):
        by = a[k], b[k] / scale[k], x[k]
        wanted = slopes(*by)
        close(value[k] / scale[k], by_hand(*by), 1e-11, 1.0)
        close(back[k] / scale[k], wanted, 1e-8, max(np.abs(wanted).max(), 1e-3))
        close(forward[k] / scale[k], FORWARD @ wanted, 1e-8, max(np.abs(wanted).max(), 1e-3))


@pytest.mark.parametrize("b", [UP, HOPPING])
def test_tiny_operators_have_tiny_noise_and_slopes(b):
    """B times 1 to 1e-300 in one batch: noise is linear in it, and so are its slopes."""
    scale = 10.0 ** -np.linspace(0, 300, 20)
    checked(copies(UP), scale[:, None] * b, POINTS[:20], scale)


def test_slopes_beside_the_identity():
    """B = 1 + e a: the noise is e times that of a, and its right-hand side shrinks into the rounding of what is not solved for."""
    e = 10.0 ** -np.arange(20.0)
    checked(copies(UP), ONE + e[:, None] * UP, POINTS[:20], np.ones(20))


def test_mixed_lanes():
    """Of one batch some lanes are zero, some all rounding, some tiny and some ordinary: none disturbs another."""
    rng = np.random.default_rng(1)
    b = rng.normal(size=(20, 3)) * np.array([1.0, 0.0, 1e-250, 1.0])[np.arange(20) % 4, None]
    scale = np.array([1.0, 1.0, 1e-250, 1.0])[np.arange(20) % 4]
    b[3::4] = ONE
    checked(rng.normal(size=(20, 3)), b, POINTS[20:40], scale)


def test_second_derivatives_with_the_identity():
    """All are zero: forward over reverse along one direction."""
    with qd.failures("nan"):
        slope = jax.grad(lambda x: noise(UP, ONE, x))
        curved = jax.jit(jax.vmap(lambda x: jax.jvp(slope, (x,), (FORWARD,))[1]))
        close(curved(POINTS[:20]), np.zeros((20, 6)), 1e-12, 1.0)


def test_noise_of_a_conserved_number():
    """Two spins that only hop: their number never changes, so that its noise and all slopes of it are exactly zero."""

    def f(x):
        gap, coupling, forth, back, dephasing, _ = x
        hop = PAIR.a.plus @ PAIR.b.minus
        H = gap * PAIR.a.up + 1.3 * gap * PAIR.b.up + coupling * (hop + hop.dag)
        generator = qd.Lindblad(H, {"hop": [(forth, hop), (back, hop.dag)], "noise": (dephasing, PAIR.a.z)})
        state = qd.steady_state(generator, initial=PAIR.state(a="up", b="down"))
        return qd.zero_frequency_noise(state, PAIR.a.up + PAIR.b.up)

    with qd.failures("nan"):
        value, slope = jax.jit(jax.vmap(jax.value_and_grad(f)))(POINTS[:20])
    close(value, np.zeros(20), 1e-14, 1.0)
    close(slope, np.zeros((20, 6)), 1e-13, 1.0)


def test_slopes_of_the_trace():
    """Tr rho = 1 for all parameters, whose slopes are zero; those of 1e-280 times a population are 1e-280 times its own.

    XLA sets subnormal numbers to zero, so that below 1e-292 terms go missing that are a rounding of the largest.
    """
    with qd.failures("nan"):
        of = jax.jit(jax.vmap(jax.grad(lambda x, share: qd.steady_state(pair(x)).expect(share[0] * PAIR.identity + share[1] * PAIR.a.up))))
        close(of(POINTS, np.tile([1.0, 0.0], (60, 1))), np.zeros((60, 6)), 1e-13, 1.0)
        found, tiny = (of(POINTS, np.tile([0.0, size], (60, 1))) / size for size in (1.0, 1e-280))
    close(tiny, found, 1e-12)
    close(found[:5], np.array([derivative(population, x) for x in POINTS[:5]]), 1e-8)


# ---- the solves themselves ------------------------------------------------------------------------------------------


def ladder(levels):
    """Rates of a damped mode: one coordinate for each level, whose generator is written down again with NumPy."""
    mode = qd.Space(mode=qd.Boson(levels)).mode
    generator = qd.Lindblad(mode.n, {"bath": [(1.3, mode.a), (0.9, mode.a.dag)]})
    sector = reach(generator)
    n = np.arange(levels)
    W = np.diag(1.3 * n[1:], 1) + np.diag(0.9 * n[1:], -1)
    return sector, sector.values(generator), W - np.diag(W.sum(axis=0))


RIGHT = {
    "zero": lambda x, r: 0 * r,
    "uniform": lambda x, r: np.ones_like(r),
    "the state": lambda x, r: x,
    "generic": lambda x, r: r,
    "tiny": lambda x, r: 1e-300 * r,
    "uniform beside 1e-9": lambda x, r: 1 + 1e-9 * r,
    "one entry": lambda x, r: np.eye(r.size)[2],
    "powers of two": lambda x, r: 2.0 ** -(np.arange(r.size) % 40),
    "large": lambda x, r: 1e290 * r,
}


def power_of_two(right):
    """One close to the largest entry."""
    return 2.0 ** np.round(np.log2(np.abs(right).max())) if right.any() else 1.0


@pytest.mark.parametrize("levels", [7, 80])
def test_right_hand_sides_of_every_size(levels):
    """All of them in one batch, dense (7) and in lanes (80), forward and transposed: A^-1 r to 1e-12, NumPy's with G - s u w^T."""
    sector, values, W = ladder(levels)
    solver = choose(sector)
    x, _, _ = null_vector(sector, values, solver)
    factors = () if solver.many(sector) is not None else solver.factor(sector, values)
    r = np.random.default_rng(3).normal(size=levels)
    rights = np.array([make(np.asarray(x), r) for make in RIGHT.values()])
    A = W - np.abs(W).max() * np.ones((levels, levels)) / levels

    def solved(r):
        return response(sector, solver, values, x, factors, r)

    forward = jax.jit(jax.vmap(solved))(rights)
    back = jax.jit(jax.vmap(lambda c: jax.linear_transpose(solved, jnp.zeros(levels))(c)[0]))(rights)
    for found, matrix in ((forward, A), (back, A.T)):
        for y, right in zip(found, rights, strict=True):
            over = 1 / power_of_two(right)
            wanted = np.linalg.solve(matrix, right * over)
            close(np.asarray(y) * over, wanted, 1e-11, max(np.abs(wanted).max(), 1e-6))
    least = jax.jit(solved)(1e-315 * r)  # a processor that takes these for zero gives zero
    assert np.abs(least).max() <= 1e-314


@pytest.mark.parametrize("omega", [None, 0.0, 0.7])
def test_resolvents_of_every_size(omega):
    """(G - i omega) z = r with tr z = 0 for the same right-hand sides, less their trace; NumPy's with the same shift."""
    sector, values, W = ladder(7)
    x, _, _ = null_vector(sector, values, choose(sector))
    s, w = np.abs(W).max(), np.ones(7)
    A = W - (0 if omega is None else 1j * omega) * np.eye(7) - s * np.outer(w / 7, w)
    r = np.random.default_rng(4).normal(size=7)
    dtype = float if omega is None else complex
    for make in RIGHT.values():
        right = np.asarray(make(np.asarray(x), r), dtype)
        over = 1 / power_of_two(right)

        def solved(r):
            return resolvent(sector, values, x, omega, r)

        both = (solved(right), A), (jax.linear_transpose(solved, jnp.zeros(7, dtype))(jnp.asarray(right))[0], A.T)
        for found, matrix in both:
            wanted = np.linalg.solve(matrix, right * over)
            close(np.asarray(found) * over, wanted, 1e-11, max(np.abs(wanted).max(), 1e-6))


def test_fixed_points_of_every_size():
    """x = r + M x with |M| < 1 by iteration: NumPy's inverse of 1 - M."""
    rng = np.random.default_rng(8)
    M = rng.uniform(0, 0.12, (6, 6))
    r = rng.normal(size=6)
    for size in (0.0, 1.0, 1e-150, 1e-200, 1e-290, 1e-300, 1e200):
        found = _neumann(lambda x: x - M @ x, jnp.asarray(size * r))
        close(np.asarray(found) / (size or 1.0), np.linalg.solve(np.eye(6) - M, r * bool(size)), 1e-13, 1.0)


def test_what_is_rounding_and_what_is_not():
    """Along `inside` nothing is left to solve for; 1e-14 of anything else is, to its own digits."""
    left, inside = jnp.ones((5, 1)), jnp.full((5, 1), 0.2)
    r = np.array([[1.0, -1.0, 2.0, -2.0, 0.0]]).T
    close(solvable(0.7 * np.ones((5, 1)), left, inside), np.zeros((5, 1)), 1e-300, 1.0)
    close(solvable(2.0**-40 * r + 1.0, left, inside), 2.0**-40 * r, 1e-3)
    assert np.isnan(solvable(jnp.array([[1.0, jnp.nan]]).T, left[:2], inside[:2])).any()
    value, power = sized(jnp.array([1e-305, -3e-305]))
    close(value * power, [1e-305, -3e-305], 1e-300)
    assert 0.5 <= np.abs(value).max() <= 1.0
