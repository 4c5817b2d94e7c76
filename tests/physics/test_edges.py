"""At the edges: temperatures and rates over many orders of magnitude, levels that cross or coincide, parts that are not coupled.

Results and derivatives against closed forms and master equations written down again in 40-digit arithmetic, where a
derivative is a difference over 1e-20. One program is compiled for each structure and run at all points.
"""

import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import qdiff as qd

mp.mp.dps = 40


def derivatives(function, point) -> list:
    """The derivatives of a function of 40-digit numbers at a point, by differences: right to some 30 digits."""
    out = []
    for k, x in enumerate(point):
        h = mp.mpf(10) ** -12 * (abs(x) or 1)
        up, down = list(point), list(point)
        up[k], down[k] = x + h, x - h
        out.append((function(*up) - function(*down)) / (2 * h))
    return out


def off(found, wanted, scale=0.0) -> float:
    """The difference as a part of what is wanted, or of a scale, whichever is larger; a number below 1e-290 counts as none."""
    found, wanted = mp.mpf(float(found)), mp.mpf(wanted)
    return float(abs(found - wanted) / max(abs(wanted), mp.mpf(scale), mp.mpf(10) ** -290))


def test_the_checks_can_fail():
    assert off(1.0, 1.001) > 9e-4 and off(1e-300, 0) < 1 and off(1e-280, 0) > 1 and off(np.inf, 1) == np.inf
    with pytest.raises(AssertionError):
        assert off(1.0, 2.0, scale=1e3) < 1e-4
    (slope,) = derivatives(lambda x: x**3, [mp.mpf(2)])
    assert off(slope, 12) < 1e-20 and off(slope, 12.0000001) > 1e-9


# ---- a qubit between two baths --------------------------------------------------------------------------------------


def bose(x):
    return 1 / mp.expm1(x)


def qubit_by_hand(gap, hot, cold, left, right):
    """Population and heat current: p' = sum rate_i (n_i (1 - p) - (n_i + 1) p) = 0."""
    n, m = bose(hot * gap), bose(cold * gap)
    total = left * (2 * n + 1) + right * (2 * m + 1)
    return (left * n + right * m) / total, gap * left * right * (n - m) / total


@jax.jit
@jax.vmap
def qubit(x):
    def found(x):
        gap, hot, cold, left, right = x
        q = qd.Space(q=qd.Spin()).q
        baths = {"hot": qd.BosonicBath(hot, left), "cold": qd.BosonicBath(cold, right)}
        generator = qd.Lindblad(gap / 2 * q.z, {name: qd.thermal_jumps(q.minus, gap, bath) for name, bath in baths.items()})
        state = qd.steady_state(generator)
        return jnp.stack([state.expect(q.up), qd.heat_current(state, "hot")])

    return found(x), jax.jacfwd(found)(x), jax.jacrev(found)(x)


TEMPERATURES = [1e-3, 1e-2, 0.1, 1.0, 30.0, 1e3]
RATES = [(1.0, 1.0), (1e-6, 1e6), (1e6, 1e-6), (1e-6, 1e-6), (1e6, 3e5)]


def test_temperatures_and_rates(counted):
    """Temperatures from 1e-3 to 1e3 of the gap and rates over twelve decades: 180 points, forward and reverse.

    Populations are right to 1e-15, currents to 1e-14 of gap x rate x (n + 1) of their bath, and derivatives in a parameter x
    to 1e-13 of these over x.
    """
    points = [(1.0, 1 / T, 1 / S, *rates) for T, S, rates in itertools.product(TEMPERATURES, TEMPERATURES, RATES)]
    values, forward, reverse = (np.asarray(v) for v in qubit(jnp.array(points)))
    worst = np.zeros(4)
    for point, value, slopes, back in zip(points, values, forward, reverse, strict=True):
        exact = [mp.mpf(x) for x in point]
        p, J = qubit_by_hand(*exact)
        gap, hot, cold, left, right = exact
        flow = gap * left * (bose(hot * gap) + 1)
        worst[0] = max(worst[0], off(value[0], p, 1))
        worst[1] = max(worst[1], off(value[1], J, flow))
        for row, (function, size) in enumerate(((lambda *x: qubit_by_hand(*x)[0], 1), (lambda *x: qubit_by_hand(*x)[1], flow))):
            for k, slope in enumerate(derivatives(function, exact)):
                worst[2] = max(worst[2], off(slopes[row, k], slope, size / exact[k]))
                worst[3] = max(worst[3], off(back[row, k], slope, size / exact[k]))
    counted("edges in 40 digits", n=len(points))
    assert worst[0] < 1e-15 and worst[1] < 1e-14 and (worst[2:] < 1e-13).all(), worst


