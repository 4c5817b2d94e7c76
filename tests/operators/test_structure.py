"""`structured`: what holds for all parameters is seen, and nothing else is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, dissipator, null_state, unitary

import qdiff as qd

Q = qd.Space(q=qd.Spin()).q


def drive(amplitude, detuning, rate):
    H = detuning / 2 * Q.z + amplitude * Q.plus + jnp.conj(amplitude) * Q.minus
    return qd.Lindblad(H, {"bath": (rate, Q.minus)})


def test_complex_parameters_stay_complex():
    """A complex drive amplitude: its imaginary part counts, eager, compiled, and without decoration."""
    a = 0.3 + 0.4j
    H = 0.25 * Q.z.dense() + a * Q.plus.dense() + np.conj(a) * Q.minus.dense()
    want = null_state(unitary(H) + dissipator(Q.minus.dense()))
    for build in (drive, qd.structured(drive)):
        close(qd.steady_state(build(a, 0.5, 1.0)).dense(), want, 1e-13)
        close(jax.jit(lambda a, b=build: qd.steady_state(b(a, 0.5, 1.0)).dense())(a), want, 1e-13)


def test_a_structured_function_may_call_another():
    """The constructors of the inner function do not stand in for those of the outer one."""

    @qd.structured
    def inner(w, rate):
        return qd.Lindblad(w * Q.z, {"bath": (rate, Q.minus)})

    @qd.structured
    def outer(w, rate, drive):
        return qd.Lindblad(inner(w, rate).H + drive * Q.x, {"bath": (rate, Q.minus)})

    want = qd.steady_state(qd.Lindblad(0.5 * Q.z + 0.3 * Q.x, {"bath": (1.0, Q.minus)}))
    assert want.sector.size == 4
    close(qd.steady_state(outer(0.5, 1.0, 0.3)).dense(), want.dense(), 1e-13)
    close(jax.jit(lambda *x: qd.steady_state(outer(*x)).dense())(0.5, 1.0, 0.3), want.dense(), 1e-13)


def test_an_entry_that_vanishes_at_the_given_values_only():
    """B1 z + B2 z at B1 = B2 has two zero entries; the levels are still those of two different qubits."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    cold, hot = qd.BosonicBath(1.0, qd.baths.Ohmic(0.1)), qd.BosonicBath(0.2, qd.baths.Ohmic(0.1))

    @qd.structured
    def build(B1, B2):
        return qd.secular(B1 * s.a.z + B2 * s.b.z, {"c": (s.a.x + s.b.x, cold), "h": (s.a.x, hot)})

    near = qd.steady_state(build(1.0, 1.0 + 1e-9)).expect(s.b.z)
    close(near, -np.tanh(1.0), 1e-8)
    close(jax.jit(lambda *x: qd.steady_state(build(*x)).expect(s.b.z))(1.0, 1.0), near, 1e-8)
    close(qd.steady_state(build(1.0, 1.0)).expect(s.b.z), near, 1e-8)


def test_a_coupling_that_is_zero_by_chance_keeps_its_place():
    """The sector at a coupling of 0.0 is that of any coupling, eager as compiled."""

    @qd.structured
    def build(g):
        return qd.Lindblad(0.5 * Q.z + g * Q.x, {"b": [(0.3, Q.minus), (0.1, Q.plus)]})

    assert qd.steady_state(build(0.2)).sector.size == 4
    close(qd.steady_state(build(0.0)).populations(), [0.25, 0.75], 1e-13)
    assert qd.steady_state(build(0.0)).sector.size == 4


def test_generic_parameters_outside_the_domain_are_told():
    """sqrt(b - 1) is NaN at the generic parameters: the error says so, and does not blame the user's numbers."""

    @qd.structured
    def build(b):
        return qd.Lindblad(jnp.sqrt(b - 1) * Q.z + 0.1 * Q.x, {"b": (1.0, Q.minus)})

    with pytest.raises(ValueError, match="`structured` function must be finite for generic parameters between 0.3 and 0.9"):
        build(2.0)


