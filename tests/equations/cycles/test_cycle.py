"""Cycles against brute force: whole superoperators in NumPy, every record of outcomes, step by step."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engines import GEN1, engine
from helpers import close, derivative, dissipator, unitary
from scipy.linalg import expm

import qdiff as qd
from qdiff.equations.cycles import fixed_point
from qdiff.linalg.phi_functions import passage
from qdiff.models.spintronic.device import SPACE

PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
HOP = PAIR.a.plus @ PAIR.b.minus
KICK = (PAIR.identity - 1j * PAIR.a.x) / np.sqrt(2)
LONELY = qd.Lindblad(PAIR.a.up, {"a": (0.1, PAIR.a.minus)})  # nothing moves b


def pair(coupling=0.5, cold=0.3, splitting=2.0):
    baths = {"a": [(0.1, PAIR.a.minus), (0.02, PAIR.a.plus)], "b": [(cold, PAIR.b.minus), (0.2, PAIR.b.plus)]}
    return qd.Lindblad(PAIR.a.up + splitting * PAIR.b.up + coupling * (HOP + HOP.dag), baths)


def liouvillian(generator, only=None):
    L = 0 if only else unitary(generator.hamiltonian.dense())
    for label, jumps in generator.jumps.items():
        for j in jumps if only in (None, label) else ():
            rates = np.atleast_1d(j.rate)
            for g, rate in enumerate(rates):
                A = generator.out_of_frame(j.operator).dense() if j.groups is None else _member(generator, j, g)
                L = L + float(rate) * dissipator(A)
    return L


def _member(generator, j, g):
    values = np.where(np.array(j.groups) == g, np.asarray(j.operator.values), 0)
    return generator.out_of_frame(qd.Operator(j.operator.pattern, values, j.operator.space)).dense()


def superoperators(strokes):
    """One matrix for each stroke, on row-major vectors."""
    out = []
    for s in strokes:
        if isinstance(s, qd.cycles.Free):
            out.append(expm(float(s.time) * liouvillian(s.generator)))
        elif isinstance(s, qd.cycles.Unitary):
            U = s.operator.dense()
            out.append(np.kron(U, U.conj()))
        else:
            projected = sum(np.kron(P.dense(), P.dense().conj()) for P in s.projectors)
            out.append((1 - s.strength) * np.eye(projected.shape[0]) + s.strength * projected)
    return out


def brute_limit(strokes, held):
    """The states at the beginning of each stroke, and the second largest eigenvalue among the elements that are `held`."""
    maps = superoperators(strokes)
    total = np.eye(len(maps[0]))
    for m in maps:
        total = m @ total
    values, vectors = np.linalg.eig(total)
    rho = vectors[:, np.argmin(np.abs(values - 1))]
    d = round(len(rho) ** 0.5)
    rho = rho / np.trace(rho.reshape(d, d))
    out = []
    for m in maps:
        out.append(rho.reshape(d, d))
        rho = m @ rho
    inside = np.sort(np.abs(np.linalg.eigvals(total[np.ix_(held, held)])))
    return out, inside[-2]


def swapped(generator):
    """The pair with the two baths at each other's place."""
    (am, ap), (bm, bp) = generator.jumps["a"], generator.jumps["b"]
    return qd.Lindblad(
        generator.H, {"b": [(bm.rate, PAIR.a.minus), (bp.rate, PAIR.a.plus)], "a": [(am.rate, PAIR.b.minus), (ap.rate, PAIR.b.plus)]}
    )


