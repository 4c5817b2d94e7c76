"""Optimisation on functions whose optimum is known exactly, and on two devices."""

import csv
import json
import re

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qdiff as qd
from qdiff.studies.interrupt import Interrupted
from qdiff.studies.search.newton import newton, trust_region
from qdiff.studies.search.search import OPTIMIZERS, Search, screened, spread

UNIT = {"x": (0, 1), "y": (0, 1)}


def scalar(method):
    return qd.merit(symbol="F", unit="energy", source="a test")(method)


class Toy(qd.Model):
    x: float = qd.parameter(0.0, low=-5, high=5)
    y: float = qd.parameter(0.0, search=(0, 1))
    beta: float = qd.parameter(1.0, low=0, open=True)
    size: int = qd.setting(3)

    @scalar
    def hill(self):
        return 1 - (self.x - 0.3) ** 2 - 2 * (self.y - 0.6) ** 2 + (self.x - 0.3) * (self.y - 0.6)

    @scalar
    def bound(self):
        return self.x - (self.y - self.x / 2) ** 2

    @scalar
    def corner(self):
        return self.x - 2 * self.y

    @scalar
    def saddle(self):
        return (self.x - 0.4) ** 2 - (self.y - 0.5) ** 2

    @scalar
    def rosenbrock(self):
        return 100 * (self.y - self.x**2) ** 2 + (1 - self.x) ** 2

    @scalar
    def waves(self):
        return jnp.sin(9 * self.x) + self.x - (self.y - 0.25) ** 2

    @scalar
    def tiny(self):
        return 1e-20 * ((self.x - 0.3) ** 4 + (self.y - 0.6) ** 2)

    @scalar
    def valley(self):
        return -((self.x - 0.3) ** 2)

    @scalar
    def constant(self):
        return 2 + 0 * self.x

    @scalar
    def kink(self):
        return -jnp.abs(self.x - 0.3) - (self.y - 0.5) ** 2

    @scalar
    def ridge(self):
        return -jnp.abs(self.x - self.y) - (self.y - 0.35) ** 2

    @scalar
    def kink_at_bound(self):
        return jnp.abs(self.x) + jnp.abs(self.y)

    @scalar
    def pole(self):
        return 1 / jnp.abs(self.x - 0.3)

    @scalar
    def half(self):
        return jnp.where(self.x > 0.5, jnp.nan, -((self.x - 0.2) ** 2) - self.y)

    @scalar
    def cliff(self):
        return jnp.where(self.x > 0.5, jnp.nan, self.x)

    @scalar
    def nowhere(self):
        return self.x * jnp.nan

    @scalar
    def steep(self):
        return -(self.x**1.5) - (self.y - 0.5) ** 2

    @scalar
    def vector(self):
        return jnp.stack([self.x, self.y])


def best(merit, over=UNIT, **options):
    return qd.optimize(Toy(), merit, over, **{"starts": 8, "steps": 30, **options})


@pytest.mark.parametrize(
    ("merit", "minimize", "value", "at", "bounds"),
    [
        ("hill", False, 1.0, (0.3, 0.6), {}),
        ("bound", False, 1.0, (1.0, 0.5), {"x": "high"}),
        ("corner", False, 1.0, (1.0, 0.0), {"x": "high", "y": "low"}),
        ("corner", True, -2.0, (0.0, 1.0), {"x": "low", "y": "high"}),
        ("saddle", False, 0.36, (1.0, 0.5), {"x": "high"}),
        ("saddle", True, -0.25, (0.4, None), {"y": None}),
        ("rosenbrock", True, 0.0, (1.0, 1.0), {"x": "high", "y": "high"}),
        ("kink_at_bound", True, 0.0, (0.0, 0.0), {"x": "low", "y": "low"}),
        ("half", False, 0.0, (0.2, 0.0), {"y": "low"}),
        ("constant", False, 2.0, (None, None), {}),
        ("valley", False, 0.0, (0.3, None), {}),
    ],
)
def test_exact_optima(merit, minimize, value, at, bounds):
    found = best(merit, minimize=minimize)
    assert found.converged and found.message == "converged"
    assert found.value == pytest.approx(value, abs=1e-13)
    for name, want in zip("xy", at, strict=True):
        if want is not None:
            assert found.parameters[name] == pytest.approx(want, abs=1e-8)
            assert float(getattr(found.model, name)) == found.parameters[name]
    assert set(found.at_bound) == set(bounds)
    for name, side in bounds.items():
        if side is not None:
            assert found.at_bound[name] == side
            assert found.parameters[name] == UNIT[name][side == "high"]  # exactly
    assert found.gradient_norm <= 1e-7