def test_a_parameter_from_outside_is_told():
    """A number that a structured function takes from its surroundings must not be traced: the error names the cause."""

    def f(w):
        @qd.structured
        def build():
            return qd.Lindblad(w * Q.z + 0.3 * Q.x, {"b": (1.0, Q.minus)})

        return qd.steady_state(build()).expect(Q.z)

    # H = w z + g x and decay at the rate 1: <z> = -(1 + 16 w^2) / (1 + 16 w^2 + 8 g^2).
    close(f(0.5), -5 / (5 + 8 * 0.3**2), 1e-12)
    for transformed in (jax.grad(f), jax.jit(f)):
        with pytest.raises(ValueError, match="must take its traced parameters as arguments"):
            transformed(0.5)


def test_expectation_of_what_is_not_hermitian():
    """Tr[sigma_minus rho] is complex, and returned as such."""
    amplitude, detuning = 0.3 + 0.4j, 0.5
    got = qd.steady_state(drive(amplitude, detuning, 1.0)).expect(Q.minus)
    # The optical Bloch equations at rest with decay at the rate 1.
    want = -1j * amplitude * (0.5 - 1j * detuning) / (0.25 + detuning**2 + 2 * abs(amplitude) ** 2)
    close(got, want, 1e-12)


def test_a_negative_rate_is_refused():
    """It would make populations of 2 and -1, which no diagnostic of a solve has to tell."""
    with pytest.raises(ValueError, match="rates of bath 'b' must be finite and not negative, but one is -1"):
        qd.Lindblad(Q.z, {"b": [(-1.0, Q.minus), (2.0, Q.plus)]})


def test_lindblad_refuses_what_is_no_generator():
    """Non-Hermitian H (known or traced), an array of rates, an operator of another space, a wrong order of a pair."""
    other = qd.Space(m=qd.Boson(2)).m
    for wrong, error in (
        (lambda: qd.Lindblad(Q.plus, {"b": Q.minus}), ValueError),
        (lambda: qd.Lindblad(Q.z, {"b": (np.ones(2), Q.minus)}), ValueError),
        (lambda: qd.Lindblad(Q.z, {"b": other.a}), ValueError),
        (lambda: qd.Lindblad(Q.z, {"b": (Q.minus, 1.0)}), TypeError),
        (lambda: qd.Lindblad(np.eye(2), {"b": Q.minus}), TypeError),
    ):
        with pytest.raises(error) as caught:
            wrong()
        assert len(str(caught.value)) > 30


def test_a_hamiltonian_from_a_traced_matrix():
    """A dense traced matrix: the same state as from operators, and its gradient; a non-Hermitian one fails at run time."""
    space = Q.space

    def f(h):
        return qd.steady_state(qd.Lindblad(space.operator(h), {"b": (1.0, Q.minus)})).expect(Q.z)

    h = jnp.array([[0.5, 0.3], [0.3, -0.5]])
    want = qd.steady_state(qd.Lindblad(0.5 * Q.z + 0.3 * Q.x, {"b": (1.0, Q.minus)})).expect(Q.z)
    close(jax.jit(f)(h), want, 1e-13)
    along = jax.jit(jax.grad(lambda d: f(h + d * Q.x.dense())))(0.0)
    ref = jax.grad(lambda d: qd.steady_state(qd.Lindblad(0.5 * Q.z + (0.3 + d) * Q.x, {"b": (1.0, Q.minus)})).expect(Q.z))(0.0)
    close(along, ref, 1e-12)


PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())


@qd.structured
def two_qubits(B1, B2, strength):
    cold, hot = qd.BosonicBath(1.0, qd.baths.Ohmic(strength)), qd.BosonicBath(0.2, qd.baths.Ohmic(strength))
    return qd.secular(B1 * PAIR.a.z + B2 * PAIR.b.z, {"c": (PAIR.a.x + PAIR.b.x, cold), "h": (PAIR.a.x, hot)})


def mean_field(*x):
    return qd.steady_state(two_qubits(*x)).expect(PAIR.b.z)


