"""Laws of open systems on random systems, and exact counter-checks by brute force."""

import jax
import numpy as np
import pytest
from helpers import close, davies, flow, null_state, ohmic, rates, unitary
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import qdiff as qd

SHAPES = [
    (qd.Spin(), qd.Spin()),
    (qd.Spin(), qd.Boson(3)),
    (qd.Rotor(-2, 2), qd.Spin()),
    (qd.Levels(5),),
    (qd.Spin(),) * 3,
]
SEEDS = st.integers(0, 10**6)
FEW = settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate])


def space_of(shape, order=None):
    names = list(range(len(shape))) if order is None else order
    return qd.Space(**{f"f{k}": shape[k] for k in names})


def parts(rng, shape):
    """Local Hermitian terms, bilinear couplings and jumps, as dense factor matrices: sparse, partly complex."""

    def local(k, hermitian):
        n = shape[k].dim
        m = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)) * rng.integers(0, 2)
        m = np.where(rng.uniform(size=(n, n)) < 0.6, m, 0)
        return (k, (m + m.conj().T) / 2 if hermitian else m)

    n = len(shape)
    H = [[local(k, True)] for k in range(n)] + [[local(k, True), local(k + 1, True)] for k in range(n - 1)]
    H += [[(k, np.diag(rng.normal(size=shape[k].dim)))] for k in range(n)]
    baths = {f"b{k}": [local(k, False), local(k, False)] for k in range(n)}
    return H, baths, rng.uniform(0.1, 1.0, (n, 2))


def assemble(space, terms):
    out = None
    for term in terms:
        op = space.identity
        for k, m in term:
            op = op @ getattr(space, f"f{k}").operator(m)
        out = op if out is None else out + op
    return out


def local_motion(space, described):
    H, baths, rate = described
    jumps = {}
    for i, (name, ops) in enumerate(baths.items()):
        jumps[name] = [(rate[i, j], getattr(space, f"f{k}").operator(m)) for j, (k, m) in enumerate(ops)]
    return qd.Lindblad(assemble(space, H), jumps)


def full(motion):
    """Every bath's Liouvillian in NumPy, from the dense operators."""
    from helpers import dissipator

    return {b: sum(float(j.rate) * dissipator(j.operator.dense()) for j in js) for b, js in motion.jumps.items()}


def solve(motion, *args):
    try:
        return qd.steady_state(motion, *args)
    except qd.NotUnique:
        assume(False)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(type(f).__name__ for f in s))
@given(SEEDS)
@settings(max_examples=1, deadline=None, derandomize=True, phases=[Phase.generate])
def test_local_equation(shape, seed):
    """Trace one, Hermitian, positive, first law; state and currents equal brute force on the full space; both solvers agree."""
    motion = local_motion(space_of(shape), parts(np.random.default_rng(seed), shape))
    state = solve(motion)
    rho = np.asarray(state.dense())
    close(np.trace(rho), 1.0, 1e-13)
    close(rho, rho.conj().T, 1e-15, 1.0)
    assert np.linalg.eigvalsh(rho)[0] > -1e-13
    H, L = motion.H.dense(), full(motion)
    want = null_state(unitary(H) + sum(L.values()))
    close(rho, want, 1e-10, 1.0)
    heat = qd.currents(motion, state, motion.hamiltonian)
    close([heat[b] for b in L], [flow(L[b], want, H) for b in L], 1e-9, max(1e-3, max(abs(float(h)) for h in heat.values())))
    if len(L) > 1:
        assert abs(sum(map(float, heat.values()))) < 1e-10 * max(abs(float(h)) for h in heat.values())
    for solver in (qd.Dense(), qd.BlockTridiagonal()):
        close(solve(motion, solver).dense(), rho, 1e-11, 1.0)


@given(SEEDS)
@FEW
def test_order_of_factors_does_not_matter(seed):
    """The same device with its factors in another order: the same reduced states and the same currents."""
    shape = (qd.Spin(), qd.Levels(3), qd.Spin())
    described = parts(np.random.default_rng(seed), shape)
    one, two = (local_motion(space_of(shape, order), described) for order in ([0, 1, 2], [2, 0, 1]))
    a, b = solve(one), solve(two)
    for name in ("f0", "f1", "f2"):
        close(a.reduced(name).dense(), b.reduced(name).dense(), 1e-11, 1.0)
    x, y = (qd.currents(m, s, m.hamiltonian) for m, s in ((one, a), (two, b)))
    close([x[k] for k in x], [y[k] for k in x], 1e-9)