def test_the_bounds_are_met_exactly_when_they_are_no_round_numbers():
    low, high = 0.1 + 0.2, 1.1 * 1.1
    found = best("corner", {"x": (low, high), "y": (low, high)})
    assert found.parameters == {"x": high, "y": low}
    assert found.at_bound == {"x": "high", "y": "low"}


@pytest.mark.parametrize("seed", range(6))
def test_a_curved_valley_and_many_hills_from_any_seed(seed):
    found = best("rosenbrock", {"x": (-2, 2), "y": (-1, 3)}, minimize=True, seed=seed)
    assert found.converged and found.at_bound == {}
    assert found.parameters == pytest.approx({"x": 1, "y": 1}, abs=1e-7)
    # sin 9x + x has its largest value in (0, 3) where cos 9x = -1/9 for the last time
    found = best("waves", {"x": (0, 3), "y": (0, 1)}, seed=seed, starts=16)
    x = (np.arccos(-1 / 9) + 4 * 2 * np.pi) / 9
    assert found.converged
    assert found.parameters == pytest.approx({"x": x, "y": 0.25}, abs=1e-8)
    assert found.value == pytest.approx(np.sqrt(80) / 9 + x, abs=1e-13)


def test_the_size_of_the_merit_does_not_matter():
    found = best("tiny", minimize=True)
    assert found.converged
    assert found.parameters == pytest.approx({"x": 0.3, "y": 0.6}, abs=2e-3)
    assert 0 <= found.value < 1e-30


@pytest.mark.parametrize(
    ("merit", "value", "within", "why"),
    [
        ("kink", 0.0, 1e-2, "kink"),
        ("ridge", 0.0, 1e-2, "kink"),
        ("cliff", 0.5, 1e-9, "the merit is not a number beyond this point"),
    ],
)
def test_no_claim_where_there_is_no_gradient(merit, value, within, why):
    found = best(merit)
    assert not found.converged
    assert found.message.startswith("not converged: ") and why in found.message
    assert found.value == pytest.approx(value, abs=within)


def test_a_kink_met_exactly_is_no_stationary_point():
    def kink(u):
        return abs(u[0] - 0.5), np.sign(u - 0.5), np.zeros((1, 1))

    found = newton(kink, np.array([0.5]), 1.0)
    assert (found.converged, found.value) == (False, 0.0)
    assert found.message == "not converged: the optimum is a kink of the merit (|.| or max), which has no gradient"


def test_a_pole_is_reported():
    found = best("pole")
    assert not found.converged and found.value > 1e9
    assert found.message == "not converged: the merit grows without bound here, as at a pole"
    assert found.parameters["x"] == pytest.approx(0.3, abs=1e-8)


