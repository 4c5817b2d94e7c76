"""Counting, noise and spectra in matrix form: closed forms, and the direct solvers' numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd
from qdiff.equations.lindblad import resolvent_wide
from qdiff.linalg.lyapunov import Lyapunov

KRYLOV, DENSE = qd.solvers.Krylov(), qd.solvers.Dense()
P = jnp.array([0.4, 0.3, 0.7])


def kerr(p, n=12):
    """A driven Kerr mode in a warm bath."""
    mode = qd.Space(mode=qd.Boson(n)).mode
    H = p[0] * mode.n + p[1] * mode.n @ mode.n + 0.5 * (mode.a + mode.a.dag)
    warm = [qd.Jump(p[2], mode.a, quanta=-1.0), qd.Jump(0.1 * p[2], mode.a.dag, quanta=1.0)]
    return qd.Lindblad(H, {"bath": warm}), mode.a, mode.n


def chain(p, n=4):
    """An XX chain between two baths: what a spin flip reaches are coherences only."""
    space = qd.Space(**{f"s{k}": qd.Spin() for k in range(n)})
    s = [getattr(space, f"s{k}") for k in range(n)]
    H = sum(a.plus @ b.minus + a.minus @ b.plus for a, b in zip(s, s[1:], strict=False))
    hot = qd.thermal_jumps(s[0].minus, 2.0, qd.BosonicBath(p[0], 0.3))
    cold = qd.thermal_jumps(s[-1].minus, 2.0, qd.BosonicBath(p[1] + 1, 0.2))
    return qd.Lindblad(H + p[2] * s[1].z @ s[2].z, {"bath": hot, "cold": cold}), s[0].minus, s[1].z


def secular(p):
    """Families of jumps, which carry amounts of their own."""
    space = qd.Space(a=qd.Spin(), b=qd.Spin())
    H = space.a.z + 1.3 * space.b.z + p[0] * space.a.x @ space.b.x
    baths = {
        "bath": (space.a.x, qd.BosonicBath(p[1] + 0.5, 0.3)),
        "cold": (space.b.x, qd.BosonicBath(p[2], 0.1)),
    }
    return qd.secular(H, baths), space.a.minus, space.b.z


def sandwiches(p):
    """A bath that is no list of jumps beside one that is."""
    space = qd.Space(a=qd.Spin(), b=qd.Spin())
    a, b = space.a, space.b
    term = qd.lindblad.Sandwich(p[0] * (0.5 + 0.2j), a.minus + 0.3 * a.x, a.minus)
    counted = [qd.Jump(p[2], b.plus, energy=0.7), qd.Jump(0.2, b.minus + 0.1 * b.x, energy=-0.4)]
    return (
        qd.lindblad.Master(a.z + p[1] * a.x @ b.x + b.x, {"other": [term], "bath": counted}),
        a.minus,
        b.z,
    )


CASES = [
    (kerr, "quanta", 3),
    (chain, "energy", 3),
    (secular, "energy", 2),
    (sandwiches, "energy", 2),
]


@pytest.mark.parametrize("case, counted, readers", CASES, ids=[case.__name__ for case, *_ in CASES])
def test_numbers_are_those_of_the_direct_solver(case, counted, readers):
    generator, lower, read = case(P)
    found, right = qd.steady_state(generator, KRYLOV), qd.steady_state(generator, DENSE)
    omegas = jnp.array([0.0, 0.6, -2.5])
    for reader in [
        lambda s: qd.cumulants(s, "bath", counted, order=3),
        lambda s: qd.zero_frequency_noise(s, read),
        lambda s: qd.spectrum(s, lower.dag, lower, omegas),
    ][:readers]:
        value = np.asarray(reader(right))
        assert np.abs(reader(found) - value).max() < 1e-11 * np.abs(value).max()


def test_a_pair_of_different_operators():
    generator, lower, read = kerr(P, 6)
    found, right = (
        qd.zero_frequency_noise(qd.steady_state(generator, s), lower, read) for s in (KRYLOV, DENSE)
    )
    assert abs(found - right) < 1e-11


def test_the_solver_is_chosen_by_hand():
    """Whichever found the state."""
    generator, *_ = kerr(P, 6)
    wide, direct = (qd.steady_state(generator, s) for s in (KRYLOV, DENSE))
    right = qd.cumulants(direct, "bath", "quanta", order=2)
    for state, solver in ((direct, KRYLOV), (wide, DENSE)):
        assert (
            np.abs(qd.cumulants(state, "bath", "quanta", order=2, solver=solver) - right).max()
            < 1e-12
        )


def coherent(p, n=24):
    """A driven damped mode, in a coherent state: detuning, drive and damping."""
    mode = qd.Space(mode=qd.Boson(n)).mode
    return qd.steady_state(
        qd.Lindblad(p[0] * mode.n + p[1] * (mode.a + mode.a.dag), {"loss": (p[2], mode.a)}), KRYLOV
    ), mode


def test_light_of_a_coherent_state_is_poissonian():
    state, _ = coherent(P)
    rate = P[2] * P[1] ** 2 / (P[0] ** 2 + P[2] ** 2 / 4)
    assert np.abs(qd.cumulants(state, "loss", [1.0], order=3) - rate).max() < 1e-12


def test_line_of_a_damped_mode():
    """A Lorentzian, whatever the drive; a has its largest part in empty levels."""
    omega = jnp.array([-0.1])

    def line(p, omega):
        state, mode = coherent(p)
        return qd.spectrum(state, mode.a, mode.a.dag, omega)[0]

    def right(p, omega):
        return p[2] / ((omega[0] + p[0]) ** 2 + p[2] ** 2 / 4)

    value, slope = jax.jit(jax.value_and_grad(line, (0, 1)))(P, omega)
    exact, exact_slope = jax.value_and_grad(right, (0, 1))(P, omega)
    assert abs(value - exact) < 1e-11
    assert max(np.abs(a - b).max() for a, b in zip(slope, exact_slope, strict=True)) < 1e-9


def fluorescence(p, solver=KRYLOV):
    """The photons of a driven two-level atom: mean and noise."""
    qubit = qd.Space(qubit=qd.Spin()).qubit
    return qd.cumulants(
        qd.steady_state(qd.Lindblad(0.5 * p[0] * qubit.x, {"light": (p[1], qubit.minus)}), solver),
        "light",
        [1.0],
        order=2,
    )


def test_photons_of_an_atom_are_antibunched():
    """Mandel's Q at long times, -6 W^2 g^2/(g^2 + 2 W^2)^2, and its derivatives in a batch."""

    def right(p):
        W, g = p**2
        mean = p[1] * W / (g + 2 * W)
        return jnp.array([mean, mean * (1 - 6 * W * g / (g + 2 * W) ** 2)])

    batch, step = jnp.array([[0.8, 1.0], [0.3, 0.5]]), jnp.array([0.3, -0.7])
    found = jax.jit(jax.vmap(lambda p: jax.jvp(fluorescence, (p,), (step,))))(batch)
    for value, exact in zip(
        found, jax.vmap(lambda p: jax.jvp(right, (p,), (step,)))(batch), strict=True
    ):
        assert np.abs(value - exact).max() < 1e-11


