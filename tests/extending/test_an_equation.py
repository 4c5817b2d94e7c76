"""An equation of one's own, as CONTRIBUTING says: the mean field of a driven cavity with two-level atoms on resonance."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from helpers import close
from jax import lax

import qdiff as qd
from qdiff.operators.checks import Checked, Real, checked_times
from qdiff.results import Failure, check

_NOT_FOUND = Failure("the mean field was not found: a parameter is infinite or NaN, or the drive is at the edge of bistability")


class MaxwellBloch(qd.AbstractGenerator, Checked):
    """Field x, polarisation p and inversion w, with rates in units of the atoms' linewidth.

    dx/dt = kappa (y - x - 2 C p),    dp/dt = x w - p,    dw/dt = gamma (1 - w - x p)
    """

    y: jax.Array
    C: jax.Array
    kappa: jax.Array
    gamma: jax.Array
    arguments = {"y": Real("y"), "C": Real("C", low=0), "kappa": Real("kappa", low=0, open=True), "gamma": Real("gamma", low=0, open=True)}

    @property
    def speed(self):
        """The right-hand side, as a function of the state (3,)."""
        return lambda state: self._speed(*state)

    def _speed(self, x, p, w):
        return jnp.stack([self.kappa * (self.y - x - 2 * self.C * p), x * w - p, self.gamma * (1 - w - x * p)])

    def steady_state(self):
        """The state (3,) that an undriven cavity comes to: Newton's method, differentiated by the implicit function theorem."""

        def newton(speed, state):
            return lax.fori_loop(0, 30, lambda _, s: s - jnp.linalg.solve(jax.jacfwd(speed)(s), speed(s)), state)

        def linear(change, right):
            return jnp.linalg.solve(jax.jacfwd(change)(jnp.zeros(3)), right)

        state = lax.custom_root(self.speed, jnp.array([0.0, 0.0, 1.0]), newton, linear)
        wrong = ~(jnp.max(jnp.abs(self.speed(state))) < 1e-10)
        return check(state, *((f.there, Failure(f.sentence, ValueError)) for f in self.faults), (wrong, _NOT_FOUND))

    def evolve(self, initial, times):
        """The states (k, 3) at times in ascending order, from `initial` at time zero."""
        times = checked_times(times)
        saved = diffrax.SaveAt(ts=times)
        control = diffrax.PIDController(rtol=1e-10, atol=1e-12)
        term = diffrax.ODETerm(lambda t, state, args: self.speed(state))
        return diffrax.diffeqsolve(term, diffrax.Tsit5(), 0.0, times[-1], None, initial, saveat=saved, stepsize_controller=control).ys


def drive(x, C):
    """The state equation of Bonifacio and Lugiato, Lett. Nuovo Cimento 21, 505 (1978)."""
    return x * (1 + 2 * C / (1 + x**2))


def field(y, C):
    return qd.steady_state(MaxwellBloch(y, C, 0.5, 1.5))[0]


@pytest.mark.parametrize(("x", "C"), [(0.0, 3.0), (0.3, 2.0), (1.0, 3.0), (4.0, 1.0)])
def test_its_steady_state_has_derivatives(x, C):
    """x of y solves y = x (1 + 2 C/(1 + x^2)); first and second derivatives are those of the inverse function."""
    y, slope = drive(x, C), jax.grad(drive)(x, C)
    close(field(y, C), x, 1e-12, 1.0)
    close(jax.jit(jax.grad(field))(y, C), 1 / slope, 1e-11)
    close(jax.jacfwd(field)(y, C), 1 / slope, 1e-11)
    close(jax.grad(field, 1)(y, C), -jax.grad(drive, 1)(x, C) / slope, 1e-11, 1.0)
    close(jax.hessian(field)(y, C), -jax.hessian(drive)(x, C) / slope**3, 1e-9, 1.0)
    close(jax.vmap(field, (0, None))(jnp.array([y, y]), C), [x, x], 1e-12, 1.0)


def test_its_evolution_ends_there():
    """At late times, from an empty cavity; at once the field grows by kappa y."""
    cavity = MaxwellBloch(2.0, 1.5, 0.5, 1.5)
    early, late = qd.evolve(cavity, jnp.array([0.0, 0.0, 1.0]), [1e-6, 80.0])
    close(late, qd.steady_state(cavity), 1e-8)
    close(early[0], 0.5 * 2.0 * 1e-6, 1e-6)

    def last(y):
        return qd.evolve(MaxwellBloch(y, 1.5, 0.5, 1.5), jnp.array([0.0, 0.0, 1.0]), [80.0])[0, 0]

    close(jax.grad(last)(2.0), jax.grad(field)(2.0, 1.5), 1e-7)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="kappa must be a finite number above 0, but was -1"):
        MaxwellBloch(2.0, 1.5, -1.0, 1.5)
    with pytest.raises((eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError), match="C must be a finite number"):
        jax.block_until_ready(eqx.filter_jit(field)(jnp.array(1.0), jnp.array(-1.0)))
    with qd.failures("nan"):
        assert jnp.isnan(jax.jit(jax.grad(field))(1.0, jnp.nan))
    with pytest.raises(TypeError, match="MaxwellBloch has no relaxation to solve for"):
        qd.relax(MaxwellBloch(2.0, 1.5, 0.5, 1.5))
    with pytest.raises(TypeError, match="MaxwellBloch cannot depend on time"):
        qd.evolve(lambda t: MaxwellBloch(t, 1.5, 0.5, 1.5), jnp.zeros(3), [1.0])
