"""Derivatives of an evolution: in the generator, the initial state and the times, every way that each solver has."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd

QUICK = {"xla_backend_optimization_level": 0}  # these programs run a few times: compile them fast
S = qd.Space(a=qd.Spin(), b=qd.Spin())
DIAGONAL = qd.Space(q=qd.Spin()).q.z.pattern
X = np.array([1.0, 1.3, 0.25, 0.3, 0.1, 0.05, 0.6])  # energies, exchange, rates, dephasing, population of the first state
TIMES = np.array([0.7, 3.0, 3.0, 11.0])


@qd.structured
def generator(w1, w2, g, k1, k2, k3):
    swap = S.a.plus @ S.b.minus
    H = w1 * S.a.up + w2 * S.b.up + g * (swap + swap.dag)
    return qd.Lindblad(H, {"a": [(k1, S.a.minus), (0.4 * k1, S.a.plus)], "b": (k2, S.b.minus), "noise": (k3, S.b.z)})


def observed(x, times=TIMES, solver=None):
    """A current-like coherence and a population at all times, with cosines of their order as weights: one number."""
    initial = S.state(a=qd.Operator(DIAGONAL, jnp.stack([x[6], 1 - x[6]])), b="down")
    swap = 1j * (S.a.plus @ S.b.minus)
    asked = [swap + swap.dag, S.a.up]
    seen = jnp.stack(qd.evolve(generator(*x[:6]), initial, times, solver=solver, expect=asked, states=False).expectations)
    return jnp.sum(seen * jnp.cos(jnp.arange(seen.size)).reshape(seen.shape))


value = jax.jit(observed, compiler_options=QUICK)
gradient = jax.jit(jax.grad(observed), compiler_options=QUICK)


def test_first_order_of_the_propagator():
    """Reverse against differences of step 1e-2, extrapolated twice (1e-10), and forward against reverse."""
    reverse = gradient(X)
    close(reverse, derivative(lambda x: value(jnp.array(x)), X), 1e-9)
    close(jax.jit(jax.jacfwd(observed), compiler_options=QUICK)(X), reverse, 1e-12)


def test_second_order_of_the_propagator():
    """Forward over reverse, reverse over forward, and differences of gradients."""
    hessian = jax.jit(jax.hessian(observed), compiler_options=QUICK)(X)
    close(hessian, hessian.T, 1e-12)
    close(hessian, derivative(lambda x: gradient(jnp.array(x)), X), 1e-8)
    other = jax.jit(jax.jacrev(jax.jacfwd(observed)), compiler_options=QUICK)(X)
    close(other, hessian, 1e-12)


def test_in_times():
    """First and second derivatives in the times are those of differences; those in a first time of zero exist."""
    f = jax.jit(lambda t: observed(X, t), compiler_options=QUICK)
    slope = jax.jit(jax.grad(lambda t: observed(X, t)), compiler_options=QUICK)
    times = np.array([0.5, 1.0, 4.0, 9.0])
    close(slope(times), derivative(lambda t: f(jnp.array(t)), times), 1e-9)
    second = jax.jit(jax.hessian(lambda t: observed(X, t)), compiler_options=QUICK)(times)
    close(second, derivative(lambda t: slope(jnp.array(t)), times), 1e-8)
    early = slope(np.array([0.0, 0.0, 1.0, 2.0]))
    assert np.all(np.isfinite(early)) and np.all(np.abs(early) > 1e-6)


def test_batches_of_gradients():
    """vmap of gradients, and gradients of vmap, are loops."""
    many = np.stack([X, 1.2 * X, X * np.array([1, 1, 0, 1, 1, 0, 1])])
    loop = np.stack([gradient(x) for x in many])
    with qd.failures("nan"):
        close(jax.jit(jax.vmap(jax.grad(lambda x: observed(x))), compiler_options=QUICK)(many), loop, 1e-12)
        summed = jax.jit(jax.grad(lambda xs: jnp.sum(jax.vmap(lambda x: observed(x))(xs))), compiler_options=QUICK)
        close(summed(many), loop, 1e-12)


OTHERS = {
    "action": (qd.solvers.Action(), jax.grad, 1e-12),
    "action forward": (qd.solvers.Action(gradient="forward"), jax.jacfwd, 1e-12),
    "explicit": (qd.solvers.Explicit(), jax.grad, 3e-7),
    "explicit forward": (qd.solvers.Explicit(gradient="forward"), jax.jacfwd, 3e-7),
    "explicit both": (qd.solvers.Explicit(gradient="both", max_steps=256), jax.jacfwd, 3e-7),
    "explicit both reverse": (qd.solvers.Explicit(gradient="both", max_steps=256), jax.grad, 3e-7),
    "stiff": (qd.solvers.Stiff(rtol=1e-7, atol=1e-9), jax.grad, 1e-5),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_solvers(name):
    """Each in its own direction, to its tolerance, against the propagator."""
    solver, way, tolerance = OTHERS[name]
    got = jax.jit(way(lambda x: observed(x, solver=solver)), compiler_options=QUICK)(X)
    close(got, gradient(X), tolerance)


def test_generator_that_depends_on_time():
    """In a parameter that the function of time closes over, reverse and forward, against differences."""
    q = qd.Space(q=qd.Spin()).q

    def f(x, solver):
        def generator(t):
            return qd.Lindblad(x[0] * jnp.cos(x[1] * t) * q.x + 0.4 * q.z, {"b": (x[2] * jnp.exp(-0.1 * t), q.minus)})

        return qd.evolve(generator, {"q": "up"}, [1.0, 5.0], solver=solver, expect=q.z).expectations[-1]

    x = np.array([0.5, 1.1, 0.2])
    tight = qd.solvers.Explicit(rtol=1e-10, atol=1e-12)
    g = jax.jit(lambda x: f(x, tight), compiler_options=QUICK)
    want = derivative(lambda x: g(jnp.array(x)), x)
    close(jax.jit(jax.grad(lambda x: f(x, qd.solvers.Explicit())))(x), want, 1e-6)
    close(jax.jit(jax.jacfwd(lambda x: f(x, qd.solvers.Explicit(gradient="forward"))))(x), want, 1e-6)


ENGINE = {"lam": 0.4, "gamma": 0.02, "inertia": 0.8, "chi": 0.15, "l_min": -5, "l_max": 6}


def late(model):
    return model.evolution(jnp.array([1e8])).expect(model.space.wheel.L)[0]


def parameters(slope):
    return np.array([float(getattr(slope, n)) for n, p in type(slope).parameters().items() if not p.static])


def test_late_gradients_meet_the_implicit_ones():
    """Through 1e10 times the fastest rate's inverse, first and second derivatives are those of the steady state."""
    model = qd.models.RotorEngine(**ENGINE)
    steady = jax.jit(jax.value_and_grad(lambda m: m.angular_momentum()), compiler_options=QUICK)(model)
    reverse = jax.jit(jax.value_and_grad(late), compiler_options=QUICK)(model)
    close(reverse[0], steady[0], 1e-12)
    close(parameters(reverse[1]), parameters(steady[1]), 1e-10)

    def along(f):
        return lambda chi: f(eqx.tree_at(lambda m: m.chi, model, chi))

    forward = jax.jit(jax.jacfwd(jax.jacfwd(along(late))), compiler_options=QUICK)(0.15)
    want = jax.jit(jax.grad(jax.grad(along(lambda m: m.angular_momentum()))), compiler_options=QUICK)(0.15)
    close(forward, want, 1e-9)