def global_parts(seed, shape, degenerate):
    rng = np.random.default_rng(seed)
    space = space_of(shape)
    H, _, _ = parts(rng, shape)
    if degenerate:
        # Integer levels on every factor, no coupling: many structural and accidental degeneracies.
        H = [[(k, np.diag(np.arange(f.dim) % 3.0 + rng.integers(0, 2)))] for k, f in enumerate(shape)]
    couplings = {}
    for k, f in enumerate(shape):
        m = rng.normal(size=(f.dim, f.dim)) + 1j * rng.normal(size=(f.dim, f.dim))
        couplings[f"b{k}"] = getattr(space, f"f{k}").operator(m + m.conj().T)
    return space, assemble(space, H), couplings, rng


@pytest.mark.parametrize("degenerate", [False, True])
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[1], SHAPES[3]], ids=lambda s: "x".join(type(f).__name__ for f in s))
@given(SEEDS)
@settings(max_examples=1, deadline=None, derandomize=True, phases=[Phase.generate])
def test_global_equation(shape, degenerate, seed):
    """One temperature gives Gibbs and no current; several give brute force, the first law and positive entropy production."""
    space, H, couplings, rng = global_parts(seed, shape, degenerate)
    Hd = H.dense()
    e, v = np.linalg.eigh(Hd)
    gibbs = (v * np.exp(-0.8 * (e - e[0]))) @ v.conj().T
    gibbs /= np.trace(gibbs)
    equal = qd.secular(H, {k: (A, qd.BosonicBath(0.8, qd.Ohmic(0.3, 4.0))) for k, A in couplings.items()})
    state = solve(equal)
    close(state.dense(), gibbs, 1e-11, 1.0)
    scale = float(np.abs(e).max() ** 2)
    assert all(abs(float(h)) < 1e-12 * scale for h in qd.currents(equal, state, equal.hamiltonian).values())

    betas = {k: float(b) for k, b in zip(couplings, rng.uniform(0.2, 2.0, len(couplings)), strict=True)}
    motion = qd.secular(H, {k: (A, qd.BosonicBath(betas[k], qd.Ohmic(0.3, 4.0))) for k, A in couplings.items()})
    state = solve(motion)
    L = {k: davies(Hd, A.dense(), rates(betas[k], ohmic(0.3, 4.0))[0]) for k, A in couplings.items()}
    rho = null_state(unitary(Hd) + sum(L.values()))
    close(state.dense(), rho, 1e-10, 1.0)
    heat = {k: float(h) for k, h in qd.currents(motion, state, motion.hamiltonian).items()}
    close([heat[k] for k in L], [flow(L[k], rho, Hd) for k in L], 1e-9, max(1e-3, max(abs(h) for h in heat.values())))
    if len(heat) > 1:
        assert abs(sum(heat.values())) < 1e-10 * max(1e-3, max(abs(h) for h in heat.values()))
    sigma = float(qd.entropy_production(motion, state, {k: -betas[k] * H for k in couplings}))
    assert sigma > -1e-12 * scale
    close(sigma, -sum(betas[k] * heat[k] for k in heat), 1e-9, 1.0)
    close(qd.entropy(state.rho), -np.sum((p := np.linalg.eigvalsh(rho)) * np.log(np.maximum(p, 1e-300))), 1e-9)


def test_ergotropy_of_a_passive_and_of_an_inverted_state():
    """A thermal state yields no work; the inverted one yields its whole energy above the passive order."""
    s = qd.Space(atom=qd.Levels(3))
    H = s.operator(np.diag([0.0, 1.0, 2.5]))
    close(float(qd.ergotropy(s.operator(np.diag([0.5, 0.3, 0.2])), H)), 0.0, 1e-15, 1.0)
    close(float(qd.ergotropy(s.operator(np.diag([0.2, 0.3, 0.5])), H)), (2.5 - 0.0) * 0.3, 1e-14)
    rng = np.random.default_rng(0)
    u = np.linalg.qr(rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)))[0]
    rho = u @ np.diag([0.5, 0.3, 0.2]) @ u.conj().T
    want = np.trace(H.dense() @ rho).real - (0.3 + 2.5 * 0.2)
    close(jax.jit(lambda r: qd.ergotropy(s.operator(r), H))(rho), want, 1e-13)


def test_hot_to_cold_without_work():
    """Between two baths of a global equation heat flows from hot to cold, for either order of temperatures."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    H = 0.5 * s.a.z + 0.7 * s.b.z + 0.3 * s.a.x @ s.b.x
    for b1, b2 in ((0.3, 1.0), (1.0, 0.3)):
        motion = qd.secular(H, {"a": (s.a.x, qd.BosonicBath(b1, qd.Ohmic(0.1))), "b": (s.b.x, qd.BosonicBath(b2, qd.Ohmic(0.1)))})
        book = qd.ledger(motion, qd.steady_state(motion))
        assert (float(book.heat["a"]) > 1e-6) == (b1 < b2)
        assert abs(float(book.imbalance)) < 1e-13 * abs(float(book.heat["a"])) * 10
