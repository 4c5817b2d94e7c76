"""What must not matter: the basis, the order of jumps, how an equation is written, units, the solver, the sector.

The matrices of H and of all jumps are arguments of one program, which sees an equation and its other form.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, random_density, random_hermitian
from random_couplings import SHAPES
from random_devices import DEVICES, bath, draw

import qdiff as qd

COMPILER = {"xla_backend_optimization_level": 0}  # these programs are small: compile them fast
DIM, JUMPS = 5, 3


@functools.partial(jax.jit, compiler_options=COMPILER)
def look(H, rates, jumps, observable, start, time=1.3):
    """An equation with two baths of three jumps each: (d, d), (2, 3), (2, 3, d, d), and two matrices more."""
    atom = qd.Space(atom=qd.Levels(DIM)).atom
    given = {b: [(r, atom.operator(A)) for r, A in zip(rates[k], jumps[k], strict=True)] for k, b in enumerate(("left", "right"))}
    generator = qd.Lindblad(atom.operator((H + H.conj().T) / 2), given)
    state, B = qd.steady_state(generator), atom.operator((observable + observable.conj().T) / 2)
    run = qd.evolve(generator, start, time, expect=B)
    return {
        "state": state.dense(),
        "mean": state.expect(B),
        "flow": jnp.stack(list(qd.currents(state, B).values())),
        "heat": jnp.stack(list(qd.ledger(state).heat.values())),
        "later": run.expectations,
        "entropy": qd.thermo.entropy(state.rho),
        "ergotropy": qd.thermo.ergotropy(run[0].rho, generator.H),
    }


def equation(rng):
    """Random numbers for `look`; levels that coincide are as common as others."""
    d = DIM
    H = np.diag(rng.choice([0.0, 1.0, 1.0 + 1e-9, 2.0], d)) + random_hermitian(rng, d) * rng.choice([0.0, 0.3, 1.0])
    jumps = (rng.normal(size=(2, JUMPS, d, d)) + 1j * rng.normal(size=(2, JUMPS, d, d))) / np.sqrt(d)
    return H.astype(complex), rng.uniform(0.1, 1.0, (2, JUMPS)), jumps, random_hermitian(rng, d), random_density(rng, d)


def turned(u, H, rates, jumps, B, rho):
    """The same equation in another basis."""
    return (*(u @ M @ u.conj().T for M in (H,)), rates, u @ jumps @ u.conj().T, u @ B @ u.conj().T, u @ rho @ u.conj().T)


def random_unitary(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))[0]


def basis(rng, *given):
    return turned(random_unitary(rng, DIM), *given)


def names_of_the_levels(rng, *given):
    return turned(np.eye(DIM)[rng.permutation(DIM)].astype(complex), *given)


def order_of_jumps(rng, H, rates, jumps, *rest):
    at = rng.permutation(JUMPS)
    return (H, rates[:, at], jumps[:, at], *rest)


def rates_within_jumps(rng, H, rates, jumps, *rest):
    return (H, np.ones_like(rates), np.sqrt(rates)[..., None, None] * jumps, *rest)


def mixture_of_jumps(rng, H, rates, jumps, *rest):
    """A_i -> sum_j u_ij A_j within each bath, with the rates inside."""
    _, rates, jumps, *rest = rates_within_jumps(rng, H, rates, jumps, *rest)
    return (H, rates, np.stack([np.einsum("ij,jab->iab", random_unitary(rng, JUMPS), A) for A in jumps]), *rest)


def zero_of_energy(rng, H, *rest):
    return (H + 37.0 * np.eye(DIM), *rest)


SAME = (basis, names_of_the_levels, order_of_jumps, rates_within_jumps, mixture_of_jumps, zero_of_energy)


def compare(one, other, names, tolerance):
    for name in names:
        close(other[name], one[name], tolerance, max(1.0, np.abs(one[name]).max()))


@pytest.mark.parametrize("change", SAME, ids=[f.__name__ for f in SAME])
def test_other_forms_of_one_equation(change, counted):
    """Everything that is read off stays to 1e-12: conditions of these equations are below a hundred.

    Energies of 37 instead of 1 leave 1e-12 of themselves in sums over them.
    """
    rng = np.random.default_rng(len(change.__name__))
    for _ in range(25):
        given = equation(rng)
        one, other = look(*given), look(*change(rng, *given))
        close(np.linalg.eigvalsh(other["state"]), np.linalg.eigvalsh(one["state"]), 1e-12, 1.0)
        compare(one, other, ("mean", "flow", "heat", "later", "entropy", "ergotropy"), 1e-11 if change is zero_of_energy else 1e-12)
        counted("random systems")


def test_shifted_jumps(counted):
    """A -> A + c, H -> H + rate (c* A - c A^dag)/2i: the same equation, with other shares of H and of the jumps."""
    rng = np.random.default_rng(1)
    for _ in range(25):
        H, rates, jumps, *rest = equation(rng)
        c = rng.normal(size=(2, JUMPS)) + 1j * rng.normal(size=(2, JUMPS))
        drift = np.einsum("bj,bjxy->xy", rates * c.conj(), jumps)
        other = look(H + (drift - drift.conj().T) / 2j, rates, jumps + c[..., None, None] * np.eye(DIM), *rest)
        one = look(H, rates, jumps, *rest)
        compare(one, other, ("state", "mean", "later", "entropy"), 1e-12)
        assert np.abs(other["flow"] - one["flow"]).max() > 1e-2  # what the baths do by themselves is not the same
        close(np.sum(other["heat"]), 0.0, 1e-12, np.abs(other["heat"]).max())
        counted("random systems")


def test_units(counted):
    """Energies and rates times s: the same states, flows of an observable times s, of energy times s^2."""
    rng = np.random.default_rng(2)
    for s in (1e-9, 3.0, 1e12):
        given = equation(rng)
        one, other = look(*given), look(given[0] * s, given[1] * s, *given[2:], 1.3 / s)
        compare(one, other, ("state", "mean", "later", "entropy"), 1e-12)
        close(other["flow"], one["flow"] * s, 1e-12)
        close(other["heat"] / s**2, one["heat"], 1e-12, np.abs(one["flow"]).max())
        counted("random systems")


def test_the_comparison_can_fail():
    """A basis that is turned by 1e-9 for the jumps only, a jump of the other bath, a rate off by 1e-9."""
    rng = np.random.default_rng(3)
    H, rates, jumps, *rest = equation(rng)
    one = look(H, rates, jumps, *rest)
    slight = turned(np.diag(np.exp(1e-9j * np.arange(DIM))), H, rates, jumps, *rest)[2]
    for wrong in ((H, rates, slight), (H, rates, jumps[::-1]), (H, rates * (1 + 1e-9), jumps)):
        with pytest.raises(AssertionError, match="differs by"):
            compare(one, look(*wrong, *rest), ("mean", "flow", "heat", "later"), 1e-12)


@functools.partial(jax.jit, compiler_options=COMPILER)
def look_globally(H, couplings, betas):
    """The secular equation of a complex block of five levels between two baths without a cutoff."""
    atom = qd.Space(atom=qd.Levels(DIM)).atom
    A = [atom.operator(M) for M in couplings]
    given = {b: ((A[k] + A[k].dag) * 0.5, qd.BosonicBath(betas[k], qd.baths.Ohmic(0.3))) for k, b in enumerate(("left", "right"))}
    generator = qd.secular(atom.operator((H + H.conj().T) / 2), given)
    state = qd.steady_state(generator)
    heat, noise = jnp.stack(list(qd.ledger(state).heat.values())), qd.cumulants(state, "left", order=2)
    return {"state": state.dense(), "heat": heat, "noise": noise}


def test_other_forms_of_one_global_equation(counted):
    """Basis, sign of the couplings, zero and unit of energy: rounding, times conditions below a hundred."""
    rng = np.random.default_rng(4)
    for _ in range(25):
        H, A, betas = random_hermitian(rng, DIM), np.stack([random_hermitian(rng, DIM) for _ in range(2)]), rng.uniform(0.2, 2.0, 2)
        one, u, s = look_globally(H, A, betas), random_unitary(rng, DIM), rng.uniform(0.1, 10)
        for form, back, unit in (
            ((u @ H @ u.conj().T, u @ A @ u.conj().T, betas), u, 1.0),
            ((H + 11 * np.eye(DIM), -A, betas), np.eye(DIM), 1.0),
            ((s * H, A, betas / s), np.eye(DIM), s),
        ):
            other = look_globally(*form)
            close(back.conj().T @ other["state"] @ back, one["state"], 1e-13, 1.0)
            close(other["heat"] / unit**2, one["heat"], 1e-13, np.abs(one["noise"]).max())
            close(other["noise"] / unit ** np.array([2, 3]), one["noise"], 1e-13)
        counted("random systems")


def identical(x):
    """Three spins in one field, coupled globally: coherence between levels that coincide for all parameters."""
    H, left, right = SHAPES["identical"](x)
    return qd.secular(H, {"left": (left, bath(x[12])), "right": (right, bath(x[13]))})


BUILD = {"fermions": DEVICES["fermions"], "identical": qd.structured(identical)}


@functools.cache
def solved(name, solver, whole):
    """State, heat, counts and the number of coordinates; in the device's own sector or in that of a state without any zero."""

    @functools.partial(jax.jit, compiler_options=COMPILER)
    def run(x, rho):
        generator = BUILD[name](x)
        state = qd.steady_state(generator, solver, initial=qd.Operator.from_dense(rho, generator.space) if whole else None)
        counts = qd.cumulants(state, "left", "quanta", order=2, solver=solver)
        return state.dense(), jnp.stack(list(qd.ledger(state).heat.values())), counts, state.x.shape[0]

    return run


@pytest.mark.parametrize("name", sorted(BUILD))
def test_solver_and_sector_do_not_matter(name, counted):
    """Dense, block tridiagonal, and the sector of a full density matrix: rounding, times conditions up to a hundred."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        x = draw(rng)
        d = BUILD[name](x).H.size
        rho = random_density(rng, d)
        (*dense, n), (*block, _) = (solved(name, solver, False)(x, rho) for solver in (qd.solvers.Dense(), qd.solvers.BlockTridiagonal()))
        *whole, m = solved(name, None, True)(x, rho)
        assert m == d * d > n
        for one, two, three in zip(dense, block, whole, strict=True):
            close(two, one, 1e-13, max(1.0, np.abs(one).max()))
            close(three, one, 1e-13, max(1.0, np.abs(one).max()))
        counted("random systems")