def test_at_degenerate_points():
    """No coupling, no load, all levels of the rotor crossing: derivatives are those of differences, and finite."""
    names = ("lam", "gamma", "chi", "B2", "beta2")

    def f(x, times):
        model = qd.models.RotorEngine(l_min=-3, l_max=3, inertia=1.0)
        model = eqx.tree_at(lambda m: [getattr(m, n) for n in names], model, list(x))
        return jnp.sum(model.evolution(times).expect(model.space.wheel.L + 0.1 * model.space.wheel.L2))

    times = jnp.array([0.3, 20.0])
    go = jax.jit(lambda x: f(x, times), compiler_options=QUICK)
    slope = jax.jit(jax.grad(lambda x: f(x, times)), compiler_options=QUICK)
    k = names.index("gamma")
    for x in ([0.0, 0.0, 0.0, 10.0, 0.02], [0.1, 0.0, 1.0, 4.0, 0.1]):
        want = derivative(lambda y: go(jnp.insert(jnp.array(y), k, 0.0)), np.delete(x, k), h=2e-3)
        # The friction rate may not be negative: a polynomial through values on its side of zero.
        steps = 1e-4 * np.arange(8)
        values = [go(jnp.array(x).at[k].set(s)) for s in steps]
        there = np.polyfit(steps / steps[-1], values, 7)[-2] / steps[-1]
        close(slope(jnp.array(x)), np.insert(want, k, there), 1e-8)