def test_trust_region_against_a_dense_search():
    angle = np.linspace(0, 2 * np.pi, 200_001)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for g, H in [
        ([1.0, -2.0], [[2.0, 0.5], [0.5, 1.0]]),
        ([0.3, 0.1], [[-1.0, 0.2], [0.2, 3.0]]),
        ([0.0, 0.2], [[-1.0, 0.0], [0.0, 2.0]]),  # the hard case
        ([0.0, 0.0], [[-1.0, 0.0], [0.0, 2.0]]),
    ]:
        g, H = np.array(g), np.array(H)
        p = trust_region(g, H, 0.5)
        rim = 0.5 * circle
        assert g @ p + p @ H @ p / 2 == pytest.approx(np.min(g @ rim + np.sum(rim * (H @ rim), axis=0) / 2), abs=1e-8)
        assert np.linalg.norm(p) == pytest.approx(0.5, abs=1e-12)
    p = trust_region(np.array([0.1, 0.2]), np.diag([1.0, 2.0]), 0.5)
    assert p == pytest.approx([-0.1, -0.1], abs=1e-15)


def test_newton_leaves_a_saddle():
    def saddle(u):
        d = u - 0.5
        return d[0] ** 2 - d[1] ** 2, np.array([2 * d[0], -2 * d[1]]), np.diag([2.0, -2.0])

    found = newton(saddle, np.array([0.5, 0.5]), 1.0)
    assert found.converged and found.value == -0.25
    assert found.u[0] == 0.5 and found.u[1] in (0.0, 1.0)


def test_a_start_that_meets_nan_leaves_the_others_alone():
    def slopes(us):
        return np.where(us[:, 0] > 0.5, np.nan, us[:, 0] ** 2), np.where(us > 0.5, np.nan, 2 * us)

    alone, both = Search(np.array([[0.4]])), Search(np.array([[0.4], [0.9]]))
    for search in (alone, both):
        search.run(slopes, 20, lambda *_: None)
    assert both.best[0] == alone.best[0] < 1e-3
    assert both.best[1] == np.inf and both.where[1] == 0.9
    found = best("half")
    lost = np.isnan(found.starts["best"])
    assert np.array_equal(lost, found.starts["begin"]["x"] > 0.5) and 0 < lost.sum() < 8
    assert np.isfinite(found.trace["best"]).all()


def test_starts_fill_the_box():
    for starts in (1, 5, 16):
        points = spread(starts, 3, 7)
        assert points.shape == (starts, 3) and points.min() >= 0 and points.max() <= 1
    assert sorted((spread(16, 2, 0)[:, 1] * 16).astype(int)) == list(range(16))  # one in each sixteenth
    assert not np.array_equal(spread(4, 2, 0), spread(4, 2, 1))
    assert np.array_equal(spread(4, 2, 3), spread(4, 2, 3))


def test_many_parameters():
    names = [f"p{k}" for k in range(8)]
    space = {"__annotations__": dict.fromkeys(names, float), **{name: qd.parameter(0.5) for name in names}}
    centre = np.linspace(-0.2, 0.9, 8)

    @scalar
    def bowl(self):
        d = jnp.stack([getattr(self, name) for name in names]) - centre
        return jnp.sum(d**2) + jnp.sum(d) ** 2

    Many = type(qd.Model)("Many", (qd.Model,), {**space, "bowl": bowl, "__module__": __name__})
    found = qd.optimize(Many(), "bowl", dict.fromkeys(names, (-1.0, 1.0)), minimize=True, starts=4, steps=20)
    assert found.converged and found.at_bound == {}
    assert list(found.parameters.values()) == pytest.approx(list(centre), abs=1e-9)


class Engine(qd.Model):
    """A two-level system between two baths: heat flows at (gap) (n_hot - n_cold) g / (2 + ...)."""

    gap: float = qd.parameter(1.0, unit="energy", low=0, open=True, search=(0.1, 10))

    @qd.structured
    def generator(self):
        qubit = qd.Space(qubit=qd.Spin()).qubit
        jumps = {k: qd.thermal_jumps(qubit.minus, self.gap, qd.BosonicBath(b, 0.1)) for k, b in (("hot", 0.5), ("cold", 1.0))}
        return qd.Lindblad(self.gap / 2 * qubit.z, jumps)

    @scalar
    def heat(self):
        generator = self.generator()
        return qd.heat_current(qd.steady_state(generator), "hot")


