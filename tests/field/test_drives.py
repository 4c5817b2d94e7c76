"""Drives that are short, late, at amplitude zero, or given by data: values and gradients of `evolve` with H(t).

Right values are SciPy's: products of exponentials, and DOP853 at 1e-13 within smooth pulses, with derivatives by complex
steps (`driven.py`); closed forms where there are any.
"""

import os

import driven
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, slow_but
from scipy.integrate import quad
from scipy.linalg import expm

import qdiff as qd

QUICK = {"xla_backend_optimization_level": 0}
q = qd.Space(q=qd.Spin()).q
RHO = np.array([[0.3, 0.2], [0.2, 0.7]])
LAST = 1040.0


def population(shape, solver=None, last=LAST):
    """(amplitude, time, width, decay rate, splitting) -> the final population of the upper level."""

    def f(p):
        pulse = shape(*p[:3])

        def generator(t):
            return qd.Lindblad(p[4] / 2 * q.z + pulse(t) * q.x, {"loss": (p[3], q.minus)})

        return qd.evolve(generator, RHO, jnp.array([last]), expect=q.up, solver=solver).expectations[0]

    return f


def window(t, t0, w, inside):
    return jnp.where((t > t0) & (t < t0 + w), inside, 0.0)


# name: how a user writes it, and its reference.
SHAPES = {
    "rectangle by where": (lambda A, t0, w: lambda t: A * window(t, t0, w, 1.0), driven.rectangle),
    "PiecewiseConstant": (lambda A, t0, w: qd.pulses.PiecewiseConstant(jnp.stack([t0, t0 + w]), A[None]), driven.rectangle),
    "Gaussian by exp": (lambda A, t0, w: lambda t: A * jnp.exp(-(((t - t0) / w) ** 2) / 2), driven.gaussian),
    "GaussianPulse": (lambda A, t0, w: qd.pulses.GaussianPulse(A, t0, w), driven.gaussian),
    "raised cosine by where": (
        lambda A, t0, w: lambda t: A * window(t, t0, w, (1 - jnp.cos(2 * jnp.pi * (t - t0) / w)) / 2),
        driven.raised_cosine,
    ),
    "RaisedCosine": (lambda A, t0, w: qd.pulses.RaisedCosine(A, t0, w), driven.raised_cosine),
    "Gaussian around an oscillation": (
        lambda A, t0, w: lambda t: A * jnp.exp(-(((t - t0) / w) ** 2) / 2) * jnp.cos(3 * (t - t0) / w + 0.3),
        driven.chirp,
    ),
}


def random_parameters(rng):
    """Amplitudes over three decades and zero, starts anywhere, widths over two decades."""
    amplitude = rng.choice([1, 1, 1, 0]) * 10 ** rng.uniform(-2, 1)
    start, width = rng.uniform(0, 1000), 10 ** rng.uniform(-0.7, 1.3)
    return np.array([amplitude, max(start, 9 * width), width, 10 ** rng.uniform(-4, -2), rng.uniform(0, 2)])


def check(shape, reference, count, seed, solver=None, way=jax.grad, value_error=1e-6, slope_error=1e-5):
    f = population(shape, solver)
    g = jax.jit(lambda p: (f(p), way(f)(p)), compiler_options=QUICK)
    rng = np.random.default_rng(seed)
    for _ in range(count):
        p = random_parameters(rng)
        want, slopes = driven.value_and_slopes(reference, p, LAST)
        value, got = g(p)
        assert abs(value - want) < value_error, p
        close(got, slopes, slope_error, max(np.abs(slopes).max(), 1e-6))


def test_the_reference_at_amplitude_zero():
    """The slope in the amplitude by first-order perturbation theory, an integral; the reference was once off by its size there."""
    centre, width, g, w = 629.0, 0.21, 2.5e-4, 0.027
    slope = driven.value_and_slopes(driven.gaussian, [0.0, centre, width, g, w], LAST)[1][0]

    def response(t):
        coherence = RHO[0, 1] * np.exp((-1j * w - g / 2) * t)
        return -2 * np.exp(-(((t - centre) / width) ** 2) / 2) * coherence.imag * np.exp(-g * (LAST - t))

    close(slope, quad(response, centre - 9 * width, centre + 9 * width, epsabs=1e-14)[0], 1e-10, 0.2)


