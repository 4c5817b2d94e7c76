"""Fast coherent motion that is hardly damped: elimination without exchanged rows fails, and is done again with them.

The device is a ladder of stages, each a triangle of quantum dots that a magnetic flux pierces: an electron tunnels fast inside
a stage, and rarely drops to the next one by emission, or is lifted back. Of the populations and coherences of the dots that
emit nothing, no one has a damping of its own.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qutip
from helpers import close, derivative

import qdiff as qd
from qdiff.equations.lindblad.null_vector import _by_iteration, null_vector
from qdiff.equations.lindblad.reach import reach
from qdiff.equations.lindblad.resolvent import resolvent
from qdiff.equations.lindblad.solver import BlockTridiagonal, choose, matrix
from qdiff.linalg import block_tridiagonal

TUNNELLING = {(0, 1): 0.2, (0, 2): -0.9, (1, 2): 0.16j}


def ladder(down, up=None, stages=14, tunnelling=TUNNELLING, dots=3):
    s = qd.Space(stage=qd.Rotor(0, stages - 1), dot=qd.Levels(dots))
    half = sum(c * s.dot.transition(a, b) for (a, b), c in tunnelling.items())
    emit = s.stage.E @ s.dot.transition(2, 1)
    return s, qd.Lindblad(half + half.dag, {"emission": [(down, emit), (3 * down if up is None else up, emit.dag)]})


def solved(generator, solver=None):
    """State, reciprocal condition and residual of one solver."""
    sector = reach(generator)
    return null_vector(sector, sector.values(generator), solver or choose(sector))


def first_attempt(generator):
    """State and residual of the elimination without exchanged rows, and whether they are taken to be good."""
    sector = reach(generator)
    values = sector.values(generator)[:, None]
    many = BlockTridiagonal().many(sector)
    factors = many.factor(values)
    (x, _, residual), good = _by_iteration(sector, lambda r: many.solve(factors, r), values)
    return x[:, 0], residual[0], good[0]


@jax.jit
def all_ways(damping):
    """The first attempt, the chosen solver and the dense one, from the same rounded rates."""
    generator = ladder(damping)[1]
    return first_attempt(generator), solved(generator), solved(generator, qd.solvers.Dense())


def test_state():
    """Equal to the dense solver's to 1e-14; with little damping the first attempt is wrong, and known to be."""
    sector = reach(ladder(0.1)[1])
    assert isinstance(choose(sector), BlockTridiagonal) and BlockTridiagonal().many(sector) is not None
    for damping in (0.3, 1e-4, 1e-6):
        (first, far, good), (x, rcond, residual), (want, right, _) = all_ways(damping)
        close(x, want, 1e-14)
        assert residual < 1e-15 and 0.3 < rcond / right < 3 and good == (damping == 0.3)
        if not good:
            assert not far < 1e-6 and not np.max(np.abs(first - want)) < 1e-6


def test_state_is_qutips(counted):
    """1e-9 of QuTiP's, whose elimination is of the whole Liouvillian."""
    n, damping = 12, 1e-3
    _, generator = ladder(damping, stages=n)
    emit = qutip.tensor(qutip.Qobj(np.eye(n, k=-1)), qutip.basis(3, 2) * qutip.basis(3, 1).dag())
    half = sum(c * qutip.basis(3, a) * qutip.basis(3, b).dag() for (a, b), c in TUNNELLING.items())
    H = qutip.tensor(qutip.qeye(n), half + half.dag())
    want = qutip.steadystate(H, [np.sqrt(damping) * emit, np.sqrt(3 * damping) * emit.dag()])
    counted("oracle comparisons")
    close(qd.steady_state(generator).rho.dense(), want.full(), 1e-9)


def test_the_first_attempt_knows_when_it_is_good():
    """Over seven decades of damping, where it is taken its error is 1e-16/rcond or less."""
    found = [all_ways(damping) for damping in 10.0 ** np.arange(-6, 0.6, 0.25)]
    for (x, _, good), _, (want, rcond, _) in found:
        if good:
            close(x, want, 1e-16 / rcond + 1e-15)
    assert 5 <= sum(bool(good) for (_, _, good), *_ in found) <= 20


def current(x):
    s, generator = ladder(jnp.exp(x[0]), jnp.exp(x[1]), tunnelling={(0, 1): x[2], (0, 2): -0.9, (1, 2): 0.16j * x[3]})
    state = qd.steady_state(generator)
    return state.expect(s.stage.L) + state.expect(s.dot.transition(0, 0))


X = np.array([np.log(1.2e-4), np.log(1e-4), 0.2, 1.0])


def test_derivatives():
    """Forward = reverse (1e-11), differences (1e-7); the second order is symmetric, and the derivative of the first (1e-6)."""
    f = jax.jit(current)
    grad = jax.jit(jax.grad(current))
    close(jax.jit(jax.jacfwd(current))(X), grad(X), 1e-11)
    close(grad(X), derivative(f, X, 1e-3), 1e-7)
    second = jax.jit(jax.hessian(current))(X)
    close(second, second.T, 1e-9)
    close(second, derivative(grad, X, 1e-3), 1e-6)


def test_a_batch_of_which_some_need_it():
    """Damped points of a batch are as without weakly damped ones beside them, 1e-14, and all are the loop's, 1e-12."""
    xs = np.stack([X + np.array([s, s, 0, 0]) for s in (8.0, 0.0, 7.0, -4.0)])
    both = jax.value_and_grad(current)
    one = jax.jit(both)
    value, gradient = jax.jit(jax.vmap(both))(xs)
    alone = [one(x) for x in xs]
    close(value, [v for v, _ in alone], 1e-12)
    for got, (_, want) in zip(gradient, alone, strict=True):
        close(got, want, 1e-10)
    damped, _ = jax.jit(jax.vmap(both))(xs[[0, 2]])
    close(damped, value[np.array([0, 2])], 1e-14)


