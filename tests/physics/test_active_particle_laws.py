"""Laws of the active particle: rest at equal temperatures, homogeneity, limits, and the general machinery against closed forms."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.models.active.bands import Bands

Particle = qd.models.ActiveParticle
OTHER = dict(epsilon=0.8, theta=0.9, d_x=0.3, d_z=-0.25, hopping=1.3, gamma_hot=0.3, gamma_cold=0.15, T=0.7, dT=0.4)


@pytest.mark.parametrize("given", [{}, OTHER])
def test_rest_at_equal_temperatures(given):
    model = Particle(**{**given, "dT": 0.0}, points=200, phonon_range=0.1)
    assert abs(float(model.velocity())) == 0 and abs(float(model.velocity_relaxed())) < 1e-15
    assert abs(float(model.velocity_drift_diffusion())) < 1e-14
    assert np.abs(model.velocity_trace(jnp.array([1.0, 50.0]), "bloch")).max() < 1e-15


@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_boltzmann_is_stationary(p):
    model = Particle(**{**OTHER, "dT": 0.0}, points=120, phonon_range=0.1, phonon_exponent=p)
    bands, k = model.bands(), model.momenta
    E = np.stack([bands.dispersion(k) - bands.splitting(k), bands.dispersion(k) + bands.splitting(k)])
    thermal = np.exp(-(E - E.min()) / 0.7)
    thermal /= thermal.sum()
    scattering = model.scattering()
    assert np.abs(scattering.act(thermal)).max() < 1e-14
    close(scattering.steady_state(), thermal, 1e-13)
    driven = model.replace(dT=0.4).scattering()
    assert np.abs(driven.act(thermal)).max() > 1e-6  # the same comparison where it must not hold


@pytest.mark.parametrize("merit", ["velocity", "velocity_linear_response", "velocity_drift_diffusion"])
def test_homogeneity(merit):
    """An energy times its derivative, over all energies, is the velocity: there is no other scale."""
    model = Particle(**OTHER)
    value, slope = jax.value_and_grad(lambda m: getattr(m, merit)())(model)
    total = sum(getattr(model, name) * getattr(slope, name) for name in ("epsilon", "d_x", "d_z", "hopping", "T", "dT"))
    close(total, value, 1e-12)
    close(model.gamma_hot * slope.gamma_hot + model.gamma_cold * slope.gamma_cold, 0.0, 1e-12, scale=abs(float(value)))


def test_symmetries():
    model = Particle(**OTHER)
    v = float(model.velocity())
    close(model.replace(d_x=-0.3, d_z=0.25).velocity(), -v, 1e-13)
    close(model.replace(theta=0.9 + np.pi).velocity(), -v, 1e-13)
    close(model.replace(theta=-0.9, d_z=0.25).velocity(), v, 1e-13)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a Zeeman field the bands touch
        still_standing(model)


def still_standing(model):
    for still in ({"hopping": 0.0}, {"d_x": 0.0, "d_z": 0.0}, {"epsilon": 0.0}):
        assert abs(float(model.replace(**still).velocity())) < 1e-15


def test_small_rings_carry_a_persistent_current():
    """On few momenta the thermal state moves; the sum with all its terms is what comes out."""
    model = Particle(**{**OTHER, "T": 0.25, "dT": 0.1}, points=8, phonon_range=2.0)
    bands, k = model.bands(), model.momenta
    weight = jax.nn.softmax(bands.log_weight(k))
    close(model.velocity(), weight @ bands.mean_velocity(k), 1e-13)
    p = model.scattering().steady_state()
    close(model.velocity_relaxed(), jnp.sum(p * jnp.stack(bands.group_velocities(k))), 1e-11)


def test_low_and_high_temperatures():
    cold = [float(Particle(T=T, bias_ratio=0.01).velocity_linear_response()) for T in (0.05, 0.04)]
    assert np.log(cold[0] / cold[1]) == pytest.approx(2 / 0.04 - 2 / 0.05, rel=0.1)
    hot = [float(Particle(T=T, dT=0.01).velocity()) * T**3 / 0.01 for T in (200.0, 400.0)]
    close(hot, [-0.5265, -0.5265], 1e-3)


def test_drift_diffusion_is_the_limit_of_short_range():
    model = Particle(**OTHER, phonon_coupling=0.02, points=400)
    limit = float(model.velocity_drift_diffusion())
    off = [abs(float(model.replace(phonon_range=q).velocity_relaxed()) - limit) for q in (0.16, 0.08, 0.04)]
    # The difference is of first order in the range.
    assert off[1] < 0.8 * off[0] and off[2] < 0.7 * off[1]


@pytest.mark.parametrize("given", [{}, OTHER])
def test_generic_route_is_the_closed_form(given):
    model = Particle(**given)
    k = jnp.linspace(-3.1, 3.1, 301)
    generic = model.bloch_model().steady_velocity(k)
    close(generic, model.bloch_functions(k)["vbar"], 1e-12)
    mean = model.bloch_model().mean_velocity(model.momenta, lambda k, bands: bands.log_weight(k), chunk=300)
    close(mean, model.velocity(), 1e-12, scale=1.0)
    slope = jax.grad(lambda m: m.bloch_model().mean_velocity(m.momenta, lambda k, b: b.log_weight(k), chunk=300))(model)
    for name in ("epsilon", "theta", "d_x", "hopping", "gamma_hot", "T", "dT"):
        close(getattr(slope, name), getattr(jax.grad(lambda m: m.velocity())(model), name), 1e-11, scale=1.0)


def test_correlator_is_the_regression_theorem():
    """Block by block: <v(t) v(0)> of the master equation of one momentum, by `qd.correlation`."""
    model = Particle(**OTHER, points=8)
    times = jnp.array([0.0, 0.3, 2.0, 11.0])
    bands, total, mean = model.bands(), 0.0, 0.0
    for k, weight in zip(model.momenta, jax.nn.softmax(bands.log_weight(model.momenta)), strict=True):
        bloch = model.bloch_model()
        H, rates, A = bloch.parts(k)
        flip = [qd.Operator.from_dense(np.asarray(a)) for a in A]
        generator = qd.Lindblad(qd.Operator.from_dense(np.asarray(H)), {"baths": list(zip(map(float, rates), flip, strict=True))})
        state = qd.steady_state(generator)
        v = qd.Operator.from_dense(np.asarray(bloch.velocity(k)))
        total = total + weight * qd.correlation(state, v, v, times)
        mean = mean + weight * state.expect(v)
    close(model.velocity_correlation(times), total - mean**2, 1e-12)


def test_traces_agree_with_evolution():
    """One momentum's spin from thermal equilibrium, by `qd.evolve`."""
    model = Particle(**OTHER)
    k, times = jnp.asarray(0.4), jnp.array([0.0, 1.0, 5.0])
    bands = model.bands()
    H, rates, A = model.bloch_model().parts(k)
    generator = qd.Lindblad(
        qd.Operator.from_dense(np.asarray(H)),
        {"baths": [(float(r), qd.Operator.from_dense(np.asarray(a))) for r, a in zip(rates, A, strict=True)]},
    )
    v = qd.Operator.from_dense(np.asarray(model.bloch_model().velocity(k)))
    w, V = np.linalg.eigh(np.asarray(H))
    rho = V @ np.diag(np.exp(-(w - w.min()) / 0.7)) @ V.T
    run = qd.evolve(generator, qd.Operator.from_dense(rho / np.trace(rho)), times, expect=v)
    part = -jnp.expm1(-bands.relaxation(k) * times)
    close(run.expectations, bands.equilibrium_velocity(k) + part * bands.excess_velocity(k), 1e-12)


