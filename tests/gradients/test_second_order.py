"""Second derivatives exactly at degenerate points: forward over reverse, against extrapolated differences of the gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd
from qdiff.models.base import sharing

QUICK = {"xla_backend_optimization_level": 0}  # these programs run a few times: compile them fast
PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())


def compiled(f):
    """f, its gradient and its Hessian by forward over reverse, as programs of x (n,)."""
    gradient = jax.grad(f)
    return tuple(jax.jit(g, compiler_options=QUICK) for g in (f, gradient, jax.jacfwd(gradient)))


def agree(programs, x, h, first=1e-8, second=1e-7):
    """Gradient against differences of the value, Hessian against those of the gradient and its own transpose."""
    value, gradient, hessian = programs
    x = np.asarray(x, float)
    got = np.asarray(hessian(x))
    unit = np.where(np.abs(x) > 0.1, np.abs(x), 0.1)  # the steps of `derivative`: parameters count in units of their size
    close(gradient(x) * unit, derivative(value, x, h) * unit, first)
    close(got * unit[:, None] * unit, derivative(gradient, x, h) * unit[:, None] * unit, second)
    close(got, got.T, 1e-9)
    return got


def heat(generator):
    return qd.heat_current(qd.steady_state(generator), "hot")


def baths(cold, hot, beta=2.0):
    return {"cold": (cold, qd.BosonicBath(beta, qd.baths.Ohmic(0.1))), "hot": (hot, qd.BosonicBath(0.3, qd.baths.Ohmic(0.2)))}


@qd.structured
def exchange(B1, B2, lam, beta):
    hop = PAIR.a.plus @ PAIR.b.minus
    H = B1 * PAIR.a.z + B2 * PAIR.b.z + lam * (hop + hop.dag)
    return qd.secular(H, baths(PAIR.a.x, PAIR.b.x, beta))


@qd.structured
def crossing(B1, B2, J, beta):
    H = B1 * PAIR.a.z + B2 * PAIR.b.z + J * PAIR.a.z @ PAIR.b.z
    return qd.secular(H, baths(PAIR.a.x, PAIR.b.x + 0.4 * PAIR.a.x, beta))


@qd.structured
def turned(B1, B2, J, beta):
    H = B1 * PAIR.a.x + B2 * PAIR.b.x + J * PAIR.a.x @ PAIR.b.x
    return qd.secular(H, baths(PAIR.a.z, PAIR.b.z + 0.4 * PAIR.a.z, beta))


@qd.structured
def three_levels(E1, E2, g, beta):
    """Two upper levels, coupled to each other by g and to the ground state by two baths."""
    atom = qd.Space(atom=qd.Levels("g", "1", "2")).atom
    mix = atom.transition("1", "2")
    down1, down2 = atom.transition("g", "1"), atom.transition("g", "2")
    H = E1 * atom.projector("1") + E2 * atom.projector("2") + g * (mix + mix.dag)
    return qd.secular(H, baths(down1 + 0.2 * down2, down2, beta))


PROGRAMS = {f: compiled(lambda x, f=f: heat(f(*x))) for f in (exchange, crossing, turned, three_levels)}


@pytest.mark.parametrize("lam, h", [(0.3, 1e-2), (0.02, 1e-3)])
def test_resonant_qubits_with_a_small_exchange(lam, h):
    """B1 = B2: the levels are lam apart and curve over lam, so that steps are smaller than lam."""
    agree(PROGRAMS[exchange], (0.8, 0.8, lam, 2.0), h, 1e-7, 1e-6)


@pytest.mark.parametrize("build", [crossing, turned], ids=["open", "turned"])
@pytest.mark.parametrize("x", [(0.8, 0.8, 0.25, 2.0), (0.8, 0.8, 0.0, 2.0), (0.8, 0.55, 0.55, 0.3)], ids=["crossing", "double", "lines"])
def test_uncoupled_levels_that_cross(build, x):
    """Levels of different blocks, open or hidden in one, that coincide; lines that coincide; equal temperatures."""
    agree(PROGRAMS[build], x, 1e-2)


@pytest.mark.parametrize("g", [0.2, 0.02])
def test_resonant_upper_levels(g):
    """A doublet of a three-level system exactly at resonance."""
    agree(PROGRAMS[three_levels], (1.0, 1.0, g, 2.0), 0.05 * g, 1e-6, 1e-5)


def test_the_check_can_fail():
    """A gradient that leaves out 1e-5 of the field's effect does not agree with the differences."""
    wrong = compiled(lambda x: heat(exchange(x[0], jax.lax.stop_gradient(x[1]) * 1e-5 + x[1] * (1 - 1e-5), x[2], x[3])))
    with pytest.raises(AssertionError):
        agree(wrong, (0.8, 0.8, 0.3, 2.0), 1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes, h",
    [({"B1": 6.0, "B2": 6.0, "lam": 0.05}, 2e-4), ({"B1": 4.0, "B2": 10.0, "lam": 0.05, "beta1": 0.05, "beta2": 0.05}, 2e-3)],
    ids=["resonant qubits", "one temperature"],
)
def test_rotor_rectifier(changes, h):
    """Heat currents and momentum of the rotor device at inertia 1, where uncoupled levels coincide by the dozen."""
    names = ["B1", "B2", "lam", "chi", "inertia", "beta1", "beta2"]
    at = {"lam": 0.4, "gamma": 0.02, "chi": 0.15, "inertia": 1.0, "l_min": -2, "l_max": 2} | changes
    model = qd.models.RotorRectifier(**at)

    def f(x):
        m = eqx.tree_at(lambda m: [getattr(m, n) for n in names], model, list(x))
        with sharing():
            return m.heat_current_forward() + 3 * m.heat_current_reverse() + 0.1 * m.angular_momentum_forward()

    agree(compiled(f), jnp.stack([getattr(model, n) for n in names]), h, 1e-7, 1e-6)
