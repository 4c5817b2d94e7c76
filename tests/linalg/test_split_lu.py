"""LU factors and triangular solves in pieces, and batches of wide sectors: right, and no call that wakes a BLAS's threads."""

import itertools
import math
import re

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.linalg
from helpers import close

import qdiff as qd
from qdiff.linalg import block_tridiagonal
from qdiff.linalg.split_lu import lu, solve_triangular


def lapack_calls(program, *args) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of what LAPACK factorises and solves for in a program compiled for a CPU."""
    found = {}
    for name, shapes in re.findall(r"custom_call @lapack_(\w+?)(?:_ffi)?\(.*: \((.*?)\) ->", jax.jit(program).lower(*args).as_text()):
        shape = re.findall(r"tensor<([\dx]+)xf64>", shapes)[-1]
        found.setdefault(name, []).append(tuple(map(int, shape.split("x"))))
    return found


def test_calls_are_seen():
    A = jnp.zeros((3, 57, 57))
    assert lapack_calls(jnp.linalg.inv, A[0])["dtrsm"] == [(57, 57)] * 2
    assert lapack_calls(lambda A: jax.vmap(lu)(A)[0], A) == {"dgetrf": [(3, 57, 57)]}


@pytest.mark.parametrize("n, columns", [(5, 3), (57, 114), (64, 40), (100, 9), (31, 40), (700, 2), (1200, 1)])
def test_triangular_solves(n, columns):
    """Against SciPy, both triangles, transposed or not, with or without ones on the diagonal; small calls only."""
    rng = np.random.default_rng(n)
    A, r = rng.normal(size=(n, n)) / n + 2 * np.eye(n), rng.normal(size=(n, columns))
    for lower, trans, unit in itertools.product((False, True), repeat=3):

        def solve(A, r, lower=lower, trans=trans, unit=unit):
            return solve_triangular(A, r, lower=lower, trans=trans, unit=unit)

        want = scipy.linalg.solve_triangular(A, r, lower=lower, trans=int(trans), unit_diagonal=unit)
        close(solve(A, r), want, 1e-13)
        assert all(math.prod(shape) < 1024 for shape in lapack_calls(solve, A, r)["dtrsm"])


def test_a_triangular_solve_with_a_tiny_last_pivot():
    """As null vectors have them: the residual stays rounding, also where blocks on the diagonal are inverted."""
    rng = np.random.default_rng(3)
    U = np.triu(rng.normal(size=(60, 60))) + 5 * np.eye(60)
    U[-1, -1] = 1e-14
    r = rng.normal(size=(60, 50))
    x = np.asarray(solve_triangular(U, r))
    close((U @ x - r) / (np.abs(U) @ np.abs(x)), np.zeros_like(r), 1e-15, 1.0)


@pytest.mark.parametrize("m, n", [(40, 40), (114, 57), (154, 77), (234, 117), (500, 20)])
def test_lu_in_pieces(m, n):
    """A[order] = L U with no entry of L above one: the same factors as SciPy's."""
    A = np.random.default_rng(m + n).normal(size=(m, n))
    packed, order = map(np.asarray, lu(A))
    P, L, U = scipy.linalg.lu(A)
    close(np.tril(packed[:, :n], -1), np.tril(L, -1), 1e-11)
    close(np.triu(packed[:n]), U, 1e-11)
    close(A[order], P.T @ A, 1e-15)
    calls = lapack_calls(lu, A)
    assert all(math.prod(shape) < 10_000 for shape in calls["dgetrf"])
    assert all(math.prod(shape) < 1024 for shape in calls.get("dtrsm", []))


def test_wide_levels_are_eliminated_by_small_calls():
    """Levels of 57 coordinates, as the Kerr oscillator of 30 levels has them."""
    blocks = (jnp.ones((4, 57, 57)),) * 3
    calls = lapack_calls(block_tridiagonal.factor, *blocks)
    assert calls["dgetrf"] == [(114, 57)] and all(math.prod(shape) < 1024 for shape in calls["dtrsm"])


def photons(drive, kerr):
    """Photons of a driven Kerr oscillator of ten levels: 100 coordinates, in levels of up to 17."""
    a = qd.Space(a=qd.Boson(10)).a.a
    n = a.dag @ a
    return qd.steady_state(qd.Lindblad(0.3 * n + kerr * n @ n + drive * (a + a.dag), {"loss": (1.0, a)})).expect(n)


def drummond_walls(drive, kerr, detuning=0.3, loss=1.0):
    """The same with infinitely many levels, by Drummond and Walls (J. Phys. A 13, 725, 1980): hypergeometric functions 0F2.

    H = (detuning + kerr) n + kerr a^+^2 a^2 + drive (a + a^+): with c = (detuning + kerr - i loss/2)/kerr and z = |drive/kerr|^2,
    <n> = z/|c|^2 0F2(c + 1, c* + 1; 2 z) / 0F2(c, c*; 2 z).
    """
    c, z = mpmath.mpc(detuning + kerr, -loss / 2) / kerr, (drive / kerr) ** 2
    F = [mpmath.hyper([], [c + k, mpmath.conj(c) + k], 2 * z).real for k in (0, 1)]
    return z / abs(c) ** 2 * F[1] / F[0]


def test_a_batch_is_done_one_by_one():
    """A grid by nested `vmap`, its gradient and Hessian against the closed form; LAPACK sees one system at a time."""
    drives, kerrs = jnp.array([0.1, 0.15, 0.2]), jnp.array([0.5, 0.8])
    grid = jax.vmap(jax.vmap(jax.value_and_grad(photons, (0, 1)), (None, 0)), (0, None))
    calls = lapack_calls(grid, drives, kerrs)
    assert calls and all(len(shape) == 2 for shapes in calls.values() for shape in shapes)
    value, slopes = jax.jit(grid)(drives, kerrs)
    with mpmath.workdps(30):
        exact = [[drummond_walls(mpmath.mpf(float(F)), mpmath.mpf(float(K))) for K in kerrs] for F in drives]
        close(value, np.array(exact, float), 1e-9)
        for slope, order in zip(slopes, ((1, 0), (0, 1)), strict=True):
            want = [[float(mpmath.diff(drummond_walls, (float(F), float(K)), order)) for K in kerrs] for F in drives]
            close(slope, want, 1e-8)
        curved = jax.jit(jax.vmap(jax.hessian(photons), (0, None)))(drives, 0.8)
        close(curved, [float(mpmath.diff(drummond_walls, (float(F), 0.8), (2, 0))) for F in drives], 1e-7)
