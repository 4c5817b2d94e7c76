"""Several stationary states: refused with a reason, chosen by an initial state, never taken for one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative, dissipator, unitary
from scipy.linalg import expm

import qdiff as qd

ATOM = qd.Space(atom=qd.Levels("d1", "d2", "e"))
A = ATOM.atom


def long_time(H, jumps, rho0, t=400.0):
    """exp(L t) rho0 by brute force, averaged over nothing: for generators whose oscillations have decayed."""
    L = unitary(H) + sum(r * dissipator(J) for r, J in jumps)
    return (expm(t * L) @ np.asarray(rho0, complex).ravel()).reshape(H.shape)


def decay(split, g1, g2):
    """Zero-temperature decay of one excited state into two dark ones: both are stationary, `e` is transient."""
    H = split * A.projector("d2") + 1.0 * A.projector("e")
    return qd.Lindblad(H, {"b": [(g1, A.transition("d1", "e")), (g2, A.transition("d2", "e"))]})


def test_decoupled_parts_are_counted_and_named():
    """Two pairs of levels without a link: two stationary states, named by their levels, with the way out."""
    s = qd.Space(atom=qd.Levels("a", "b", "c", "d"))
    t = s.atom.transition
    jumps = [(0.3, t("a", "b")), (0.1, t("b", "a")), (0.2, t("c", "d")), (0.5, t("d", "c"))]
    generator = qd.Lindblad(s.atom.projector("b"), {"bath": jumps})
    with pytest.raises(qd.NotUnique) as caught:
        qd.steady_state(generator)
    text = str(caught.value)
    assert "2 stationary states" in text and "initial" in text
    for name in ("|a>", "|b>", "|c>", "|d>"):
        assert name in text
    rho0 = np.diag([0.1, 0.3, 0.2, 0.4])
    got = qd.steady_state(generator, initial=s.operator(rho0)).populations()
    close(got, [0.4 * 0.75, 0.4 * 0.25, 0.6 * 0.2 / 0.7, 0.6 * 0.5 / 0.7], 1e-13)


def test_many_sets_are_summed_up():
    """Ten uncoupled levels: the count is right and the list is cut."""
    s = qd.Space(atom=qd.Levels(10))
    with pytest.raises(qd.NotUnique, match="10 stationary states.*10 sets in all"):
        qd.steady_state(qd.Lindblad(s.atom.projector(3), {"b": (0.1, s.atom.projector(1))}))


@pytest.mark.parametrize("split", [0.3, 0.0])
def test_transient_state_decays_into_two_dark_ones(split):
    """The branching ratio g1 : g2 decides and dark populations stay; without coherence also if they are degenerate."""
    rho0 = np.diag([0.5, 0.2, 0.3])
    got = qd.steady_state(decay(split, 0.8, 0.4), initial=ATOM.operator(rho0)).dense()
    close(got, np.diag([0.7, 0.3, 0.0]), 1e-13)


def test_gradient_through_the_selected_state():
    """Derivative of the selected population in the rates and in the initial state, against the closed form."""

    def f(x):
        g1, g2, p = x
        rho0 = p * A.projector("e") + (1 - p) * A.projector("d1")
        return qd.steady_state(decay(0.3, g1, g2), initial=rho0).expect(A.projector("d1"))

    x = jnp.array([0.8, 0.4, 0.3])
    # d1 gets 1 - p + p g1/(g1 + g2)
    close(jax.jit(f)(x), 0.7 + 0.3 * 2 / 3, 1e-14)
    want = [0.3 * 0.4 / 1.44, -0.3 * 0.8 / 1.44, -1 / 3]
    close(jax.jit(jax.grad(f))(x), want, 1e-12)
    close(jax.jit(jax.jacfwd(f))(x), want, 1e-12)
    close(jax.jit(jax.hessian(f))(x), derivative(jax.jit(jax.grad(f)), x), 1e-8)


def test_an_oscillating_coherence_between_dark_states_averages_out():
    """Split dark states keep a rotating coherence for ever; its time average is zero."""
    rho0 = np.array([[0.5, 0.3, 0], [0.3, 0.2, 0], [0, 0, 0.3]])
    close(qd.steady_state(decay(0.3, 0.8, 0.4), initial=ATOM.operator(rho0)).dense(), np.diag([0.7, 0.3, 0.0]), 1e-13, 1.0)


def test_a_conserved_coherence_between_dark_states_is_kept():
    """A decoherence-free pair: the coherence of two degenerate dark states is a stationary state of its own."""
    rho0 = np.array([[0.5, 0.3, 0], [0.3, 0.2, 0], [0, 0, 0.3]])
    got = qd.steady_state(decay(0.0, 0.8, 0.4), initial=ATOM.operator(rho0)).dense()
    close(got, np.array([[0.7, 0.3, 0], [0.3, 0.3, 0], [0, 0, 0]]), 1e-12)


def test_decay_into_a_superposition_of_dark_states():
    """One jump into |d1> + |d2>: the emitted coherence stays; against the exact propagator."""
    jump = A.transition("d1", "e") + A.transition("d2", "e")
    generator = qd.Lindblad(A.projector("e"), {"b": jump})
    rho0 = np.diag([0.1, 0.3, 0.6])
    want = long_time(generator.H.dense(), [(1.0, jump.dense())], rho0)
    assert abs(want[0, 1] - 0.3) < 1e-12
    close(qd.steady_state(generator, initial=ATOM.operator(rho0)).dense(), want, 1e-12)


def test_selection_of_a_larger_system_against_the_propagator():
    """Two spins and a mode with a conserved parity: the state selected is the one that exp(L t) reaches."""
    s = qd.Space(q=qd.Spin(), r=qd.Spin(), m=qd.Levels(3))
    H = 0.4 * s.q.x @ s.r.z + 0.7 * s.m.projector(1) + 0.5 * s.r.x + 0.2 * s.q.x @ s.m.projector(2)
    jumps = [(0.4, s.r.minus), (0.2, s.m.transition(0, 1)), (0.3, s.m.transition(1, 2) @ s.q.x), (0.25, s.m.transition(2, 0))]
    jumps.append((0.2, s.q.x))
    # sigma_x of q is conserved: turn it into the computational basis, where the two sets show in the structure.
    turn = np.kron(np.array([[1, 1], [1, -1]]) / 2**0.5, np.eye(6))
    H, jumps = s.operator(np.round(turn @ H.dense() @ turn, 14)), [(r, s.operator(np.round(turn @ J.dense() @ turn, 14))) for r, J in jumps]
    generator = qd.Lindblad(H, {"b": jumps})
    rng = np.random.default_rng(4)
    root = rng.normal(size=(12, 12)) + 1j * rng.normal(size=(12, 12))
    rho0 = root @ root.conj().T / np.trace(root @ root.conj().T)
    with pytest.raises(qd.NotUnique, match="2 stationary states"):
        qd.steady_state(generator)
    got = qd.steady_state(generator, initial=s.operator(rho0)).dense()
    want = long_time(H.dense(), [(r, J.dense()) for r, J in jumps], rho0, 300.0)
    close(got, want, 1e-9)


def test_an_initial_state_must_be_normalised():
    """Selecting with an operator of trace 4 is refused, not returned as a state of trace 4."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    generator = qd.Lindblad(s.a.z, {"b": s.a.minus})
    with pytest.raises(ValueError, match="initial must have trace one, but has trace 4: divide it by its trace"):
        qd.steady_state(generator, initial=s.identity)


