"""Two-time correlations, spectra and zero-frequency noise: closed forms, brute force on the full Liouvillian, QuTiP."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qutip as qt
import scipy.linalg
from helpers import close, davies, dissipator, null_state, random_hermitian, rates, unitary

import qdiff as qd

QUBIT = qd.Space(q=qd.Spin()).q
DAMPED = qd.Lindblad(0.5 * QUBIT.z, {"bath": [(0.3, QUBIT.minus), (0.1, QUBIT.plus)]})


class Full:
    """The same quantities from the full Liouvillian of a dense generator, by matrix exponentials and inverses."""

    def __init__(self, L):
        self.L, self.rho = L, null_state(L)
        self.n = len(self.rho)

    def correlation(self, rho, A, B, t, left=None):
        kicked = B @ rho @ (np.eye(self.n) if left is None else left)
        return np.trace(A @ (scipy.linalg.expm(self.L * t) @ kicked.ravel()).reshape(kicked.shape))

    def half(self, A, kicked, omega):
        """The integral over t > 0 of e^{-i omega t} Tr[A e^{Lt} kicked], less its limit for late times."""
        rest = kicked.ravel() - np.trace(kicked) * self.rho.ravel()
        # Any multiple of |rho><1| makes L invertible and leaves what has no trace alone.
        M = self.L - 1j * omega * np.eye(self.n**2) - np.outer(self.rho.ravel(), np.eye(self.n).ravel())
        return -np.trace(A @ np.linalg.solve(M, rest).reshape(kicked.shape))

    def spectrum(self, rho, A, B, omega):
        return self.half(A, B @ rho, omega) + self.half(B, rho @ A, -omega)


@pytest.fixture(scope="module")
def dense():
    """A random system without any symmetry (d = 6), three non-Hermitian operators, a random mixed state."""
    rng = np.random.default_rng(5)

    def matrix():
        return rng.normal(size=(6, 6)) + 1j * rng.normal(size=(6, 6))

    H, jumps = random_hermitian(rng, 6), [0.3 * matrix() for _ in range(2)]
    s = qd.Space(a=qd.Spin(), b=qd.Levels("x", "y", "z"))
    generator = qd.Lindblad(s.operator(H), {"one": s.operator(jumps[0]), "two": s.operator(jumps[1])})
    rho = matrix()
    rho = rho @ rho.conj().T
    full = Full(unitary(H) + sum(map(dissipator, jumps)))
    return s, generator, full, [matrix() for _ in range(3)], rho / np.trace(rho)


@pytest.mark.parametrize("steady", [True, False], ids=["steady", "any state"])
def test_correlation_of_a_random_system(dense, steady):
    """<A(t) B(0)>, <B(0) A(t)> and <C(0) A(t) B(0)> for non-Hermitian operators: 1e-12 of the largest value."""
    s, generator, full, (A, B, C), rho = dense
    times = np.array([2.0, 0.0, 0.3, 5.0])  # in no order
    state = qd.steady_state(generator) if steady else generator.state(s.operator(rho))
    rho = full.rho if steady else rho
    for first, left in ((B, None), (np.eye(6), B), (B, C)):
        got = qd.correlation(state, s.operator(A), s.operator(first), times, left=None if left is None else s.operator(left))
        close(got, [full.correlation(rho, A, first, t, left) for t in times], 1e-12)


@pytest.mark.parametrize("steady", [True, False], ids=["steady", "any state"])
def test_spectrum_of_a_random_system(dense, steady):
    """The two-sided transform for A unlike B^dag, through zero frequency, and the real one for A = B^dag: 1e-12."""
    s, generator, full, (A, B, _), rho = dense
    state = qd.steady_state(generator) if steady else generator.state(s.operator(rho))
    rho = full.rho if steady else rho
    omegas = np.array([-3.0, 0.0, 0.7])
    for first in (A, B.conj().T):
        got = qd.spectrum(state, s.operator(first), s.operator(B), omegas)
        want = np.array([full.spectrum(rho, first, B, w) for w in omegas])
        assert np.isrealobj(got) == (first is not A)
        close(got, want if first is A else want.real, 1e-12)
        close(qd.zero_frequency_noise(state, s.operator(first), s.operator(B)), got[1], 1e-12)


def test_noise_of_a_hermitian_operator(dense):
    """One solve: S(0) of A with itself, and B left out is the adjoint of A."""
    s, generator, full, (A, _, _), _ = dense
    state = qd.steady_state(generator)
    X = A + A.conj().T
    close(qd.zero_frequency_noise(state, s.operator(X)), full.spectrum(full.rho, X, X, 0.0).real, 1e-12)
    close(qd.zero_frequency_noise(state, s.operator(A)), full.spectrum(full.rho, A, A.conj().T, 0.0).real, 1e-12)


def parts(levels=6):
    """Two detuned qubits that exchange excitations with a damped mode (d = 24), for qdiff and for QuTiP."""
    s = qd.Space(left=qd.Spin(), mode=qd.Boson(levels), right=qd.Spin())
    push = s.mode.a @ (s.left.plus * 0.4 + s.right.plus * 0.25)
    H = 0.5 * s.left.z + 0.6 * s.right.z + 1.1 * s.mode.n + push + push.dag
    jumps = {
        "left": [(0.2, s.left.minus), (0.05, s.left.plus)],
        "mode": [(0.3, s.mode.a), (0.1, s.mode.a.dag)],
        "right": (0.1, s.right.z),
    }
    generator = qd.Lindblad(H, jumps)
    c_ops = [sparse(j.operator) * np.sqrt(j.rate) for label in jumps for j in generator.jumps[label]]
    return s, generator, sparse(H), c_ops


def sparse(op):
    return qt.Qobj(np.asarray(op.dense())).to("csr")


def test_two_qubits_and_an_oscillator_against_qutip():
    """Operators that leave the sector of the state and operators inside it, in the steady state: QuTiP's 1e-9."""
    s, generator, H, c_ops = parts()
    state, rho = qd.steady_state(generator), qt.steadystate(H, c_ops)
    times = np.linspace(0, 20, 11)
    for A, B in ((s.mode.a, s.left.plus), (s.mode.n, s.left.z)):
        want = qt.correlation_2op_1t(H, rho, times, c_ops, sparse(A), sparse(B), options={"atol": 1e-13, "rtol": 1e-11})
        close(qd.correlation(state, A, B, times), want, 1e-9)
    omegas = np.array([0.3, 0.9, 1.3])
    want = qt.spectrum(H, omegas, c_ops, sparse(s.mode.a.dag), sparse(s.mode.a), solver="solve")
    close(qd.spectrum(state, s.mode.a.dag, s.mode.a, omegas), want, 1e-9)


