"""Arguments of cycles, pulses and channels that turn out wrong while a compiled function runs: refused, never a plausible number.

Each stands beside a good value with its closed form: a spin pointing up along x after a measurement of z, a resonant pulse,
occupations at rest.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd

Q = qd.Space(q=qd.Spin()).q
LOSS = {"loss": (1e-12, Q.minus)}
RAISED = (eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError)


def cycle(strength=0.5, time=1.0, scale=1.0, rate=1e-12):
    """Nothing happens but a measurement of z, and a turn by pi about x that is no unitary unless scale is one."""
    still = qd.Lindblad(0.0 * Q.z, {"loss": (rate, Q.minus)})
    return qd.cycles.Cycle([qd.cycles.Free(still, time), qd.cycles.Unitary(scale * Q.x), qd.cycles.Measurement(Q.z, strength)])


def probability(uniforms=0.1, **given):
    """Of the outcome -1 of a spin along x: a meter that errs has M_r^2 with weights y^2 and (y + sqrt s)^2, on average 1/2."""
    return qd.cycles.replay(cycle(**given), jnp.reshape(uniforms, 1), jnp.array([1.0, 1.0]) / jnp.sqrt(2.0)).probability[0, 0]


def second(strength=0.5):
    """The same outcome again, one cycle later, turned by pi in between: the square of the mean of sqrt(y (y + sqrt s))."""
    return qd.cycles.replay(cycle(strength), jnp.array([0.1, 0.1]), jnp.array([1.0, 1.0]) / jnp.sqrt(2.0)).probability[0, 1]


def expected_second(s):
    y = (np.sqrt(1 + (1 - s)) - np.sqrt(s)) / 2
    low, high = y**2, (y + np.sqrt(s)) ** 2
    return 2 * low * high / (low + high)


def turned(pulse):
    """The population of up at t = 3 after a resonant pulse: sin^2 of its area."""
    generator = lambda t: qd.Lindblad(pulse(t) * Q.x, LOSS)  # noqa: E731
    return qd.evolve(generator, {"q": "down"}, jnp.array([3.0]), expect=Q.up).expectations[0]


AT_REST = 1 / (np.exp(0.6) + 1)


def occupations(n=AT_REST, rate=1.0):
    """At rest, where they are 1/(exp(2 e) + 1) at the energies e and -e."""
    energies = np.array([0.3, -0.3])
    channels = qd.channels.Channels({"bath": rate}, lambda beta, e: {"bath": qd.channels.Channel(tilt=beta * e)}, energies, parameters=2.0)
    n = n if isinstance(n, np.ndarray) else jnp.stack([n, 1 - n])
    return channels.evolve(n, jnp.array([0.0, 1.0]))[-1, 0]


DECAY = np.exp(-0.1)


def whole_turns(count):
    """The population of up after some cycles that let it decay by a tenth, turn by pi and measure it: p -> 1 - p e^{-0.1}."""
    run = cycle(1.0, rate=0.1).evolve({"q": "down"})
    return run.coordinates.covector(Q.up) @ run.after(jnp.reshape(count, 1))[0]


def given_as_a_matrix(scale):
    """A field along x and z, given as one array: up again and again, by cos^2."""
    H = qd.Space(q=qd.Spin()).operator(jnp.array([[0.3, 0.4], [0.4, -0.3]]) + scale * jnp.array([[0.0, 1.0], [-1.0, 0.0]]))
    return qd.evolve(qd.Lindblad(H, LOSS), {"q": "up"}, jnp.array([1.0]), expect=Q.up).expectations[0]


LADDER = qd.rates.Rates([0.0, 1.0], {"bath": [(0, 1, 0.3), (1, 0, 0.7)]})


def ladder(p=1.0, t=1.0, whole=1.0):
    """Two levels that were in the upper one with probability p: 0.3 + (p - 0.3) e^{-t} after a time."""
    return LADDER.evolve(jnp.stack([whole - p, p]), jnp.reshape(t, 1))[0, 1]


def ascending(kind, *values):
    return lambda t: turned(kind(jnp.stack([0.0, 1.0, 1.0 + t]), jnp.array(values)))


NO_TIME = "too long for a propagator|did not reach the last time"
# name -> the solve, a good argument and its value, wrong ones, what is said of them
CASES = {
    "replay, strength": (
        lambda s: second(s),
        0.3,
        expected_second(0.3),
        [1.0001, -0.1, np.nan],
        "strength of a measurement is not between",
    ),
    "replay, uniforms": (lambda u: probability(u), 0.9, 0.5, [1.0001, -0.1, np.nan], "uniforms must be numbers between 0 and 1"),
    "replay, time": (lambda t: probability(time=t), 2.0, 0.5, [0.0, -1.0, np.nan], "the time of a stroke is not above zero"),
    "replay, unitary": (lambda c: probability(scale=c), -1.0, 0.5, [1.0001, np.nan], "operator of a unitary stroke is not unitary"),
    "replay, rate": (lambda g: probability(rate=g), 0.0, 0.5, [-1e-9, np.inf], "a rate of bath 'loss' is negative or not finite"),
    "constant pieces": (ascending(qd.pulses.PiecewiseConstant, 0.3, 0.4), 0.5, np.sin(0.3 + 0.2) ** 2, [0.0, -0.5, np.inf], NO_TIME),
    "lines": (ascending(qd.pulses.PiecewiseLinear, 0.3, 0.5, 0.7), 0.5, np.sin(0.4 + 0.3) ** 2, [0.0, -0.5, np.inf], NO_TIME),
    "spline": (ascending(qd.pulses.CubicSpline, 0.3, 0.5, 0.7), 1.0, np.sin(1.0) ** 2, [0.0, -0.5, np.inf], NO_TIME),
    "Gaussian": (
        lambda w: turned(qd.pulses.GaussianPulse(1.0, 1.5, w)),
        0.1,
        np.sin(0.1 * np.sqrt(2 * np.pi)) ** 2,
        [0.0, -0.1, np.inf],
        NO_TIME,
    ),
    "raised cosine": (lambda w: turned(qd.pulses.RaisedCosine(1.0, 1.0, w)), 0.8, np.sin(0.4) ** 2, [0.0, -0.1, np.nan], NO_TIME),
    "in a sum": (
        lambda w: turned(2 * qd.pulses.RaisedCosine(0.5, 1.0, w) + qd.pulses.RaisedCosine(0.0, 1.0, 1.0)),
        0.8,
        np.sin(0.4) ** 2,
        [-0.1],
        NO_TIME,
    ),
    "occupations": (occupations, AT_REST, AT_REST, [1.0001, -1e-9, np.nan], "initial must hold occupations between 0 and 1"),
    "number of cycles": (whole_turns, 3, 1 - (1 - DECAY) * DECAY, [-1], "counts must be integers between 0 and"),
    "a matrix": (given_as_a_matrix, 0.0, 1 - 0.64 * np.sin(0.5) ** 2, [0.1], "H must be Hermitian"),
    "populations": (ladder, 0.5, 0.3 + 0.2 * np.exp(-1.0), [1.0001, -0.1, np.nan], "initial must not be negative"),
    "their sum": (lambda s: ladder(0.5, whole=s), 1.0, 0.3 + 0.2 * np.exp(-1.0), [1.0001, 0.9], "initial must sum to one"),
    "time of rates": (lambda t: ladder(t=t), 2.0, 0.3 + 0.7 * np.exp(-2.0), [-0.1, np.nan], "times must not be negative"),
    "channel's rate": (lambda g: occupations(rate=g), 0.5, AT_REST, [-1e-9, np.inf], "did not reach the last time"),
}


@pytest.mark.parametrize("name", CASES)
def test_wrong_while_it_runs(name):
    solve, good, value, wrong, sentence = CASES[name]
    compiled, batch = eqx.filter_jit(lambda x: solve(x)), eqx.filter_jit(lambda x: solve(x))
    slope = eqx.filter_jit(jax.grad(lambda x: solve(x)))
    close(compiled(jnp.asarray(good)), value, 1e-8)
    for bad in wrong:
        with pytest.raises(RAISED, match=sentence):
            compiled(jnp.asarray(bad))
        if name not in ("replay, uniforms", "number of cycles"):  # of which nothing is a smooth function
            with pytest.raises(RAISED):  # by itself, without the value
                slope(jnp.asarray(bad))
        with qd.failures("nan"):
            assert np.isnan(batch(jnp.asarray(bad))), bad


def test_no_outcome_where_there_is_none():
    """`failures("nan")`: the outcome is an integer, and says so as -1, in the wrong members of a batch only."""
    with qd.failures("nan"):
        outcome = jax.jit(jax.vmap(lambda s: qd.cycles.replay(cycle(s), jnp.array([0.1]), {"q": "down"}).outcome[0, 0]))(
            jnp.array([1.0, 1.1])
        )
    assert outcome.tolist() == [1, -1]


@pytest.mark.parametrize("solver", [qd.solvers.Explicit, qd.solvers.Stiff])
@pytest.mark.parametrize("name", ["rtol", "atol", "max_step"])
def test_settings_of_an_integrator(solver, name):
    def up(x):
        generator = lambda t: qd.Lindblad(jnp.cos(t) * Q.x, LOSS)  # noqa: E731
        return qd.evolve(generator, {"q": "down"}, jnp.array([1.0]), expect=Q.up, solver=solver(**{name: x})).expectations[0]

    close(eqx.filter_jit(up)(jnp.asarray({"rtol": 1e-9, "atol": 1e-11, "max_step": 0.1}[name])), np.sin(np.sin(1.0)) ** 2, 1e-7)
    with pytest.raises(RAISED, match="did not reach the last time"):
        eqx.filter_jit(up)(jnp.asarray(-1e-9))


def test_known_arrays_are_known_within_a_compiled_function():
    """They are refused when the function is traced, with their value."""
    beyond = np.array([0.5, 2.0])
    with pytest.raises(ValueError, match="uniforms must be numbers between 0 and 1, but has 0.5 to 2"):
        jax.jit(lambda s: qd.cycles.replay(cycle(s), beyond, {"q": "down"}).probability)(0.5)
    with pytest.raises(ValueError, match="initial must hold occupations between 0 and 1, but has 2 and 2"):
        jax.jit(lambda g: occupations(np.array([2.0, 2.0]), g))(0.5)
    with pytest.raises(ValueError, match="times must be strictly ascending"):
        jax.jit(lambda v: turned(qd.pulses.PiecewiseConstant(np.array([0.0, 1.0, 1.0]), jnp.array([v, v]))))(0.5)