@pytest.mark.parametrize(
    "arguments",
    [
        (1, 1, 0.1),
        (np.int64(1), np.float64(1), np.array(0.1)),
        (np.array(1), np.array(1), 0.1),
        (jnp.array(1), 1, jnp.array(0.1)),
        tuple(np.array([1.0, 1.0, 0.1])),
    ],
    ids=["Python", "NumPy scalars", "NumPy arrays", "JAX", "unpacked"],
)
def test_integers_and_arrays_are_parameters_like_floats(arguments):
    """Two fields of 1 are two fields that happen to be equal, whatever type of number says so: the limit -tanh(1)."""
    close(mean_field(*arguments), -np.tanh(1.0), 1e-12)
    close(jax.jit(mean_field)(*arguments), -np.tanh(1.0), 1e-12)
    close(jax.jit(lambda x: mean_field(*x))(np.array([1, 1, 2])), -np.tanh(1.0), 1e-12)


def test_a_gradient_beside_an_integer():
    """Differentiated in one argument with integers in the others: the same number as with floats."""
    slope = jax.jit(jax.grad(lambda B, *rest: mean_field(B, *rest)))
    close(jax.grad(lambda B: mean_field(1, B, 0.1))(1.0), -1 / np.cosh(1.0) ** 2, 1e-12)
    assert abs(float(slope(1.0, 1, 0.1)) - float(slope(1.0, 1.0, 0.1))) < 1e-14


def test_an_integer_that_counts_stays_as_it_is():
    """The number of sites beside integer fields, an exponent, an index, an array of integers: each is what it must be."""

    @qd.structured
    def chain(n, fields, hop, power, site):
        space = qd.Space(**{f"q{k}": qd.Spin() for k in range(n)})
        q = [getattr(space, f"q{k}") for k in range(n)]
        H = sum(w * s.z for w, s in zip(fields, q, strict=True))
        H = H + sum(hop**power * (s.plus @ t.minus + s.minus @ t.plus) for s, t in zip(q, q[1:], strict=False))
        return qd.Lindblad(H, {"in": (2, q[site].plus), "out": (1, q[-1].minus), "noise": (hop, (q[0].z + q[1].z) ** power)})

    def populations(*x):
        return qd.steady_state(chain(*x)).populations()

    want = populations(3, [1.0, 1.0, 1.0], 2.0, 2, 0)
    assert want.shape == (8,)
    close(populations(3, np.array([1, 1, 1]), 2, 2, 0), want, 1e-12)
    close(populations(np.int64(3), [1, 1, 1], np.array(2), 2, 0), want, 1e-12)
    close(jax.jit(populations, static_argnums=(0, 3, 4))(3, np.array([1, 1, 1]), 2, 2, 0), want, 1e-12)


def test_integers_in_builders_without_decoration():
    """Plain functions take integers eager and traced, as rates, energies and temperatures."""

    def state(w, beta, rate):
        bath = qd.BosonicBath(beta, qd.baths.Ohmic(rate))
        return qd.steady_state(qd.Lindblad(w * Q.z, {"b": qd.thermal_jumps(Q.minus, 2 * w, bath)})).populations()

    p = 1 / (1 + np.exp(4.0))
    for got in (state(1, 2, 3), jax.jit(state)(1, 2, 3), jax.jit(state)(np.int32(1), np.array(2), 3)):
        close(got, [p, 1 - p], 1e-13)


def test_integers_as_parameters_of_a_model():
    """A model with integers is the model with floats."""
    size = {"l_min": -2, "l_max": 2}
    whole = qd.models.RotorEngine(B1=4, B2=np.int64(10), lam=1, g=jnp.array(2), inertia=1, gamma=1, **size)
    real = qd.models.RotorEngine(B1=4.0, B2=10.0, lam=1.0, g=2.0, inertia=1.0, gamma=1.0, **size)
    assert whole.B1.dtype == float and jax.tree.structure(whole) == jax.tree.structure(real)
    close(whole.heat_current_hot(), real.heat_current_hot(), 1e-13)


def test_what_is_no_function_cannot_be_structured():
    """`structured` of a generator, or called before it decorates, says what it wants."""
    with pytest.raises(TypeError, match="build must be a function that builds a generator, but was 3"):
        qd.structured(3)