def test_the_sector_of_a_correlation_is_the_one_it_reaches():
    """a rho holds one-quantum coherences only: a fraction of the density matrix, and no population."""
    s, generator, *_ = parts()
    state = qd.steady_state(generator)
    rho = state.sector.operator(state.x, generator.space)
    from qdiff.equations.lindblad.reach import reach

    sector = reach(generator, (s.mode.a @ rho).pattern)
    assert not sector.is_population.any() and 3 * sector.size < s.dim**2
    change = s.coordinates(sector.col).T @ np.array([-1, 1, -1]) - s.coordinates(sector.row).T @ np.array([-1, 1, -1])
    assert set(np.abs(change)) == {1}  # excitations: a qubit's "up" is its level 0


def test_secular_generator_counts_in_the_original_basis():
    """Correlations and spectra of a global master equation, whose sector is that of the eigenbasis."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    H = 0.7 * s.a.z + 0.4 * s.b.z + 0.3 * s.a.x @ s.b.x
    generator = qd.secular(
        H, {"hot": (s.a.x, qd.BosonicBath(0.3, qd.baths.Ohmic(0.1))), "cold": (s.b.x, qd.BosonicBath(1.5, qd.baths.Ohmic(0.2)))}
    )
    L = unitary(H.dense())
    for A, beta, strength in ((s.a.x, 0.3, 0.1), (s.b.x, 1.5, 0.2)):
        L = L + davies(H.dense(), A.dense(), rates(beta, lambda w, g=strength: g)[0])
    full, state = Full(L), qd.steady_state(generator)
    A, B = s.a.x, s.b.plus
    close(
        qd.correlation(state, A, B, [0.0, 3.0]), [full.correlation(full.rho, A.dense(), B.dense(), t) for t in (0.0, 3.0)], 1e-11
    )
    want = [full.spectrum(full.rho, A.dense(), A.dense(), w).real for w in (0.0, 1.1)]
    close(qd.spectrum(state, A, A, [0.0, 1.1]), want, 1e-11)


def test_thermal_oscillator():
    """<a^dag(t) a(0)> = n e^{(i omega - kappa/2) t}, a Lorentzian line of area 2 pi n, and coincidences 1 + e^{-kappa t}."""
    omega, kappa, n = 1.3, 0.2, 0.4
    mode = qd.Space(mode=qd.Boson(40)).mode  # truncated at a population of (n/(n+1))^40 = 2e-22
    generator = qd.Lindblad(omega * mode.n, {"bath": [(kappa * (n + 1), mode.a), (kappa * n, mode.a.dag)]})
    state, times = qd.steady_state(generator), np.array([0.0, 1.0, 30.0])
    close(qd.correlation(state, mode.a.dag, mode.a, times), n * np.exp((1j * omega - kappa / 2) * times), 1e-13)
    g2 = qd.correlation(state, mode.n, mode.a, times, left=mode.a.dag) / n**2
    close(g2, 1 + np.exp(-kappa * times), 1e-12)
    omegas = np.array([1.3, 1.4, 0.0])
    close(qd.spectrum(state, mode.a.dag, mode.a, omegas), n * kappa / ((omegas - omega) ** 2 + kappa**2 / 4), 1e-12)
    # Bose enhanced noise of the energy: n (n + 1) decays at kappa.
    close(qd.zero_frequency_noise(state, mode.n), 2 * n * (n + 1) / kappa, 1e-12)


def test_the_driven_qubit_is_antibunched_and_its_delta_peak_is_apart():
    """<sigma^+(0) sigma^+(t) sigma^-(t) sigma^-(0)> starts at zero; the coherent peak |<sigma^->|^2 is not in the spectrum."""
    generator = qd.Lindblad(0.2 * QUBIT.z + 0.6 * QUBIT.x, {"bath": (1.0, QUBIT.minus)})
    state = qd.steady_state(generator)
    g2 = qd.correlation(state, QUBIT.up, QUBIT.minus, [0.0, 60.0], left=QUBIT.plus)
    up = float(state.expect(QUBIT.up))
    close(g2, [0.0, up**2], 1e-12)
    # What is left in the spectrum integrates to <plus minus> - |<minus>|^2: trapezoidal rule and the 1/omega^2 tails.
    omegas = np.linspace(-200, 200, 16001)
    s = qd.spectrum(state, QUBIT.plus, QUBIT.minus, omegas)
    area = np.sum((s[1:] + s[:-1]) / 2) * (omegas[1] - omegas[0])
    mean = complex(state.expect(QUBIT.minus))
    assert abs(mean) > 0.1
    close(area / (2 * np.pi), up - abs(mean) ** 2, 1e-4)


def test_a_banded_sector():
    """A rotor of 484 coordinates would be 324^2 elements; at 7 levels its noise of <L> meets the sparse full Liouvillian."""
    import scipy.sparse as sp
    from scipy.sparse.linalg import splu

    model = qd.models.RotorEngine(l_min=-3, l_max=3, gamma=0.01, lam=0.3)
    state = model.steady()
    generator, L = state.generator, model.space.wheel.L
    c_ops = [sparse(j.operator) * np.sqrt(float(j.rate)) for jumps in generator.jumps.values() for j in jumps]
    big = qt.liouvillian(sparse(generator.H), c_ops).data_as("csr_matrix").tocsc()
    rho, A, n = np.asarray(state.dense()), L.dense(), 28
    rest = (A @ rho - np.trace(A @ rho) * rho).ravel(order="F")
    trace = sp.csc_matrix(np.eye(n).ravel()[None])
    pull = sp.csc_matrix(([1.0], ([0], [0])), shape=(n * n, 1)) @ trace  # makes it invertible, as above
    omegas = np.array([0.0, 0.05, 17.0])
    want = [-2 * np.trace(A @ splu(big - 1j * w * sp.eye(n * n) - pull).solve(rest).reshape(n, n, order="F")).real for w in omegas]
    close(qd.spectrum(state, L, L, omegas), want, 1e-9)
    close(qd.zero_frequency_noise(state, L), want[0], 1e-9)


@pytest.mark.parametrize("solver", [qd.solvers.Action(), qd.solvers.Explicit(rtol=1e-9, atol=1e-11)], ids=["action", "explicit"])
def test_other_solvers(solver):
    """Unsorted times and a complex correlation by step-wise solvers: ten times the tolerance of one step."""
    state, times = qd.steady_state(DAMPED), [3.0, 0.5, 0.0]
    want = qd.correlation(state, QUBIT.plus, QUBIT.minus, times)
    got = qd.correlation(state, QUBIT.plus, QUBIT.minus, times, solver=solver)
    close(got, want, 1e-8, 1.0)  # tolerances are of the largest population's order, one


def test_kets_and_product_states():
    """Any state in the forms that `evolve` takes: a decaying qubit emits e^{-Gt/2} from its upper level."""
    vacuum = qd.Lindblad(0.5 * QUBIT.z, {"vacuum": (0.4, QUBIT.minus)})
    want = np.exp((1j - 0.2) * np.array([0.0, 2.0]))
    for start in ({"q": "up"}, np.array([1.0, 0.0]), np.diag([1.0, 0.0]), QUBIT.up):
        close(qd.correlation(vacuum.state(start), QUBIT.plus, QUBIT.minus, [0.0, 2.0]), want, 1e-13)


def test_rates_over_nine_decades():
    """The spectrum of a birth-death chain's level number, reciprocal condition 6e-12: 60 digits, to 1e-9.

    Rounding the generator alone would allow 1e-16 / 6e-12 = 2e-5.
    """
    import mpmath

    rng, n = np.random.default_rng(0), 41
    up = 10.0 ** rng.uniform(-4.5, 4.5, n - 1)
    down = up * np.exp(0.5 * rng.normal(size=n - 1))
    s, members = qd.Space(w=qd.Rotor(0, n - 1)), tuple(range(n - 1))
    generator = qd.Lindblad(s.w.L, {"up": qd.Jump(up, s.w.E, members), "down": qd.Jump(down, s.w.E.dag, members)})
    state = qd.steady_state(generator)
    assert float(state.rcond) < 1e-11
    with mpmath.workdps(60):
        a, b = [mpmath.mpf(x) for x in up], [mpmath.mpf(x) for x in down]
        p = [mpmath.mpf(1)]
        for u, d in zip(a, b, strict=True):
            p.append(p[-1] * u / d)
        total = mpmath.fsum(p)
        mean = mpmath.fsum(k * x for k, x in enumerate(p)) / total
        omegas, want = (0.0, 1e-3), []
        for omega in omegas:
            M = mpmath.matrix(n, n)
            for k in range(n - 1):
                M[k + 1, k] += a[k]
                M[k, k] -= a[k]
                M[k, k + 1] += b[k]
                M[k + 1, k + 1] -= b[k]
            for k in range(n):
                M[k, k] -= mpmath.mpc(0, omega)
                M[0, k] += 1  # adds the trace, zero, to the first equation
            z = mpmath.lu_solve(M, mpmath.matrix([(k - mean) * x / total for k, x in enumerate(p)]))
            want.append(float(-2 * mpmath.re(mpmath.fsum(k * z[k] for k in range(n)))))
    got = qd.spectrum(state, s.w.L, s.w.L, omegas)
    for g, w in zip(got, want, strict=True):
        close(g, w, 1e-9)
    close(qd.zero_frequency_noise(state, s.w.L), want[0], 1e-9)


def test_operators_that_do_nothing():
    """B rho may vanish, and B may be a number."""
    empty = qd.Lindblad(0.5 * QUBIT.z, {"bath": (0.3, QUBIT.minus)})
    state = qd.steady_state(empty)
    one = QUBIT.space.identity
    close(qd.spectrum(state, QUBIT.plus, QUBIT.minus, [0.0, 1.0]), [0.0, 0.0], 1e-15, 1.0)
    close(qd.correlation(state, QUBIT.plus, QUBIT.minus, [0.0, 1.0]), [0.0, 0.0], 1e-15, 1.0)
    close(qd.correlation(qd.steady_state(DAMPED), QUBIT.up, one, [0.0, 1.0]), [0.25, 0.25], 1e-14)
    # What can never be in B rho, by structure: no motion is solved for it.
    nothing = qd.correlation(DAMPED.state(QUBIT.down), QUBIT.up, QUBIT.minus @ QUBIT.minus, [0.0, 1.0])
    close(nothing, [0.0, 0.0], 0.0, 1.0)
    assert nothing.dtype == complex
    close(qd.spectrum(qd.steady_state(DAMPED), one, one, [0.0, 1.0]), [0.0, 0.0], 1e-14, 1.0)


def test_what_is_refused():
    """One sentence for each wrong argument: which, what it must be, what it was."""
    state, up = qd.steady_state(DAMPED), QUBIT.up
    with pytest.raises(ValueError, match="times must not be negative, but one was -1"):
        qd.correlation(state, up, up, [0.0, -1.0])
    with pytest.raises(ValueError, match=r"times must have shape \(k,\), but has shape \(\)"):
        qd.correlation(state, up, up, 1.0)
    with pytest.raises(TypeError, match="times must be a real number"):
        qd.correlation(state, up, up, [1j])
    with pytest.raises(TypeError, match="omegas must be a real number"):
        qd.spectrum(state, up, up, 1j)
    with pytest.raises(TypeError, match=r"solver must be one such as Explicit\(\), but was"):
        qd.correlation(state, up, up, [1.0], solver=qd.solvers.Dense())
    with pytest.raises(TypeError, match="A must be an Operator, but was float"):
        qd.correlation(state, 1.0, up, [0.0])
    other = qd.Space(q=qd.Boson(3)).q
    with pytest.raises(ValueError, match="B must act on the generator's space .* but acts on .*dimension 3"):
        qd.correlation(state, up, other.n, [0.0])
    with pytest.raises(ValueError, match="state must act on Space.* but acts on .*dimension 3"):
        qd.correlation(DAMPED.state(other.n), up, up, [0.0])
    with pytest.raises(ValueError, match=r"state must have shape \(2, 2\) for a density matrix or \(2,\) for a ket, but has shape \(3,\)"):
        qd.spectrum(DAMPED.state(np.ones(3)), up, up, 0.0)
    for wrong, said in ((2 * up, "have trace one"), (up + QUBIT.plus, "be Hermitian"), (2 * QUBIT.down - up, "be positive")):
        with pytest.raises(ValueError, match="state must " + said):
            qd.zero_frequency_noise(DAMPED.state(wrong), up)
    with pytest.raises(ValueError, match="state must be a state of this generator"):
        qd.Lindblad(QUBIT.z, {"other": QUBIT.minus}).state(state)
    with pytest.raises(TypeError, match="state must come from `steady_state`, `evolve`"):
        qd.spectrum(DAMPED, up, up, 0.0)
    with pytest.raises(qd.SolveError, match="a time is too long for the solver"):
        qd.correlation(state, up, up, [1e16])


def test_a_negative_time_in_a_batch_is_nan():
    """The others are as they would be alone."""

    def one(t):
        with qd.failures("nan"):
            return qd.correlation(qd.steady_state(DAMPED), QUBIT.plus, QUBIT.minus, t[None])[0]

    got = jax.jit(jax.vmap(one))(jnp.array([1.0, -1.0, 2.0]))
    assert np.isnan(got[1])
    # 1/4 excited; the coherence turns at the splitting 1 and decays at half the sum of the rates.
    close(got[::2], 0.25 * np.exp((1j - 0.2) * np.array([1.0, 2.0])), 1e-12)


def test_undamped_oscillations_are_refused_at_their_frequency_only():
    """A spin with pure dephasing of its neighbour precesses for ever: a peak at 2, nothing at 1; and no answer at 2."""
    s = qd.Space(free=qd.Spin(), damped=qd.Spin())
    generator = qd.Lindblad(s.free.z + s.damped.z, {"bath": [(0.3, s.damped.minus), (0.1, s.damped.plus)]})
    state = qd.steady_state(generator, initial=s.operator(np.diag([0.1, 0.2, 0.3, 0.4])))
    close(qd.spectrum(state, s.free.plus, s.free.minus, [1.0]), [0.0], 1e-12, 1.0)
    with pytest.raises(qd.SolveError, match="is not damped"):
        qd.spectrum(state, s.free.plus, s.free.minus, [1.0, 2.0])
    with qd.failures("nan"):
        assert np.isnan(qd.spectrum(state, s.free.plus, s.free.minus, [1.0, 2.0])).tolist() == [False, True]
    with pytest.raises(qd.NotUnique, match="a spectrum needs one stationary state"):
        qd.spectrum(state, s.free.z, s.free.z, [1.0])


def test_inside_jit_a_failure_is_an_error():
    """A negative time that is known at run time only."""
    import equinox as eqx

    program = eqx.filter_jit(lambda t: qd.correlation(qd.steady_state(DAMPED), QUBIT.up, QUBIT.up, t))
    close(program(jnp.array([0.0])), [0.25], 1e-14)
    with pytest.raises(eqx.EquinoxRuntimeError, match="times must not be negative"):
        program(jnp.array([-1.0]))
