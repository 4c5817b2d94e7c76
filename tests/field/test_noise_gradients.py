"""Derivatives where the right-hand side of the solve behind them is zero, all rounding, or tiny: zero or tiny, never NaN.

Two qubits that exchange quanta between two baths. What is right is computed here from dense 16 x 16 Liouvillians with NumPy:
the noise from the inverse on what has no trace, its slopes by complex steps, the second ones by differences of those. The noise
of a number that is conserved, and that of anything with the identity, is exactly zero whatever the parameters are.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, dissipator

import qdiff as qd
from qdiff.generators.sector import reach
from qdiff.solvers.exchange import _neumann
from qdiff.solvers.factorization import choose
from qdiff.solvers.null_vector import null_vector, response
from qdiff.solvers.resolvent import resolvent
from qdiff.solvers.right_side import sized, solvable

PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
HOP = PAIR.a.plus @ PAIR.b.minus
HOP = HOP + HOP.dag
POINTS = np.random.default_rng(5).uniform(0.3, 1.5, (60, 6))
DENSE = {name: np.asarray(op.dense(), complex) for name, op in (("1", PAIR.identity), ("a", PAIR.a.up), ("hop", HOP))}
OPERATORS = {"1": PAIR.identity, "a": PAIR.a.up, "hop": HOP}


def pair(x):
    first, second, coupling, hot, cold, rate = x
    H = first / 2 * PAIR.a.z + second / 2 * PAIR.b.z + coupling * HOP
    hot, cold = qd.BosonicBath(hot, rate), qd.BosonicBath(cold, rate)
    return qd.Lindblad(H, {"hot": qd.thermal_jumps(PAIR.a.minus, first, hot), "cold": qd.thermal_jumps(PAIR.b.minus, second, cold)})


def noise(A, B, x):
    motion = pair(x)
    return jnp.real(qd.zero_frequency_noise(motion, qd.steady_state(motion), A, B))


def by_hand(A, B, x):
    """The noise of x, real or complex: every step is analytic in the parameters."""
    first, second, coupling, hot, cold, rate = x
    H = first / 2 * PAIR.a.z.dense() + second / 2 * PAIR.b.z.dense() + coupling * DENSE["hop"]
    eye = np.eye(4)
    L = -1j * (np.kron(H, eye) - np.kron(eye, H.T))
    for lower, gap, beta in ((PAIR.a.minus.dense(), first, hot), (PAIR.b.minus.dense(), second, cold)):
        n = 1 / (np.exp(beta * gap) - 1)
        L = L + rate * (n + 1) * dissipator(lower) + rate * n * dissipator(np.asarray(lower).T)
    trace = eye.ravel()
    shifted = L - np.outer(trace, trace) / 4
    rho = np.linalg.solve(shifted, -trace / 4).reshape(4, 4)

    def half(read, kicked):
        rest = kicked - np.trace(kicked) * rho
        return -np.trace(read @ np.linalg.solve(shifted, rest.ravel()).reshape(4, 4))

    return half(A, B @ rho) + half(B, rho @ A)


def slopes(A, B, x):
    """The six derivatives of the noise that `noise` calls real, by complex steps: Re f(x + i h) would mix in the imaginary part."""
    out = []
    for k in range(6):
        up, down = x.astype(complex), x.astype(complex)
        up[k], down[k] = x[k] + 1e-20j, x[k] - 1e-20j
        out.append(np.real((by_hand(A, B, up) - by_hand(A, B, down)) / 2e-20j))
    return np.array(out)


@partial(jax.jit, static_argnums=0)
def at_all(names, scale, x):
    """Value and slopes in reverse and forward, of operators times `scale` each, all in one batch."""

    def f(scale, x):
        return noise(OPERATORS[names[0]] * scale, OPERATORS[names[1]], x)

    with qd.failures("nan"):
        return jax.vmap(lambda s, x: (f(s, x), jax.grad(f, 1)(s, x), jax.jacfwd(f, 1)(s, x)))(scale, x)


@pytest.mark.parametrize("names", [("a", "1"), ("1", "a"), ("1", "1"), ("hop", "1")])
def test_noise_with_the_identity_is_zero_with_zero_slopes(names):
    """<A(t) 1> - <A> is zero at all times: 60 parameter sets, forward and reverse."""
    for found in at_all(names, jnp.ones(60), POINTS):
        close(found, np.zeros(found.shape), 1e-14, 1.0)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "hop")])
def test_tiny_operators_have_tiny_noise_and_slopes(names):
    """A times 1 to 1e-300 in one batch: noise is linear in it, and so are its slopes, to 1e-12 of themselves."""
    scale = 10.0 ** -np.array([0, 20, 100, 150, 160, 200, 250, 290, 300])
    x = POINTS[: scale.size]
    value, back, forward = at_all(names, scale, x)
    A, B = DENSE[names[0]], DENSE[names[1]]
    for k, point in enumerate(x):
        wanted = slopes(A, B, point)
        close(value[k] / scale[k], by_hand(A, B, point).real, 1e-12)
        close(back[k] / scale[k], wanted, 1e-11)
        close(forward[k] / scale[k], wanted, 1e-11)


def test_slopes_beside_the_identity():
    """B = 1 + e a: the noise is e times that of a, and its right-hand side shrinks into the rounding of what is not solved for."""

    def f(e, x):
        return noise(PAIR.a.up, PAIR.identity + e * PAIR.a.up, x)

    with qd.failures("nan"):
        back = jax.jit(jax.vmap(jax.grad(f, 1)))
        e = 10.0 ** -np.arange(0.0, 20.0, 2.0)
        found = back(e, POINTS[: e.size])
    for k, point in enumerate(POINTS[: e.size]):
        close(found[k], e[k] * slopes(DENSE["a"], DENSE["a"], point), 1e-13, max(e[k], 1e-2))


def test_second_derivatives_with_the_identity():
    """All 36 are zero, and those with a where it stands in place of the identity are differences of complex steps."""
    with qd.failures("nan"):
        hessian = jax.jit(jax.vmap(jax.hessian(lambda x: noise(PAIR.a.up, PAIR.identity, x))))
        close(hessian(POINTS[:20]), np.zeros((20, 6, 6)), 1e-13, 1.0)
        both = jax.jit(jax.hessian(lambda x: noise(PAIR.a.up, PAIR.a.up, x)))(POINTS[0])
    h = 1e-5
    rows = [(slopes(DENSE["a"], DENSE["a"], POINTS[0] + d) - slopes(DENSE["a"], DENSE["a"], POINTS[0] - d)) / (2 * h) for d in h * np.eye(6)]
    close(both, np.array(rows), 1e-7)


def test_noise_of_a_conserved_number():
    """Two spins that only hop: their number never changes, so that its noise and all slopes of it are exactly zero."""

    def f(x):
        gap, coupling, forth, back, dephasing, _ = x
        hop = PAIR.a.plus @ PAIR.b.minus
        H = gap * PAIR.a.up + 1.3 * gap * PAIR.b.up + coupling * (hop + hop.dag)
        motion = qd.Lindblad(H, {"hop": [(forth, hop), (back, hop.dag)], "noise": (dephasing, PAIR.a.z)})
        state = qd.steady_state(motion, initial=PAIR.state(a="up", b="down"))
        return qd.zero_frequency_noise(motion, state, PAIR.a.up + PAIR.b.up)

    with qd.failures("nan"):
        value, slope = jax.jit(jax.vmap(jax.value_and_grad(f)))(POINTS[:20])
    close(value, np.zeros(20), 1e-14, 1.0)
    close(slope, np.zeros((20, 6)), 1e-13, 1.0)


def test_slopes_of_the_trace():
    """Tr rho = 1 for all parameters: its slopes and second derivatives are zero."""
    with qd.failures("nan"):
        one = jax.jit(jax.vmap(jax.grad(lambda x: qd.steady_state(pair(x)).expect(PAIR.identity))))
        tiny = jax.jit(jax.vmap(jax.grad(lambda x: qd.steady_state(pair(x)).expect(PAIR.a.up) * 1e-300)))
        full = jax.jit(jax.vmap(jax.grad(lambda x: qd.steady_state(pair(x)).expect(PAIR.a.up))))
        close(one(POINTS), np.zeros((60, 6)), 1e-13, 1.0)
        close(tiny(POINTS) * 1e300, full(POINTS), 1e-13)


# ---- the solves themselves ------------------------------------------------------------------------------------------


def ladder(levels):
    """Rates of a damped mode: one coordinate for each level, whose generator is written down again with NumPy."""
    mode = qd.Space(mode=qd.Boson(levels)).mode
    motion = qd.Lindblad(mode.n, {"bath": [(1.3, mode.a), (0.9, mode.a.dag)]})
    sector = reach(motion)
    n = np.arange(levels)
    W = np.diag(1.3 * n[1:], 1) + np.diag(0.9 * n[1:], -1)
    return sector, sector.values(motion), W - np.diag(W.sum(axis=0))


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
    "subnormal": lambda x, r: 1e-315 * r,
}


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
        for name, y, right in zip(RIGHT, found, rights, strict=True):
            size = 2.0 ** np.round(np.log2(np.abs(right).max())) if right.any() else 1.0
            wanted = np.linalg.solve(matrix, right / size)
            if name == "subnormal":  # a processor that takes these for zero gives zero
                assert np.abs(y).max() <= 2 * np.abs(wanted).max() * size
            else:
                close(np.asarray(y) / size, wanted, 1e-11, max(np.abs(wanted).max(), 1e-6))


@pytest.mark.parametrize("omega", [None, 0.0, 0.7])
def test_resolvents_of_every_size(omega):
    """(G - i omega) z = r with tr z = 0 for the same right-hand sides, less their trace; NumPy's with the same shift."""
    sector, values, W = ladder(7)
    x, _, _ = null_vector(sector, values, choose(sector))
    s, w = np.abs(W).max(), np.ones(7)
    A = W - (0 if omega is None else 1j * omega) * np.eye(7) - s * np.outer(w / 7, w)
    r = np.random.default_rng(4).normal(size=7)
    dtype = float if omega is None else complex
    for name, make in RIGHT.items():
        right = np.asarray(make(np.asarray(x), r), dtype)
        size = 2.0 ** np.round(np.log2(np.abs(right).max())) if right.any() else 1.0

        def solved(r):
            return resolvent(sector, values, x, omega, r)

        both = (solved(right), A), (jax.linear_transpose(solved, jnp.zeros(7, dtype))(jnp.asarray(right))[0], A.T)
        for found, matrix in both:
            wanted = np.linalg.solve(matrix, right / size)
            if name == "subnormal":
                assert np.abs(found).max() <= 2 * np.abs(wanted).max() * size
            else:
                close(np.asarray(found) / size, wanted, 1e-11, max(np.abs(wanted).max(), 1e-6))