def cycles():
    bath = {"a": (PAIR.a.x, qd.BosonicBath(1.0, 0.1)), "b": (PAIR.b.x, qd.BosonicBath(0.3, 0.2))}
    thermal = qd.secular(PAIR.a.up + 2 * PAIR.b.up + 0.5 * (HOP + HOP.dag), bath)
    z, x, weak = qd.cycles.Measurement(PAIR.b.z), qd.cycles.Measurement(PAIR.a.x), qd.cycles.Measurement(PAIR.b.z, 0.3)
    free, other = qd.cycles.Free(pair(), 2.0), qd.cycles.Free(pair(0.2, 0.7, 1.5), 0.7)
    return {
        "number": ([free, z], [free, z]),
        "weak": ([free, weak], [free, weak]),
        "across": ([free, x], [free, x]),
        "joint": ([free, qd.cycles.Measurement(PAIR.a.z @ PAIR.b.z + 0.1 * PAIR.a.x)],) * 2,
        "kick": ([free, qd.cycles.Unitary(KICK), other, z],) * 2,
        "measured first": ([z, free],) * 2,
        "secular": ([qd.cycles.Free(thermal, 1.5), z, other],) * 2,
        "swap": ([free, qd.cycles.SwapBaths("a", "b"), qd.cycles.Free(pair(), 0.5), z], [free, qd.cycles.Free(swapped(pair()), 0.5), z]),
        "no measurement": ([free, other],) * 2,
        "populations, then across": ([free, weak, x],) * 2,
        "pairs of states": ([qd.cycles.Free(pair(0.0), 0.5), qd.cycles.Measurement(HOP + HOP.dag)],) * 2,
    }


@pytest.mark.parametrize("name", cycles())
def test_limit_cycles(name):
    """States, heat of every bath, energy measured, work, balance and slowest mode, against the whole superoperator."""
    given, explicit = cycles()[name]
    end = qd.cycles.Cycle(given).steady_state()
    held = np.zeros((4, 4), bool)
    held[end.coordinates.row, end.coordinates.col] = held[end.coordinates.col, end.coordinates.row] = True
    states, second = brute_limit(explicit, held.ravel())
    for k, want in enumerate(states):
        close(end.rho(k).dense(), want, 1e-12)
        close(end.expect(HOP + HOP.dag, k), np.trace((HOP + HOP.dag).dense() @ want).real, 1e-12, 1.0)
    close(abs(1 - complex(end.decay)), second, 1e-11)
    heat, measured, work = dict.fromkeys(end.heat, 0.0), 0.0, 0.0
    maps = superoperators(explicit)
    H = [s for s in explicit if isinstance(s, qd.cycles.Free)][-1].generator.hamiltonian.dense()
    for stroke, rho, m in zip(explicit, states, maps, strict=True):
        if isinstance(stroke, qd.cycles.Free):
            new = stroke.generator.hamiltonian.dense()
            work += np.trace((new - H) @ rho).real
            H, L = new, liouvillian(stroke.generator)
            times, weights = np.polynomial.legendre.leggauss(40)
            for t, w in zip((times + 1) / 2 * float(stroke.time), weights / 2 * float(stroke.time), strict=True):
                now = expm(t * L) @ rho.ravel()
                for b in heat:
                    heat[b] += w * np.trace(H @ (liouvillian(stroke.generator, b) @ now).reshape(rho.shape)).real
        else:
            change = np.trace(H @ ((m @ rho.ravel()).reshape(rho.shape) - rho)).real
            measured, work = (
                measured + change * isinstance(stroke, qd.cycles.Measurement),
                work + change * isinstance(stroke, qd.cycles.Unitary),
            )
    for b in heat:
        close(end.heat[b], heat[b], 1e-11, 1)
    close([end.measured, end.work], [measured, work], 1e-11, 1)
    close(end.imbalance, 0.0, 1e-12, 1)


@pytest.mark.parametrize("time", [1e-6, 1e-2, 3.0])
def test_what_a_kick_gives_is_not_measured(time):
    """Energy from the measurement, work and heat add up to nothing, however little the baths do in a cycle."""
    end = qd.cycles.Cycle([qd.cycles.Free(pair(), time), qd.cycles.Unitary(KICK), qd.cycles.Measurement(PAIR.b.z, 0.5)]).steady_state()
    total = float(end.measured + end.work + sum(end.heat.values()))
    assert abs(float(end.work)) > 0.01 * time and abs(total) < 1e-14


