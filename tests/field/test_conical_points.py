"""Levels that repel elsewhere and meet here: secular equations, Gibbs states, and what follows from them.

Right values: the Davies generator in NumPy with degenerate Bohr frequencies kept together, its null vector, and Gibbs states
and their derivatives in 40 digits (mpmath).
"""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from helpers import close, davies, flow, null_state, ohmic, random_hermitian, rates, unitary

import qdiff as qd

QUICK = {"xla_backend_optimization_level": 0}
LEVELS = {"double": [0.0, 1.0, 1.0, 2.6], "triple": [0.3, 0.3, 0.3, 1.7], "two pairs": [0.0, 0.0, 1.3, 1.3], "lowest": [0.0, 0.0, 0.9, 2.0]}
CASES = [(name, seed) for name in LEVELS for seed in (0, 1, 2)]
SPACE = qd.Space(q=qd.Levels(4))
BETA, STRENGTH = {"hot": 0.3, "cold": 2.0}, {"hot": 0.2, "cold": 0.1}


def system(name, seed):
    """H at the point, the direction away from it, and the couplings of the two baths; all generic."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))[0]
    H0 = U @ np.diag(LEVELS[name]) @ U.conj().T
    return (H0 + H0.conj().T) / 2, random_hermitian(rng, 4), {b: random_hermitian(rng, 4) for b in BETA}


def built(H0, H1, couplings):
    op = SPACE.operator

    def build(x):
        baths = {b: (op(couplings[b]), qd.BosonicBath(BETA[b], qd.baths.Ohmic(STRENGTH[b]))) for b in BETA}
        return qd.secular(op(H0) + x * op(H1), baths)

    return build


def heat(build):
    def f(x):
        generator = build(x)
        return qd.heat_current(qd.steady_state(generator), "hot")

    return f


def reference(H, couplings):
    """The heat current from the hot bath, by NumPy."""
    parts = {b: davies(H, couplings[b], rates(BETA[b], ohmic(STRENGTH[b]))[0]) for b in BETA}
    return flow(parts["hot"], null_state(unitary(H) + sum(parts.values())), H)


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_at_the_point_an_equation_in_a_parameter_is_refused(name, seed):
    """Compiled, differentiated and as `structured`: an error each; NaN in a batch, beside the right value of its neighbour."""
    H0, H1, couplings = system(name, seed)
    build = built(H0, H1, couplings)
    f = heat(build)
    with qd.failures("nan"):
        here, there = jax.jit(jax.vmap(f), compiler_options=QUICK)(jnp.array([0.0, 0.02]))
    assert np.isnan(here)
    close(there, reference(H0 + 0.02 * H1, couplings), 1e-9)
    with pytest.raises(Exception, match="conical point"):
        jax.block_until_ready(jax.jit(f, compiler_options=QUICK)(0.0))
    with pytest.raises(Exception, match="conical point"):
        heat(qd.structured(build))(0.0)
    if seed == 0:
        with pytest.raises(Exception, match="conical point"):
            jax.grad(f)(0.0)


@pytest.mark.parametrize("name", LEVELS)
def test_plain_numbers_are_what_they_are(name):
    """Equal levels that are known to be equal keep the coherences between them: a unique equation, whatever LAPACK's eigenvectors."""
    H0, H1, couplings = system(name, 3)
    values = np.linalg.eigvalsh(H0)
    assert np.min(np.diff(values)) < 1e-14
    close(heat(built(H0, H1, couplings))(0.0), reference(H0, couplings), 1e-9)


def test_levels_that_all_but_meet():
    """Distances of 1e-10 are refused as well; of 1e-3 they are solved, compiled or not."""
    H0, H1, couplings = system("double", 4)
    f = heat(built(H0, H1, couplings))
    compiled = jax.jit(f, compiler_options=QUICK)
    for g in (f, compiled):
        with pytest.raises(Exception, match="conical point"):
            jax.block_until_ready(g(1e-10))
        close(g(1e-3), reference(H0 + 1e-3 * H1, couplings), 1e-8)


def gibbs_of(name, seed):
    """Tr[O gibbs(H0 + x H1 + y H2, beta)] by qdiff, and in 40 digits."""
    H0, H1, others = system(name, seed)
    H2, O = others.values()  # noqa: E741

    def f(x):
        op = SPACE.operator
        return jnp.real(jnp.trace(qd.thermo.gibbs(op(H0) + x[0] * op(H1) + x[1] * op(H2), x[2]).dense() @ O))

    def exact(x):
        with mp.workdps(40):
            H = mp.matrix(H0.tolist()) + x[0] * mp.matrix(H1.tolist()) + x[1] * mp.matrix(H2.tolist())
            E = mp.expm(-x[2] * H)
            P = E * mp.matrix(O.tolist())
            return mp.re(sum(P[k, k] for k in range(4)) / sum(E[k, k] for k in range(4)))

    return f, exact


@pytest.mark.parametrize(("name", "seed"), [(name, 5) for name in LEVELS])
def test_gibbs_states_are_smooth(name, seed):
    """Value, gradient both ways and second derivatives at the point, against differences in 40 digits."""
    f, exact = gibbs_of(name, seed)
    x, step = [mp.mpf(0), mp.mpf(0), mp.mpf("1.3")], mp.mpf(10) ** -10

    def moved(*steps):
        return exact([a + sum(s for k, s in steps if k == j) for j, a in enumerate(x)])

    with mp.workdps(40):
        slopes = [float((moved((k, step)) - moved((k, -step))) / (2 * step)) for k in range(3)]
        curve = [
            [float(sum(s * t * moved((j, s * step), (k, t * step)) for s in (1, -1) for t in (1, -1)) / (4 * step**2)) for k in range(3)]
            for j in range(3)
        ]
    at = jnp.array([0.0, 0.0, 1.3])
    value, gradient, forward, hessian = jax.jit(lambda x: (f(x), jax.grad(f)(x), jax.jacfwd(f)(x), jax.hessian(f)(x)))(at)
    close(value, float(exact(x)), 1e-13, 1.0)
    close(gradient, slopes, 1e-13, 1.0)
    close(forward, slopes, 1e-13, 1.0)
    close(hessian, curve, 1e-12, 1.0)
