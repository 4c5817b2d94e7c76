"""Many block tridiagonal systems at once: against dense algebra, and under nested batches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.equations.lindblad import null_vector
from qdiff.equations.lindblad.reach import reach
from qdiff.equations.lindblad.solver import BlockTridiagonal
from qdiff.linalg import batched_blocks, block_tridiagonal, twisted

PATTERN = ((0, 0), (0, 2), (1, 1), (2, 0))


def systems(seed, count=7, width=3, batch=5, diagonal=6.0):
    """Random blocks with lower blocks of the given pattern, and the dense matrices (batch, n, n) they make."""
    rng = np.random.default_rng(seed)
    lower, diag, upper = rng.normal(size=(3, count, width, width, batch))
    keep = np.zeros((width, width))
    keep[tuple(np.array(PATTERN).T)] = 1
    lower *= keep[:, :, None]
    diag += diagonal * np.eye(width)[:, :, None]
    dense = np.zeros((batch, count * width, count * width))
    for k in range(count):
        at = slice(k * width, (k + 1) * width)
        dense[:, at, at] = np.moveaxis(diag[k], -1, 0)
        if k:
            dense[:, at, (k - 1) * width : k * width] = np.moveaxis(lower[k], -1, 0)
        if k < count - 1:
            dense[:, at, (k + 1) * width : (k + 2) * width] = np.moveaxis(upper[k], -1, 0)
    at = np.array(PATTERN).T
    return (jnp.asarray(lower[:, at[0], at[1]]), jnp.asarray(diag), jnp.asarray(upper)), dense


def test_solves_agree_with_dense_algebra():
    """M x = r and M^T x = r for diagonally dominant systems, 1e-13."""
    blocks, dense = systems(0)
    factors = batched_blocks.factor(*blocks, PATTERN)
    r = np.random.default_rng(1).normal(size=(5, 21))
    packed = jnp.asarray(r.T.reshape(7, 3, 5))
    for function, matrix in ((batched_blocks.solve, dense), (batched_blocks.solve_T, dense.transpose(0, 2, 1))):
        got = np.asarray(function(factors, PATTERN, packed)).reshape(21, 5).T
        close(got, np.linalg.solve(matrix, r[..., None])[..., 0], 1e-13)


def resonator(damping, detuning):
    """A ladder with hopping between neighbours and a detuned pair: coherences turn at `detuning`, damped by `damping`."""
    s = qd.Space(pair=qd.Spin(), ladder=qd.Rotor(0, 14))
    flip = s.pair.minus @ s.ladder.E
    H = detuning * s.pair.z + 0.3 * (flip + flip.dag)
    up, down = qd.Jump(1.0 * damping, s.ladder.E), qd.Jump(1.5 * damping, s.ladder.E.dag)
    return s, qd.Lindblad(H, {"ladder": (up, down), "pair": qd.thermal_jumps(s.pair.minus, 1.0, qd.BosonicBath(0.7, damping))})


# Turns per decay: 10 and 1e9.
@pytest.mark.parametrize("damping", [0.1, 1e-9])
def test_a_batch_is_the_loop(damping):
    """States and gradients of a batch equal those one by one (1e-11)."""
    s, generator = resonator(damping, 1.0)
    sector = reach(generator)
    assert block_tridiagonal.block_plan(sector).width <= 8

    def f(x):
        generator = resonator(damping * x[0], x[1])[1]
        values = sector.values(generator)
        state, rcond, residual = null_vector.null_vector(sector, values, BlockTridiagonal())
        return jnp.arange(sector.size) @ state, (rcond, residual)

    xs = jnp.asarray(np.random.default_rng(0).uniform(0.8, 1.2, (9, 2)))
    one = jax.jit(jax.value_and_grad(f, has_aux=True))
    alone = [one(x) for x in xs]
    (value, (rcond, residual)), gradient = jax.jit(jax.vmap(jax.value_and_grad(f, has_aux=True)))(xs)
    close(value, [a[0][0] for a in alone], 1e-11)
    close(gradient, [a[1] for a in alone], 1e-9)
    assert np.all(residual < 1e-13) and np.all(np.abs(np.log10(rcond / jnp.stack([a[0][1][0] for a in alone]))) < 1)


def test_good_lanes_stay_good():
    """In a batch with one that goes on to the last step, all others are good and as they are alone; so are right-hand sides."""
    sector = reach(resonator(0.1, 1.0)[1])
    many = BlockTridiagonal().many(sector)
    dampings = np.append(np.random.default_rng(0).uniform(0.05, 1, 63), 1e-12)
    values = jax.jit(jax.vmap(lambda d: sector.values(resonator(d, 1.0)[1]), out_axes=1))(dampings)
    right = np.arange(sector.size) + np.array([[0.0], [3000.0], [1e6]])

    @jax.jit
    def both(values):
        solve, solve_T = partial(many.solve, many.factor(values)), partial(many.solve_T, many.factor(values))
        (x, _, _), good = null_vector._by_iteration(sector, solve, values)
        r = jnp.broadcast_to(right.T[:, :, None], (sector.size, 3, values.shape[1]))
        return x, good, *null_vector._by_refinement(sector, True, solve_T, values, x, r)

    x, good, z, good_too = both(values)
    assert np.array_equal(good, dampings > 1e-12) and np.all(good_too[:63])
    for k in (0, 20, 62):
        alone = both(values[:, k : k + 1])
        close(x[:, k], alone[0][:, 0], 1e-15)
        close(z[..., k], alone[2][..., 0], 1e-14)
    x, good, _, _ = both(values.at[0, 3].set(jnp.nan))
    assert np.array_equal(good, dampings > 1e-12) and np.array_equal(np.isnan(x).all(axis=0), np.arange(64) == 3)


def test_nested_batches():
    """vmap of vmap is the loop, 1e-12."""
    s, generator = resonator(0.1, 1.0)
    sector = reach(generator)
    xs = jnp.asarray(np.random.default_rng(0).uniform(0.8, 1.2, (2, 3, 2)))

    def f(x):
        return null_vector.null_vector(sector, sector.values(resonator(0.1 * x[0], x[1])[1]), BlockTridiagonal())[0]

    one = jax.jit(f)
    close(jax.jit(jax.vmap(jax.vmap(f)))(xs), [[one(x) for x in row] for row in xs], 1e-12)


@pytest.mark.slow
def test_nested_batches_forward_and_second_order():
    """vmap of vmap, forward mode and the Hessian in a batch, all equal to the loop (1e-10)."""
    s, generator = resonator(0.1, 1.0)
    sector = reach(generator)

    def f(x):
        values = sector.values(resonator(0.1 * x[0], x[1])[1])
        return jnp.arange(sector.size) @ null_vector.null_vector(sector, values, BlockTridiagonal())[0]

    xs = jnp.asarray(np.random.default_rng(0).uniform(0.8, 1.2, (3, 4, 2)))
    flat = xs.reshape(-1, 2)
    one = jax.jit(f)
    close(jax.jit(jax.vmap(jax.vmap(f)))(xs).ravel(), [one(x) for x in flat], 1e-12)
    close(jax.jit(jax.vmap(jax.jacfwd(f)))(flat), jax.jit(jax.vmap(jax.grad(f)))(flat), 1e-10)
    hessian = jax.jit(jax.hessian(f))
    close(jax.jit(jax.vmap(jax.hessian(f)))(flat), [hessian(x) for x in flat], 1e-10)


def test_twisted_elimination_is_that_of_the_whole():
    """Levels of several sizes, odd and even in number, one alone; padded: dense algebra, 1e-14."""
    rng = np.random.default_rng(0)
    for sizes in ([3], [2, 3], [1, 3, 2], [3, 3, 3, 2], [2, 3, 3, 3, 1], [1] * 9):
        n, level = sum(sizes), np.repeat(np.arange(len(sizes)), sizes)
        names = rng.permutation(n)
        level = level[np.argsort(names)]
        near = np.abs(level[:, None] - level) <= 1
        row, col = np.nonzero(near & ((rng.random((n, n)) < 0.6) | np.eye(n, dtype=bool)))
        system = twisted.Twisted(block_tridiagonal.BlockPlan([np.flatnonzero(level == k) for k in range(len(sizes))], row, col))
        values = rng.normal(size=(row.size, 4)) + 5 * (row == col)[:, None]
        dense = np.zeros((4, n, n))
        dense[:, row, col] = values.T
        dense -= 0.1 * np.eye(n)
        r = rng.normal(size=(n, 3, 4))
        factors = system.factor(jnp.asarray(values), jnp.full(4, 0.1))
        for solve, matrix in ((system.solve, dense), (system.solve_T, dense.transpose(0, 2, 1))):
            close(np.moveaxis(solve(factors, jnp.asarray(r)), -1, 0), np.linalg.solve(matrix, np.moveaxis(r, -1, 0)), 1e-14)


@pytest.mark.parametrize("width", [7, 8, 9])
def test_blocks_of_up_to_eight_are_written_out(width):
    """A batch of them runs in lanes; wider ones would take long to compile."""
    s = qd.Space(atom=qd.Levels(width), ladder=qd.Rotor(0, 20))
    around = sum(s.atom.transition((k + 1) % width, k) for k in range(width))
    generator = qd.Lindblad(0.3 * s.ladder.L, {"atom": (0.5, around), "ladder": [(1.0, s.ladder.E), (1.5, s.ladder.E.dag)]})
    sector = reach(generator)
    assert block_tridiagonal.block_plan(sector).width == width
    assert (BlockTridiagonal().many(sector) is not None) == (width <= 8)