# ---- the same in time, and its noise --------------------------------------------------------------------------------


@jax.jit
@jax.vmap
def decaying(x):
    def found(x):
        beta, rate, time = x
        q = qd.Space(q=qd.Spin()).q
        generator = qd.Lindblad(0.5 * q.z, {"bath": qd.thermal_jumps(q.minus, 1.0, qd.BosonicBath(beta, rate))})
        return qd.evolve(generator, {"q": "up"}, time[None]).populations()[0, 0]

    return found(x), jax.grad(found)(x)


def test_decay_over_many_orders_of_magnitude(counted):
    """From the upper level on, right to 1e-12: rates and rate x time from 1e-6 to 1e6, temperatures from 1e-3 to 1e3 of the gap."""

    def by_hand(beta, rate, time):
        n = bose(beta)
        settled = n / (2 * n + 1)
        return settled + (1 - settled) * mp.exp(-rate * (2 * n + 1) * time)

    points = [(1 / T, rate, t / rate) for T, rate, t in itertools.product([1e-3, 1.0, 1e3], [1e-6, 1.0, 1e6], [1e-6, 1e-2, 1.0, 1e2, 1e6])]
    values, slopes = (np.asarray(v) for v in decaying(jnp.array(points)))
    worst = np.zeros(2)
    for point, value, slope in zip(points, values, slopes, strict=True):
        exact = [mp.mpf(x) for x in point]
        worst[0] = max(worst[0], off(value, by_hand(*exact), 1))
        for k, wanted in enumerate(derivatives(by_hand, exact)):
            fastest = exact[1] * (2 * bose(exact[0]) + 1) if k == 2 else 0  # the slope in time is a difference of flows
            worst[1] = max(worst[1], off(slope[k], wanted, max(1 / exact[k], fastest)))
    counted("edges in 40 digits", n=len(points))
    assert worst[0] < 1e-12 and worst[1] < 1e-11, worst


@jax.jit
@jax.vmap
def noisy(x):
    def found(x):
        hot, cold, left, right = x
        q = qd.Space(q=qd.Spin()).q
        baths = {"hot": qd.BosonicBath(hot, left), "cold": qd.BosonicBath(cold, right)}
        generator = qd.Lindblad(0.5 * q.z, {name: qd.thermal_jumps(q.minus, 1.0, bath) for name, bath in baths.items()})
        return qd.cumulants(qd.steady_state(generator), "hot", of="quanta", order=2)

    return found(x), jax.jacfwd(found)(x)