def test_the_heat_through_a_qubit():
    def heat(gap):  # two baths of equal coupling, 0.1
        hot, cold = 1 / np.expm1(gap / 2), 1 / np.expm1(gap)
        return 0.1 * gap * (hot - cold) / (2 * (1 + hot + cold))

    gaps = np.linspace(0.1, 10, 2_000_001)
    k = int(np.argmax(heat(gaps)))
    found = qd.optimize(Engine(), "heat", starts=4, steps=20)
    assert found.converged and found.bounds == {"gap": (0.1, 10.0)}
    assert found.value == pytest.approx(heat(gaps)[k], rel=1e-10)
    assert found.parameters["gap"] == pytest.approx(gaps[k], abs=1e-5)
    assert float(found.model.heat()) == pytest.approx(found.value, rel=1e-12)


@pytest.mark.slow
def test_the_rectifier():
    device = qd.models.RotorRectifier(beta2=0.02, l_min=-30, l_max=60)
    found = qd.optimize(device, "performance", {"chi": (0, 0.98), "B2": (4.5, 14), "lam": (0.02, 0.2)}, starts=4, seed=5)
    assert found.converged and found.at_bound == {}
    assert found.value == pytest.approx(1.0610867933, abs=1e-9)
    assert found.parameters == pytest.approx({"chi": 0.849424, "B2": 8.923563, "lam": 0.030193}, abs=1e-5)


def test_progress_and_history():
    seen = []
    found = best("hill", callback=lambda step, value: seen.append((step, value)), starts=4, steps=12)
    assert [step for step, _ in seen] == list(range(1, 13))
    assert [value for _, value in seen] == found.trace["best"].tolist()
    assert found.trace["values"].shape == (12, 4) and np.all(np.diff(found.trace["best"]) >= 0)
    assert np.array_equal(found.trace["values"][0], found.starts["first"])
    assert np.array_equal(found.starts["best"], found.trace["values"].max(axis=0))
    x, y = (found.starts["begin"][name] for name in "xy")
    assert found.starts["first"] == pytest.approx(1 - (x - 0.3) ** 2 - 2 * (y - 0.6) ** 2 + (x - 0.3) * (y - 0.6), abs=1e-14)
    assert 48 < found.evaluations < 100


def test_an_interrupt_keeps_the_best(monkeypatch):
    """It says so; without `out` nothing is kept, and no program is compiled for what it has."""

    def stop(step, value):
        if step == 5:
            monkeypatch.setattr("qdiff.studies.search.programs.Programs.one", None)
            monkeypatch.setattr("qdiff.studies.search.programs.Programs.limits", None)
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught, monkeypatch.context() as monkeypatch:
        best("hill", callback=stop)
    found, where = caught.value.best, ", ".join(f"{k} = {v:.6g}" for k, v in caught.value.best.parameters.items())
    said = f"interrupted: nothing is kept, as `out` was not given; the best so far is hill = {found.value:.10g} at {where}"
    assert str(caught.value) == said
    assert (found.converged, found.message) == (False, "interrupted: this is the best so far")
    assert found.curvature["verdict"] == "not examined: the search was interrupted"
    assert len(found.trace["best"]) == 5 and found.value == found.trace["best"][-1] > 0.9
    assert float(found.model.hill()) == pytest.approx(found.value, abs=1e-14)


def test_an_interrupt_before_there_is_anything():
    def stop(step, value):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^interrupted: nothing is kept, as `out` was not given$"):
        best("nowhere", callback=stop)


