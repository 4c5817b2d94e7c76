"""Random devices against QuTiP: stationary states, evolution, counting statistics, entropy and ergotropy.

QuTiP builds its own operators from the same numbers. One program for each kind of device, run at all points.
"""

import functools

import jax
import numpy as np
import pytest
import qutip as qt
from helpers import close, random_density
from random_devices import DEVICES, ORACLES, draw

import qdiff as qd

COMPILER = {"xla_backend_optimization_level": 0}  # these programs are small: compile them fast
TIMES = np.array([0.3, 2.0])
POINTS = 20


@functools.cache
def program(name):
    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x, rho, observable):
        generator = DEVICES[name](x)
        state = qd.steady_state(generator)
        later = qd.evolve(generator, rho, TIMES, expect=qd.Operator.from_dense(observable, generator.space))
        heat = qd.ledger(state).heat
        counts = qd.cumulants(state, "left", amounts(name), order=3)
        work = qd.thermo.ergotropy(later[-1].rho, generator.H)
        return state.dense(), heat, counts, later.expectations, later.dense(), qd.thermo.entropy(later[-1].rho), work

    return lambda *given: jax.tree.map(np.asarray, run(*given))


def amounts(name):
    """What each jump of the counted bath brings, as the oracle has it."""
    return tuple(float(q) for *_, q in ORACLES[name](np.ones(16))[1]["left"])


def liouvillian(H, baths):
    return qt.liouvillian(H, [np.sqrt(r) * A for jumps in baths.values() for r, A, _ in jumps])


def mesolve(H, baths, rho, observable):
    """QuTiP at tolerances well below those compared."""
    options = {"rtol": 1e-11, "atol": 1e-13, "nsteps": 10**6, "method": "adams", "progress_bar": "", "store_states": True}
    c_ops = [np.sqrt(r) * A for jumps in baths.values() for r, A, _ in jumps]
    run = qt.mesolve(H, rho, np.r_[0.0, TIMES], c_ops, e_ops=[observable], options=options)
    return [s.full() for s in run.states[1:]], run.expect[0][1:]


def countstat(L, jumps, steady):
    """Mean, noise and skewness of what these jumps bring; the last only if they bring one quantum or none.

    QuTiP's I_ops are jumps weighted by what they bring, its J_ops by the square; third moments it takes for the first.
    """
    gains = [r * qt.sprepost(A, A.dag()) for r, A, _ in jumps]
    first, second = ([sum(q**n * g for (*_, q), g in zip(jumps, gains, strict=True))] for n in (1, 2))
    c_ops = [np.sqrt(r) * A for r, A, _ in jumps]
    mean, noise, skewness = qt.countstat_current_noise(L, c_ops, rhoss=steady, I_ops=first, J_ops=second, sparse=True)
    found = [mean[0], noise[0, 0, 0].real, skewness[0, 0].real]
    return found if {q for *_, q in jumps} <= {-1, 0, 1} else found[:2]


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_random_devices(name, counted):
    """Twenty points each. QuTiP's direct solves are good to 1e-12 here, where decays differ by 1e3; its integrator to 1e-9."""
    rng = np.random.default_rng(sorted(DEVICES).index(name))
    for k in range(POINTS):
        x = draw(rng)
        H, baths = ORACLES[name](x)
        d = H.shape[0]
        rho, B = qt.Qobj(random_density(rng, d), dims=H.dims), rng.normal(size=(d, d)) + 1j * rng.normal(size=(d, d))
        B = qt.Qobj(B + B.conj().T, dims=H.dims)
        stationary, heat, counts, seen, later, entropy, work = program(name)(x, rho.full(), B.full())

        L = liouvillian(H, baths)
        steady = qt.steadystate(L)
        close(stationary, steady.full(), 1e-12, 1.0)
        size = sum(r * np.abs(A.full()).max() ** 2 for jumps in baths.values() for r, A, _ in jumps) * np.abs(H.full()).max() * d
        for bath, jumps in baths.items():
            flow = qt.expect(H, sum(r * qt.lindblad_dissipator(A)(steady) for r, A, _ in jumps))
            close(heat[bath], flow, 1e-13, size)

        states, expected = mesolve(H, baths, rho, B)
        close(later, states, 1e-9, 1.0)
        close(seen, expected, 1e-9, np.abs(B.full()).max() * d)
        levels, populations = np.linalg.eigvalsh(H.full()), np.linalg.eigvalsh(states[-1])[::-1]
        close(work, np.trace(H.full() @ states[-1]).real - levels @ populations, 1e-9, np.abs(levels).max())
        close(entropy, qt.entropy_vn(qt.Qobj(states[-1])), 1e-9)
        counted("random systems")
        counted("oracle comparisons", 5)
        if k % 3 == 0:  # it takes most of the time
            want = countstat(L, baths["left"], steady)
            close(counts[: len(want)], want, 1e-12, max(1.0, np.abs(want).max()))
            counted("oracle comparisons")


def test_the_oracle_can_disagree():
    """A rate that is off by 1e-6 shows in every one of these comparisons."""
    x = draw(np.random.default_rng(0))
    y = x + 1e-6 * np.eye(16)[12]
    H, baths = ORACLES["driven"](x)
    rho, B = qt.Qobj(random_density(np.random.default_rng(1), 8), dims=H.dims), np.diag(np.arange(8.0))
    stationary, _, _, seen, later, *_ = program("driven")(y, rho.full(), B)
    states, expected = mesolve(H, baths, rho, qt.Qobj(B, dims=H.dims))
    for got, want, scale in ((stationary, qt.steadystate(liouvillian(H, baths)).full(), 1.0), (later, states, 1.0), (seen, expected, 60.0)):
        with pytest.raises(AssertionError, match="differs by"):
            close(got, want, 1e-9, scale)
