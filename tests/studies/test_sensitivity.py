"""Derivatives, error bars, remarks on kinks and edges, and Fisher information: closed forms, differences, sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.studies.batches import variables


class Plane(qd.Model):
    """A function with everything that can happen to a derivative."""

    x: float = qd.parameter(2.0)
    y: float = qd.parameter(0.5)
    edge: float = qd.parameter(0.0, low=0.0)
    weights: jnp.ndarray | None = qd.parameter(None, array="default_weights")

    def default_weights(self):
        return jnp.array([1.0, 3.0])

    @qd.merit(symbol="f", unit="1", source="a polynomial")
    def smooth(self):
        """x^2 y + y^3 + edge."""
        return self.x**2 * self.y + self.y**3 + self.edge

    @qd.merit(symbol="k", unit="1", source="a kink and a root")
    def rough(self):
        """|x - 2| + 3 sqrt|y - 1/2|, beyond what differentiation can say."""
        return 1.0 + jnp.abs(self.x - 2) + 3 * jnp.sqrt(jnp.abs(self.y - 0.5))

    @qd.merit(symbol="s", unit="1", source="a square")
    def hole(self):
        """(x - 2)^2 + y, as nobody should write it."""
        return jnp.sqrt((self.x - 2) ** 4) + self.y

    @qd.merit(symbol="z", unit="1", source="zero")
    def nothing(self):
        """x - 2."""
        return self.x - 2


PLANE = Plane()


def test_a_polynomial():
    """All numbers of x^2 y + y^3 at (2, 1/2), and the edge of the third parameter."""
    found = qd.sensitivity(PLANE, "smooth", uncertainty={"x": 0.01, "y": 0.02})
    assert found.labels == ("x", "y", "edge") and found.value == 2.125
    close(found.derivative, [2.0, 4.75, 1.0], 1e-15)
    close(found.elasticity, np.array([2 * 2.0, 0.5 * 4.75, 0.0]) / 2.125, 1e-15)
    close(found.interaction, [[1.0, 4.0, 0.0], [4.0, 3.0, 0.0], [0.0, 0.0, 0.0]], 1e-15)
    linear = np.hypot(0.02, 0.095)
    assert found.error_linear == pytest.approx(linear, rel=1e-14) and found.share.sum() == pytest.approx(1)
    # The standard deviation of 1024 normal draws is known to 1/sqrt(2048) = 2.2 %.
    assert found.error_sampled == pytest.approx(linear, rel=0.07) and found.mean_sampled == pytest.approx(2.125, abs=0.01)
    assert found.ranking == ("y", "x", "edge") and qd.sensitivity(PLANE, "smooth").ranking == ("x", "y", "edge")
    assert found.remarks == {"edge": "one-sided: the parameter is on the edge of what is physical"}
    assert found.record()["parameters"]["y"]["second"] == 3.0


def test_where_there_is_no_derivative():
    """A kink, a root and, at a value of zero, no elasticity; one thousandth beside them, nothing to remark."""
    found = qd.sensitivity(PLANE, "rough", ["x", "y"])
    assert found.remarks["x"].startswith("the slope jumps: -1 below, 1 above")
    assert found.remarks["y"].startswith("the slope grows without bound")
    beside = qd.sensitivity(PLANE.replace(x=2.01, y=0.51), "rough", ["x", "y"])
    assert beside.remarks == {} and beside.derivative[0] == 1.0
    hole = qd.sensitivity(PLANE, "hole", ["x", "y"])
    assert np.isnan(hole.derivative[0])  # JAX multiplies an infinite slope of the root by zero, also for y
    assert hole.remarks["y"] == "the derivative is not a finite number, though slopes of differences are: 1 and 1"
    zero = qd.sensitivity(PLANE, "nothing", ["x"])
    assert np.isnan(zero.elasticity).all() and zero.derivative == [1.0] and zero.ranking == ("x",)


def test_samples_that_are_not_physical_are_counted():
    found = qd.sensitivity(PLANE, "smooth", uncertainty={"edge": 0.1}, samples=400, seed=3)
    assert found.samples + found.lost == 400 and 150 < found.lost < 250


def test_arrays_count_by_entry():
    model = qd.models.ThermophoreticLattice(sites=4, T_left=None, T_right=None, temperatures=[0.8, 0.7, 0.6, 0.4])
    found = qd.sensitivity(model, "mean_site", ["temperatures"], uncertainty={"temperatures": [0.01, 0.01, 0.02, 0.01]})
    assert found.labels == tuple(f"temperatures[{k}]" for k in range(4))
    step = 1e-5

    def at(k, change):
        T = np.array([0.8, 0.7, 0.6, 0.4])
        T[k] += change
        return float(model.replace(temperatures=T).mean_site())

    close(found.derivative, [(at(k, step) - at(k, -step)) / (2 * step) for k in range(4)], 1e-8)
    assert found.error_sampled == pytest.approx(found.error_linear, rel=0.1)


def test_fisher_information():
    """Two figures of merit determine two parameters; one does not; the bound is that of the inverse."""
    model, sigma = qd.models.LambdaSystem(), {"force": 1e-3, "frequency": 2e-3}
    found = qd.fisher_information(model, sigma, ["T1", "T2"])
    slopes = qd.evaluate(model, list(sigma), gradient=True).gradients
    J = np.array([[slopes[f][p] / s for p in ("T1", "T2")] for f, s in sigma.items()])
    close(found.information, J.T @ J, 1e-12)
    close(found.bound, np.sqrt(np.diag(np.linalg.inv(J.T @ J))), 1e-10)
    close(found.alone, 1 / np.sqrt(np.diag(J.T @ J)), 1e-12)
    assert found.undetermined.shape == (0, 2)
    record = found.record()
    assert record["information"]["T1"]["T2"] == found.information[0, 1] and record["bound"]["T2"] == found.bound[1]
    assert record["alone"]["T1"] == found.alone[0] and record["undetermined"] == []
    one = qd.fisher_information(model, {"force": 1e-3}, ["T1", "T2"])
    assert np.isinf(one.bound).all() and one.undetermined.shape == (1, 2)
    close(one.alone, np.abs(1e-3 / np.array([slopes["force"]["T1"], slopes["force"]["T2"]])), 1e-12)


def test_no_information_where_there_is_no_derivative():
    with pytest.raises(qd.SolveError, match="rough or its derivative is not a finite number at these parameters; `sensitivity` says why"):
        qd.fisher_information(PLANE, {"smooth": 1.0, "rough": 1.0}, ["y"])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: qd.sensitivity(PLANE, "smooth", ["z"]), "has no parameter 'z'"),
        (lambda: qd.sensitivity(PLANE, "smooth", []), "parameters must name at least one"),
        (lambda: qd.sensitivity(PLANE, "smooth", uncertainty={"x": "a"}), "uncertainty of x must be a positive number"),
        (lambda: qd.fisher_information(PLANE, {}), "measured must name at least one figure of merit"),
        (lambda: qd.fisher_information(PLANE, {"smooth": 0.0}), "the standard deviation of smooth must be a positive number"),
        (lambda: qd.fisher_information(PLANE, {"smoth": 1.0}), "did you mean 'smooth'"),
    ],
)
def test_refusals(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_another_kind_of_model():
    with pytest.raises(TypeError, match="model must be a Model"):
        qd.sensitivity(3, "x")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(qd.models.NAMES))
def test_derivatives_of_every_merit_agree_with_differences(name):
    """Fourth-order differences of every real scalar figure of merit in every parameter, to 1e-6 of its size.

    With one of five steps, from both sides or from one: a figure of merit may have kinks less than a thousandth apart
    (ergotropies), and the error of a value tells in the shortest.
    """
    kind = getattr(qd.models, qd.models.NAMES[name].split(":")[1])
    # A thousand momenta would take most of an hour, and show nothing more.
    model = kind(points=64, phonon_range=0.1, cells=512) if name == "active-particle" else kind()
    found = qd.evaluate(model, gradient=True)
    merits = tuple(found.gradients)
    values = jax.jit(jax.vmap(variables(model, merits, False)))
    wrong = []
    for parameter, about in kind.parameters().items():
        x = getattr(model, parameter)
        if about.static or x is None or np.ndim(x):
            continue
        size = abs(float(x)) or 1.0
        h = size * np.array([1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
        steps = h[:, None] * [-2, -1, 1, 2]
        if any(about.outside(float(x) + s) for s in steps[0]):
            continue
        around = jax.tree.map(lambda *v: jnp.stack(v), *[model.replace(**{parameter: float(x) + s}) for s in steps.ravel()])
        at = values(around)
        for merit in merits:
            a, b, c, d = np.asarray(at[merit]).reshape(5, 4).T
            want, here = found.gradients[merit][parameter], found.merits[merit]
            # On a kink, such as where two levels cross, the derivative is that of one side.
            sides = [(a - 8 * b + 8 * c - d) / (12 * h), (4 * c - d - 3 * here) / (2 * h), (3 * here - 4 * b + a) / (2 * h)]
            known = 1e-6 * max(abs(want), abs(found.merits[merit]) / size) + 2e-15 / h  # values that vanish are rounded at one
            if not np.any(np.abs(np.array(sides) - want) <= known):
                wrong.append((merit, parameter, want, sides))
    assert not wrong