def test_saved_files(tmp_path):
    found = best("half", starts=4, steps=6)
    found.save(tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert sorted(p.name for p in folder.iterdir()) == ["picture.png", "result.json", "trace.csv"]
    record = json.loads((folder / "result.json").read_text())
    assert record["value"] == found.value and record["parameters"] == found.parameters and record["at_bound"] == {"y": "low"}
    lost = [k for k, value in enumerate(record["starts"]["best"]) if value is None]
    assert lost == np.flatnonzero(np.isnan(found.starts["best"])).tolist() != []
    with open(folder / "trace.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["step", "best", "start_0", "start_1", "start_2", "start_3"]
    assert [float(row[1]) for row in rows[1:]] == found.trace["best"].tolist()
    assert rows[1][2 + lost[0]] == ""
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": 3}, "optimizer must be one of adabelief"),
        ({"merit": {"hll": 1.0}}, "Toy has no figure of merit 'hll'; did you mean 'hill'"),
        ({"merit": {"hill": "a"}}, "merit must be weights, name -> number"),
        ({"merit": 3}, "merit must be the name of a figure of merit or a formula (numbers, names"),
        ({"over": {"bet": (0, 1)}}, "Toy has no parameter 'bet'; did you mean 'beta'? It has x, y, beta, size"),
        ({"over": {"x": (0, 6)}}, "over['x'] must stay where x is physical, between -5 and 5, but was (0, 6)"),
        ({"over": {"x": 3}}, "over['x'] must be two numbers (low, high), but was 3"),
        ({"over": {}}, "over must name at least one parameter, but was empty"),
        ({"over": ["x"]}, "over must be a dictionary, name -> (low, high), but was ['x']"),
        ({"ties": {"z": "x"}}, "Toy has no parameter 'z'"),
        ({"over": {"x": (0, 1)}, "ties": {"y": "z"}}, "Toy has no parameter 'z'"),
        (
            {"over": {"x": (0, 1)}, "ties": {"y": "beta"}},
            "ties['y'] must be one of the searched parameters, x, but was 'beta'",
        ),
        (
            {"over": {"x": (0, 1)}, "ties": {"beta": "x"}},
            "ties['beta'] must stay where beta is physical, above 0, but x runs to 0",
        ),
        ({"constraints": ["x <= "]}, "constraints must be inequalities such as"),
        ({"constraints": ["z <= 1"]}, "Toy has no figure of merit or parameter 'z'"),
        ({"constraints": [3]}, "constraints must be inequalities such as"),
        ({"steps": 2.5}, "steps must be an integer of at least 1, but was 2.5"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        qd.optimize(Toy(), **{"merit": "hill", "over": UNIT, **change})


def test_what_is_no_model_or_has_no_default_search():
    class Bare(qd.Model):
        x: float = qd.parameter(0.0)

        @scalar
        def it(self):
            return self.x

    with pytest.raises(ValueError, match="^over must be given, name -> \\(low, high\\), because Bare has no default search$"):
        qd.optimize(Bare(), "it")
    with pytest.raises(ValueError, match="^model must be a qdiff.Model, but was 3$"):
        qd.optimize(3, "it")  # pyright: ignore[reportArgumentType]
    assert qd.optimize(Toy(), "corner", starts=1, steps=1).parameters == {"y": 0.0}


def test_nan_everywhere():
    with pytest.raises(qd.SolveError, match="^nowhere is not a finite number at any of the 8 starts: narrow the bounds"):
        best("nowhere")


def test_a_picture_with_a_symbol_that_cannot_be_drawn(tmp_path):
    class Odd(qd.Model):
        x: float = qd.parameter(0.0, unit="1/energy^2")

        @qd.merit(symbol=r"x_{", unit="energy^2", source="none")
        def odd_name(self):
            return -(self.x**2)

    found = qd.optimize(Odd(), "odd_name", {"x": (-1, 2)}, starts=2, steps=3)
    found.save(tmp_path)
    assert (tmp_path / "picture.png").stat().st_size > 10_000
    assert found.value == pytest.approx(0, abs=1e-20)


def test_ties():
    """A follower takes the value of its leader: the maximum of hill on the line y = x, and of a follower that is not searched."""
    found = qd.optimize(Toy(), "hill", {"x": (0, 1)}, ties={"y": "x"}, starts=4)
    # On y = x: 1 - (x - 3/10)^2 - 2 (x - 6/10)^2 + (x - 3/10)(x - 6/10), stationary at 4 x = 2.1.
    assert found.parameters["x"] == pytest.approx(0.525, abs=1e-12) and found.ties == {"y": "x"} and found.converged
    assert float(found.model.y) == found.parameters["x"] and found.value == pytest.approx(float(found.model.hill()), abs=1e-15)
    assert found.curvature["eigenvalues"] == pytest.approx([-4.0], rel=1e-12) and found.curvature["verdict"] == "maximum"


def test_what_the_curvature_says():
    """A flat direction, a saddle that is held by no bound, and a corner."""
    valley = qd.optimize(Toy(), "valley", UNIT, starts=4)
    assert valley.curvature["verdict"] == "maximum, flat in 1 of 2 free directions"
    assert abs(valley.curvature["flat"][0]["y"]) == pytest.approx(1)
    steep = qd.optimize(Toy(), "steep", UNIT, starts=4)
    assert steep.parameters["x"] == 0 and steep.parameters["y"] == pytest.approx(0.5, abs=1e-5) and not steep.converged
    assert steep.curvature["verdict"] == "the second derivatives are not finite numbers here"
    corner = qd.optimize(Toy(), "corner", UNIT, starts=4)
    assert corner.curvature["verdict"].startswith("maximum in a corner")
    hill = qd.optimize(Toy(), "hill", UNIT, starts=4)
    assert hill.curvature["eigenvalues"] == pytest.approx([-3 - 2**0.5, -3 + 2**0.5], rel=1e-12)


class Disk(qd.Model):
    x: float = qd.parameter(0.0, low=-3, high=3)
    y: float = qd.parameter(0.0)
    sites: int = qd.setting(3)

    @scalar
    def height(self):
        return self.x + 2 * self.y

    @scalar
    def hill(self):
        return -((self.x - 0.3) ** 2) - (self.y - 0.2) ** 2

    @scalar
    def hole(self):
        return (self.x - 0.1) ** 2 + self.y**2


SQUARE = {"x": (-2, 2), "y": (-2, 2)}


@pytest.mark.parametrize("seed", [0, 1])
def test_an_optimum_on_a_constraint(seed):
    """x + 2 y on the unit disk is sqrt 5, from a string and from a function; with a second constraint, in their corner."""
    for constraint in ("x**2 + y**2 <= 1", lambda m: m.x**2 + m.y**2 - 1):
        found = qd.optimize(Disk(), "height", SQUARE, constraints=[constraint], seed=seed, starts=8)
        assert found.converged and found.value == pytest.approx(5**0.5, abs=1e-12) and len(found.active) == 1
        assert found.parameters == pytest.approx({"x": 5**-0.5, "y": 2 * 5**-0.5}, abs=1e-9)
    found = qd.optimize(Disk(), "height", SQUARE, constraints=["x**2 + y**2 <= 1", "y <= 0.5 * x"], seed=seed, starts=8)
    assert found.converged and found.active == ["x**2 + y**2 <= 1", "y <= 0.5 * x"]
    assert found.parameters == pytest.approx({"x": 2 * 5**-0.5, "y": 5**-0.5}, abs=1e-9)


def test_constraints_that_do_not_hold_the_optimum():
    """Inside the disk the answer is that without it; a maximum on its edge that is not the only one is found as well."""
    found = qd.optimize(Disk(), "hill", SQUARE, constraints="sqrt(x**2 + y**2) - 1 <= 0", starts=8)
    assert found.converged and found.active == [] and found.parameters == pytest.approx({"x": 0.3, "y": 0.2}, abs=1e-12)
    edge = qd.optimize(Disk(), "hole", SQUARE, constraints="1 >= x**2 + y**2", starts=8)
    assert edge.converged and edge.value == pytest.approx(1.21, abs=1e-12) and edge.parameters["x"] == pytest.approx(-1, abs=1e-9)


@pytest.mark.parametrize(
    "given",
    ["0.25*hill - 2*hole", {"hill": 0.25, "hole": -2.0}, lambda m: 0.25 * m.hill() - 2 * m.hole()],
    ids=["formula", "weights", "function"],
)
def test_sums_of_merits(given):
    """-((x - 0.3)^2 + (y - 0.2)^2)/4 - 2 ((x - 0.1)^2 + y^2) is largest where 9 x = 1.1, 9 y = 0.2."""
    found = qd.optimize(Disk(), given, SQUARE, starts=4)
    assert found.converged and found.parameters == pytest.approx({"x": 1.1 / 9, "y": 0.2 / 9}, abs=1e-12)


def test_a_constraint_on_a_merit():
    """x + 2 y where the hill is at least -1: the point of a unit disk about (0.3, 0.2) that is farthest along (1, 2)."""
    found = qd.optimize(Disk(), "height", SQUARE, constraints="hill >= -1", starts=4)
    assert found.parameters == pytest.approx({"x": 0.3 + 5**-0.5, "y": 0.2 + 2 * 5**-0.5}, abs=1e-9) and found.active == ["hill >= -1"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_by_name(name):
    """Each of them comes near the bottom of a bowl, one of four starts within a hundredth of its depth, whatever its unit."""
    for unit in (1e-12, 1e12):

        def bowl(us, unit=unit):
            away = us - [0.3, 0.6]
            return unit * (away**2).sum(axis=1), 2 * unit * away

        search = Search(spread(4, 2, 0))
        search.run(bowl, 60, lambda *_: None, optimizer=name)
        assert search.best.min() < 1e-2 * unit * 0.58 and len(search.history) == 60


def test_an_optimizer_of_ones_own():
    found = qd.optimize(Disk(), "hill", SQUARE, optimizer=optax.chain(optax.clip(1.0), optax.sgd(0.05)), starts=4)
    assert found.trace["best"][-1] > -1e-3 and found.converged


def test_quasi_newton():
    """Without second derivatives: the valley, a bound, a disk, and no claim at a kink."""
    options = {"polish": "quasi-newton", "starts": 8}
    valley = qd.optimize(Toy(), "rosenbrock", {"x": (-2, 2), "y": (-2, 2)}, minimize=True, **options)
    assert valley.converged and valley.parameters == pytest.approx({"x": 1, "y": 1}, abs=1e-4) and valley.value < 1e-9
    corner = qd.optimize(Toy(), "corner", UNIT, **options)
    assert corner.converged and corner.at_bound == {"x": "high", "y": "low"} and corner.curvature["verdict"].startswith("not examined")
    disk = qd.optimize(Disk(), "height", SQUARE, constraints="x**2 + y**2 <= 1", **options)
    assert disk.converged and disk.value == pytest.approx(5**0.5, abs=1e-8) and disk.active == ["x**2 + y**2 <= 1"]
    kink = qd.optimize(Disk(), lambda m: -abs(m.x - 0.3) - m.y**2, SQUARE, **options)
    assert not kink.converged and kink.value > -1e-6


def test_starts_are_the_best_of_many():
    """Of eight times as many points those with the least values, from the least; NaN is never among them."""

    def slopes(points):
        return np.where(points[:, 0] > 0.5, np.nan, (points[:, 0] - 0.3) ** 2), None

    found, points = screened(slopes, 2, 1, 0, 8), spread(16, 1, 0)
    kept = points[points[:, 0] <= 0.5]
    assert 2 < len(kept) < 16
    assert found.tolist() == kept[np.argsort(abs(kept[:, 0] - 0.3))][:2].tolist()
    assert screened(slopes, 2, 1, 0, 1).tolist() == spread(2, 1, 0).tolist()
