"""Systems without decay, and states that are stationary already: closed systems, conserved populations, dark states.

The right values: exp(-iHt) by SciPy; averages over all times from the null vectors of the whole Liouville matrix (NumPy), or for
closed systems the blocks of rho between equal energies; closed forms where there are any.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import close, derivative, dissipator, random_density, random_hermitian, unitary

import qdiff as qd
from qdiff.equations.lindblad.reach import reach

SPACE = qd.Space(q=qd.Spin())
Q = SPACE.q
ATOM = qd.Space(a=qd.Levels("g", "d", "e")).a
PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
HOP = PAIR.a.plus @ PAIR.b.minus
HOP = HOP + HOP.dag
UP, DOWN, PLUS = np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), np.full((2, 2), 0.5)
TILTED = np.array([[0.7, 0.2 - 0.3j], [0.2 + 0.3j, 0.3]])
TIMES = np.array([0.0, 0.7, 5.0])


def liouville(generator):
    """The generator as a matrix on row-major vectors."""
    H = np.asarray(generator.H.dense())
    jumps = [j for b in generator.labels for j in generator.jumps[b]]
    return unitary(H) + sum(
        (float(j.rate) * dissipator(j.operator.dense()) for j in jumps),
        np.zeros((len(H) ** 2,) * 2),
    )


def average(L, rho):
    """What rho becomes in the average over all times: the projection on the null vectors of L along its range."""
    left, s, right = np.linalg.svd(L)
    n = int(np.sum(s <= 1e-12 * max(s[0], 1e-300)))
    R, W = right[-n:].conj().T, left[:, -n:]
    return (R @ np.linalg.solve(W.conj().T @ R, W.conj().T @ np.asarray(rho).ravel())).reshape(
        rho.shape
    )


def blocks(H, rho):
    """sum_E P_E rho P_E."""
    e, v = np.linalg.eigh(H)
    local = v.conj().T @ rho @ v
    return v @ np.where(np.abs(e[:, None] - e) < 1e-10 * np.ptp(e), local, 0) @ v.conj().T


# what -> (the generator, the initial state)
STATIONARY = {
    "a ground state under decay": (qd.Lindblad(Q.z, {"v": (0.3, Q.minus)}), DOWN),
    "an excited state under dephasing": (qd.Lindblad(Q.z, {"d": (0.3, Q.z)}), UP),
    "a coherence under dephasing": (qd.Lindblad(Q.z, {"d": (0.3, Q.z)}), TILTED),
    "a rate of zero, at rest": (qd.Lindblad(Q.z, {"v": (0.0, Q.minus)}), UP),
    "a rate of zero, turning": (qd.Lindblad(Q.z + Q.x, {"v": (0.0, Q.minus)}), UP),
    "a bath without jumps": (qd.Lindblad(Q.x, {"v": []}), TILTED),
    "no Hamiltonian": (qd.Lindblad(0 * Q.z, {}), TILTED),
    "no Hamiltonian, only decay": (qd.Lindblad(0 * Q.z, {"v": (0.3, Q.minus)}), DOWN),
    "a closed qubit": (qd.Lindblad(Q.z + Q.x, {}), TILTED),
    "a closed qubit along its field": (qd.Lindblad(Q.z, {}), TILTED),
    "a jump proportional to the Hamiltonian": (qd.Lindblad(Q.x, {"d": (0.4, Q.x)}), TILTED),
    "a dark superposition": (
        qd.Lindblad(ATOM.projector("e"), {"v": [(1.0, ATOM.transition("g", "e"))]}),
        np.array([[0.5, 0.5j, 0], [-0.5j, 0.5, 0], [0, 0, 0]]),
    ),
    "a Rabi pair beside a level that decays": (
        qd.Lindblad(
            ATOM.transition("g", "d") + ATOM.transition("d", "g"),
            {"v": [(1.0, ATOM.transition("g", "e"))]},
        ),
        np.diag([1.0, 0, 0]).astype(complex),
    ),
    "equal energies of two spins": (
        qd.Lindblad(PAIR.a.z + PAIR.b.z, {}),
        random_density(np.random.default_rng(1), 4),
    ),
    "a pair of which one decays": (
        qd.Lindblad(PAIR.a.z, {"v": (0.2, PAIR.b.minus)}),
        random_density(np.random.default_rng(2), 4),
    ),
    "an exchange without decay": (
        qd.Lindblad(PAIR.a.z + PAIR.b.z + 0.3 * HOP, {}),
        random_density(np.random.default_rng(3), 4),
    ),
}


@pytest.mark.parametrize("what", STATIONARY)
def test_the_state_that_it_relaxes_to(what):
    """That of the whole Liouville matrix, with a residual and a reciprocal condition that are numbers."""
    generator, rho = STATIONARY[what]
    state = qd.steady_state(generator, initial=rho)
    close(state.dense(), average(liouville(generator), rho), 1e-12, 1.0)
    found = state.diagnostics()
    assert found["residual"] < 1e-15 and 0.01 < found["rcond"] <= 1.0 + 1e-9
    assert found["smallest_eigenvalue"] > -1e-15 and found["stationary_states"] >= 1


@pytest.mark.parametrize(
    "what",
    [
        "a ground state under decay",
        "an excited state under dephasing",
        "a closed qubit",
        "a rate of zero, turning",
    ],
)
def test_everything_else_that_is_asked_of_them(what):
    """Evolution against expm, correlations against the regression theorem, currents that are zero, times of relaxation."""
    generator, rho = STATIONARY[what]
    L, state = liouville(generator), qd.steady_state(generator, initial=rho)
    want = np.stack([(scipy.linalg.expm(L * t) @ rho.ravel()).reshape(2, 2) for t in TIMES])
    for solver in (None, qd.solvers.Action(), qd.solvers.Explicit(rtol=1e-10, atol=1e-12)):
        close(qd.evolve(generator, rho, TIMES, solver=solver).dense(), want, 1e-8, 1.0)
    kicked = Q.x.dense() @ np.asarray(state.dense())
    c = [
        np.trace(Q.y.dense() @ (scipy.linalg.expm(L * t) @ kicked.ravel()).reshape(2, 2))
        for t in TIMES
    ]
    close(qd.correlation(state, Q.y, Q.x, TIMES), np.array(c), 1e-12, 1.0)
    assert set(qd.currents(state, Q.z)) == set(generator.labels)
    assert (
        all(abs(j) < 1e-15 for j in qd.currents(state, Q.z).values())
        and abs(qd.ledger(state).imbalance) < 1e-15
    )
    found = qd.relax(generator, rho)
    at_rest = np.abs(L @ rho.ravel()).max() < 1e-15
    assert float(found.time) == (0.0 if at_rest else np.inf)
    assert np.all(np.isfinite(found.rates)) and not np.isnan(found.gap)


def test_a_generator_in_time_without_decay():
    """H(t) = (1 + t) Z + X with a rate of zero and with no bath at all, against a product of 4000 exponentials (midpoints)."""
    psi, steps = np.array([1.0, 0.0], complex), 4000
    for k in range(steps):
        psi = (
            scipy.linalg.expm(
                -1j
                / steps
                * ((1 + (k + 0.5) / steps) * np.diag([1.0, -1.0]) + np.array([[0, 1], [1, 0]]))
            )
            @ psi
        )
    for baths in ({"n": (0.0, Q.z)}, {}):
        run = qd.evolve(lambda t, b=baths: qd.Lindblad((1 + t) * Q.z + Q.x, b), {"q": "up"}, 1.0)
        close(run[-1].dense(), np.outer(psi, psi.conj()), 1e-6, 1.0)


def test_a_closed_chain_of_many_levels():
    """25 levels, 625 coordinates: exp(-iHt), and the average over all times of a random state."""
    rng = np.random.default_rng(4)
    H, rho = random_hermitian(rng, 25), random_density(rng, 25)
    space = qd.Space(a=qd.Levels(25))
    generator = qd.Lindblad(space.operator(H), {})
    U = scipy.linalg.expm(-2j * H)
    close(
        qd.evolve(generator, rho, 2.0, solver=qd.solvers.Action()).dense()[0], U @ rho @ U.conj().T, 1e-11, 1.0
    )
    close(qd.steady_state(generator, initial=rho).dense(), blocks(H, rho), 1e-12, 1.0)


def test_the_average_of_a_closed_system_has_derivatives():
    """In H, forward, reverse and second order, in batches, and in the state; H has two equal energies throughout."""
    rng = np.random.default_rng(5)
    fixed, rho, read = (
        np.linalg.qr(random_hermitian(rng, 4))[0],
        random_density(rng, 4),
        random_hermitian(rng, 4),
    )
    base, turn = np.diag([1.0, 1.0, 2.0, 3.5]), random_hermitian(rng, 4, real=True)

    def in_numpy(x):
        u = fixed @ scipy.linalg.expm(1j * x * turn)
        return np.trace(read @ blocks(u @ base @ u.conj().T, rho)).real

    def in_qdiff(x, rho=rho):
        u = fixed @ jax.scipy.linalg.expm(1j * x * turn)
        # The basis turns, and the energies stay: rho in the turned basis, the observable likewise.
        state = qd.steady_state(qd.Lindblad(PAIR.operator(base), {}), initial=u.conj().T @ rho @ u)
        return jnp.real(jnp.trace(read @ u @ state.dense() @ u.conj().T))

    close(in_qdiff(0.3), in_numpy(0.3), 1e-12)
    want = derivative(lambda x: in_numpy(x[0]), [0.3])[0]
    close(jax.jit(jax.grad(in_qdiff))(0.3), want, 1e-8)
    batch = jax.jit(jax.vmap(in_qdiff))(jnp.array([0.1, 0.3]))
    close(batch, [in_numpy(0.1), in_numpy(0.3)], 1e-12)

    def energies(x):
        """sum_E P_E rho P_E of H = a Z + b X + c Y is rho along the field, of a qubit."""
        generator = qd.Lindblad(x[0] * Q.z + x[1] * Q.x + x[2] * Q.y, {})
        return qd.steady_state(generator, initial=TILTED).expect(Q.z)

    bloch = np.array([2 * TILTED[0, 0].real - 1, 2 * TILTED[0, 1].real, -2 * TILTED[0, 1].imag])

    def closed_form(x):
        return (x @ bloch) * x[0] / (x @ x)

    x = jnp.array([0.4, 1.1, -0.3])
    close(energies(x), closed_form(np.asarray(x)), 1e-13)
    for slope in (jax.jit(jax.grad(energies)), jax.jit(jax.jacfwd(energies))):
        close(slope(x), jax.grad(closed_form)(x), 1e-12)
    close(jax.jit(jax.hessian(energies))(x), jax.hessian(closed_form)(x), 1e-11)


def test_derivatives_where_nothing_moves_are_zero_or_those_of_the_state():
    """A population that nothing changes: zero in H and the rate, one in the population itself."""

    def conserved(x):
        generator = qd.Lindblad(x[0] * Q.z, {"d": (x[1], Q.z)})
        return qd.steady_state(generator, initial=jnp.diag(jnp.stack([x[2], 1 - x[2]]))).expect(Q.up)

    x = jnp.array([0.4, 0.2, 0.7])
    for slope in (jax.jit(jax.grad(conserved)), jax.jit(jax.jacfwd(conserved))):
        close(slope(x), [0.0, 0.0, 1.0], 1e-14)
    assert not np.any(jax.jit(jax.hessian(conserved))(x))
    dark = jax.grad(
        lambda r: qd.steady_state(qd.Lindblad(Q.z, {"v": (r, Q.minus)}), initial=DOWN).expect(Q.z)
    )(0.3)
    assert float(dark) == 0.0


def test_spectra_and_noise_of_a_state_that_stays():
    """From the ground state <X(t) X> = e^{(-2i - 0.15) t}: a line at -2 of half width 0.15; Z does not fluctuate at all."""
    generator, rho = STATIONARY["a ground state under decay"]
    state = qd.steady_state(generator, initial=rho)
    omega = np.array([-2.2, -2.0, 0.5, 2.0])
    want = 0.3 / (0.15**2 + (omega + 2) ** 2)
    decayed = np.exp((-2j - 0.15) * TIMES)
    close(qd.correlation(state, Q.x, Q.x, TIMES), decayed, 1e-12)
    close(qd.spectrum(state, Q.x, Q.x, omega), want, 1e-12)
    close(qd.zero_frequency_noise(state, Q.x), 0.3 / (0.15**2 + 4), 1e-12)
    assert (
        float(qd.zero_frequency_noise(state, Q.z))
        == 0
        == float(qd.spectrum(state, Q.z, Q.z, 0.3))
    )


def test_counts_of_a_state_that_jumps_leave_as_it_is():
    """Dephasing of |up> is a Poisson process: every cumulant is the rate; of |down> under decay nothing is counted."""
    for what, want in (
        ("an excited state under dephasing", 0.3),
        ("a ground state under decay", 0.0),
    ):
        generator, rho = STATIONARY[what]
        bath = generator.labels[0]
        close(
            qd.cumulants(qd.steady_state(generator, initial=rho), bath, [1.0], order=3),
            [want] * 3,
            1e-14,
            1.0,
        )


def test_a_state_that_still_moves_stands_for_where_it_goes():
    """Spectra and counts of a `Snapshot` and of a ket are those of the stationary state; the first half of <A(t) B> starts from it."""
    generator = qd.Lindblad(
        Q.z, {"b": [qd.Jump(0.3, Q.minus, quanta=-1), qd.Jump(0.1, Q.plus, quanta=1)]}
    )
    state = qd.steady_state(generator)
    early = qd.evolve(generator, {"q": "up"}, [0.5])[0]
    want = qd.cumulants(state, "b", "quanta", order=2)
    for given in (early, np.array([1.0, 0.0])):
        close(qd.cumulants(generator.state(given), "b", "quanta", order=2), want, 1e-13, 1.0)
    # <Z(t) Z(0)> - <Z(late)> <Z(0)> = (z_0 (z - Z)) ...: with p(t) of rate 0.4 and B = Z on populations diag(p, 1 - p).
    p = 0.25 + 0.75 * np.exp(-0.4 * 0.5)
    kicked, late = np.array([p, -(1 - p)]), np.array([0.25, 0.75])
    rest = kicked - kicked.sum() * late
    close(qd.spectrum(generator.state(early), Q.z, Q.z, 0.0), 2 * (rest[0] - rest[1]) / 0.4, 1e-12)


def test_strokes_of_a_cycle_may_be_closed():
    """A quarter turn about X, then full decay for a time: the same as the unitary stroke exp(-iHt)."""
    turn, fall = (
        qd.Lindblad(0.5 * Q.x, {}),
        qd.Lindblad(Q.z, {"v": [(0.4, Q.minus), (0.1, Q.plus)]}),
    )
    free = qd.cycles.Cycle([qd.cycles.Free(turn, 1.2), qd.cycles.Free(fall, 2.0)]).steady_state()
    U = SPACE.operator(scipy.linalg.expm(-0.6j * np.array([[0, 1], [1, 0]])))
    kicked = qd.cycles.Cycle([qd.cycles.Unitary(U), qd.cycles.Free(fall, 2.0)]).steady_state()
    close(free.rho(0).dense(), kicked.rho(0).dense(), 1e-13)
    assert set(free.heat) == {"v"}
    # What all baths bring is what the sudden changes of the Hamiltonian do not give back.
    assert abs(float(free.imbalance)) < 1e-13


# ---- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generator", "count"),
    [
        (qd.Lindblad(Q.z + Q.x, {}), 2),
        (qd.Lindblad(Q.z, {"v": (0.0, Q.minus)}), 2),
        (qd.Lindblad(0 * Q.z, {}), 4),
        (qd.Lindblad(PAIR.a.z + PAIR.b.z, {}), 6),
    ],
)
def test_a_closed_system_has_no_stationary_state_of_its_own(generator, count):
    """The number of independent stationary operators is the sum of the squared multiplicities of the energies."""
    assert np.sum(np.linalg.svd(liouville(generator), compute_uv=False) < 1e-12) == count
    for call in (qd.steady_state, qd.relax):
        with pytest.raises(
            qd.NotUnique,
            match=rf"^a closed system .* {count} independent stationary operators\. Give `initial`",
        ):
            call(generator)


def test_what_a_closed_system_has_no_bath_for():
    generator = qd.Lindblad(Q.z + Q.x, {})
    state = qd.steady_state(generator, initial=UP)
    with pytest.raises(
        ValueError,
        match="bath must be that of a generator with baths, which this one is not, but was 'hot'",
    ):
        qd.heat_current(state, "hot")
    assert reach(generator).act_by_label(generator, jnp.zeros(reach(generator).size)).shape == (
        0,
        reach(generator).size,
    )
    assert float(qd.entropy_production(state, {})) == 0.0


def test_numbers_with_more_conserved_than_in_general_are_refused():
    """A rate that is traced and zero, and two energies that meet: which state is reached jumps there."""

    def decayed(rate):
        return qd.steady_state(qd.Lindblad(Q.z, {"v": (rate, Q.minus)}), initial=PLUS).expect(Q.z)

    def met(gap):
        generator = qd.Lindblad(gap * Q.z, {})
        return qd.steady_state(generator, initial=PLUS).expect(Q.x)

    for function, good in ((decayed, -1.0), (met, 0.0)):
        close(jax.jit(function)(0.3), good, 1e-13, 1.0)
        with qd.failures("nan"):
            assert np.isnan(jax.jit(lambda x, f=function: f(x))(0.0))
        with pytest.raises(Exception, match="not finite|that `initial` relaxes to is not defined"):
            jax.block_until_ready(jax.jit(lambda x, f=function: f(x))(0.0))