def test_bands_that_touch():
    """Where the spin splitting vanishes at a grid point, everything is finite, and so are the derivatives."""
    model = Particle(epsilon=0.6, theta=np.pi / 4, d_x=0.3 / np.sqrt(2), d_z=0.3 / np.sqrt(2), dT=0.3, points=64)
    k = jnp.asarray(np.pi / 2)
    assert isinstance(model.bands(), Bands) and float(model.bands().splitting(k)) < 1e-15
    with pytest.warns(UserWarning, match="2 Delta_min"):
        v = model.velocity()
    slope = jax.grad(lambda m: m.velocity())(model)
    assert np.isfinite(v) and all(np.isfinite(leaf) for leaf in jax.tree.leaves(slope))
    # eps is parallel to d at 45 degrees: xi_h = xi_c, and nothing drives the particle to first order.
    assert 1e-5 < abs(float(v)) and abs(float(jax.jit(lambda m: m.velocity_linear_response())(model))) < 1e-14


@pytest.mark.parametrize("settings", [{}, {"bias_ratio": 0.2}])
def test_warning(settings):
    """2 Delta_min against gamma: a warning on one side, none on the other."""
    doubtful = Particle(epsilon=0.05, d_x=0.0, **settings)
    with pytest.warns(UserWarning, match="the secular master equation needs a spin splitting above the damping"):
        doubtful.velocity()
    assert "warning" in qd.evaluate(doubtful, "velocity_linear_response").diagnostics
    assert "warning" not in Particle(**settings).warnings({})


def test_distributions_of_momenta():
    """Each sums to one; the thermal one is that of the mean energy, and drift adds little to a ring without flux."""
    device = qd.models.ActiveParticle(points=64, phonon_range=0.3, cells=256)
    thermal = device.momentum_distribution("thermal")
    close(jnp.sum(thermal.weight), 1.0, 1e-13)
    relaxed = device.momentum_distribution("relaxed")
    close(jnp.sum(relaxed.weight), 1.0, 1e-12)
    flux, none = (device.momentum_distribution("drift-diffusion", current=c) for c in (True, False))
    close(jnp.sum(flux.weight), 1.0, 1e-12)
    close(jnp.sum(none.weight), 1.0, 1e-12)
    assert 0 < float(jnp.max(jnp.abs(flux.density / none.density - 1))) < 0.1


def test_the_slowest_relaxation():
    """One over the eigenvalue of the dense matrix that is nearest to zero but for zero itself."""
    device = qd.models.ActiveParticle(points=24, phonon_range=0.2, phonon_coupling=1.0)
    values = np.sort(np.linalg.eigvals(np.asarray(device.scattering().matrix())).real)
    close(device.momentum_relaxation_time(), -1 / values[-2], 1e-8)