def test_states_and_exchange_cycle_by_cycle():
    """From a given state with coherence on: the state after n cycles, heat and particles in each, against steps."""
    strokes = [qd.cycles.Free(pair(), 2.0), qd.cycles.Unitary(KICK), qd.cycles.Measurement(PAIR.b.z, 0.5)]
    ket = np.array([0.6, 0.0, 0.0, 0.8])
    run = qd.cycles.Cycle(strokes).evolve(ket)
    rho, maps = np.outer(ket, ket).astype(complex).ravel(), superoperators(strokes)
    H, n = pair().H.dense(), PAIR.b.up
    measured, energies = [], [np.trace(H @ rho.reshape(4, 4)).real]
    for k in range(1, 6):
        rho = maps[1] @ maps[0] @ rho
        before = np.trace(H @ rho.reshape(4, 4)).real
        rho = maps[2] @ rho
        energies.append(np.trace(H @ rho.reshape(4, 4)).real)
        measured.append(energies[-1] - before)
        close(run.rho(k).dense(), rho.reshape(4, 4), 1e-13)
    close(run.measured(5), measured, 1e-12)
    close(run.measured(1), measured[:1], 1e-12)
    close(run.measured(np.array([2, 5])), np.array(measured)[[1, 4]], 1e-12)
    got = run.exchanged(n, 4)
    close(got["b"][:1], run.exchanged(n, np.array([1]))["b"], 1e-13)
    alone = qd.cycles.Cycle(strokes[:1]).evolve(ket)  # without kicks all energy comes from the baths
    gained = sum(np.asarray(v) for v in alone.exchanged(pair().H, 3).values())
    e = [np.trace(H @ (np.linalg.matrix_power(maps[0], k) @ np.outer(ket, ket).ravel()).reshape(4, 4)).real for k in range(4)]
    close(gained, np.diff(e), 1e-12)


@pytest.mark.parametrize(("measured", "strength"), [("n_R", 1.0), ("charge_left", 1.0), ("n_R", 0.4)])
def test_unselective_is_the_average_of_selective(measured, strength):
    """All records of three cycles: probabilities add up to one, and the mean of -<C> is the unselective Delta E of each."""
    model = engine(GEN1, 0.8, measured=measured, measurement_strength=strength)
    cycle = model.cycle()
    count = len(model.measurement().outcomes)
    coordinates = cycle.coordinates()
    free, _ = cycle.parts(coordinates)
    readings, trace = np.asarray(model.measurement().readings(coordinates)), coordinates.trace_weights
    x = np.asarray(coordinates.coordinates(SPACE.state(left="up", right=1)))
    H = np.asarray(coordinates.covector(model.generator().H))
    branches, given = [x], []
    for _ in range(3):
        before = [b + np.asarray(free.change) @ b for b in branches]
        given.append(H @ sum(sum(R @ b for R in readings) - b for b in before))
        branches = [R @ b for b in before for R in readings]
    assert len(branches) == count**3
    close(sum(trace @ b for b in branches), 1.0, 1e-14)
    close(given, model.series(3, "ud"), 1e-13)
    # Trajectories follow the same branches: the record's probability is the branch's trace.
    run = model.trajectories(5, 3, 20_000, "ud")
    for k in range(50):
        at = int(np.ravel_multi_index(tuple(np.asarray(run.outcome[k])), (count,) * 3))
        close(np.prod(run.probability[k]), trace @ branches[at], 1e-12)
    mean = np.asarray(run.given)
    assert np.all(np.abs(mean.mean(axis=0) - given) <= 3 * mean.std(axis=0) / 20_000**0.5 + 1e-12)


def test_trajectories_are_those_of_their_key():
    model = engine(GEN1, 0.8)
    one, same, other = (model.trajectories(key, 3, 20_000, "ud") for key in (1, jax.random.key(1), 2))
    assert np.array_equal(one.outcome, same.outcome) and not np.array_equal(one.outcome, other.outcome)


passed = jax.jit(lambda G, time: passage(G, np.ones(4), time))