@pytest.mark.parametrize("name", slow_but(SHAPES, *(set(SHAPES) - {"Gaussian by exp", "RaisedCosine"})))
def test_random_drives(name, counted):
    """Values to 1e-6, gradients in all parameters, the times of the pulse among them, to 1e-5 of the largest."""
    shape, reference = SHAPES[name]
    exact = reference is driven.rectangle
    check(shape, reference, 6, 1, value_error=1e-12 if exact else 1e-6, slope_error=1e-9 if exact else 1e-5)
    counted("oracle comparisons", 6)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_many_random_drives(name, counted):
    """The same for more of them: DRIVES=143 makes a thousand in all."""
    shape, reference = SHAPES[name]
    count = int(os.environ.get("DRIVES", "20"))
    check(shape, reference, count, 2)
    counted("oracle comparisons", count)


WAYS = {
    "propagator forward": ("PiecewiseConstant", qd.solvers.Propagator(), jax.jacfwd),
    "action": ("PiecewiseConstant", qd.solvers.Action(), jax.grad),
    "action forward": ("rectangle by where", qd.solvers.Action(gradient="forward"), jax.jacfwd),
    "explicit of a rectangle": ("rectangle by where", qd.solvers.Explicit(), jax.grad),
    "explicit forward": ("raised cosine by where", qd.solvers.Explicit(gradient="forward"), jax.jacfwd),
    "explicit both": ("GaussianPulse", qd.solvers.Explicit(gradient="both", max_steps=4096), jax.jacfwd),
    "stiff": ("RaisedCosine", qd.solvers.Stiff(), jax.grad),
    "stiff forward": ("Gaussian by exp", qd.solvers.Stiff(gradient="forward"), jax.jacfwd),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_every_solver_and_direction(name):
    """Random pulses by each solver, in each direction that it has."""
    shape, solver, way = WAYS[name]
    check(*SHAPES[shape], int(os.environ.get("DRIVES", "15")), 3, solver, way)


def test_a_batch_is_a_loop():
    """vmap over pulses and last times, values and gradients, of a generator with corners and curves."""

    def f(p, last):
        pulse = qd.pulses.RaisedCosine(*p) + qd.pulses.GaussianPulse(p[0], p[1] + 20, p[2])
        generator = lambda t: qd.Lindblad(0.2 * q.z + pulse(t) * q.x, {"l": (1e-2, q.minus)})  # noqa: E731
        return qd.evolve(generator, {"q": "down"}, last, expect=q.up).expectations[0]

    one = jax.jit(jax.value_and_grad(f, argnums=(0, 1)), compiler_options=QUICK)
    many = jnp.array([[0.5, 3.0, 2.0], [0.0, 30.0, 1.0], [2.0, 10.0, 0.5]])
    lasts = jnp.array([60.0, 80.0, 50.0])
    with qd.failures("nan"):
        batch = jax.jit(jax.vmap(jax.value_and_grad(f, argnums=(0, 1))), compiler_options=QUICK)(many, lasts)
    loop = jax.tree.map(lambda *x: np.stack(x), *(one(p, last) for p, last in zip(many, lasts, strict=True)))
    jax.tree.map(lambda got, want: close(got, want, 1e-9), batch, loop)


# ---- the cases that were wrong -----------------------------------------------------------------------------------


def test_a_late_short_rectangle():
    """A pi pulse between t = 50 and 55 after rest, seen in one evolution that is otherwise at rest."""

    def generator(t):
        return qd.Lindblad(jnp.where((t > 50) & (t < 55), jnp.pi / 10, 0.0) * q.x, {"l": (1e-9, q.minus)})

    run = qd.evolve(generator, {"q": "down"}, jnp.array([60.0]), expect=q.up)
    close(run.expectations, [1.0], 2e-8)  # damping takes 1e-8 of it
    assert run.solver == "Propagator"


BINS = {
    "an index from a division": lambda t, u: u[jnp.minimum((t / 0.5).astype(int), 19)],
    "an index from floor division": lambda t, u: u[jnp.clip((t // 0.5).astype(int), 0, 19)],
    "searchsorted": lambda t, u: u[jnp.clip(jnp.searchsorted(0.5 * jnp.arange(21), t, side="right") - 1, 0, 19)],
    "a sum of windows": lambda t, u: jnp.sum(jnp.where((t >= 0.5 * jnp.arange(20)) & (t < 0.5 * jnp.arange(1, 21)), u, 0.0)),
    "PiecewiseConstant": lambda t, u: qd.pulses.PiecewiseConstant(0.5 * np.arange(21), u)(t),
    "PiecewiseConstant with jnp": lambda t, u: qd.pulses.PiecewiseConstant(0.5 * jnp.arange(21), u)(t),
}


@pytest.mark.parametrize("name", slow_but(BINS, "an index from floor division", "searchsorted", "PiecewiseConstant"))
def test_twenty_equal_bins(name):
    """H(t) = u[bin(t)] sx: every bin turns by its own angle, so that all derivatives are sin(2 sum u_k dt) dt, 0.4546 at u = 0.1."""
    bins = BINS[name]

    def f(u):
        generator = lambda t: qd.Lindblad(bins(t, u) * q.x, {"l": (0.0, q.minus)})  # noqa: E731
        return qd.evolve(generator, {"q": "down"}, jnp.array([10.0]), expect=q.up).expectations[0]

    u = jnp.full(20, 0.1)
    value, slopes = jax.jit(jax.value_and_grad(f), compiler_options=QUICK)(u)
    close(value, np.sin(1.0) ** 2, 1e-13)
    close(slopes, np.full(20, 0.5 * np.sin(2.0)), 1e-12)
    other = 0.1 + 0.3 * np.random.default_rng(0).normal(size=20)
    close(jax.jit(jax.jacfwd(f), compiler_options=QUICK)(other), np.full(20, 0.5 * np.sin(np.sum(other))), 1e-12)


def test_bins_that_do_not_commute():
    """Random drives along x and y, bin by bin, against products of exponentials and differences of them; second derivatives too."""
    rng = np.random.default_rng(4)
    u, times = rng.normal(size=(6, 2)), np.concatenate([[0.0], np.sort(rng.uniform(0, 9, 5)), [9.0]])
    free, along_x = driven.generators(0.7, 0.1)
    along_y = np.zeros((4, 4))
    along_y[0, 2], along_y[2, 0] = 2.0, -2.0

    def reference(u, times):
        v = driven.START.astype(complex)
        for k, wait in enumerate(np.diff(times)):
            v = expm((free + u[k, 0] * along_x + u[k, 1] * along_y) * wait) @ v
        return (1 + v[2]) / 2

    def f(u, times):
        x, y = (qd.pulses.PiecewiseConstant(times, u[:, k]) for k in (0, 1))
        generator = lambda t: qd.Lindblad(0.35 * q.z + x(t) * q.x + y(t) * q.y, {"loss": (0.1, q.minus)})  # noqa: E731
        return qd.evolve(generator, RHO, 9.0, expect=q.up).expectations[0]

    def complex_step(k, j):
        moved = u.astype(complex)
        moved[k, j] += 1e-30j
        return reference(moved, times).imag / 1e-30

    def of_time(k):
        moved = times.astype(complex)
        moved[k] += 1e-30j
        return reference(u, moved).imag / 1e-30

    gradient = jax.jit(jax.grad(f, argnums=(0, 1)), compiler_options=QUICK)
    in_u, in_times = gradient(u, times)
    close(in_u, [[complex_step(k, j) for j in (0, 1)] for k in range(6)], 1e-11)
    close(in_times[1:-1], [of_time(k) for k in range(1, 6)], 1e-11)
    second = jax.jit(jax.jacfwd(jax.grad(f)), compiler_options=QUICK)(u, times)
    h = 1e-4
    moved = [gradient(u + s * h * np.eye(12)[3].reshape(6, 2), times)[0] for s in (1, -1)]
    close(second[:, :, 1, 1], (np.asarray(moved[0]) - np.asarray(moved[1])) / (2 * h), 1e-6)


def test_a_periodic_train_and_a_square_wave():
    """A short pulse every two time units, and the sign of a cosine: areas add up, sin^2 of them."""
    train = lambda t, a: a * jnp.where(t % 2.0 < 0.1, 1.0, 0.0)  # noqa: E731
    square = lambda t, a: a * jnp.sign(jnp.cos(jnp.pi * t))  # noqa: E731

    def f(shape, last):
        def of(a):
            generator = lambda t: qd.Lindblad(shape(t, a) * q.x, {"l": (0.0, q.minus)})  # noqa: E731
            return qd.evolve(generator, {"q": "down"}, last, expect=q.up).expectations[0]

        return jax.jit(jax.value_and_grad(of), compiler_options=QUICK)

    value, slope = f(train, 100.0)(0.3)  # 50 pulses of 0.1
    close(value, np.sin(1.5) ** 2, 1e-12)
    close(slope, 5 * np.sin(3.0), 1e-11)
    value, slope = f(square, 100.5)(0.3)  # whole periods cancel; half a unit up is left
    close(value, np.sin(0.15) ** 2, 1e-11)
    close(slope, 0.5 * np.sin(0.3), 1e-11)


def test_times_of_a_pulse_have_derivatives():
    """The area of a rectangle grows by its height with its end, though no comparison has a derivative."""

    def f(first, last):
        generator = lambda t: qd.Lindblad(jnp.where((t > first) & (t < last), 0.4, 0.0) * q.x, {"l": (0.0, q.minus)})  # noqa: E731
        return qd.evolve(generator, {"q": "down"}, 10.0, expect=q.up).expectations[0]

    slopes = jax.jit(jax.grad(f, argnums=(0, 1)), compiler_options=QUICK)(3.0, 4.5)
    close(slopes, 0.4 * np.sin(2 * 0.4 * 1.5) * np.array([-1.0, 1.0]), 1e-12)


def test_rates_that_are_switched_on():
    """A decay rate given by data: what is left is the exponential of its area, and so is its gradient."""

    def f(heights):
        rate = qd.pulses.PiecewiseLinear(jnp.array([100.0, 101.0, 103.0]), heights) + 0.1 * qd.pulses.RaisedCosine(1.0, 500.0, 4.0)
        generator = lambda t: qd.Lindblad(0.0 * q.z, {"loss": (rate(t), q.minus)})  # noqa: E731
        return qd.evolve(generator, {"q": "up"}, jnp.array([600.0]), expect=q.up).expectations[0]

    heights = np.array([0.2, 0.5, 0.1])
    value, slopes = jax.jit(jax.value_and_grad(f), compiler_options=QUICK)(heights)
    area = np.array([0.5, 1.5, 1.0]) @ heights + 0.1 * 2.0
    close(value, np.exp(-area), 1e-9)
    close(slopes, -np.exp(-area) * np.array([0.5, 1.5, 1.0]), 1e-8)


SPLINE = np.array([0.0, 1.0, 0.3, -0.6, 0.0])


@pytest.mark.parametrize(
    ("pulse", "area"),
    [
        (qd.pulses.PiecewiseConstant([700.0, 700.2, 701.0], [1.0, -0.5]), 0.2 - 0.4),
        (qd.pulses.PiecewiseLinear([700.0, 700.1, 700.5], [0.0, 2.0, 0.0]), 0.5),
        (qd.pulses.GaussianPulse(0.5, 800.0, 0.3), 0.5 * 0.3 * np.sqrt(2 * np.pi)),
        (qd.pulses.RaisedCosine(1.5, 30.0, 0.4), 0.3),
        (
            qd.pulses.GaussianPulse(0.5, 800.0, 0.3)
            + 2.0 * qd.pulses.RaisedCosine(1.5, 30.0, 0.4)
            - qd.pulses.RaisedCosine(0.5, 900.0, 0.4),
            0.875994,
        ),
        (qd.pulses.CubicSpline([500.0, 500.5, 501.0, 502.0, 503.0], SPLINE), None),
    ],
    ids=["constant", "linear", "Gaussian", "raised cosine", "sum", "spline"],
)
def test_pulses_turn_by_their_areas(pulse, area):
    """A drive along x alone turns by its area, 0.5 0.3 sqrt(2 pi) of the Gaussian, half the height of a raised cosine."""
    if area is None:
        from scipy.interpolate import CubicSpline

        area = float(CubicSpline([500.0, 500.5, 501.0, 502.0, 503.0], SPLINE, bc_type="natural").integrate(500.0, 503.0))
    generator = lambda t: qd.Lindblad(pulse(t) * q.x, {"l": (0.0, q.minus)})  # noqa: E731
    run = qd.evolve(generator, {"q": "down"}, jnp.array([1000.0]), expect=q.up)
    close(run.expectations, [np.sin(area) ** 2], 1e-6 if area == 0.875994 else 1e-8, 1.0)


# ---- refused, and how --------------------------------------------------------------------------------------------


def test_what_is_too_narrow_to_be_seen_is_refused():
    """A smooth peak narrower than the grid: one sentence that names max_step; with it, the right value."""

    def generator(t):
        return qd.Lindblad(20.0 * jnp.exp(-(((t - 400.017) / 0.01) ** 2) / 2) * q.x, {"l": (1e-9, q.minus)})

    with pytest.raises(qd.SolveError, match="max_step"):
        qd.evolve(generator, {"q": "down"}, 1000.0, expect=q.up)
    run = qd.evolve(generator, {"q": "down"}, 1000.0, expect=q.up, solver=qd.solvers.Explicit(max_step=0.02))
    close(run.expectations, [np.sin(20 * 0.01 * np.sqrt(2 * np.pi)) ** 2], 2e-6)


def test_jumps_that_cannot_be_read_off():
    """A callback may do anything: a jump seen on the grid is refused, and hit where its times are given."""

    def rectangle(t):
        return np.where((t > 7.0) & (t < 7.5), 1.0, 0.0)

    @jax.custom_jvp
    def height(t):
        return jax.pure_callback(rectangle, jax.ShapeDtypeStruct((), float), t, vmap_method="expand_dims")

    height.defjvp(lambda t, dt: (height(*t), jnp.zeros(())))

    def generator(t):
        return qd.Lindblad(height(t) * q.x, {"l": (1e-9, q.minus)})

    with pytest.raises(qd.SolveError, match="`jumps`"):
        qd.evolve(generator, {"q": "down"}, 10.0, expect=q.up)
    run = qd.evolve(generator, {"q": "down"}, 10.0, expect=q.up, jumps=[7.0, 7.5])
    close(run.expectations, [np.sin(0.5) ** 2], 1e-8)


REFUSED = {
    "Python's if": lambda t: qd.Lindblad((1.0 if t > 5 else 0.0) * q.x, {"l": (0.1, q.minus)}),
    "math.cos": lambda t: qd.Lindblad(__import__("math").cos(t) * q.x, {"l": (0.1, q.minus)}),
    "np.interp": lambda t: qd.Lindblad(np.interp(t, [0.0, 1.0], [0.0, 1.0]) * q.x, {"l": (0.1, q.minus)}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_made_of_jax_is_refused_in_one_sentence(name):
    with pytest.raises(TypeError, match="generator must be made of JAX's operations, because the time is traced") as caught:
        qd.evolve(REFUSED[name], {"q": "up"}, 1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rate", "when"),
    [
        (lambda t: 1 - 0.1 * t, "1[0-9].*"),
        (lambda t: jnp.cos(0.2 * t) + 0.5, "1[0-9].*"),
        (lambda t: jnp.where((t > 5) & (t < 6), -0.1, 0.1), "5.5"),
    ],
    ids=["straight", "curved", "for a while"],
)
def test_a_rate_that_turns_negative_names_bath_and_time(rate, when):
    generator = lambda t: qd.Lindblad(q.z, {"calm": (0.1, q.plus), "storm": (rate(t), q.minus)})  # noqa: E731
    with pytest.raises(qd.SolveError, match=rf"a rate of bath 'storm' is negative or not finite \(at t = {when}\)"):
        qd.evolve(generator, {"q": "up"}, 20.0, expect=q.up)
    with qd.failures("nan"):
        late = jax.jit(lambda last: qd.evolve(generator, {"q": "up"}, last, expect=q.up).expectations[0], compiler_options=QUICK)
        assert np.isnan(late(20.0)) and np.isfinite(late(4.0))


# ---- at rest, with a constant generator --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solver", [qd.solvers.Explicit(), qd.solvers.Stiff(), qd.solvers.Action(), qd.solvers.Propagator()], ids=lambda s: type(s).__name__
)
def test_derivatives_at_rest(solver):
    """The ground state of a damped qubit is at rest; its response to a transverse field is not: coherences by closed form."""

    def f(p):
        generator = qd.Lindblad(0.5 * q.z + p[0] * q.x, {"loss": (p[1], q.minus)})
        return qd.evolve(generator, {"q": "down"}, jnp.array([30.0]), expect=q.x, solver=solver).expectations[0]

    slope = jax.jit(jax.grad(f), compiler_options=QUICK)(jnp.array([0.0, 0.05]))
    z = 1j - 0.025  # d<s->/dt = (+-i - g/2) <s-> + i p: to first order in p
    want = 2 * np.real((1 - np.exp(z * 30.0)) / z * 1j)
    assert abs(abs(float(slope[0])) - abs(want)) < 1e-6 and abs(float(slope[1])) < 1e-9