def hidden(n):
    """A hopping walker that flips nothing: sigma_x of the spin is conserved, which the z basis does not show."""
    s = qd.Space(w=qd.Rotor(0, n - 1), q=qd.Spin())
    step = s.w.E @ (0.6 * s.identity + 0.8 * s.q.x)
    return qd.Lindblad(0.0 * s.q.z, {"b": [(1.0, step), (1.0, step.dag)]})


@pytest.mark.parametrize(
    "n, solver",
    [(3, None), (20, qd.solvers.Dense()), (20, qd.solvers.BlockTridiagonal()), (150, None), (300, qd.solvers.BlockTridiagonal())],
)
def test_a_hidden_conserved_quantity_is_found_at_run_time(n, solver):
    """No structure shows it, so that the numbers must: a SolveError that says so, at any size."""
    with pytest.raises(qd.SolveError, match="not unique"):
        qd.steady_state(hidden(n), solver)


def test_a_hidden_conserved_quantity_becomes_nan_in_batches():
    """Within `failures("nan")` the failed member is NaN and the others are right."""
    s = qd.Space(w=qd.Rotor(0, 2), q=qd.Spin())
    step = s.w.E @ (0.6 * s.identity + 0.8 * s.q.x)

    def f(rate):
        with qd.failures("nan"):  # at rate zero, sigma_x is conserved
            jumps = {"hop": [(1.0, step), (0.7, step.dag)], "reset": [(rate, s.q.minus), (rate, s.q.plus)]}
            return qd.steady_state(qd.Lindblad(0.0 * s.q.z, jumps)).populations("q")[0]

    got = np.asarray(jax.jit(jax.vmap(f))(jnp.array([1.0, 0.0, 0.2])))
    assert np.isnan(got[1])
    close(got[[0, 2]], [0.5, 0.5], 1e-12)


def test_a_slow_decay_is_not_taken_for_a_second_state():
    """A rate 1e-9 of the fastest still makes the state unique, to 1e-6 of it."""
    q = qd.Space(q=qd.Spin()).q
    state = qd.steady_state(qd.Lindblad(q.z, {"noise": (1.0, q.z), "b": [(3e-9, q.minus), (1e-9, q.plus)]}))
    close(state.populations(), [0.25, 0.75], 1e-12)
    assert int(state.diagnostics()["stationary_states"]) == 1