def random_ladder(seed):
    """Stages of up to four levels: a random Hamiltonian inside, one or two kinds of jump between, nine decades of damping."""
    rng = np.random.default_rng(seed)
    levels, stages, damping = int(rng.integers(2, 5)), int(rng.integers(14, 30)), 10.0 ** -rng.integers(0, 10)
    s = qd.Space(stage=qd.Rotor(0, stages - 1), level=qd.Levels(levels))
    half = sum(rng.normal() * 1j ** rng.integers(0, 2) * s.level.transition(a, b) for a in range(levels) for b in range(a))
    jumps = []
    for _ in range(rng.integers(1, 3)):
        move = s.stage.E @ s.level.transition(*rng.integers(0, levels, 2))
        jumps += [(damping * rng.uniform(0.5, 2), move), (damping * rng.uniform(0.5, 2), move.dag)]
    return qd.Lindblad(half + half.dag + rng.normal() * s.level.transition(0, 0), {"bath": jumps})


def test_random_ladders(counted):
    """The chosen solver finds what the dense one does, 1e-16/rcond, wherever that tells the state from a slow decay."""
    different = 0
    for seed in range(12):
        generator = random_ladder(seed)
        sector = reach(generator)
        (x, rcond, residual), (want, right, _) = solved(generator), solved(generator, qd.solvers.Dense())
        if right > 1e-11:
            counted("random systems")
            different += not isinstance(choose(sector), qd.solvers.Dense)
            close(x, want, 1e-16 / right + 1e-14)
            assert residual < 1e-14 and 0.1 < rcond / right < 10, seed
    assert different >= 6


def test_at_a_frequency():
    """(G - i omega) z = r and its transpose, where next to nothing is damped: dense complex algebra, 1e-9."""
    _, generator = ladder(1e-4)
    sector = reach(generator)
    values = sector.values(generator)
    x = null_vector(sector, values, qd.solvers.Dense())[0]
    r = np.random.default_rng(0).normal(size=sector.size)
    r = r - np.asarray(x) * (sector.trace_weights @ r)
    G = np.asarray(matrix(sector, values))
    for omega in (0.3, 1e-3):
        want = np.linalg.solve(G - 1j * omega * np.eye(sector.size), r)
        z, pull = jax.vjp(lambda r, omega=omega: resolvent(sector, values, x, omega, r), jnp.asarray(r, complex))
        close(z, want, 1e-9)
        (back,) = pull(jnp.asarray(r, complex))
        into = np.eye(sector.size) - np.outer(np.asarray(x), sector.trace_weights)  # the part of a right side that has no trace
        close(into.T @ back, into.T @ np.linalg.solve((G - 1j * omega * np.eye(sector.size)).T, r), 1e-9)


@pytest.mark.parametrize("dots", [5, 6])
def test_wide_levels(dots):
    """Levels of more than eight unknowns, which are eliminated by LAPACK: the dense solver's state to 1e-13; its derivative, and
    a batch of both, to 1e-10."""
    rng = np.random.default_rng(dots)
    pairs = [(a, b) for a in range(dots) for b in range(a + 1, dots)]
    tunnelling = {at: complex(*rng.normal(size=2)) for at in pairs}

    def generator(damping):
        return ladder(damping, 2e-4, tunnelling=tunnelling, dots=dots, stages=9)

    s, one = generator(1e-4)
    assert block_tridiagonal.block_plan(reach(one)).width > 8
    close(solved(one, BlockTridiagonal())[0], solved(one, qd.solvers.Dense())[0], 1e-13)

    def stage(damping, solver):
        return qd.steady_state(generator(damping)[1], solver).expect(s.stage.L)

    both = jax.jit(jax.value_and_grad(lambda damping: stage(damping, BlockTridiagonal())))
    found, alone = jax.vmap(both)(jnp.array([1e-4, 3e-4])), jax.value_and_grad(lambda damping: stage(damping, qd.solvers.Dense()))(3e-4)
    for batch, single, want in zip(found, both(3e-4), alone, strict=True):
        close(batch[1], want, 1e-10)
        close(single, want, 1e-10)


@pytest.mark.parametrize("count, width", [(1, 3), (2, 1), (2, 4), (7, 5)])
def test_singular_blocks_on_the_diagonal(count, width):
    """M x = r and M^T x = r where no block on the diagonal has an inverse, though the whole has: dense algebra, 1e-12."""
    rng = np.random.default_rng(count)
    lower, diag, upper = rng.normal(size=(3, count, width, width))
    if count > 1:
        diag[:, 0] = 0
    dense = np.zeros((count * width, count * width))
    for k in range(count):
        at, above = slice(k * width, (k + 1) * width), slice((k + 1) * width, (k + 2) * width)
        dense[at, at] = diag[k]
        if k < count - 1:
            dense[at, above], dense[above, at] = upper[k], lower[k + 1]
    factors = block_tridiagonal.factor(*map(jnp.asarray, (lower, diag, upper)))
    r = rng.normal(size=(count, width, 2))
    for solve, M in ((block_tridiagonal.solve, dense), (block_tridiagonal.solve_T, dense.T)):
        close(solve(factors, jnp.asarray(r)).reshape(-1, 2), np.linalg.solve(M, r.reshape(-1, 2)), 1e-12)
