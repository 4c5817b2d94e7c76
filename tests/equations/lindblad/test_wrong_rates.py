"""Rates that are negative or not finite: refused where they are known, never solved with where they are traced."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.equations.lindblad.reach import reach
from qdiff.equations.lindblad.terms import refusals

Q = qd.Space(q=qd.Spin()).q
PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())


def generator(rate):
    return qd.Lindblad(Q.z, {"cold": (0.3, Q.x), "hot": [(rate, Q.minus), (2.0, Q.plus)]})


@pytest.mark.parametrize("rate", [-1.0, -1e-300, float("nan"), float("inf"), np.float64(-2), jnp.array(-3.0), -1])
def test_a_known_rate_is_refused_with_the_name_of_its_bath(rate):
    """Python, NumPy and JAX numbers; through `Jump`, pairs, and beside a secular bath."""
    with pytest.raises(ValueError, match=f"the rates of bath 'hot' must be finite and not negative, but one is {float(rate):g}"):
        generator(rate)
    with pytest.raises(ValueError, match="the rates of bath 'leak' must be finite"):
        qd.secular(Q.z, {"hot": (Q.x, qd.BosonicBath(1.0, qd.baths.Ohmic(0.1)))}, {"leak": qd.Jump(rate, Q.minus)})


def test_a_rate_of_zero_is_none():
    """The boundary belongs to what is allowed, with its derivative."""
    slope = jax.grad(lambda r: qd.steady_state(generator(r)).expect(Q.up))(0.0)
    # up gains at 2 + 0.3 and loses at r + 0.3: p = 2.3 / (2.6 + r)
    close(slope, -2.3 / 2.6**2, 1e-12)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_traced_rate_becomes_nan_or_an_error(rate):
    """One wrong member of a batch is NaN, in value and derivative, the others are right; outside of batches it is an error."""

    def up(r):
        with qd.failures("nan"):
            return qd.steady_state(generator(r)).expect(Q.up)

    got = jax.jit(jax.vmap(up))(jnp.array([1.0, rate, 0.5]))
    assert np.isnan(got[1])
    close(got[::2], [2.3 / 3.6, 2.3 / 3.1], 1e-12)
    assert np.isnan(jax.jit(jax.grad(up))(rate))
    with pytest.raises((eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError), match="negative|not finite"):
        jax.block_until_ready(eqx.filter_jit(lambda r: qd.steady_state(generator(r)).expect(Q.up))(jnp.array(rate)))


def test_the_faulty_bath_is_named_at_run_time():
    """`refusals` finds it among several, also in a family of lines, and finds nothing where all is well."""

    def faults(r):
        hot = qd.BosonicBath(1.0, qd.baths.Ohmic(r))
        H = PAIR.a.z + 1.3 * PAIR.b.z + 0.2 * PAIR.a.x @ PAIR.b.x
        found = refusals(qd.secular(H, {"hot": (PAIR.a.x, hot)}, {"leak": (r + 1.0, PAIR.b.minus)}))
        return [f.there for f in found if "a rate of bath" in f.failure.sentence]

    assert np.array_equal(jax.jit(faults)(0.1), [False, False])
    assert np.array_equal(jax.jit(faults)(-0.1), [True, False])
    assert np.array_equal(jax.jit(faults)(-2.0), [True, True])
    sentences = [f.failure.sentence for f in refusals(generator(1.0))]
    assert sentences == list(f"a rate of bath {b!r} is negative or not finite" for b in ("cold", "hot"))


def test_every_use_of_the_generator_sees_it():
    """The generator's matrix itself is NaN, so that evolution and currents are, too."""
    wrong = eqx.tree_at(lambda m: m.jumps["hot"][0].rate, generator(1.0), jnp.array(-1.0))
    sector = reach(generator(1.0))
    assert np.isnan(np.asarray(sector.values(wrong))).any()
    assert np.isfinite(np.asarray(sector.values(generator(1.0)))).all()
    assert np.isnan(sector.act_by_label(wrong, jnp.ones(sector.size))[1]).any()
    assert np.isfinite(sector.act_by_label(wrong, jnp.ones(sector.size))[0]).all()


def test_generic_parameters_may_have_any_sign():
    """A difference of two rates may be negative at the random parameters of `structured`, as long as it is not at the given ones."""

    @qd.structured
    def build(a, b):
        return qd.Lindblad(Q.z, {"b": [(a - b, Q.minus), (b, Q.plus), (a - 2 * b, Q.x)]})

    close(qd.steady_state(build(1.0, 0.25)).expect(Q.up), 0.75 / (1.0 + 1.0), 1e-13)
    with pytest.raises(ValueError, match="bath 'b'"):
        build(1.0, 0.6)


