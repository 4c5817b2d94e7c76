"""Derivatives of `evolve` in the time it starts, the time it ends and the time of a jump, against SciPy.

Second derivatives are compared with differences of the first, which are right by then.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative, dissipator, unitary
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import qdiff as qd

q = qd.Space(q=qd.Spin()).q
X, Z, MINUS, UP = (np.asarray(A.dense()) for A in (q.x, q.z, q.minus, q.up))
RHO = np.array([[0.3, 0.1j], [-0.1j, 0.7]])
STANDING = unitary(0.7 * Z) + 0.1 * dissipator(MINUS)


def population(drive, start, last, solver, jumps=()):
    def generator(t):
        return qd.Lindblad(0.7 * q.z + drive(t) * q.x, {"loss": (0.1, q.minus)})

    run = qd.evolve(generator, RHO, last[None], expect=q.up, states=False, start=start, jumps=jumps, solver=solver)
    return run.expectations[0]


def up(rho):
    return float(np.real(np.trace(UP @ rho.reshape(2, 2))))


def test_a_curved_drive():
    """Amplitude, first and last time of a Gaussian that is cut at both ends: gradient and Hessian."""

    def by_scipy(p):
        def flow(t, rho):
            return (STANDING + p[0] * np.exp(-((t - 2) ** 2)) * unitary(X)) @ rho

        return up(solve_ivp(flow, (p[1], p[2]), RHO.ravel(), method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1])

    def f(p):
        return population(lambda t: p[0] * jnp.exp(-((t - 2) ** 2)), p[1], p[2], qd.solvers.Explicit(gradient="both"))

    p = jnp.array([0.9, 0.5, 3.7])
    gradient = jax.jit(jax.jacrev(f))
    value, forward, hessian = jax.jit(lambda p: (f(p), jax.jacfwd(f)(p), jax.jacfwd(gradient)(p)))(p)
    close(value, by_scipy(p), 1e-10)
    want = derivative(by_scipy, p)
    close(gradient(p), want, 1e-8)
    close(forward, want, 1e-8)
    close(hessian, derivative(gradient, p), 1e-7)


@pytest.mark.parametrize("given", [False, True], ids=["read off", "given"])
@pytest.mark.parametrize(
    ("solver", "within"),
    [(None, 1e-12), (qd.solvers.Explicit(), 1e-8), (qd.solvers.Action(), 1e-12), (qd.solvers.Stiff(), 1e-6)],
    ids=["default", "Explicit", "Action", "Stiff"],
)
def test_the_time_of_a_jump(solver, within, given):
    """A field that is switched on: the time of it, traced, and the last time. `jumps=` may name it too."""

    def by_scipy(p):
        return up(expm((p[1] - p[0]) * (STANDING + 0.4 * unitary(X))) @ expm(p[0] * STANDING) @ RHO.ravel())

    def f(p):
        return population(lambda t: jnp.where(t > p[0], 0.4, 0.0), 0.0, p[1], solver, p[:1] if given else ())

    p = jnp.array([1.3, 3.1])
    value, slopes = jax.jit(jax.value_and_grad(f))(p)
    close(value, by_scipy(p), within)
    close(slopes, derivative(by_scipy, p), within + 1e-11)