def test_fixed_points_of_every_size():
    """x = r + M x with |M| < 1 by iteration: NumPy's inverse of 1 - M."""
    rng = np.random.default_rng(8)
    M = rng.uniform(0, 0.12, (6, 6))
    r = rng.normal(size=6)
    for size in (0.0, 1.0, 1e-150, 1e-200, 1e-290, 1e-300, 1e200):
        found = _neumann(lambda x: x - M @ x, jnp.asarray(size * r))
        close(np.asarray(found) / (size or 1.0), np.linalg.solve(np.eye(6) - M, r * bool(size)), 1e-13, 1.0)


def test_an_undamped_oscillation_is_still_refused():
    """A qubit that is not dephased in x has a delta peak at its frequency: no number, however small the operators are."""
    q = qd.Space(q=qd.Spin()).q
    motion = qd.Lindblad(0.5 * q.z, {"bath": (0.3, q.z)})
    with qd.failures("nan"):
        state = qd.steady_state(qd.Lindblad(0.5 * q.z, {"bath": (0.3, q.x)}))
        lone = qd.Lindblad(0.5 * q.z, {"bath": (0.0, q.z)})
        found = qd.spectrum(lone, qd.State(lone, state.x, state.rcond, state.residual, state.sector), q.minus, q.plus, jnp.array([1.0, -1.0]))
    assert np.isnan(np.asarray(found)).any() and motion.labels == ("bath",)


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
