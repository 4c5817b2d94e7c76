"""Temperatures, couplings, cutoffs, energies and parameters of models that are none: refused where they are traced, too.

Every case stands beside a good value with a closed form: a level between two leads, a qubit between two baths, two dots.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from scipy.optimize import brentq

import qdiff as qd

DOT = qd.Space(dot=qd.Fermions("c")).dot
Q = qd.Space(q=qd.Spin()).q
RAISED = (eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError)


def fermi(x):
    return 1 / (np.exp(x) + 1)


# ---- a level of energy 0.7 between the lead `left` and one at beta = 1, mu = 0, Gamma = 0.3 --------------------


def level(lead, energy=0.7, spin=0):
    right = qd.lead_jumps(DOT.c, 0.7, qd.FermionicLead(1.0, 0.0, 0.3))
    generator = qd.Lindblad(0.7 * DOT.n, {"left": qd.lead_jumps(DOT.c, energy, lead, spin), "right": right})
    return qd.steady_state(generator).expect(DOT.n)


def filled(into, out):
    """The occupation at which gain and loss are equal."""
    into, out = into + 0.3 * fermi(0.7), out + 0.3 * (1 - fermi(0.7))
    return into / (into + out)


def between(gamma, x):
    return filled(gamma * fermi(x), gamma * (1 - fermi(x)))


# ---- a qubit of splitting 2 between the bath `hot` and one at beta = 2 with J(omega) = 0.05 omega ---------------


def qubit(bath, omega=2.0):
    cold = qd.thermal_jumps(Q.minus, 2.0, qd.BosonicBath(2.0, qd.baths.Ohmic(0.05)))
    return qd.steady_state(qd.Lindblad(Q.z, {"hot": qd.thermal_jumps(Q.minus, omega, bath), "cold": cold})).expect(Q.up)


def excited(J, beta, omega=2.0):
    up = J / np.expm1(beta * omega) + 0.1 / np.expm1(4.0)
    return up / (up + J / -np.expm1(-beta * omega) + 0.1 / -np.expm1(-4.0))


def globally(cutoff):
    """The same with a global equation, whose lines are found from H."""
    couplings = {"hot": (Q.x, qd.BosonicBath(1.0, qd.baths.Ohmic(0.1, cutoff))), "cold": (Q.x, qd.BosonicBath(2.0, qd.baths.Ohmic(0.05)))}
    return qd.steady_state(qd.secular(Q.z, couplings)).expect(Q.up)


def drude(c):
    return 0.1 * 2 * c**2 / (4 + c**2)


def one_over(x):
    return 1 / x


# name -> the solve, its closed form, a good argument, bad ones, what is said of them
CASES = {
    "lead, beta": (
        lambda x: level(qd.FermionicLead(x, 0.2, 0.1)),
        lambda x: between(0.1, x * 0.5),
        1.3,
        [-1.0, np.inf, np.nan],
        r"beta must be a finite number of at least 0 \(bath 'left'\)",
    ),
    "lead, infinite temperature": (
        lambda x: level(qd.FermionicLead(x, 0.2, 0.1)),
        lambda x: between(0.1, x * 0.5),
        0.0,
        [-1e-300],
        r"beta must be a finite number of at least 0 \(bath 'left'\)",
    ),
    "lead, mu": (
        lambda x: level(qd.FermionicLead(2.0, x, 0.1)),
        lambda x: between(0.1, 2 * (0.7 - x)),
        0.4,
        [np.inf, -np.inf, np.nan],
        r"mu must be a finite number \(bath 'left'\)",
    ),
    "lead, rate": (
        lambda x: level(qd.FermionicLead(2.0, 0.2, x)),
        lambda x: between(x, 1.0),
        0.0,
        [-0.2, np.inf],
        r"rate must be a finite number of at least 0 \(bath 'left'\)",
    ),
    "lead, spin potential": (
        lambda x: level(qd.FermionicLead(2.0, 0.2, 0.1, x), spin=1),
        lambda x: between(0.1, 2 * (0.5 - x)),
        0.1,
        [np.inf],
        r"spin_potential must be a finite number \(bath 'left'\)",
    ),
    "lead, energy": (
        lambda x: level(qd.FermionicLead(2.0, 0.2, 0.1), x),
        lambda x: between(0.1, 2 * (x - 0.2)),
        0.7,
        [np.inf, -np.inf],
        r"energy must be a finite number \(bath 'left'\)",
    ),
    "given lead, into": (
        lambda x: level(qd.baths.GivenLead(x, 0.2)),
        lambda x: filled(x, 0.2),
        0.4,
        [-0.4],
        r"into must be a finite number of at least 0 \(bath 'left'\)",
    ),
    "given lead, out of": (
        lambda x: level(qd.baths.GivenLead(0.2, x)),
        lambda x: filled(0.2, x),
        0.0,
        [-0.4],
        r"out_of must be a finite number of at least 0 \(bath 'left'\)",
    ),
    "bath, beta": (
        lambda x: qubit(qd.BosonicBath(x, qd.baths.Ohmic(0.1))),
        lambda x: excited(0.2, x),
        0.5,
        [-0.5, 0.0, np.nan],
        r"beta must be a number above 0 \(bath 'hot'\)",
    ),
    "bath, temperature": (
        lambda x: qubit(qd.BosonicBath(one_over(x), qd.baths.Ohmic(0.1))),
        lambda x: excited(0.2, 1 / x),
        3.0,
        [-3.0],
        r"beta must be a number above 0 \(bath 'hot'\)",
    ),
    "bath, omega": (
        lambda x: qubit(qd.BosonicBath(1.0, 0.1), x),
        lambda x: excited(0.1, 1.0, x),
        1.5,
        [np.inf, np.nan],
        r"omega must be a finite number \(bath 'hot'\)",
    ),
    "flat spectrum": (
        lambda x: qubit(qd.BosonicBath(1.0, x)),
        lambda x: excited(x, 1.0),
        0.3,
        [-0.3],
        r"rate must be a finite number of at least 0 \(bath 'hot'\)",
    ),
    "Ohmic, strength": (
        lambda x: qubit(qd.BosonicBath(1.0, qd.baths.Ohmic(x, 3.0))),
        lambda x: excited(x * 2 * 9 / 13, 1.0),
        0.0,
        [-0.1, np.inf],
        r"strength must be a finite number of at least 0 \(bath 'hot'\)",
    ),
    "Ohmic, cutoff": (
        lambda x: qubit(qd.BosonicBath(1.0, qd.baths.Ohmic(0.1, x))),
        lambda x: excited(drude(x), 1.0),
        3.0,
        [-3.0, 0.0, np.inf],
        r"cutoff must be a finite number above 0 \(bath 'hot'\)",
    ),
    "Ohmic, cutoff, global equation": (
        globally,
        lambda x: excited(drude(x), 1.0),
        3.0,
        [-3.0],
        r"cutoff must be a finite number above 0 \(bath 'hot'\)",
    ),
    "a spectrum of one's own that turns negative": (
        lambda x: qubit(qd.BosonicBath(1.0, qd.baths.Custom(lambda w, s: s * w * jnp.exp(-w), x))),
        lambda x: excited(x * 2 * np.exp(-2), 1.0),
        0.4,
        [-0.4],
        "a rate of bath 'hot' is negative or not finite",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_arguments_of_baths_and_leads(name):
    """Bad lanes of a batch are NaN in value and slope, the good one beside them is right; alone they end in one sentence."""
    solve, closed, good, bad, sentence = CASES[name]
    with qd.failures("nan"):
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(solve)))(jnp.array([good, *bad]))
    assert np.isnan(values[1:]).all() and np.isnan(slopes[1:]).all()
    close(values[0], closed(good), 1e-12)
    # One-sided where the good value lies on its bound: second-order differences, whose error is h^2 f'''/3.
    h = 1e-5
    close(slopes[0], (-3 * closed(good) + 4 * closed(good + h) - closed(good + 2 * h)) / (2 * h), 1e-6, 1.0)
    with pytest.raises(RAISED, match=sentence):
        jax.block_until_ready(eqx.filter_jit(solve)(jnp.array(bad[0])))


# ---- models -----------------------------------------------------------------------------------------------


class Dots(qd.Model):
    """Two dots of one energy, each with a lead: I = (f_l - f_r) 4 g^2 G_l G_r / ((G_l + G_r)(G_l G_r + 4 g^2)), local leads."""

    T_left: float = qd.parameter(2.0, low=0, open=True)
    T_right: float = qd.parameter(0.5, low=0, open=True)
    share: float = qd.parameter(0.5, low=0, high=1)
    rates: jax.Array = qd.parameter([0.2, 0.3], low=0)
    energy: float = qd.parameter(0.7)

    @qd.structured
    def generator(self):
        s = qd.Space(left=qd.Fermions("c"), right=qd.Fermions("c"))
        hop, leads = s.left.c.dag @ s.right.c, zip(("left", "right"), (self.T_left, self.T_right), self.rates, strict=True)
        jumps = {k: qd.lead_jumps(getattr(s, k).c, self.energy, qd.FermionicLead(1 / T, 0.1, rate)) for k, T, rate in leads}
        return qd.Lindblad(self.energy * (s.left.n + s.right.n) + self.share * (hop + hop.dag), jumps)

    def plain(self):
        generator = self.generator()
        return qd.current(qd.steady_state(generator), generator.space.left.n + generator.space.right.n, "left")

    @qd.merit(symbol="I", unit="rate", source="rate of hopping, coherences eliminated")
    def current(self):
        """Electrons per time from the left lead."""
        return self.plain()

    @qd.merit(symbol="c", unit="1", source="a comparison")
    def colder(self):
        """Which a parameter that is NaN would pass silently."""
        return jnp.where(self.T_left > self.T_right, 1.0, -1.0)


def current(T_left=2.0, T_right=0.5, share=0.5, rates=(0.2, 0.3), energy=0.7):
    a, b = rates
    return (fermi((energy - 0.1) / T_left) - fermi((energy - 0.1) / T_right)) * 4 * share**2 * a * b / ((a + b) * (a * b + 4 * share**2))


def moved(**changes):
    """The model with values that were not looked at when it was made, as those of a search are not."""
    names = list(changes)
    return eqx.tree_at(lambda m: [getattr(m, k) for k in names], Dots(), [jnp.asarray(v, float) for v in changes.values()])


BAD = {
    "T_left": (-1.0, "T_left must be above 0"),
    "T_right": (0.0, "T_right must be above 0"),
    "share": (1.0000001, "share must be between 0 and 1"),
    "rates": ([0.2, -0.3], "rates must be at least 0"),
    "energy": (np.inf, "energy must be finite"),
}
GOOD = {"T_left": 3.0, "T_right": 0.4, "share": 1.0, "rates": [0.1, 0.25], "energy": -0.3}


@pytest.mark.parametrize("name", BAD)
def test_parameters_of_a_model(name):
    """Made inside the compiled function: a bad lane is NaN beside the right value, and alone it is an error that names the parameter."""
    bad, sentence = BAD[name]

    def made(x):
        return Dots(**{name: x}).current()

    with qd.failures("nan"):
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(made)))(jnp.array([GOOD[name], bad], float))
    close(values[0], current(**{name: GOOD[name]}), 1e-11)
    assert np.isnan(values[1]) and np.isnan(slopes[1]).all() and np.isfinite(slopes[0]).all()
    with pytest.raises(RAISED, match=sentence):
        jax.block_until_ready(eqx.filter_jit(made)(jnp.array(bad, float)))


ONE = eqx.filter_jit(lambda model: model.current())
WAYS = {
    "a model made before": lambda name, bad: ONE(moved(**{name: bad})),
    "its gradient": lambda name, bad: jax.jit(jax.grad(lambda m: m.current()))(moved(**{name: bad})),
    "a method that is no merit": lambda name, bad: eqx.filter_jit(lambda x: Dots(**{name: x}).plain())(jnp.array(bad, float)),
    "a batch": lambda name, bad: jax.jit(jax.vmap(lambda x: Dots(**{name: x}).current()))(jnp.array([GOOD[name], bad], float)),
}


@pytest.mark.parametrize("name", ["T_left", "rates"])
@pytest.mark.parametrize("way", WAYS)
def test_ways_into_a_compiled_function(way, name):
    """Wherever the numbers come from, what a user reads is the sentence of the constructor."""
    with pytest.raises(RAISED, match=BAD[name][1]):
        jax.block_until_ready(jax.tree.leaves(WAYS[way](name, BAD[name][0])))
    close(ONE(moved(**{name: GOOD[name]})), current(**{name: GOOD[name]}), 1e-11)


def test_called_without_a_compiled_function():
    """The figure of merit itself, and its eager gradient: a `SolveError` of the same sentence."""
    for call in (lambda: moved(T_left=-1.0).current(), lambda: jax.grad(lambda T: Dots(T_left=T).current())(-1.0)):
        with pytest.raises(qd.SolveError) as error:
            call()
        assert str(error.value) == "T_left must be above 0"
    close(moved(T_left=3.0).current(), current(3.0), 1e-11)


def test_a_comparison_does_not_hide_it():
    """NaN compares as smaller than nothing and larger than nothing: the figure of merit is NaN nevertheless."""
    with qd.failures("nan"):
        found = jax.jit(jax.vmap(lambda T: Dots(T_left=T).colder()))(jnp.array([1.0, 0.25, -1.0]))
    assert found[:2].tolist() == [1.0, -1.0] and np.isnan(found[2])


def test_gradients_at_a_bound():
    """At the closed bound share = 1 and at rates of zero the slopes are those of the closed form."""
    slope = jax.jit(jax.grad(lambda m: m.current()))(Dots(share=1.0, rates=[0.2, 0.3]))
    a, b, h = 0.2, 0.3, 1e-6
    close(slope.share, (current(share=1.0) - current(share=1.0 - h)) / h, 1e-5)
    by_rate = [current(share=1.0, rates=(a + h, b)), current(share=1.0, rates=(a, b + h))]
    below = [current(share=1.0, rates=(a - h, b)), current(share=1.0, rates=(a, b - h))]
    close(slope.rates, (np.array(by_rate) - below) / (2 * h), 1e-7)
    at_zero = jax.jit(jax.grad(lambda m: m.current()))(Dots(rates=[0.0, 0.3]))
    # I = (f_l - f_r) G_l + O(G_l^2) for a weak left lead and a hopping that is not
    close(at_zero.rates[0], fermi(0.6 / 2.0) - fermi(0.6 / 0.5), 1e-11)


def test_nothing_is_called_on_the_host_where_failures_are_nan():
    """A batch runs without callbacks; outside of one there is one check for all parameters of the model."""

    def calls(function, argument, mode="raise"):
        with qd.failures(mode):
            return jax.jit(function).lower(argument).as_text().count("xla_ffi_python_cpu_callback")

    one = calls(lambda x: eqx.error_if(x, x < 0, "negative"), 1.0)
    assert one > 0 and calls(lambda m: m.colder(), Dots()) == one
    assert calls(lambda m: m.colder(), Dots(), "nan") == 0


# ---- studies ----------------------------------------------------------------------------------------------


class Cut(qd.Model):
    """A bath whose cutoff is what the parameter exceeds one by: none for a parameter below one."""

    x: float = qd.parameter(2.0)

    @qd.merit(symbol="p", unit="1", source="rates up and down")
    def up(self):
        """Population of the upper level."""
        return qubit(qd.BosonicBath(1.0, qd.baths.Ohmic(0.1, self.x - 1)))

    @qd.merit(symbol="k", unit="rate", source="n(1) J(1)")
    def absorption(self):
        """Of the bath at omega = 1: even in the cutoff, if that could be negative."""
        return qd.BosonicBath(1.0, qd.baths.Ohmic(0.1, self.x - 1)).absorption(1.0) * jnp.exp(-((self.x - 1) ** 2) / 8)


def test_a_sweep_with_a_point_beyond():
    """The point is NaN, with its reason; those beside it are right."""
    data = qd.sweep(Cut(), "up", x=[2.0, 0.0, 4.0])
    close(data.up.values[[0, 2]], [excited(drude(1.0), 1.0), excited(drude(3.0), 1.0)], 1e-12)
    assert np.isnan(data.up.values[1]) and data.failure.values.tolist() == [0, 1, 0]
    assert data.failure.attrs["reason_1"] == "cutoff must be a finite number above 0 (bath 'hot')"


def test_a_search_with_starts_beyond():
    """Half of the box is beyond, where the figure of merit would be the larger if a negative cutoff counted as a positive one."""
    # c^2/(1 + c^2) e^{-c^2/8} is largest where 1/(1 + s) = s/8, s = c^2
    s = brentq(lambda s: 8 - s * (1 + s), 0, 10)
    best = qd.optimize(Cut(), "absorption", {"x": (-3.0, 2.5)}, starts=8, steps=15)
    assert s > 1.5**2 and best.at_bound == {"x": "high"}
    close(best.value, 0.1 / np.expm1(1.0) * 2.25 / 3.25 * np.exp(-2.25 / 8), 1e-12)
    assert np.isnan(best.starts["first"][best.starts["begin"]["x"] < 1]).all()