def test_noise_over_many_orders_of_magnitude(counted):
    """Mean and noise of the quanta from one bath: derivatives of the leading eigenvalue of a 2 x 2 matrix.

    lambda = -s/2 + sqrt(s^2/4 + c(chi)), c = (e^chi - 1) up_h down_c + (e^-chi - 1) up_c down_h
    """

    def by_hand(hot, cold, left, right):
        n, m = bose(hot), bose(cold)
        up, down = left * n * right * (m + 1), right * m * left * (n + 1)
        s = left * (2 * n + 1) + right * (2 * m + 1)
        mean = (up - down) / s
        return mean, (up + down) / s - 2 * mean**2 / s

    points = [(1 / T, 1 / S, *rates) for T, S, rates in itertools.product([0.05, 1.0, 1e3], [0.1, 1.0, 300.0], RATES)]
    values, slopes = (np.asarray(v) for v in noisy(jnp.array(points)))
    worst = np.zeros(2)
    for point, value, rows in zip(points, values, slopes, strict=True):
        exact = [mp.mpf(x) for x in point]
        size = exact[2] * (2 * bose(exact[0]) + 1)
        for row in (0, 1):
            worst[0] = max(worst[0], off(value[row], by_hand(*exact)[row], size))
            for k, wanted in enumerate(derivatives(lambda *x, row=row: by_hand(*x)[row], exact)):
                worst[1] = max(worst[1], off(rows[row, k], wanted, size / exact[k]))
    counted("edges in 40 digits", n=len(points))
    assert worst[0] < 1e-13 and worst[1] < 1e-12, worst


# ---- two qubits: decoupled, degenerate, nearly so -------------------------------------------------------------------


