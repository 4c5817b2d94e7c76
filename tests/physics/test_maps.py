"""What a generator does to all states at once: complete positivity, trace, semigroup, where everything ends, integrators.

The map of a time is put together in NumPy from the evolution of d^2 pure states, in the sector of them all.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qutip as qt
from helpers import close, dissipator, ohmic, random_density, rates, unitary
from random_couplings import CUTOFF, SHAPES, STRENGTH
from random_devices import DEVICES, SPECIAL, draw
from scipy.linalg import expm

import qdiff as qd

COMPILER = {"xla_backend_optimization_level": 0}  # these programs are small: compile them fast
TIMES = np.array([0.4, 1.1, 1.5])
LOCAL, GLOBAL = ("fermions", "levels", "spins"), ("pair", "identical", "levels")


@qd.structured
def secular(name, x, betas):
    H, left, right = SHAPES[name](x)
    cold, hot = (qd.BosonicBath(betas[k], qd.baths.Ohmic(STRENGTH, CUTOFF)) for k in (0, 1))
    return qd.secular(H, {"left": (left, cold), "right": (right, hot)})


def probes(d):
    """d^2 pure states that span all matrices: |i>, (|i> + |j>)/sqrt 2 and (|i> + i|j>)/sqrt 2."""
    kets = list(np.eye(d, dtype=complex))
    kets += [np.sqrt(0.5) * (kets[i] + turn * kets[j]) for i in range(d) for j in range(i) for turn in (1, 1j)]
    return np.stack([np.outer(k, k.conj()) for k in kets])


@functools.cache
def program(build, name, solver=None, times=tuple(TIMES)):
    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(states, *numbers):
        with qd.failures("nan"):
            generator = build(name, *numbers)
            seen = jax.vmap(lambda rho: qd.evolve(generator, rho, np.array(times), solver=solver).dense())(states)
            end = qd.steady_state(generator)
            return seen, end.dense(), end.rcond, generator.hamiltonian.dense()

    def maps(*numbers):
        """The superoperators of all times on row-major vectors, the steady state, its condition, and H."""
        states = probes(jax.eval_shape(lambda *n: build(name, *n).H.dense(), *numbers).shape[0])
        seen, end, rcond, H = run(jnp.asarray(states), *map(jnp.asarray, numbers))
        before = states.reshape(len(states), -1)
        after = np.moveaxis(np.asarray(seen), 1, 0).reshape(len(times), *before.shape)
        return [np.linalg.solve(before, a).T for a in after], np.asarray(end), float(rcond), np.asarray(H)

    return maps


def local(name, x):
    return DEVICES[name](x)


def choi(superoperator):
    """sum_ij |i><j| (x) map(|i><j|) of a superoperator on row-major vectors."""
    d = round(len(superoperator) ** 0.5)
    return superoperator.reshape(d, d, d, d).transpose(2, 0, 3, 1).reshape(d * d, d * d)


def check_channel(superoperator, noise):
    """Completely positive, trace preserving, Hermiticity preserving, to `noise`."""
    C = choi(superoperator)
    d = round(len(C) ** 0.5)
    assert np.linalg.eigvalsh((C + C.conj().T) / 2)[0] > -noise, "not completely positive"
    assert np.abs(C - C.conj().T).max() < noise, "does not keep matrices Hermitian"
    assert np.abs(np.einsum("iaja->ij", C.reshape(d, d, d, d)) - np.eye(d)).max() < noise, "does not keep the trace"


def check_detailed_balance(superoperator, H, beta):
    """As often from one eigenstate of H to another as back, in the Gibbs state at beta."""
    e, v = np.linalg.eigh(H)
    p = np.exp(-beta * (e - e[0]))
    projectors = np.stack([np.outer(k, k.conj()).ravel() for k in v.T])
    there = (projectors.conj() @ superoperator @ projectors.T) * p / p.sum()
    close(there.imag, 0 * p + 0 * there.real, 1e-13, 1.0)
    close(there, there.T, 1e-13, 1.0)
    assert np.abs(there - np.diag(np.diag(there))).max() > 1e-3


def test_the_check_can_fail():
    """Transposition is positive and not completely so; a loss, and a map that is not Hermitian, are seen. A random unitary passes."""
    d = 3
    swap = np.eye(d * d).reshape(d, d, d, d).transpose(1, 0, 2, 3).reshape(d * d, d * d)
    u = np.linalg.qr(random_density(np.random.default_rng(0), d))[0]
    good = np.kron(u, u.conj())
    check_channel(good, 1e-13)
    for wrong, what in ((swap, "not completely"), (good * (1 - 1e-9), "the trace"), (np.kron(u, u.conj() * np.exp(1e-9j)), "Hermitian")):
        with pytest.raises(AssertionError, match=what):
            check_channel(wrong, 1e-10)


def test_detailed_balance_can_fail():
    """Two temperatures, or another one, are seen."""
    x = np.linspace(0.4, 1.5, 12)
    for betas, beta in (((0.5, 1.0), 0.75), ((0.7, 0.7), 0.7 + 1e-9)):
        (first, *_), _, _, H = program(secular, "levels")(x, np.array(betas))
        with pytest.raises(AssertionError, match="differs by"):
            check_detailed_balance(first, H, beta)


CASES = [(local, name) for name in LOCAL] + [(secular, name) for name in GLOBAL]


@pytest.mark.parametrize(("build", "name"), CASES, ids=[f"{b.__name__} {n}" for b, n in CASES])
def test_maps_of_random_devices(build, name, counted):
    """Channels at all times, a semigroup, and for long times the steady state whatever the start.

    Rounding of the exponential is 1e-15 for each of some ten squarings, of matrices with norms below ten.
    """
    rng, arrived = np.random.default_rng(7), 0
    for k in range(6):
        if build is local:
            numbers = (draw(rng),)
        else:
            x = np.where(rng.uniform(size=12) < 0.4, rng.choice(SPECIAL, 12), rng.uniform(-2, 2, 12))
            numbers = (x, np.full(2, rng.uniform(0.2, 2.0)) if k % 2 else rng.uniform(0.2, 2.0, 2))
        (first, second, both), end, rcond, H = program(build, name)(*numbers)
        for Phi in (first, second, both):
            check_channel(Phi, 1e-12)
        assert np.abs(first - np.eye(len(first))).max() > 1e-2
        close(second @ first, both, 1e-12, 1.0)
        if build is secular and k % 2:
            check_detailed_balance(first, H, numbers[1][0])
        counted("random systems")
        if rcond > 1e-3:  # then everything decays long before 1e5, where 65536 roundings have added up
            late = np.linalg.matrix_power(both, 2**16)
            close(late, np.outer(end.ravel(), np.eye(len(end)).ravel()), 1e-9, 1.0)
            arrived += 1
    assert arrived > 2


def power(beta):
    """The rate at a frequency given to the bath, as QuTiP takes it."""
    down, _ = rates(beta, ohmic(STRENGTH, CUTOFF))
    return lambda w: float(down(w))


@pytest.mark.parametrize("name", ["pair", "levels"])
def test_global_evolution_is_that_of_bloch_and_redfield(name, counted):
    """QuTiP's `brmesolve` with terms between unequal frequencies left out, from random states: 1e-9, at its 1e-11 for each step."""
    rng = np.random.default_rng(9)
    options = {"rtol": 1e-11, "atol": 1e-13, "nsteps": 10**6, "progress_bar": ""}
    for _ in range(6):
        x, betas = rng.uniform(0.2, 1.8, 12), rng.uniform(0.2, 2.0, 2)
        maps, _, _, H = program(secular, name)(x, betas)
        gaps = np.sort(np.subtract.outer(*[np.linalg.eigvalsh(H)] * 2).ravel())
        assert not np.any((np.diff(gaps) > 1e-10) & (np.diff(gaps) < 1e-7)), "two frequencies nearly coincide: no reference"
        baths = [[qt.Qobj(np.asarray(A.dense())), power(beta)] for A, beta in zip(SHAPES[name](x)[1:], betas, strict=True)]
        rho = random_density(rng, len(H))
        run = qt.brmesolve(qt.Qobj(H), qt.Qobj(rho), np.r_[0.0, TIMES], baths, sec_cutoff=1e-8, options=options)
        for Phi, want in zip(maps, run.states[1:], strict=True):
            close((Phi @ rho.ravel()).reshape(rho.shape), want.full(), 1e-9, 1.0)
        counted("random systems")
        counted("oracle comparisons")


SOLVERS = {
    "action": (qd.solvers.Action(), 1e-12),
    "explicit": (qd.solvers.Explicit(), 1e-7),
    "stiff": (qd.solvers.Stiff(), 1e-6),
}


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_other_integrators_make_the_same_map(solver, counted):
    """The exponential of the superoperator by SciPy; step-wise solvers to ten times the tolerance of a step, positive to that."""
    chosen, tolerance = SOLVERS[solver]
    rng = np.random.default_rng(8)
    for _ in range(6):
        x = draw(rng)
        generator = DEVICES["levels"](x)
        L = unitary(generator.H.dense()) + sum(
            float(j.rate) * dissipator(j.operator.dense()) for js in generator.jumps.values() for j in js
        )
        (Phi,), *_ = program(local, "levels", chosen, (1.1,))(x)
        close(Phi, expm(1.1 * L), tolerance, 1.0)
        check_channel(Phi, 10 * tolerance)
        counted("random systems")
