"""The null vector of stiff and of random generators: accuracy, derivatives, and one solver against the other."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import close, derivative

import qdiff as qd
from qdiff.equations.lindblad.reach import reach
from qdiff.equations.lindblad.solver import choose

# Every solver there is; a new one joins by a line, and is held to what the others are.
SOLVERS = {"dense": qd.solvers.Dense(), "block": qd.solvers.BlockTridiagonal(), "chosen": None}


def chain(up, down):
    """A birth-death chain as jumps of a ladder of levels, all rates in two families."""
    n = up.shape[0] + 1
    s = qd.Space(w=qd.Rotor(0, n - 1))
    groups = tuple(range(n - 1))
    E = s.w.E
    back = E.dag
    return s, qd.Lindblad(s.w.L, {"up": qd.Jump(up, E, groups), "down": qd.Jump(down, back, groups)})


def product_formula(up, down):
    """p_k proportional to prod up/down, in 50 digits."""
    with mpmath.workdps(50):
        p = [mpmath.mpf(1)]
        for u, d in zip(up, down, strict=True):
            p.append(p[-1] * mpmath.mpf(float(u)) / mpmath.mpf(float(d)))
        total = mpmath.fsum(p)
        return np.array([float(x / total) for x in p])


@pytest.mark.parametrize("name", sorted(SOLVERS))
@pytest.mark.parametrize("n", [7, 60])
def test_birth_death_chain_over_twelve_decades(name, n):
    """Rates from 1e-6 to 1e6 and detailed balance between neighbours: 1e-9 of the largest population.

    The slowest of the rates is 1e-12 of the fastest, so that rounding of the generator alone would allow 1e-4.
    """
    rng = np.random.default_rng(n)
    up = 10.0 ** rng.uniform(-6, 6, n - 1)
    down = up * np.exp(rng.normal(size=n - 1))
    _, generator = chain(jnp.asarray(up), jnp.asarray(down))
    with qd.failures("nan"):
        state = qd.steady_state(generator, SOLVERS[name])
    if np.isnan(float(state.x[0])):
        assert float(state.rcond) < 1e-12  # refused because it cannot be told from two states: no wrong number
        return
    close(state.populations(), product_formula(up, down), 1e-9)


def test_birth_death_chain_over_nine_decades_is_solved():
    """Rates from 1e-4.5 to 1e4.5 are not refused, by either solver, and the promised error 1e-16/rcond is kept."""
    rng = np.random.default_rng(0)
    up = 10.0 ** rng.uniform(-4.5, 4.5, 40)
    down = up * np.exp(0.5 * rng.normal(size=40))
    _, generator = chain(jnp.asarray(up), jnp.asarray(down))
    for solver in SOLVERS.values():
        state = qd.steady_state(generator, solver)
        close(state.populations(), product_formula(up, down), min(1e-6, 1e-16 / float(state.rcond)))


def banded(seed, n=12):
    """A random ladder with drive, next-neighbour and second-neighbour jumps: complex, banded, all coherences alive."""
    rng = np.random.default_rng(seed)
    s = qd.Space(w=qd.Rotor(0, n - 1))

    def band(k, kind=float):
        m = np.diag(rng.normal(size=n - k), k).astype(kind)
        return s.operator(m + 1j * np.diag(rng.normal(size=n - k), k) if kind is complex else m)

    hop, one, two, diag = band(1, complex), band(1), band(2), band(0)

    def generator(x):
        H = x[0] * (hop + hop.dag) + 0.5 * diag
        return qd.Lindblad(H, {"a": (x[1] ** 2, one), "b": (0.1 + x[2] ** 2, two.dag), "c": [(0.3, one.dag), (x[0] ** 2, diag)]})

    return s, generator


@pytest.mark.parametrize("seed", [0, 1])
def test_solvers_agree(seed):
    """Every solver gives the same state of 144 real unknowns in levels of 22 to 1e-13, and the same error estimates."""
    s, generator = banded(seed)
    states = [qd.steady_state(generator(jnp.array([0.6, 0.8, 0.5])), solver) for solver in SOLVERS.values()]
    assert states[0].sector.size == 144 and float(states[0].rcond) > 0.01
    for other in states[1:]:
        close(other.x, states[0].x, 1e-13)
        assert 0.1 < float(other.rcond / states[0].rcond) < 10 and float(other.residual) < 1e-14


@pytest.mark.parametrize("name", [pytest.param(k, marks=pytest.mark.slow) if k == "dense" else k for k in SOLVERS if k != "chosen"])
def test_derivatives_of_a_random_generator(name):
    """Forward = reverse, second order symmetric and equal to differences, vmap of the gradient equals the loop."""
    s, generator = banded(3, 6)

    def f(x):
        return qd.steady_state(generator(x), SOLVERS[name]).expect(s.w.L2)

    x = np.array([0.6, 0.8, 0.5])
    grad = jax.jit(jax.grad(f))
    close(jax.jit(jax.jacfwd(f))(x), grad(x), 1e-12)
    close(grad(x), derivative(jax.jit(f), x), 1e-9)
    second = jax.jit(jax.hessian(f))(x)
    close(second, second.T, 1e-11)
    close(second, derivative(grad, x), 1e-9)
    close(jax.jit(jax.jacfwd(jax.jacfwd(f)))(x), second, 1e-10)
    xs = jnp.stack([x, x * 1.1, x * 0.7])
    close(jax.jit(jax.vmap(grad))(xs), jnp.stack([grad(y) for y in xs]), 1e-11)


def test_derivative_over_stiff_rates():
    """d ln(p_j)/d ln(up_i) of a chain is 1[j > i] - sum_{k > i} p_k exactly, with rates over eight decades."""
    rng = np.random.default_rng(5)
    up = 10.0 ** rng.uniform(-4, 4, 9)
    down = up * np.exp(0.5 * rng.normal(size=9))

    def f(log_up):
        return jnp.log(qd.steady_state(chain(jnp.exp(log_up), jnp.asarray(down))[1]).populations())

    p = product_formula(up, down)
    want = np.array([[float(j > i) - p[i + 1 :].sum() for i in range(9)] for j in range(10)])
    close(jax.jit(jax.jacrev(f))(np.log(up)), want, 1e-9)
    close(jax.jit(jax.jacfwd(f))(np.log(up)), want, 1e-9)


def test_wrong_use_is_refused():
    """A solver by name, and something that is no generator, are refused with what they must be."""
    s, generator = banded(0, 3)
    with pytest.raises(TypeError, match="Dense"):
        qd.steady_state(generator(np.ones(3)), "dense")
    with pytest.raises(TypeError, match="Lindblad"):
        qd.steady_state(s.w.L)


def test_a_nan_is_not_a_state():
    """A NaN or infinite rate is refused when it is given, or reported when it is solved; an infinite one is not left out."""
    q = qd.Space(q=qd.Spin()).q
    for wrong in (jnp.nan, jnp.inf):
        with pytest.raises(ValueError, match="must be finite"):
            qd.Lindblad(q.z, {"b": [(wrong, q.minus), (1.0, q.plus)]})
        with qd.failures("nan"):
            late = jax.jit(lambda r: qd.steady_state(qd.Lindblad(q.z, {"b": [(r, q.minus), (1.0, q.plus)]})).x)(wrong)
        assert np.all(np.isnan(late))


def test_which_solver_is_chosen():
    """Blocks where a sector is a long chain of small ones; one factorisation where it is small, or all of one piece."""
    rng = np.random.default_rng(0)
    long, short = (qd.models.RotorEngine(l_min=-m, l_max=m).generator() for m in (40, 2))
    space = qd.Space(atom=qd.Levels(12))
    jumps = [space.operator(rng.normal(size=(12, 12))) for _ in range(2)]
    mixed = qd.Lindblad(space.operator(np.diag(np.arange(12.0))), {"b": jumps})
    for generator, kind, least in ((long, qd.solvers.BlockTridiagonal, 61), (short, qd.solvers.Dense, 0), (mixed, qd.solvers.Dense, 61)):
        sector = reach(generator)
        assert isinstance(choose(sector), kind) and sector.size >= least, (kind, sector.size)