@pytest.mark.parametrize("time", [1e-9, 0.3, 7.0, 1e4])
def test_passage(time):
    """e^{Gt} - 1 and its integrals, with entries that differ by nine decades, against 50-digit arithmetic."""
    import mpmath

    rng = np.random.default_rng(0)
    G = rng.uniform(size=(4, 4)) * 10.0 ** -rng.integers(0, 9, (4, 4))
    G = G - np.diag(np.diag(G))
    G = G - np.diag(G.sum(axis=0))
    with mpmath.workdps(50):
        exact = mpmath.matrix(12)
        for i, j in itertools.product(range(4), repeat=2):
            exact[i, j] = mpmath.mpf(G[i, j])
        for j in range(4):
            exact[j, j] = -sum((mpmath.mpf(G[i, j]) for i in range(4) if i != j), mpmath.mpf(0))
            exact[j, 4 + j] = exact[4 + j, 8 + j] = 1
        E = mpmath.expm(exact * mpmath.mpf(time))
        want = [
            np.array([[float(E[i, k * 4 + j] - (1 if i == j and k == 0 else 0)) for j in range(4)] for i in range(4)]) for k in range(3)
        ]
    moved = passed(G, time)
    for got, w in zip(moved, want, strict=True):
        # The diagonal of G holds the rounding of its sum, which the exact one does not; rates as small are seen as relative.
        assert np.all(np.abs(np.asarray(got) - w) <= 1e-12 * np.abs(w) + 1e-13 * np.abs(w).max())
    small = np.asarray(moved.change)
    off = ~np.eye(4, dtype=bool)
    assert time > 1 or np.all(np.abs(small - want[0])[off] <= 1e-13 * np.abs(want[0])[off])


def test_passage_is_differentiable_in_time():
    G = jnp.asarray(liouvillian(pair()).real)
    now = jax.jit(lambda t: passage(G, np.eye(4).ravel(), t))(1.3)
    slope = jax.jit(jax.jacfwd(lambda t: passage(G, np.eye(4).ravel(), t).change))(1.3)
    close(slope, G + G @ now.change, 1e-13)
    close(jax.jit(jax.jacrev(lambda t: passage(G, np.eye(4).ravel(), t).mean))(1.3), now.change + np.eye(16), 1e-13)


def test_durations_are_differentiable():
    """Heat per cycle in both durations, forward and reverse, against differences."""

    @jax.jit
    def heat(t):
        strokes = [
            qd.cycles.Free(pair(), t[0]),
            qd.cycles.Unitary(KICK),
            qd.cycles.Free(pair(0.2, 0.7), t[1]),
            qd.cycles.Measurement(PAIR.b.z),
        ]
        return qd.cycles.Cycle(strokes).steady_state().heat["b"]

    at = jnp.array([2.0, 0.7])
    close(jax.grad(heat)(at), derivative(heat, at), 1e-8)
    close(jax.jacfwd(heat)(at), jax.grad(heat)(at), 1e-12)


def test_chain_orders_its_elimination():
    """An absorbing state anywhere, with rates exactly zero, is found; two of them are not unique: NaN."""
    for at in range(3):
        R = np.full((3, 3), 0.3)
        R[:, at] = 0
        N = R - np.diag(np.diag(R))
        N = N - np.diag(N.sum(axis=0))
        close(fixed_point.solve(jnp.asarray(N), np.ones(3, bool)).fixed, np.eye(3)[at], 1e-15)
    N = np.array([[0.0, 0, 0.2], [0, 0, 0.2], [0, 0, -0.4]])
    assert not np.all(np.isfinite(fixed_point.solve(jnp.asarray(N), np.ones(3, bool)).fixed))


def test_a_wrong_reference_is_refused():
    free = qd.cycles.Free(pair(), 2.0)
    cycle = qd.cycles.Cycle([free, qd.cycles.Measurement(PAIR.b.z)], reference=PAIR.state(a="up", b="down"), disturbing=("a",))
    with pytest.raises(qd.SolveError, match="reference is not left as it is"):
        cycle.steady_state()


