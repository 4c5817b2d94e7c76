"""Spins of any size: the algebra, QuTiP's matrices, and stationary states in closed form."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qutip
from helpers import close

import qdiff as qd

SIZES = [0.5, 1, 1.5, 2, 7.5]


def spin(S):
    return qd.Space(s=qd.Spin(S)).s


@pytest.mark.parametrize("S", SIZES)
def test_the_algebra_of_angular_momentum(S):
    s = spin(S)
    x, y, z, one = s.Sx, s.Sy, s.Sz, np.eye(round(2 * S + 1))
    for a, b, c in [(x, y, z), (y, z, x), (z, x, y)]:
        close((a @ b - b @ a).dense(), 1j * np.asarray(c), 1e-14)
    close((x @ x + y @ y + z @ z).dense(), S * (S + 1) * one, 1e-14)
    close((x + 1j * y).dense(), s.plus.dense(), 1e-15)
    close((x - 1j * y).dense(), s.minus.dense(), 1e-15)


@pytest.mark.parametrize("S", SIZES)
def test_matrices_and_levels_are_those_of_qutip(S):
    s = spin(S)
    close(s.Sx.dense(), qutip.jmat(S, "x").full(), 1e-15)
    close(s.Sy.dense(), qutip.jmat(S, "y").full(), 1e-15)
    close(s.Sz.dense(), qutip.jmat(S, "z").full(), 1e-15)
    close(s.plus.dense(), qutip.jmat(S, "+").full(), 1e-15)
    close(s.minus.dense(), qutip.jmat(S, "-").full(), 1e-15)
    for k in range(round(2 * S + 1)):
        close(s.projector(S - k).dense(), qutip.spin_state(S, S - k, "dm").full(), 1e-15)


def test_a_spin_half_has_pauli_matrices_too():
    s = spin(1 / 2)
    assert qd.Spin(1 / 2) == qd.Spin() and repr(qd.Spin(S=0.5)) == "Spin()"
    for pauli, half in [(s.x, s.Sx), (s.y, s.Sy), (s.z, s.Sz)]:
        assert (pauli - 2 * half).pattern.nnz == 0
    assert (s.plus - s.transition("up", "down")).pattern.nnz == 0
    assert (s.projector(1 / 2) - s.up).pattern.nnz == 0 == (s.state("down") - s.down).pattern.nnz


@pytest.mark.parametrize(
    "S, labels",
    [(1, "1 0 -1"), (Fraction(3, 2), "3/2 1/2 -1/2 -3/2"), (np.float64(2), "2 1 0 -1 -2")],
)
def test_levels_are_named_by_their_magnetic_quantum_number(S, labels):
    names = tuple(labels.split())
    factor = qd.Spin(S)
    assert factor.labels == names and repr(factor) == f"Spin({names[0]})" and factor == qd.Spin(float(S))
    space = qd.Space(q=qd.Spin(), s=factor)
    assert [space.label(k) for k in range(len(names))] == [f"|up,{m}>" for m in names]
    for name in names:
        m = Fraction(name)
        for level in (name, m, float(m)):
            close((space.s.Sz @ space.s.projector(level)).trace(), 2 * float(m), 1e-15, scale=1)
            close((space.s.Sz @ space.state(q="up", s=level)).trace(), float(m), 1e-15, scale=1)


def test_a_level_begins_a_motion():
    """S- alone takes m = -1/2 to m = -3/2 at the rate 3."""
    s = spin(3 / 2)
    run = qd.evolve(qd.Lindblad(s.Sz, {"cold": (1.0, s.minus)}), {"s": -1 / 2}, 0.4, expect=s.projector("-1/2"))
    close(run.expectations, [np.exp(-3 * 0.4)], 1e-13)


@pytest.mark.parametrize("S", [0, 0.7, -1, True, "a", None, float("nan"), float("inf"), 1j, np.ones(2)])
def test_what_is_no_spin_is_refused(S):
    number = isinstance(S, (int, float)) and S is not True
    with pytest.raises(ValueError if number else TypeError, match=r"S must be a spin, 1/2 or 1 or 3/2 and so on, but was"):
        qd.Spin(S)


@pytest.mark.parametrize("level", ["up", "0.5", 0, 2.5, -2.5, True, float("nan")])
def test_what_is_no_level_is_refused(level):
    with pytest.raises(ValueError, match=r"level of 's' must be one of \('3/2', '1/2', '-1/2', '-3/2'\), but was"):
        spin(3 / 2).state(level)


@pytest.mark.parametrize("name", ["x", "y", "z", "up", "down"])
def test_pauli_matrices_of_larger_spins_are_refused(name):
    with pytest.raises(AttributeError, match=rf"Spin\(1\) has no operator '{name}', which is one of Spin\(\) only"):
        getattr(spin(1), name)
    with pytest.raises(AttributeError, match=r"has no operator 'S'; it has \['Sx', 'Sy', 'Sz', 'minus', 'plus'\]"):
        spin(1).S  # noqa: B018


def brillouin(S, x):
    """-<Sz> of exp(-x Sz), and its slope in x."""
    a, b = S + 0.5, 0.5
    return a / np.tanh(a * x) - b / np.tanh(b * x), (b / np.sinh(b * x)) ** 2 - (a / np.sinh(a * x)) ** 2


@pytest.mark.parametrize("S", [1, 3 / 2, 10])
@pytest.mark.parametrize("beta", [0.03, 1.3])
def test_a_spin_in_a_thermal_bath_has_the_magnetisation_of_brillouin(S, beta):
    s = spin(S)

    def state(beta):
        jumps = qd.thermal_jumps(s.minus, 1.0, qd.BosonicBath(beta, 0.2))
        return qd.steady_state(qd.Lindblad(s.Sz, {"bath": jumps}))

    weights = np.exp(-beta * (S - np.arange(2 * S + 1)))
    close(state(beta).populations(), weights / weights.sum(), 1e-13)
    value, slope = jax.value_and_grad(lambda b: -state(b).expect(s.Sz))(beta)
    right, right_slope = brillouin(S, beta)
    close(value, right, 1e-12)
    close(slope, right_slope, 1e-11)


def puri_lawande(N, w):
    """<Sz> of N atoms driven by w Sx that decay together, at rate 1 (Puri and Lawande, 1979).

    H and the jump S- are the jump J = S- + i w alone, which has rho = (J^dag J)^-1 / trace.
    """
    lower, z = jnp.asarray(qutip.jmat(N / 2, "-").full()), jnp.asarray(qutip.jmat(N / 2, "z").full())
    J = lower + 1j * w * jnp.eye(N + 1)
    rho = jnp.linalg.inv(J.conj().T @ J)
    return jnp.real(jnp.trace(z @ rho) / jnp.trace(rho))


@pytest.mark.parametrize("N, w", [(3, 0.4), (12, 4.0), (12, 9.0)])
def test_driven_atoms_that_decay_together(N, w):
    """Few, and below and above the phase transition at w = N/2."""
    atoms = spin(N / 2)

    def inversion(w):
        return qd.steady_state(qd.Lindblad(w * atoms.Sx, {"light": (1.0, atoms.minus)})).expect(atoms.Sz)

    value, slope = jax.value_and_grad(inversion)(w)
    right, right_slope = jax.value_and_grad(lambda w: puri_lawande(N, w))(w)
    close(value, right, 1e-12)
    close(slope, right_slope, 1e-10)