def test_a_model_with_a_rate_that_turns_negative():
    """A figure of merit is a SolveError of one sentence, an evaluation likewise."""

    class Device(qd.Model):
        rate: float = qd.parameter(1.0)

        @qd.structured
        def generator(self):
            return generator(self.rate)

        @qd.merit(symbol="p", unit="1", source="two rates")
        def up(self):
            """Population."""
            return qd.steady_state(self.generator()).expect(Q.up)

    close(Device(1.0).up(), 2.3 / 3.6, 1e-12)
    for call in (lambda: Device(-1.0).up(), lambda: qd.evaluate(Device(-1.0))):
        with pytest.raises(qd.SolveError, match="negative|not finite") as caught:
            call()
        assert "\n" not in str(caught.value)


# ---- zero temperature ---------------------------------------------------------------------------------------


def ground(w, beta, strength, how):
    bath = qd.BosonicBath(beta, qd.baths.Ohmic(strength, 3.0))
    if how == "local":
        return qd.steady_state(qd.Lindblad(w / 2 * Q.z, {"b": qd.thermal_jumps(Q.minus, w, bath)}))
    return qd.steady_state(qd.secular(w / 2 * Q.z, {"b": (Q.x, bath)}))


@pytest.mark.parametrize("how", ["local", "secular"])
def test_a_damped_qubit_at_zero_temperature(how):
    """The pure ground state, unique, eager and compiled; no derivative is NaN, to second order."""
    x = (2.0, np.inf, 0.2)
    state = ground(*x, how)
    close(state.dense(), np.diag([0.0, 1.0]), 1e-15)
    told = state.diagnostics()
    assert int(told["stationary_states"]) == 1 and abs(float(told["smallest_eigenvalue"])) < 1e-15 and float(told["rcond"]) > 0.1
    close(jax.jit(lambda *x: ground(*x, how).dense())(*x), np.diag([0.0, 1.0]), 1e-15)
    close(qd.thermo.entropy(state.rho), 0.0, 1e-15, 1.0)
    f = jax.jit(lambda x: ground(*x, how).expect(Q.z))
    for slopes in (jax.jit(jax.grad(f))(jnp.array(x)), jax.jit(jax.jacfwd(f))(jnp.array(x)), jax.jit(jax.hessian(f))(jnp.array(x))):
        close(slopes, 0.0 * slopes, 1e-15, 1.0)


def test_a_cold_bath_at_zero_temperature_between_others():
    """Heat into a bath at beta = inf, and its derivatives in the rest, are the limits of large beta."""

    def build(beta, B, strength):
        hot, cold = qd.BosonicBath(0.5, qd.baths.Ohmic(0.2)), qd.BosonicBath(beta, qd.baths.Ohmic(strength))
        H = PAIR.a.z + B * PAIR.b.z + 0.3 * PAIR.a.x @ PAIR.b.x
        return qd.secular(H, {"hot": (PAIR.a.x, hot), "cold": (PAIR.b.x + 0.2 * PAIR.b.z, cold)})

    def heat(beta, B, strength):
        m = build(beta, B, strength)
        return qd.heat_current(qd.steady_state(m), "cold")

    both = jax.jit(jax.value_and_grad(heat, argnums=(0, 1, 2)))
    value, slopes = both(np.inf, 0.7, 0.3)
    near, nearby = both(60.0, 0.7, 0.3)  # e^{-60 omega} of the smallest line is 1e-22; J'(0)/beta dephases only
    assert float(value) < -1e-3 and float(slopes[0]) == 0.0
    # The dephasing rate at zero frequency, of order 1/beta, is no part of the populations' equation.
    close(value, near, 1e-10)
    close(slopes[1:], nearby[1:], 1e-10)


def test_temperatures_that_are_none_are_refused():
    """beta must be above zero: zero, negative, NaN and words are refused where they are known, and NaN where traced."""
    for beta, said in ((0.0, "was 0"), (-1.0, "was -1"), (np.nan, "was nan"), (-np.inf, "was -inf"), (np.array([1.0, -2.0]), "was -2")):
        with pytest.raises(ValueError, match=f"beta must be a number above 0, but .*{said}"):
            qd.BosonicBath(beta, 0.1)
    with pytest.raises(TypeError, match="beta must be a number above 0, but was 'cold'"):
        qd.BosonicBath("cold", 0.1)
    with qd.failures("nan"):
        got = jax.jit(jax.vmap(lambda b: ground(2.0, b, 0.2, "secular").expect(Q.z)))(jnp.array([-1.0, 0.0, np.nan, -np.inf, 1.0]))
    assert np.all(np.isnan(got[:4])) and abs(float(got[4]) + np.tanh(1.0)) < 1e-13