def kron(a, b):
    return mp.matrix(4, 4) + mp.matrix([[a[i // 2, j // 2] * b[i % 2, j % 2] for j in range(4)] for i in range(4)])


LOWER, ONE = mp.matrix([[0, 0], [1, 0]]), mp.eye(2)  # the upper level first
A, B = kron(LOWER, ONE), kron(ONE, LOWER)
REACHED = [(0, 0), (1, 1), (2, 2), (3, 3), (1, 2), (2, 1)]  # the number of excitations is conserved by H


def pair_by_hand(first, second, coupling, hot, cold, rate):
    """Upper population of the first qubit and heat current from its bath, from the Liouvillian in 40 digits."""
    H = first * A.T * A + second * B.T * B + coupling * (A.T * B + B.T * A)
    jumps = []
    for lower, gap, beta in ((A, first, hot), (B, second, cold)):
        jumps += [(rate * (bose(beta * gap) + 1), lower), (rate * bose(beta * gap), lower.T)]

    def moved(rho, some, H=None):
        out = -1j * (H * rho - rho * H) if H is not None else mp.zeros(4)
        for speed, L in some:
            out = out + speed * (L * rho * L.T - (L.T * L * rho + rho * L.T * L) / 2)
        return out

    L, rho = mp.zeros(6), mp.zeros(4)
    for k, at in enumerate(REACHED):
        unit = mp.zeros(4)
        unit[at] = 1
        column = moved(unit, jumps, H)
        for i, element in enumerate(REACHED):
            L[i, k] = column[element]
    for k in range(6):
        L[0, k] = 1 if k < 4 else 0
    for at, value in zip(REACHED, mp.lu_solve(L, mp.matrix([1, 0, 0, 0, 0, 0])), strict=True):
        rho[at] = value
    into = moved(rho, jumps[:2])
    return mp.re(rho[0, 0] + rho[1, 1]), mp.re(sum((H * into)[k, k] for k in range(4)))


@jax.jit
@jax.vmap
def pair(x):
    def found(x):
        first, second, coupling, hot, cold, rate = x
        space = qd.Space(a=qd.Spin(), b=qd.Spin())
        a, b = space.a, space.b
        hop = a.plus @ b.minus
        H = first / 2 * a.z + second / 2 * b.z + coupling * (hop + hop.dag)
        jumps = {
            "hot": qd.thermal_jumps(a.minus, first, qd.BosonicBath(hot, rate)),
            "cold": qd.thermal_jumps(b.minus, second, qd.BosonicBath(cold, rate)),
        }
        generator = qd.Lindblad(H, jumps)
        state = qd.steady_state(generator)
        return jnp.stack([state.expect(a.up), qd.heat_current(state, "hot")])

    return found(x), jax.jacfwd(found)(x), jax.jacrev(found)(x)


PAIRS = [
    (1.0, 1.0, 0.0, 0.3, 2.0, 0.01),  # decoupled and degenerate
    (1.0, 2.0, 0.0, 0.3, 2.0, 0.01),  # decoupled
    (1.0, 1.0, 1e-6, 0.3, 2.0, 1e-3),  # degenerate, hardly coupled
    (1.0, 1.0, 1e-3, 0.3, 2.0, 1e-3),  # degenerate, coupled as strongly as damped
    (1.0, 1.0 + 1e-9, 1e-3, 0.3, 2.0, 1e-3),  # all but degenerate
    (1.0, 1.0, 10.0, 0.3, 2.0, 1e-3),  # coupled beyond the gap
    (1.0, 1.5, 0.3, 1e-3, 50.0, 1e-6),  # hot and cold, slow
    (1.0, 1.5, 0.3, 1.0, 1.0, 1e3),  # damped faster than anything else
]


def test_two_qubits_decoupled_and_degenerate(counted):
    """Populations to 1e-13, currents to 1e-12 of the flows, derivatives to 1e-10 of them."""
    values, forward, reverse = (np.asarray(v) for v in pair(jnp.array(PAIRS)))
    worst = np.zeros(4)
    for point, value, slopes, back in zip(PAIRS, values, forward, reverse, strict=True):
        exact = [mp.mpf(x) for x in point]
        wanted = pair_by_hand(*exact)
        first, _, coupling, hot, _, rate = exact
        sizes = (mp.mpf(1) / 10, max(first, coupling) * rate * bose(hot * first))
        worst[0] = max(worst[0], off(value[0], wanted[0], sizes[0]))
        worst[1] = max(worst[1], off(value[1], wanted[1], sizes[1]))
        both = [derivatives(lambda *x, row=row: pair_by_hand(*x)[row], exact) for row in (0, 1)] if point in PAIRS[::2] else None
        for row, k in itertools.product((0, 1), range(6)) if both else ():
            size = sizes[row] / max(min(exact[k] or 1, abs(exact[1] - exact[0]) if k < 2 and exact[1] != exact[0] else 1), rate)
            worst[2] = max(worst[2], off(slopes[row, k], both[row][k], size))
            worst[3] = max(worst[3], off(back[row, k], both[row][k], size))
    counted("edges in 40 digits", n=len(PAIRS))
    assert worst[0] < 1e-13 and worst[1] < 1e-12 and (worst[2:] < 1e-10).all(), worst


@jax.jit
@jax.vmap
def crossing(x):
    def found(x):
        first, second, hot, cold, rate = x
        space = qd.Space(a=qd.Spin(), b=qd.Spin())
        couplings = {"hot": (space.a.x, qd.BosonicBath(hot, rate)), "cold": (space.b.x, qd.BosonicBath(cold, rate))}
        generator = qd.secular(first / 2 * space.a.z + second / 2 * space.b.z, couplings)
        state = qd.steady_state(generator)
        return jnp.stack([state.expect(space.a.up), state.expect(space.b.up), state.expect(space.a.up @ space.b.up)])

    return found(x), jax.jacfwd(found)(x), jax.jacrev(found)(x)


def test_uncoupled_levels_cross(counted):
    """The global equation of two qubits that know nothing of each other, where their levels cross, exactly and nearly."""

    def by_hand(first, second, hot, cold, rate):
        p, q = 1 / (1 + mp.exp(hot * first)), 1 / (1 + mp.exp(cold * second))
        return p, q, p * q

    gaps = [(1.0, 1.0), (1.0, 1.0 + 1e-15), (1.0, 1.0 - 1e-12), (1.0, 1.0 + 1e-9), (1.0, 1.001), (1.0, 2.0), (2.0, 1.0), (1e3, 1e-3)]
    points = [(*gap, *betas, rate) for gap in gaps for betas in ((0.3, 2.0), (1e-3, 30.0)) for rate in (1e-6, 1e-2, 1e3)]
    values, forward, reverse = (np.asarray(v) for v in crossing(jnp.array(points)))
    worst = np.zeros(3)
    for point, value, slopes, back in zip(points, values, forward, reverse, strict=True):
        exact = [mp.mpf(x) for x in point]
        for row, wanted in enumerate(by_hand(*exact)):
            worst[0] = max(worst[0], off(value[row], wanted, 1))
            for k, slope in enumerate(derivatives(lambda *x, row=row: by_hand(*x)[row], exact)):
                worst[1] = max(worst[1], off(slopes[row, k], slope, 1 / exact[k]))
                worst[2] = max(worst[2], off(back[row, k], slope, 1 / exact[k]))
    counted("edges in 40 digits", n=len(points))
    assert worst[0] < 1e-12 and (worst[1:] < 1e-10).all(), worst


# ---- one of everything ----------------------------------------------------------------------------------------------


def test_one_level_is_refused(counted):
    """A system with one state has no dynamics, which is said in one sentence; it has a thermal state."""
    for factor in (qd.Boson(1), qd.Levels("only")):
        H = qd.Space(one=factor).operator(np.eye(1))
        for build in (lambda H: qd.Lindblad(H, {}), lambda H: qd.secular(H, {"b": (H, qd.BosonicBath(1.0, 0.1))})):
            with pytest.raises(ValueError, match="H must act on at least two states, but .* has dimension 1"):
                build(H)
        assert qd.thermo.gibbs(H, 1.0).dense().tolist() == [[1.0]]
        counted("abuse cases", n=3)
    with pytest.raises(ValueError, match="l_min must be below l_max"):
        qd.Rotor(0, 0)
    with pytest.raises(ValueError, match="n at least 2"):
        qd.bloch.BlochModel(lambda k, p: (jnp.ones((1, 1)) * k, [(1.0, jnp.ones((1, 1)))])).steady_velocity([0.1])
    counted("abuse cases", n=2)


def test_one_momentum(counted):
    """One k-point: its velocity is the mean velocity, and that of the closed form; scattering needs somewhere to go.

    H = [[e, g], [g, -e]] with e = sin k and decay at the rate 1 from the first state to the second, by hand:
    rho_00 = 4 g^2/(1 + 16 e^2 + 8 g^2), and v = cos k (2 rho_00 - 1).
    """

    def block(k, g):
        return jnp.array([[jnp.sin(k), g], [g, -jnp.sin(k)]]), [(1.0, jnp.array([[0.0, 0.0], [1.0, 0.0]]))]

    def by_hand(k, g):
        return mp.cos(k) * (8 * g**2 / (1 + 16 * mp.sin(k) ** 2 + 8 * g**2) - 1)

    @jax.jit
    def found(k, g):
        one = qd.bloch.BlochModel(block, g)
        return one.steady_velocity(k[None])[0], one.mean_velocity(k[None], lambda k, p: 700 + 0 * k)

    slope = jax.jit(jax.jacfwd(found, argnums=1))
    for k, g in ((0.3, 0.2), (0.0, 1e-6), (np.pi / 2, 1.0), (-3.0, 1e3), (1e-9, 1e-3)):
        values, slopes = found(jnp.array(k), jnp.array(g)), slope(jnp.array(k), jnp.array(g))
        wanted = by_hand(mp.mpf(k), mp.mpf(g))
        (_, by_g) = derivatives(by_hand, [mp.mpf(k), mp.mpf(g)])
        assert max(off(v, wanted, abs(mp.cos(mp.mpf(k)))) for v in values) < 1e-14
        assert max(off(s, by_g, abs(mp.cos(mp.mpf(k))) / g) for s in slopes) < 1e-13
        counted("edges in 40 digits")
    for shape, words in (((1, 1, 1, 1), "a reach of at least 1"), ((3, 1, 1, 1), "shorter than half of the 1 momenta")):
        with pytest.raises(ValueError, match=words):
            qd.momentum.Scattering(np.ones(shape))
        counted("abuse cases")
