"""Drift and diffusion on a ring: quadrature against finite volumes and closed forms, derivatives, evolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import close, derivative
from scipy.special import iv

import qdiff as qd


def tilted(force, depth=1.5, D=0.3):
    """Overdamped motion in a cosine with a constant force: v = D (depth sin k - force)."""
    return qd.momentum.DriftDiffusion(lambda k: depth * jnp.sin(k) - force + 0 * k, lambda k: jnp.full_like(k, 1 / D))


def test_without_force():
    """r = e^{depth cos k}/(2 pi I_0): no current."""
    r = tilted(0.0).steady_state()
    close(r.density, np.exp(1.5 * np.cos(r.k)) / (2 * np.pi * iv(0, 1.5)), 1e-13)
    assert abs(r.current) < 1e-16


def test_tilted_washboard():
    """The current D sinh(pi f)/(2 pi^2 |I_{if}(depth)|^2) in closed form, and the flux of the density itself."""
    f = 0.4
    r = tilted(f).steady_state(512)
    k = np.asarray(r.k)
    assert abs(r.weight.sum() - 1) < 1e-14
    # -(v r + D r'), the same everywhere, by differences.
    slope = np.gradient(np.asarray(r.density), k, edge_order=2)
    flux = -(0.3 * (1.5 * np.sin(k) - f) * np.asarray(r.density) + 0.3 * slope)
    close(flux[5:-5], np.full(k.size - 10, float(r.current)), 2e-2)
    import mpmath

    bessel = abs(complex(mpmath.besseli(1j * f, 1.5))) ** 2
    close(r.current, 0.3 * np.sinh(np.pi * f) / (2 * np.pi**2 * bessel), 1e-12)


@pytest.mark.parametrize("force", [0.0, 0.4, -3.0])
def test_finite_volumes(force):
    """They converge to the quadrature with the square of the width, and their generator is what its stationary state says."""
    exact = tilted(force).steady_state()
    mean = exact.weight @ jnp.sin(exact.k + 0.3)
    off = []
    for cells in (200, 400):
        volumes = qd.momentum.finite_volumes(tilted(force), cells)
        p = volumes.steady_state()
        assert np.abs(volumes.act(p)).max() < 1e-13 * np.max(volumes.up)
        off.append(abs(float(p @ jnp.sin(volumes.momenta + 0.3) - mean)))
    assert off[1] < 1e-4 and off[1] < 0.3 * off[0] + 1e-14


def test_kinks():
    """A slope with a jump: quadrature that knows where it is."""

    def slope(k):
        return jnp.where(jnp.sin(k - 0.2) > 0, 1.0, -0.7)

    known = qd.momentum.DriftDiffusion(slope, lambda k: jnp.ones_like(k), (lambda k: jnp.sin(k - 0.2),))
    r = known.steady_state(256)
    fine = qd.momentum.finite_volumes(qd.momentum.DriftDiffusion(slope, lambda k: jnp.ones_like(k)), 400_000)
    p = fine.steady_state()
    close(r.weight @ jnp.cos(r.k), p @ jnp.cos(fine.momenta), 1e-5)
    other = known.steady_state(4096)
    close(r.weight @ jnp.cos(r.k), other.weight @ jnp.cos(other.k), 1e-13)


@pytest.mark.slow
def test_derivatives():
    def mean(x):
        r = tilted(x[0], x[1]).steady_state(512)
        return r.weight @ jnp.cos(r.k) + r.current

    def cells(x):
        volumes = qd.momentum.finite_volumes(tilted(x[0], x[1]), 300)
        return volumes.steady_state() @ jnp.cos(volumes.momenta)

    def later(x):
        volumes = qd.momentum.finite_volumes(tilted(x[0], x[1]), 60)
        p = volumes.evolve(jnp.full(60, 1 / 60), jnp.array([0.5, x[0]]))
        return jnp.sum(p @ jnp.cos(volumes.momenta))

    x = jnp.array([0.4, 1.5])
    for f in (mean, cells, later):
        close(jax.grad(f)(x), derivative(f, x), 1e-8)
        close(jax.jacfwd(f)(x), jax.grad(f)(x), 1e-11)
        close(jax.hessian(f)(x), derivative(jax.grad(f), x).T, 1e-6)
        close(jax.vmap(jax.grad(f))(jnp.stack([x, 2 * x]))[0], jax.grad(f)(x), 1e-12)


def test_evolution():
    volumes = qd.momentum.finite_volumes(tilted(0.4), 40)
    W = np.stack([np.asarray(volumes.act(e)) for e in np.eye(40)], axis=1)
    x = np.random.default_rng(0).normal(size=40)
    times = jnp.array([0.0, 0.1, 3.0, 1e5])
    want = np.stack([scipy.linalg.expm(W * float(t)) @ x for t in times[:3]] + [x.sum() * np.asarray(volumes.steady_state())])
    close(volumes.evolve(jnp.asarray(x), times), want, 1e-11)


def test_refused():
    with pytest.raises(ValueError, match="nodes must be at least 256, but was 100"):
        tilted(0.0).steady_state(100)


def test_by_the_verbs():
    """Without drift everything ends up uniform."""
    flat = qd.momentum.DriftDiffusion(lambda k: 0 * k, lambda k: 1 + 0 * k)
    volumes = qd.momentum.finite_volumes(flat, 8)
    r = qd.steady_state(flat, 256, current=False)
    close(r.density, np.full(r.k.size, 1 / (2 * np.pi)), 1e-13)
    close(qd.steady_state(volumes), np.full(8, 1 / 8), 1e-14)
    close(qd.evolve(volumes, jnp.eye(8)[0], [0.0, 1e3]), np.stack([np.eye(8)[0], np.full(8, 1 / 8)]), 1e-11)
    with pytest.raises(TypeError, match="DriftDiffusion does not say how it moves in time"):
        qd.evolve(flat, r.density, [1.0])
