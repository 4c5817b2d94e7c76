"""Derivatives at random points, degenerate ones among them: forward = reverse, second ones symmetric, and differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from random_couplings import SHAPES
from random_devices import DEVICES, SPECIAL, draw

import qdiff as qd

COMPILER = {"xla_backend_optimization_level": 0}  # these programs are small: compile them fast


def local(name, x):
    return DEVICES[name](x)


@qd.structured
def secular(name, x):
    H, left, right = SHAPES[name](x[:12])
    cold, hot = (qd.BosonicBath(x[k], qd.baths.Ohmic(x[k + 2], 4.0)) for k in (12, 13))
    return qd.secular(H, {"left": (left, cold), "right": (right, hot)})


def merit(build, name):
    """The heat from the left bath, its noise, the entropy and a population, as one number."""

    def f(x):
        generator = build(name, x)
        state = qd.steady_state(generator)
        counts = qd.cumulants(state, "left", "energy" if build is secular else "quanta", order=2)
        heat = qd.heat_current(state, "left")
        return heat + counts[1] + qd.thermo.entropy(state.rho) + 0.3 * state.dense()[0, 0].real

    return f


def rates(_, x):
    """Four states in a ring and across, between two baths; energies that coincide."""
    energies = x[jnp.array([0, 1, 2, 0])]
    low, high = np.array([0, 1, 2, 3, 0, 0]), np.array([1, 2, 3, 0, 2, 3])
    jumps = {}
    for k, bath in enumerate(("left", "right")):
        found = qd.rates.thermal_transitions(low, high, energies[high] - energies[low], qd.BosonicBath(x[12 + k], qd.baths.Ohmic(1.0, 4.0)))
        jumps[bath] = [(s, t, x[6 + 2 * k] ** 2 * x[7 + 2 * k] ** 2 * r) for s, t, r in found]
    return qd.rates.Rates(energies, jumps)


def classical_merit(x):
    equation = rates(None, x)
    p = equation.steady_state()
    return equation.heat_currents(p)["left"] - jnp.sum(p * jnp.log(p)) + equation.evolve(jnp.array([1.0, 0, 0, 0]), [0.7])[0, 2]


CASES = {
    "rates": classical_merit,
    "local fermions": merit(local, "fermions"),
    "local oscillators": merit(local, "oscillators"),
    "secular crossing": merit(secular, "crossing"),
    "secular identical": merit(secular, "identical"),
    "secular levels": merit(secular, "levels"),
}


@functools.cache
def program(name):
    f = CASES[name]

    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x, v):
        forward = functools.partial(jax.jvp, f, (x,))((v,))
        reverse, second = jax.jvp(jax.grad(f), (x,), (v,))
        return *forward, reverse, second

    return run


def check(one, other, v, w, difference):
    """What `program` gives at one point in the directions v and w, and a difference quotient along v."""
    (_, slope, reverse, second), (_, other_slope, other_reverse, other_second) = one, other
    size, curvature = np.abs(reverse).max(), max(np.abs(second).max(), np.abs(other_second).max())
    assert size > 1e-3 and curvature > 1e-3
    close(reverse, other_reverse, 1e-14, size)
    close([slope, other_slope], [reverse @ v, reverse @ w], 1e-12, size)
    close(w @ second, v @ other_second, 1e-12, curvature)
    close(difference, slope, 1e-6, max(size, curvature))


@pytest.mark.parametrize("name", sorted(CASES))
def test_forward_reverse_symmetric(name, counted):
    """In two random directions. Derivatives are solves with the same factors: twelve digits, at conditions up to 1e3.

    Differences have an error of h^2 = 1e-9 times third derivatives, and eps/h = 1e-11 times condition.
    """
    rng = np.random.default_rng(sorted(CASES).index(name))
    for _ in range(10):
        x, (v, w) = draw(rng), rng.choice([-1.0, 1.0], (2, 16))
        if name == "secular crossing":  # links of zz, which do not keep levels apart
            x[3:5] = rng.choice(SPECIAL, 2)
        run, h = program(name), 3e-5
        difference = (run(x + h * v, v)[0] - run(x - h * v, v)[0]) / (2 * h)
        check(jax.tree.map(np.asarray, run(x, v)), jax.tree.map(np.asarray, run(x, w)), v, w, difference)
        counted("random systems")


def test_the_check_can_fail():
    """A reverse gradient off by 1e-11, a Hessian with an antisymmetric share of 1e-11, a slope off by 1e-5."""
    H, x = np.diag([1.0, 2.0, 3.0]) + 0.5, np.ones(3)
    v, w = np.array([1.0, 1, -1]), np.array([1.0, -1, 1])

    def given(v, H=H, reverse=0.0, slope=0.0):
        return 0.0, H @ x @ v + slope, H @ x + reverse * v, H @ v

    good = given(v), given(w), v, w, H @ x @ v
    check(*good)
    turn = np.array([[0, 1e-11, 0], [-1e-11, 0, 0], [0, 0, 0]])
    wrong = [(given(v, reverse=1e-11), given(w, reverse=1e-11)), (given(v, H + turn), good[1]), (given(v, slope=1e-5), good[1])]
    for one, other in wrong:
        with pytest.raises(AssertionError):
            check(one, other, *good[2:])