def uneven():
    """The first bath only takes, the second gives too."""
    return qd.Lindblad(PAIR.a.up + PAIR.b.up, {"a": (0.1, PAIR.a.minus), "b": [(0.3, PAIR.b.minus), (0.2, PAIR.b.plus)]})


def measured_with(strength):
    return qd.cycles.Cycle([qd.cycles.Free(pair(), 1.0), qd.cycles.Measurement(PAIR.b.z, strength)]).steady_state().measured


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda: qd.cycles.Cycle([]), ValueError, "at least one Free stroke"),
        (lambda: qd.cycles.Cycle([PAIR.a.z]), TypeError, "one was Operator"),
        (lambda: qd.cycles.Free(pair(), 0.0), ValueError, "time must be a finite number above 0, but was 0"),
        (lambda: qd.cycles.Free(pair(), -1.0), ValueError, "time must be"),
        (lambda: qd.cycles.Measurement(PAIR.c.z), AttributeError, "no factor 'c'; it has"),
        (lambda: qd.cycles.Measurement(HOP), ValueError, "observable must be Hermitian"),
        (lambda: qd.cycles.Measurement(PAIR.a.z, 1.2), ValueError, "strength must be between 0 and 1, but was 1.2"),
        (lambda: qd.cycles.Unitary(PAIR.a.plus), ValueError, "operator must be unitary"),
        (
            lambda: qd.cycles.Cycle([qd.cycles.Free(pair(), 1.0), qd.cycles.Measurement(SPACE.right.n)]),
            ValueError,
            "all strokes must act on",
        ),
        (lambda: qd.cycles.Cycle([qd.cycles.SwapBaths("a", "c"), qd.cycles.Free(pair(), 1.0)]), ValueError, "one was 'c'"),
        (
            lambda: qd.cycles.Cycle([qd.cycles.SwapBaths("a", "b"), qd.cycles.Free(uneven(), 1.0)]),
            ValueError,
            "equally many single jumps, but 'a' and 'b'",
        ),
        (
            lambda: jax.jit(lambda s: qd.cycles.Measurement(s * PAIR.a.z).outcomes)(1.0),
            ValueError,
            "observable must be concrete, but was traced",
        ),
        (
            lambda: qd.cycles.Cycle([qd.cycles.Free(pair(), 1.0)], disturbing=["c"]),
            ValueError,
            "disturbing must name baths of .*, but names 'c'",
        ),
        (
            lambda: qd.cycles.trajectories(qd.cycles.Cycle([qd.cycles.Free(pair(), 1.0)]), 0, 5, 5, np.eye(4)[0]),
            ValueError,
            "must have a Measurement",
        ),
        (lambda: qd.cycles.Cycle([qd.cycles.Free(pair(), 1.0)]).evolve(np.eye(4)[0]).measured(0), ValueError, "between 1 and"),
        (lambda: qd.cycles.Cycle([qd.cycles.Free(pair(), 1.0)]).evolve(np.eye(4)[0]).after([-1]), ValueError, "integers between 0"),
        (
            lambda: jax.jit(lambda t: qd.cycles.Cycle([qd.cycles.Free(pair(), t)]).steady_state().x)(-1.0),
            Exception,
            "time of a stroke is not above zero",
        ),
        (
            lambda: jax.jit(lambda t: qd.cycles.Cycle([qd.cycles.Free(pair(), t)]).steady_state().x)(0.0),
            Exception,
            "time of a stroke is not above zero",
        ),
        (lambda: jax.jit(measured_with)(1.5), Exception, "strength of a measurement is not between 0 and 1"),
        (lambda: jax.jit(measured_with)(-0.1), Exception, "strength of a measurement is not between 0 and 1"),
        (lambda: qd.cycles.Cycle([qd.cycles.Free(LONELY, 1.0)]).steady_state(), qd.SolveError, "not unique"),
    ],
)
def test_wrong_use_is_refused(wrong, error, said):
    with pytest.raises(error, match=said):
        wrong()