def test_a_rate_that_is_zero_or_equal_by_chance_keeps_its_place():
    """Rates of 0.0 and equal rates are those of any numbers, eager as compiled: the sector is the general one."""

    @qd.structured
    def build(down, up, noise):
        return qd.Lindblad(0.5 * Q.z + 0.2 * Q.x, {"b": [(down, Q.minus), (up, Q.plus)], "n": (noise, Q.x)})

    @qd.structured
    def ring(one, two):
        s = qd.Space(w=qd.Levels(3)).w
        turn = s.transition(1, 0) + s.transition(2, 1) + s.transition(0, 2)
        return qd.Lindblad(s.projector(0) * 0.0, {"b": [(one, turn), (two, turn.dag)], "z": (1.0, s.projector(0))})

    sizes = {qd.steady_state(build(*x)).sector.size for x in ((0.3, 0.1, 0.2), (0.3, 0.0, 0.0), (0.3, 0.3, 0.3), (1, 0, 0))}
    assert sizes == {4}
    assert {qd.steady_state(ring(*x)).sector.size for x in ((0.3, 0.1), (0.3, 0.3), (0.0, 0.3))} == {3}
    close(qd.steady_state(build(0.3, 0.0, 0.0)).dense(), qd.steady_state(build(0.3, 1e-14, 1e-14)).dense(), 1e-12)


ATOM = qd.Space(atom=qd.Levels(3)).atom


def cascade(x, rates):
    """A family of jumps with one entry that vanishes for every x, which only its copies show: 0.1 from 1 to 0, 0.3 from 2 to 1."""
    op = ATOM.transition(0, 1) + ATOM.transition(1, 2) + ((x + x) - 2 * x) * ATOM.transition(0, 2)
    family = qd.Jump(rates(op.pattern.nnz), op, tuple(range(op.pattern.nnz)))
    H = ATOM.projector(1) + x * ATOM.projector(2)
    return qd.Lindblad(H, {"down": family, "up": [(0.05, ATOM.transition(1, 0)), (0.02, ATOM.transition(2, 1))]})


def test_a_family_loses_the_entries_that_vanish():
    """The others keep their own rates."""
    build = qd.structured(lambda x: cascade(x, lambda n: jnp.array([0.1, 0.2, 0.3])))
    generator = build(0.7)
    assert generator.jumps["down"][0].groups == (0, 1)  # here the entry vanishes before the family is made
    got = jax.jit(lambda x: qd.steady_state(build(x)).populations())(0.7)
    close(got, np.array([1, 0.05 / 0.1, 0.05 / 0.1 * 0.02 / 0.3]) / (1 + 0.5 + 0.5 / 15), 1e-13)


def test_shapes_that_depend_on_the_parameters_are_refused():
    """What was recorded at generic parameters would be of other jumps."""
    build = qd.structured(lambda x: cascade(x, lambda n: jnp.linspace(0.1, 0.3, n)))
    with pytest.raises(ValueError, match=r"the same shapes whatever its parameters, but shape \(3,\) here is \(2,\) at generic ones"):
        jax.jit(lambda x: qd.steady_state(build(x)).populations())(0.7)


def test_a_family_of_which_an_entry_vanishes_here():
    """At one value only: the family stays as it was made, with the rates that it was made with."""

    @qd.structured
    def build(x):
        op = ATOM.transition(0, 1) + ATOM.transition(1, 2) + (x - 0.5) * ATOM.transition(0, 2)
        family = qd.Jump(jnp.array([0.1, 0.2, 0.3]), op, tuple(range(op.pattern.nnz)))
        H = ATOM.projector(1) + x * ATOM.projector(2)
        return qd.Lindblad(H, {"down": family, "up": [(0.05, ATOM.transition(1, 0)), (0.02, ATOM.transition(2, 1))]})

    got = qd.steady_state(build(0.5)).populations()
    close(got, np.array([1, 0.05 / 0.1, 0.05 / 0.1 * 0.02 / 0.2]) / (1 + 0.5 + 0.05), 1e-13)