def test_second_derivatives_are_those_of_the_direct_solver():
    def noise(p, solver):
        generator, _, n = kerr(p, 4)
        return qd.zero_frequency_noise(qd.steady_state(generator, solver), n)

    def curvature(solver):
        return jax.jit(
            lambda p: jax.jvp(jax.grad(lambda q: noise(q, solver)), (p,), (jnp.ones(3),))
        )(P)

    for found, right in zip(curvature(KRYLOV), curvature(DENSE), strict=True):
        assert np.abs(found - right).max() < 1e-9 * np.abs(right).max()


def test_what_is_conserved_is_refused_at_frequency_zero_only():
    """A driven atom beside a spin that nothing touches, whose coherences stay."""
    space = qd.Space(q=qd.Spin(), idle=qd.Spin())
    generator = qd.Lindblad(space.q.x, {"light": (1.0, space.q.minus)})
    found, direct = (qd.steady_state(generator, s, initial=jnp.eye(4)[0]) for s in (KRYLOV, DENSE))
    A = space.q.plus @ space.idle.x
    with pytest.raises(
        qd.SolveError,
        match="a second state is stationary, a rate is infinite or NaN, or Krylov stalled",
    ):
        qd.zero_frequency_noise(found, A)
    with qd.failures("nan"):
        s = qd.spectrum(found, A, A.dag, jnp.array([0.0, 0.4]))
    assert np.isnan(s[0])
    assert abs(s[1] - qd.spectrum(direct, A, A.dag, jnp.array([0.4]))[0]) < 1e-11 * s[1]


def test_nothing_kicked_is_zero():
    mode = qd.Space(mode=qd.Boson(3)).mode
    state = qd.steady_state(
        qd.Lindblad(mode.n, {"loss": (1.0, mode.a)}), KRYLOV, initial=jnp.array([1.0, 0, 0])
    )
    assert qd.spectrum(state, mode.a.dag, mode.a, jnp.array([0.3]))[0] == 0


def test_what_stalls_is_refused():
    generator, lower, _ = kerr(P)
    state = qd.steady_state(generator, KRYLOV)
    few = qd.solvers.Krylov(restart=3, most=3)
    poor = dataclasses.replace(state, solver=few)
    with pytest.raises(qd.SolveError, match="the cumulants were not solved: .* or Krylov stalled"):
        qd.cumulants(state, "bath", "quanta", order=2, solver=few)
    with pytest.raises(qd.SolveError, match="the spectrum was not solved: .* or Krylov stalled"):
        qd.spectrum(poor, lower.dag, lower, 0.3)
    with qd.failures("nan"):
        assert np.isnan(qd.spectrum(poor, lower.dag, lower, 0.3))


TOLD = "a derivative of the response was not solved: Krylov stalled"


def test_a_gradient_that_stalls_is_refused(monkeypatch):
    """The value is right, and its gradient must be no NaN without a word."""
    generator, lower, n = kerr(P, 3)
    state = qd.steady_state(generator, KRYLOV)

    def merit(c):
        return qd.spectrum(state, n, c * lower, 0.3).real

    monkeypatch.setattr(Lyapunov, "solve_adjoint", lambda self, C, omega: jnp.zeros_like(C))
    with pytest.raises(Exception, match=TOLD):
        jax.block_until_ready(jax.grad(merit)(1.0))


def test_a_tangent_that_stalls_is_refused():
    def solved(a):
        def positive_only(r):
            return jnp.where(r > 0, r / a, jnp.nan)

        return resolvent_wide._solved(lambda x: a * x, jnp.ones(2), positive_only, positive_only)

    assert (solved(2.0) == 0.5).all()
    with pytest.raises(Exception, match=TOLD):
        jax.block_until_ready(jax.jvp(solved, (2.0,), (1.0,)))
