"""A solver of one's own, as CONTRIBUTING says: by the inverse matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd


class ByInverse(qd.solvers.AbstractSolver):
    """The whole inverse, which nobody should want: it is what ten lines can do."""

    def factor(self, places, values):
        G = jnp.zeros((places.size, places.size)).at[places.target, places.source].set(values)
        return jnp.linalg.inv(G - 2e-14 * jnp.max(jnp.abs(values)) * jnp.eye(places.size))

    def solve(self, places, factors, r):
        return factors @ r

    def solve_T(self, places, factors, r):
        return factors.T @ r


PAIR = qd.Space(a=qd.Spin(), b=qd.Boson(4))


def generator(x):
    a, b = PAIR.a, PAIR.b
    H = x[0] * a.z + b.n + x[1] * (a.plus @ b.a + a.minus @ b.a.dag)
    return qd.Lindblad(H, {"hot": [(0.3, a.minus), (x[2], a.plus)], "cold": (0.2, b.a)})


def current(x, solver=None):
    g = generator(x)
    state = qd.steady_state(g, solver)
    return qd.heat_current(state, "cold")


@pytest.mark.parametrize("x", [jnp.array([0.5, 0.3, 0.1]), jnp.array([0.5, 0.3, 0.0]), jnp.array([1e-3, 20.0, 1e-6])])
def test_it_is_held_to_what_the_others_are(x):
    """State, estimates and noise to 1e-13 of those of `Dense`; derivatives forward, reverse, in a batch and to second order."""
    states = [qd.steady_state(generator(x), solver) for solver in (ByInverse(), qd.solvers.Dense())]
    close(states[0].x, states[1].x, 1e-13)
    assert 0.1 < float(states[0].rcond / states[1].rcond) < 10 and float(states[0].residual) < 1e-14
    mine, dense = (lambda x, solver=solver: current(x, solver) for solver in (ByInverse(), qd.solvers.Dense()))
    size = float(jnp.max(jnp.abs(jax.grad(dense)(x))))
    close(jax.grad(mine)(x), jax.grad(dense)(x), 1e-11, size)
    close(jax.jacfwd(mine)(x), jax.grad(mine)(x), 1e-11, size)
    batch = jnp.stack([x, x + 0.1])
    close(jax.vmap(jax.grad(mine))(batch), [jax.grad(mine)(y) for y in batch], 1e-11)


def test_second_order():
    x = jnp.array([0.5, 0.3, 0.1])
    second = jax.jit(jax.hessian(lambda x: current(x, ByInverse())))(x)
    close(second, second.T, 1e-10)
    close(second, derivative(jax.jit(jax.grad(current)), np.asarray(x)), 1e-8)


def test_cumulants_take_it():
    g = generator(jnp.array([0.5, 0.3, 0.1]))
    state = qd.steady_state(g)
    close(*(qd.cumulants(state, "cold", PAIR.b.n, order=3, solver=solver) for solver in (ByInverse(), qd.solvers.Dense())), 1e-11)


def test_a_solver_that_solves_nothing_is_refused():
    """What it returns is refined, and its residual is looked at: a wrong inverse is an error, not a wrong state."""

    class Wrong(ByInverse):
        def factor(self, places, values):
            return jnp.eye(places.size)

    with pytest.raises(qd.SolveError, match="the steady state"):
        qd.steady_state(generator(jnp.array([0.5, 0.3, 0.1])), Wrong())
