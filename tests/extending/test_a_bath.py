"""A bath of one's own, as CONTRIBUTING says: a squeezed reservoir, in Lindblad, secular and rate equations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from jax.typing import ArrayLike

import qdiff as qd
from qdiff.baths.occupation import omega_bose
from qdiff.operators.checks import Real, real_array


class SqueezedBath(qd.baths.AbstractBath):
    """Modes of flat density J, squeezed by r: N = n cosh 2r + sinh^2 r quanta at each frequency (without their coherences)."""

    beta: ArrayLike
    rate: ArrayLike
    r: ArrayLike
    arguments = {"beta": Real("beta", low=0, open=True), "rate": Real("rate", low=0), "r": Real("r")}

    def absorption(self, omega):
        omega = real_array("omega", omega)
        squeezed = omega_bose(omega, self.beta) / omega * jnp.cosh(2 * self.r) + jnp.sinh(self.r) ** 2
        return self.rate * jnp.sign(omega) * squeezed  # at negative frequencies: n is -(n + 1), and N is -(N + 1)

    def emission(self, omega):
        return self.absorption(-real_array("omega", omega))


Q = qd.Space(q=qd.Spin()).q


def local(bath):
    return qd.steady_state(qd.Lindblad(Q.z, {"bath": qd.thermal_jumps(Q.minus, 2.0, bath)})).expect(Q.up)


def secular(bath):
    return qd.steady_state(qd.secular(Q.z, {"bath": (Q.x, bath)})).expect(Q.up)


def rates(bath):
    return qd.rates.Rates([0.0, 2.0], {"bath": qd.rates.thermal_transitions(0, 1, 2.0, bath)}).steady_state()[1]


def excited(beta, r):
    """N/(2 N + 1)."""
    N = np.cosh(2 * r) / np.expm1(2 * beta) + np.sinh(r) ** 2
    return N / (2 * N + 1)


@pytest.mark.parametrize("solve", [local, secular, rates])
def test_it_goes_wherever_a_bath_goes(solve):
    """The population of N quanta, with its derivatives; a wrong traced number is refused (by name, but in rate equations)."""

    def of(x):
        return solve(SqueezedBath(x[0], 0.1, x[1]))

    x = jnp.array([0.7, 0.4])
    close(of(x), excited(*x), 1e-12)
    step = 1e-5
    slopes = [(excited(*(x + d)) - excited(*(x - d))) / (2 * step) for d in step * np.eye(2)]
    close(jax.jit(jax.grad(of))(x), slopes, 1e-8)
    close(jax.jacfwd(of)(x), jax.grad(of)(x), 1e-12)
    close(jax.vmap(of)(jnp.stack([x, 2 * x])), [excited(*x), excited(*(2 * x))], 1e-12)
    said = "rate is infinite or NaN" if solve is rates else r"beta must be a finite number above 0 \(bath 'bath'\)"
    with pytest.raises((eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError), match=said):
        jax.block_until_ready(eqx.filter_jit(of)(jnp.array([-0.7, 0.4])))


@pytest.mark.parametrize("solve", [local, secular, rates])
def test_what_is_no_bath_is_refused(solve):
    with pytest.raises(TypeError, match=r"must be a bath such as BosonicBath\(beta, spectrum\), but was 0.1"):
        solve(0.1)
