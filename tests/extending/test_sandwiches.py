"""An equation that is not of Lindblad form, as CONTRIBUTING says: Redfield's as a list of terms.

A V-shaped atom with two close excited levels between two baths, without the secular approximation
and with Lamb shifts, held to a superoperator in NumPy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative, dissipator, flow, null_state, random_density, unitary
from scipy.linalg import expm

import qdiff as qd
from qdiff.equations.lindblad import Master, Sandwich, Snapshot
from qdiff.equations.lindblad.reach import reach
from qdiff.operators.pattern import Pattern

ATOM = qd.Space(atom=qd.Levels("g", "a", "b")).atom
# Splitting of the excited levels; inverse temperature and strength of the hot bath.
THETA = np.array([0.3, 0.7, 0.2])
COLD = (2.0, 0.15)  # as the hot bath's
WEIGHTS = {"hot": (1.0, 0.8), "cold": (1.0, -0.5)}  # of g-a and g-b in what couples to each bath
TIMES = np.array([0.4, 1.7, 6.0])


def response(omega, beta, strength, xp):
    """Half the rate of an Ohmic bath that takes the energy omega, and some shift."""
    rate = strength * omega / (1 - xp.exp(-beta * omega)) / (1 + (omega / 5) ** 2)
    return rate / 2 + 0.3j * strength * omega / (1 + omega**2)


def energies(theta):
    return 0.0, 1.0, 1.0 + theta[0]


def redfield(theta, together=False) -> Master:
    """Every pair of lines of every bath as a term, or `together`, as one term with their sums."""
    E = energies(theta)
    H = E[1] * ATOM.projector("a") + E[2] * ATOM.projector("b")
    terms = {}
    for label, (beta, strength) in {"hot": (theta[1], theta[2]), "cold": COLD}.items():
        lines = []
        for k, weight in zip((1, 2), WEIGHTS[label], strict=True):
            lower = weight * ATOM.transition(0, k)
            lines += [(E[k], lower), (-E[k], lower.dag)]
        c = [response(omega, beta, strength, jnp) for omega, _ in lines]
        right = sum(line for _, line in lines)
        if together:
            left = sum(c_k * line for c_k, (_, line) in zip(c, lines, strict=True))
            terms[label] = Sandwich(1.0, left, right)
        else:
            terms[label] = [
                Sandwich(c_k, A, B) for c_k, (_, A) in zip(c, lines, strict=True) for _, B in lines
            ]
    return Master(H, terms)


def term(c, A, B):
    """c (A rho B^dag - B^dag A rho) + h.c. as a matrix on row-major vectors, column by column."""
    n, columns = len(A), []
    for k in range(n * n):
        rho = np.eye(n * n)[k].reshape(n, n)
        moved = c * (A @ rho @ B.conj().T - B.conj().T @ A @ rho)
        moved = moved + c.conjugate() * (B @ rho @ A.conj().T - rho @ A.conj().T @ B)
        columns.append(moved.ravel())
    return np.array(columns).T


def dense(theta):
    """The Hamiltonian, and the superoperators of H and of each bath."""
    E = energies(theta)
    H, out = np.diag(E), {}
    for label, (beta, strength) in {"hot": (theta[1], theta[2]), "cold": COLD}.items():
        A = np.zeros((3, 3))
        A[0, 1:] = A[1:, 0] = WEIGHTS[label]
        gap = np.subtract.outer(E, E).T  # what the bath takes in the step to the row's level
        gap[A == 0] = 1.0
        out[label] = term(1.0, response(gap, beta, strength, np) * A, A)
    return H, unitary(H), out


def heat(theta):
    H, free, baths = dense(theta)
    return flow(baths["hot"], null_state(free + sum(baths.values())), H)


def current(theta, together=True):
    return qd.heat_current(qd.steady_state(redfield(theta, together)), "hot")


@pytest.mark.parametrize("together", [False, True])
def test_state_and_currents(together):
    generator = redfield(THETA, together)
    state = qd.steady_state(generator)
    H, free, baths = dense(THETA)
    rho = null_state(free + sum(baths.values()))
    assert abs(rho[1, 2]) > 0.01 and state.sector.size == 5 and not state.sector.closed
    close(state.dense(), rho, 1e-13)
    close(qd.heat_current(state, "hot"), flow(baths["hot"], rho, H), 1e-12)
    close(qd.heat_current(state, "cold"), -heat(THETA), 1e-11)
    found = state.diagnostics()
    close(found["smallest_eigenvalue"], np.linalg.eigvalsh(rho)[0], 1e-12)
    assert found["stationary_states"] == 1 and found["residual"] < 1e-15


def test_in_time():
    generator = redfield(THETA)
    H, free, baths = dense(THETA)
    L, start = free + sum(baths.values()), random_density(np.random.default_rng(1), 3)
    run = qd.evolve(generator, start, TIMES, expect=ATOM.projector("a"))
    want = [(expm(L * t) @ start.ravel()).reshape(3, 3) for t in TIMES]
    close(run.map(lambda s: s.dense()), want, 1e-12)
    close(run.expectations, [w[1, 1].real for w in want], 1e-12)
    close(qd.heat_current(run, "hot"), [flow(baths["hot"], w, H) for w in want], 1e-12)
    steps = qd.evolve(generator, start, TIMES, solver=qd.solvers.Explicit())
    close(steps.x, run.x, 1e-6)


def test_in_time_with_a_jump():
    """Of a coefficient, which is found, and moved."""

    def at_end(when):
        def generator(t):
            return redfield([0.3, 0.7, jnp.where(t > when, 0.4, 0.1)])

        return qd.evolve(generator, {"atom": "a"}, 3.0, expect=ATOM.projector("a")).expectations[0]

    def want(when):
        rho = np.diag([0.0, 1.0, 0.0]).ravel()
        for strength, t in ((0.1, when), (0.4, 3.0 - when)):
            _, free, baths = dense([0.3, 0.7, strength])
            rho = expm((free + sum(baths.values())) * t) @ rho
        return rho.reshape(3, 3)[1, 1].real

    close(at_end(1.2), want(1.2), 1e-11)
    close(jax.jacfwd(at_end)(1.2), derivative(lambda x: want(x[0]), [1.2])[0], 1e-8)


def test_relaxation():
    generator = redfield(THETA)
    _, free, baths = dense(THETA)
    found = qd.relax(generator, {"atom": "b"}, tolerance=1e-2)
    decays = np.sort(-np.linalg.eigvals(free + sum(baths.values())).real)
    assert np.min(np.abs(found.gap - decays)) < 1e-12 and found.gap > 1e-3

    def far(t):
        rho = expm((free + sum(baths.values())) * t) @ np.diag([0.0, 0.0, 1.0]).ravel()
        apart = rho.reshape(3, 3) - null_state(free + sum(baths.values()))
        return np.abs(np.linalg.eigvalsh(apart)).sum() / 2

    close(far(float(found.time)), 1e-2, 1e-5)


def test_a_distance_that_grows_first():
    """Beyond the tolerance, as where states stay positive it never does: the last time counts."""
    theta = np.array([0.3, 8.0, 2.0])
    generator, (_, free, baths) = redfield(theta, True), dense(theta)
    L = free + sum(baths.values())
    apart = np.diag([-0.434, 0.197, 0.237]).astype(complex)
    apart[0, 1:], apart[1, 2] = (-0.782 + 0.123j, 0.082 - 0.087j), -0.46 + 0.071j
    apart = 0.1 * (apart + np.triu(apart, 1).conj().T)

    def far(t):
        return np.abs(np.linalg.eigvalsh((expm(L * t) @ apart.ravel()).reshape(3, 3))).sum() / 2

    assert far(0.4) > 1.05 * far(0)
    sector = reach(generator, Pattern(3, *np.indices((3, 3)).reshape(2, -1)))
    x = sector.coordinates(qd.Operator.from_dense(null_state(L) + apart, generator.space))
    found = qd.relax(generator, Snapshot.of(generator, x, sector), tolerance=1.03 * far(0))
    assert found.time > 0.4
    close(far(float(found.time)), 1.03 * far(0), 1e-5)


def test_an_unstable_state():
    """Coherence that grows: what is stationary is found, and the gap tells."""
    q = qd.Space(q=qd.Spin()).q
    rates = {"bath": [(0.2, q.minus), (0.1, q.plus)], "wild": Sandwich(-0.1, q.z, q.z)}
    found = qd.relax(Master(0.5 * q.z, rates), np.array([[0.5, 0.1], [0.1, 0.5]]))
    close(found.gap, 0.15 - 4 * 0.1, 1e-12)
    close(found.final.populations(), [1 / 3, 2 / 3], 1e-12)
    assert found.time == np.inf


def test_derivatives():
    """Forward, reverse and second, also compiled, against differences of the matrix in NumPy."""
    slope = derivative(heat, THETA)
    close(jax.jit(current, static_argnums=1)(THETA, False), heat(THETA), 1e-12)
    close(jax.jit(jax.grad(current), static_argnums=1)(THETA, False), slope, 1e-8)
    close(jax.jacfwd(current)(THETA), slope, 1e-8)
    close(jax.hessian(current)(THETA), derivative(lambda x: derivative(heat, x), THETA), 1e-6)
    of_terms = jax.grad(lambda g: qd.heat_current(qd.steady_state(g), "hot"))(redfield(THETA, True))
    close(of_terms.terms["hot"][0].coefficient, _by_coefficient(), 1e-8)


def _by_coefficient():
    H, free, baths = dense(THETA)

    def scaled(c):
        L = free + sum(c[0] * b if label == "hot" else b for label, b in baths.items())
        return flow(c[0] * baths["hot"], null_state(L), H)

    return derivative(scaled, [1.0])[0]


def test_derivative_of_a_complex_coefficient():
    """In its real and in its imaginary part."""

    def mine(c):
        terms = [Sandwich(c[0] + 1j * c[1], ATOM.transition(0, 1), ATOM.transition(0, 2))]
        terms += [(0.3, ATOM.transition(0, k)) for k in (1, 2)]
        terms += [(0.1, ATOM.transition(1, 0) + ATOM.transition(2, 0))]
        H = 1.0 * ATOM.projector("a") + 1.2 * ATOM.projector("b")
        return qd.steady_state(Master(H, {"bath": terms})).expect(ATOM.projector("a"))

    def theirs(c):
        to = lambda i, j: np.outer(np.eye(3)[i], np.eye(3)[j])  # noqa: E731
        L = unitary(np.diag([0.0, 1.0, 1.2])) + term(c[0] + 1j * c[1], to(0, 1), to(0, 2))
        L = L + 0.3 * (dissipator(to(0, 1)) + dissipator(to(0, 2)))
        L = L + 0.1 * dissipator(to(1, 0) + to(2, 0))
        return null_state(L)[1, 1].real

    c = np.array([0.05, 0.08])
    close(mine(c), theirs(c), 1e-12)
    close(jax.grad(mine)(c), derivative(theirs, c), 1e-8)
    close(jax.jacfwd(mine)(c), derivative(theirs, c), 1e-8)


def test_batches():
    thetas = THETA + np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3], [-0.1, 0.5, 0.0]])
    close(jax.vmap(current)(thetas), [heat(t) for t in thetas], 1e-11)
    close(jax.vmap(jax.grad(current))(thetas), [derivative(heat, t) for t in thetas], 1e-8)


def test_structured():
    """Generic copies of coefficients and operators: the sector does not depend on the numbers."""
    built = qd.structured(redfield)
    state = qd.steady_state(built(np.array([0.0, 0.7, 0.2])))
    assert state.sector == qd.steady_state(built(THETA)).sector
    close(qd.steady_state(built(THETA)).dense(), qd.steady_state(redfield(THETA)).dense(), 1e-14)


def test_a_state_that_is_not_positive():
    """No error, but told; and whatever follows from such a state takes it."""
    theta = np.array([1.5, 12.0, 0.9])
    generator = redfield(theta)
    state = qd.steady_state(generator)
    _, free, baths = dense(theta)
    L = free + sum(baths.values())
    rho = null_state(L)
    lowest = np.linalg.eigvalsh(rho)[0]
    assert lowest < -1e-3
    close(state.dense(), rho, 1e-12)
    close(state.diagnostics()["smallest_eigenvalue"], lowest, 1e-9)
    run = qd.evolve(generator, {"atom": "g"}, TIMES)
    close(run[1].dense(), (expm(L * TIMES[1]) @ np.eye(9)[0]).reshape(3, 3), 1e-12)
    later = generator.state(qd.evolve(generator, state, 1.0)[0])
    close(later.dense(), rho, 1e-12)
    assert np.isfinite(qd.relax(generator, later).gap)
    A = ATOM.transition(0, 1) + ATOM.transition(1, 0)
    here, there = (qd.spectrum(s, A, A, jnp.array([0.9])) for s in (state, later))
    close(there, here, 1e-9)


# ---- secretly of Lindblad form ------------------------------------------------------------

ROOT = np.array([[0.5, 0.1 - 0.2j, 0.0], [0.3j, 0.4, 0.1], [0.2, 0.0, 0.3 + 0.1j]])
MATRIX = ROOT @ ROOT.conj().T


def _pair():
    space = qd.Space(p=qd.Spin(), q=qd.Spin())
    H = 0.5 * space.p.z + 0.4 * space.q.z + 0.2 * space.p.x @ space.q.x + 0.1 * space.q.y
    return space, H, [space.p.minus, space.q.minus, space.p.plus @ space.q.z + 0.3j * space.q.plus]


def rotated(**options):
    """sum_kl C_kl (F_k rho F_l^dag - {F_l^dag F_k, rho}/2) as terms."""
    space, H, F = _pair()
    terms = [Sandwich(MATRIX[k, m] / 2, F[k], F[m]) for k in range(3) for m in range(3)]
    return Master(H, {"wild": terms, "calm": [(0.2, space.q.plus)]}, **options)


def diagonal():
    """The same, from the eigenvectors of C."""
    space, H, F = _pair()
    d, u = np.linalg.eigh(MATRIX)
    jumps = [(d[k], sum(u[m, k] * F[m] for m in range(3))) for k in range(3)]
    return qd.Lindblad(H, {"wild": jumps, "calm": [(0.2, space.q.plus)]})


def test_a_rotated_lindblad_equation():
    one, other = rotated(), diagonal()
    a, b = qd.steady_state(one), qd.steady_state(other)
    assert a.sector.labels == ("wild", "calm") and a.sector.size == b.sector.size == 16
    close(a.dense(), b.dense(), 1e-13)
    for bath in ("wild", "calm"):
        close(qd.heat_current(a, bath), qd.heat_current(b, bath), 1e-13, 0.1)
    close(_matrix(one), _matrix(other), 1e-14)
    start = {"p": "up", "q": "down"}
    close(qd.evolve(one, start, TIMES).x, qd.evolve(other, start, TIMES).x, 1e-13)
    close(qd.relax(one).rates, qd.relax(other).rates, 1e-12)
    A = _pair()[0].p.x
    omegas = jnp.array([0.3, 1.0])
    close(qd.spectrum(a, A, A, omegas), qd.spectrum(b, A, A, omegas), 1e-11)


def _matrix(generator):
    sector = reach(generator)
    G = np.zeros((sector.size, sector.size))
    G[sector.target, sector.source] = sector.values(generator)
    return G


def test_a_frame():
    """Terms given in another basis: states and currents are those of the original one."""
    space, H, F = _pair()
    V = space.operator(np.linalg.eigh(H.dense())[1])
    turn = lambda op: V.dag @ op @ V  # noqa: E731
    terms = [Sandwich(MATRIX[k, m] / 2, turn(F[k]), turn(F[m])) for k in range(3) for m in range(3)]
    calm = [(0.2, turn(space.q.plus))]
    state = qd.steady_state(Master(turn(H), {"wild": terms, "calm": calm}, frame=V))
    close(state.dense(), qd.steady_state(diagonal()).dense(), 1e-12)


def test_counting_where_it_has_a_meaning():
    """A bath made of jumps is counted beside one that is not; of the other one no jump exists."""
    of = [1]
    state = qd.steady_state(rotated())
    want = qd.cumulants(qd.steady_state(diagonal()), "calm", of, order=3)
    close(qd.cumulants(state, "calm", of, order=3), want, 1e-11)
    with pytest.raises(
        ValueError, match="what is counted must be of Lindblad form, but bath 'wild"
    ):
        qd.cumulants(state, "wild", [1] * 9)


def test_no_loss_at_all():
    """A term between four levels, B^dag A = 0, moves one coherence to another: no closed system."""
    site = qd.Space(s=qd.Levels(4)).s
    H = sum((k + 0.1 * k**2) * site.projector(k) for k in range(4))
    generator = Master(H, {"bath": Sandwich(0.3j, site.transition(0, 1), site.transition(2, 3))})
    start = random_density(np.random.default_rng(2), 4)
    to = lambda i, j: np.outer(np.eye(4)[i], np.eye(4)[j])  # noqa: E731
    L = unitary(H.dense()) + term(0.3j, to(0, 1), to(2, 3))
    run = qd.evolve(generator, start, TIMES)
    assert not run.sector.closed
    close(run[2].dense(), (expm(L * TIMES[2]) @ start.ravel()).reshape(4, 4), 1e-12)


# ---- refusals -----------------------------------------------------------------------------

OTHER = qd.Space(other=qd.Spin()).other
MINUS = ATOM.transition(0, 1)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ((1.0, MINUS, np.eye(3)), TypeError, "right must be an Operator, but was ndarray"),
        ((1.0, 3.0, MINUS), TypeError, "left must be an Operator, but was float"),
        (("1", MINUS, MINUS), TypeError, "coefficient must be one number, but was '1'"),
        ((np.ones(2), MINUS, MINUS), TypeError, "coefficient must be one number"),
        ((1.0, MINUS, OTHER.minus), ValueError, "left and right must act on the same space"),
    ],
)
def test_wrong_terms(given, error, text):
    with pytest.raises(error, match=text):
        Sandwich(*given)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (Sandwich(1.0, OTHER.minus, OTHER.minus), ValueError, "a term of bath 'cold' acts on"),
        (Sandwich(np.inf, MINUS, MINUS), ValueError, "a term of bath 'cold' must be finite"),
        (Sandwich(1.0, MINUS * np.nan, MINUS), ValueError, "a term of bath 'cold' must be finite"),
        ((-1.0, MINUS), ValueError, "the rates of bath 'cold' must be finite and not negative"),
        ([Sandwich(1.0, MINUS, MINUS), 3.0], TypeError, "a jump of bath 'cold' must be"),
    ],
)
def test_wrong_lists(given, error, text):
    with pytest.raises(error, match=text):
        Master(ATOM.projector("a"), {"hot": (0.1, MINUS), "cold": given})


def test_no_mapping():
    with pytest.raises(TypeError, match="terms must map the name of each bath"):
        Master(ATOM.projector("a"), [MINUS])


def test_wrong_numbers_at_run_time():
    """A coefficient or an operator that is infinite only there, by its bath; NaN in a batch."""

    def excited(c):
        terms = {"hot": Sandwich(c, MINUS, MINUS), "cold": Sandwich(0.1, c * MINUS.dag, MINUS.dag)}
        up = ATOM.projector("a")
        return qd.evolve(Master(up, terms), {"atom": "a"}, 1.0, expect=up).expectations[0]

    assert 0 < excited(0.3) < 1
    with pytest.raises(Exception, match="a term of bath 'hot' is not finite"):
        jax.jit(excited)(jnp.inf)
    with qd.failures("nan"):
        found = jax.vmap(excited)(jnp.array([0.3, jnp.nan]))
    assert np.isfinite(found[0]) and np.isnan(found[1])


def test_what_needs_lindblad_form():
    generator = Master(
        ATOM.projector("a"), {"rest": (0.1, MINUS), "wild": Sandwich(1j, MINUS, MINUS)}
    )
    text = "must be of Lindblad form, but bath 'wild' has terms c A rho B\\^dag with different"
    for refuses in (
        qd.rates.pauli,
        qd.rates.slowest_decay,
        lambda g: qd.cycles.Free(g, 1.0),
        lambda g: qd.bloch.BlochModel(lambda k, p: g).steady_state(jnp.array([0.1])),
    ):
        with pytest.raises(ValueError, match=text):
            refuses(generator)
    for jumps in ({"wild": Sandwich(1j, MINUS, MINUS)}, {"wild": [Sandwich(1j, MINUS, MINUS)]}):
        with pytest.raises(TypeError, match="bath 'wild' must"):
            qd.Lindblad(ATOM.projector("a"), jumps)
        with pytest.raises(TypeError, match="bath 'wild' must"):
            qd.secular(ATOM.projector("a"), {}, jumps)


def test_a_bath_that_is_not_there():
    with pytest.raises(
        ValueError, match="bath must be one of \\['hot', 'cold'\\], but was 'tepid'"
    ):
        qd.heat_current(qd.steady_state(redfield(THETA)), "tepid")
