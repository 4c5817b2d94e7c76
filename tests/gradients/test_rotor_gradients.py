"""Derivatives of every smooth figure of merit of the rotor device: forward, reverse and second order, against differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd
from qdiff.models.base import sharing

QUICK = {"xla_backend_optimization_level": 0}  # these programs run a few times: compile them fast
SIZE = {"l_min": -5, "l_max": 6}
POINT = {"lam": 0.4, "gamma": 0.02, "inertia": 0.8, "chi": 0.15}


def names_of(kind):
    return [n for n, p in kind.parameters().items() if not p.static]


def vector_of(kind, leave=("ergotropy",)):
    """All scalar figures of merit (but those to `leave`) as one function of the vector of parameters, and their names.

    The ergotropy of the whole device has a kink wherever two of its hundreds of populations cross; it has a test of
    its own.
    """
    names, model = names_of(kind), kind(**SIZE)
    merits = [n for n in kind.merits() if n not in ("qubit_populations", "rotor_populations", *leave)]

    def f(theta):
        m = eqx.tree_at(lambda m: [getattr(m, n) for n in names], model, list(theta))
        with sharing():
            return jnp.stack([getattr(m, n)() for n in merits])

    return f, names, merits


def differences(f, x, scale, step=2e-3):
    """Central differences of f in every component of x, extrapolated twice (error of order step^6)."""
    rows = []
    for k in range(len(x)):
        e = np.zeros(len(x))
        e[k] = step * scale[k]
        d = [(np.asarray(f(x + h * e)) - np.asarray(f(x - h * e))) / (2 * h * e[k]) for h in (4, 2, 1)]
        d = [(4 * d[1] - d[0]) / 3, (4 * d[2] - d[1]) / 3]
        rows.append((16 * d[1] - d[0]) / 15)
    return np.stack(rows, axis=-1)


def test_differences_can_fail():
    """The helper finds the derivative of a known function to 1e-10, and would notice one that is 1e-8 off."""
    d = differences(lambda x: np.array([np.sin(x[0]) * x[1]]), np.array([0.3, 2.0]), np.array([1.0, 1.0]))
    assert abs(d[0, 0] - 2 * np.cos(0.3)) < 1e-10 and abs(d[0, 0] * (1 + 1e-8) - 2 * np.cos(0.3)) > 1e-9


def scale_of(x):
    return np.where(np.abs(x) > 0, np.abs(x), 0.1)


def agree(derivative, numeric, scale, tolerance):
    """Relative to the largest derivative of each figure of merit, parameters counted in units of their size."""
    unit = np.max(np.abs(numeric * scale), axis=-1, keepdims=True)
    unit[unit < 1e-12] = 1  # zero all around, up to rounding, such as the ergotropy of a passive state
    return np.max(np.abs((derivative - numeric) * scale) / unit) < tolerance


@pytest.fixture(scope="module", params=[qd.models.RotorEngine, qd.models.RotorRectifier], ids=["engine", "rectifier"])
def programs(request):
    f, names, merits = vector_of(request.param)
    forward = jax.jit(jax.jacfwd(f), compiler_options=QUICK)
    return request.param, names, merits, jax.jit(f, compiler_options=QUICK), forward, f


def point(kind, names, **changes):
    given = {k: v for k, v in POINT.items()} | changes
    return np.array([float(given.get(n, kind.parameters()[n].default)) for n in names])


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_first_order_at_random_parameters(programs, seed):
    """Forward mode against differences, every figure of merit in every parameter."""
    kind, names, _, value, forward, _ = programs
    x = point(kind, names) * np.random.default_rng(seed).uniform(0.8, 1.25, len(names))
    assert agree(np.asarray(forward(x)), differences(value, x, scale_of(x)), scale_of(x), 1e-8)


@pytest.mark.slow
def test_reverse_and_second_order(programs):
    """Reverse equals forward; the Hessian (reverse over forward) is symmetric and equals differences of gradients."""
    kind, names, _, _, forward, f = programs
    x = point(kind, names)
    scale = scale_of(x)
    reverse = jax.jit(jax.jacrev(f), compiler_options=QUICK)
    assert agree(np.asarray(reverse(x)), np.asarray(forward(x)), scale, 1e-10)
    second = np.asarray(jax.jit(jax.jacfwd(jax.jacrev(f)), compiler_options=QUICK)(x))
    size = np.max(np.abs(second * scale[:, None] * scale), axis=(1, 2), keepdims=True)
    size[size < 1e-12] = 1  # zero all around, up to rounding
    scaled = second * scale[:, None] * scale / size
    assert np.max(np.abs(scaled - np.swapaxes(scaled, 1, 2))) < 1e-9
    numeric = differences(forward, x, scale) * scale[:, None] * scale / size
    assert np.max(np.abs(scaled - numeric)) < 1e-7


def test_at_degenerate_parameters(programs):
    """Where uncoupled levels cross, equal temperatures, equal fields: derivatives are those of the neighbourhood.

    At inertia 1, B1 = 4, B2 = 10 (the defaults) energies of uncoupled levels coincide by the dozen; at
    B1 = B2 two qubits are degenerate (and the qubits' ergotropy has a kink, left out).
    """
    kind, names, merits, value, forward, _ = programs
    for changes in (
        {"inertia": 1.0, "chi": 0.0},
        {"B1": 6.0, "B2": 6.0, "inertia": 1.0, "chi": 0.3},
        {"gamma": 0.05, "g": 1.0, "inertia": 0.5},
    ):
        x = point(kind, names, **changes)
        scale = scale_of(x)
        got, numeric = np.asarray(forward(x)), differences(value, x, scale)
        assert np.all(np.isfinite(got))
        smooth = [k for k, n in enumerate(merits) if n != "ergotropy_qubits" or "B1" not in changes]
        assert agree(got[smooth], numeric[smooth], scale, 1e-7), changes


def test_at_a_narrow_avoided_crossing():
    """A doublet exactly at resonance (B2 - B1 = 1/4I) with lam = 1e-6: its splitting is lam, its derivatives 1/lam."""
    kind = qd.models.RotorRectifier
    f, names, _ = vector_of(kind)
    x = point(kind, names, B1=4.0, B2=4.25, lam=1e-6, inertia=1.0)
    value, forward = jax.jit(f, compiler_options=QUICK), jax.jit(jax.jacfwd(f), compiler_options=QUICK)
    scale = scale_of(x)
    scale[names.index("B1")] = scale[names.index("B2")] = 1e-6
    got = np.asarray(forward(x))
    for name in ("lam", "B1", "beta2"):
        k = names.index(name)
        one = np.zeros(len(x))
        one[k] = 1
        numeric = differences(lambda t, one=one: value(x + t[0] * one), np.zeros(1), scale[k : k + 1], step=2e-2)[:, 0]
        unit = np.max(np.abs(got * scale), axis=-1)
        assert np.max(np.abs(got[:, k] - numeric) * scale[k] / unit) < 1e-6, name


def test_ergotropy_between_its_kinks():
    """The whole device's ergotropy against differences with steps that are shorter than the distance to a kink."""
    kind = qd.models.RotorEngine
    f, names, merits = vector_of(kind, leave=())
    which = merits.index("ergotropy")
    x = point(kind, names)
    value, forward = jax.jit(f, compiler_options=QUICK), jax.jit(jax.jacfwd(f), compiler_options=QUICK)
    got = np.asarray(forward(x))[which : which + 1]
    numeric = differences(lambda y: np.asarray(value(y))[which : which + 1], x, scale_of(x), step=1e-6)
    # Rounding, 1e-15 over the step, limits the differences to 1e-8 or so.
    assert agree(got, numeric, scale_of(x), 1e-7)
