"""Laws of the local (Lindblad) equation at many random points of systems of up to 16 levels, degenerate ones among them.

For every shape one program is compiled and run at all points; what it returns is checked in plain NumPy.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, dissipator, null_state, unitary
from hypothesis import given, settings
from hypothesis import strategies as st

import qdiff as qd

SHAPES = {
    "pair": (qd.Spin(), qd.Spin()),
    "levels": (qd.Levels(5),),
    "spin and mode": (qd.Spin(), qd.Boson(3)),
    "three spins": (qd.Spin(),) * 3,
    "rotor": (qd.Rotor(-2, 2), qd.Spin()),
    "exchange chain": (qd.Spin(),) * 4,
}
# Equal, nearly equal and vanishing numbers are as common as others.
SPECIAL = st.sampled_from([0.0, 1.0, 1.0, 1.0 + 1e-12, 1.0 + 1e-7, -1.0])
NUMBER = st.one_of(st.floats(-2, 2, allow_subnormal=False), SPECIAL)
MANY = settings(max_examples=70, deadline=None, derandomize=True, database=None)
COMPILER = {"xla_backend_optimization_level": 0}  # these programs run a few hundred times: compile them fast


def space_of(shape, order=None):
    return qd.Space(**{f"f{k}": shape[k] for k in (order or range(len(shape)))})


def assemble(name, x, order=None):
    """H and two baths with two jumps each, whose numbers are the parameters x, of any length, used again in turn."""
    shape, space = SHAPES[name], space_of(SHAPES[name], order)
    place = np.random.default_rng(3)
    count = iter(range(10**6))

    def site(k):
        return getattr(space, f"f{k}")

    def take(n):
        return x[np.array([next(count) % x.shape[0] for _ in range(n)], int)]

    def hermitian(k, density):
        n = shape[k].dim
        at = np.nonzero(np.triu(place.uniform(size=(n, n)) < density, 1))
        matrix = jnp.zeros((n, n), complex).at[at].set(take(len(at[0])) + 1j * take(len(at[0])))
        local = site(k).operator(matrix)
        return (local + local.dag) * 0.5 + site(k).operator(jnp.diag(take(n)))

    def link(k):
        if name == "exchange chain":
            hop = site(k).plus @ site(k + 1).minus
            return take(1)[0] * (hop + hop.dag)
        return hermitian(k, 1.0) @ hermitian(k + 1, 1.0)

    density = 0.0 if name == "exchange chain" else 0.5
    H = sum(hermitian(k, density) for k in range(len(shape))) + sum(link(k) for k in range(len(shape) - 1))
    jumps = {}
    for bath, k in (("left", 0), ("right", len(shape) - 1)):
        lower = site(k).operator(np.diag(1.0 + 0.5 * np.arange(shape[k].dim - 1), 1 if bath == "left" else -1))
        down, up = 0.1 + take(1)[0] ** 2, 0.05 + take(1)[0] ** 2
        jumps[bath] = [(down, lower), (up, lower.dag)]
    return qd.Lindblad(H, jumps)


@functools.cache
def program(name, solver=None, order=None):
    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x):
        with qd.failures("nan"):
            generator = assemble(name, x, order)
            state = qd.steady_state(generator, solver)
            heat = qd.ledger(state).heat
            jumps = {b: [(j.rate, j.operator.dense()) for j in js] for b, js in generator.jumps.items()}
            reduced = [state.reduced(f"f{k}").dense() for k in range(len(SHAPES[name]))]
            return state.dense(), generator.H.dense(), jumps, heat, reduced, state.rcond

    return lambda x: jax.tree.map(np.asarray, run(jnp.asarray(x)))


def moved(H, jumps, rho):
    """What H and every bath do to a density matrix, in plain NumPy."""

    def decay(A):
        K = A.conj().T @ A
        return A @ rho @ A.conj().T - (K @ rho + rho @ K) / 2

    return -1j * (H @ rho - rho @ H), {b: sum(r * decay(A) for r, A in js) for b, js in jumps.items()}


def normalised(H, jumps):
    """The Liouvillian by Kronecker products, with the normalisation in the place of its first equation."""
    L = unitary(H) + sum(r * dissipator(A) for js in jumps.values() for r, A in js)
    L[0] = np.eye(len(H)).ravel()
    return L


def stationary(H, jumps):
    """The density matrix that solves it."""
    return np.linalg.solve(normalised(H, jumps), np.eye(len(H) ** 2)[0]).reshape(H.shape)


def test_the_quick_references_are_the_careful_ones():
    """`stationary` finds what `null_state` finds by singular values, and `moved` is what the Liouvillian does to it."""
    rho, H, jumps, *_ = program("spin and mode")(np.linspace(-1, 2, 9))
    L = unitary(H) + sum(r * dissipator(A) for js in jumps.values() for r, A in js)
    close(stationary(H, jumps), null_state(L), 1e-11)
    other = np.diag(np.arange(6.0)) + 0.1
    coherent, baths = moved(H, jumps, other)
    close((coherent + sum(baths.values())).ravel(), L @ other.ravel(), 1e-13)


@pytest.mark.parametrize("name", sorted(SHAPES))
@given(st.lists(NUMBER, min_size=9, max_size=9))
@MANY
def test_state_laws_and_currents(name, counted, x):
    """Trace one, Hermitian, positive, stationary; the state and each current are those of brute force; the first law holds.

    Errors are allowed to grow with the condition of the equation. What is refused is singular to brute force, too.
    """
    rho, H, jumps, heat, _, rcond = program(name)(x)
    if not np.all(np.isfinite(rho)):
        assert np.linalg.cond(normalised(H, jumps), 1) > 1e10
        return
    noise = 1e-13 + 1e-14 / rcond
    close(np.trace(rho), 1.0, 1e-13)
    close(rho, rho.conj().T, 1e-14, 1.0)
    assert np.linalg.eigvalsh(rho)[0] > -noise
    coherent, baths = moved(H, jumps, rho)
    size = np.abs(H).max() + sum(r * np.abs(A).max() ** 2 for js in jumps.values() for r, A in js)
    close(coherent + sum(baths.values()), 0.0 * rho, 1e-13, size * len(H))
    if len(H) <= 10:
        close(rho, stationary(H, jumps), 10 * noise, 1.0)
    for bath in baths:
        close(heat[bath], np.trace(H @ baths[bath]).real, 1e-13, size**2 * len(H))
    assert abs(sum(heat.values())) < 1e-13 * size**2 * len(H)
    counted("random systems")


@pytest.mark.parametrize("name", ["spin and mode", "rotor"])
@given(st.lists(NUMBER, min_size=9, max_size=9))
@MANY
def test_both_solvers_agree(name, counted, x):
    """The block tridiagonal solver finds the state of the dense one."""
    rho, *_, rcond = program(name)(x)
    other, *_ = program(name, qd.solvers.BlockTridiagonal())(x)
    if np.all(np.isfinite(rho)) and rcond > 1e-9:
        close(other, rho, 1e-12 + 1e-14 / rcond, 1.0)
        counted("random systems")


@pytest.mark.parametrize("name", ["three spins", "rotor"])
@given(st.lists(NUMBER, min_size=9, max_size=9))
@MANY
def test_the_order_of_factors_does_not_matter(name, counted, x):
    """The same device with its factors in the opposite order: the same reduced states and currents."""
    _, _, _, heat, reduced, rcond = program(name)(x)
    _, _, _, other_heat, other, _ = program(name, None, tuple(range(len(SHAPES[name])))[::-1])(x)
    if np.isfinite(rcond) and rcond > 1e-9 and np.all(np.isfinite(reduced[0])):
        for one, two in zip(reduced, other, strict=True):
            close(two, one, 1e-12 + 1e-14 / rcond, 1.0)
        for bath in heat:
            close(other_heat[bath], heat[bath], 1e-10 + 1e-13 / rcond, 100.0)
        counted("random systems")
