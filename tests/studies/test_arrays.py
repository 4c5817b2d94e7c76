"""Array parameters: set, differentiated, searched and written."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd


class Comb(qd.Model):
    """Teeth whose heights are one number, or an array."""

    height: float | None = qd.parameter(0.5, unit="length", low=0, high=2, optional=True)
    heights: jnp.ndarray | None = qd.parameter(None, unit="length", low=0, high=2, array="all_heights", instead_of="height")
    slope: float = qd.parameter(0.1)

    def all_heights(self):
        return jnp.full(3, self.height) if self.heights is None else self.heights

    @qd.merit(symbol="F", unit="1", source="a test")
    def fit(self):
        """A paraboloid with its top at (0.3, 0.6, 3) and a slope of 0.2."""
        return -jnp.sum((self.all_heights() - jnp.array([0.3, 0.6, 3.0])) ** 2) - (self.slope - 0.2) ** 2


PAIR = jax.tree.map(lambda x: jnp.stack([x, x]), Comb(0.5))  # two devices in one, as vmap takes them


def test_evaluate_gives_arrays_and_leaves_out_what_is_not_used():
    found = qd.evaluate(Comb(heights=[0.1, 0.2, 0.3]), gradient=True)
    assert found.parameters["height"] is None and found.parameters["heights"].tolist() == [0.1, 0.2, 0.3]
    slope = found.gradients["fit"]
    assert list(slope) == ["heights", "slope"]
    assert slope["heights"] == pytest.approx([0.4, 0.8, 5.4], abs=1e-14)
    assert list(qd.evaluate(Comb(), gradient=True).gradients["fit"]) == ["height", "slope"]


def test_every_entry_is_searched_on_its_own():
    found = qd.optimize(Comb(), "fit", {"heights": (0.0, 1.5), "slope": (0.0, 1.0)}, starts=4, steps=20)
    assert found.converged
    assert found.parameters["heights"] == pytest.approx([0.3, 0.6, 1.5], abs=1e-9)
    assert found.parameters["slope"] == pytest.approx(0.2, abs=1e-9)
    assert found.at_bound == {"heights[2]": "high"} and found.parameters["heights"][2] == 1.5
    assert found.bounds == {"heights": (0.0, 1.5), "slope": (0.0, 1.0)}
    assert sorted(found.starts["end"]) == ["heights[0]", "heights[1]", "heights[2]", "slope"]
    assert found.model.heights.tolist() == found.parameters["heights"] and found.model.height is None


def test_files(tmp_path):
    found = qd.optimize(Comb(), "fit", {"heights": (0.0, 1.5)}, starts=2, steps=5)
    found.save(tmp_path)
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["parameters"] == {"heights": found.parameters["heights"]} and record["notes"] == {}
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("model", "over", "message"),
    [
        (Comb(), {"heights": (0, 3)}, "over['heights'] must stay where heights is physical, between 0 and 2, but was (0, 3)"),
        (
            Comb(heights=np.ones(3)),
            {"height": (0, 1)},
            "over['height'] must be a parameter in use, but another one has taken the place of height",
        ),
        (PAIR, {"slope": (0, 1)}, "over['slope'] must be a single number in the model, but has shape (2,)"),
        (
            Comb(),
            {"heights": (0, 1), "height": (0, 1)},
            "over['height'] must be a parameter in use, but another one has taken the place of height",
        ),
    ],
)
def test_bad_input(model, over, message):
    with pytest.raises(ValueError) as error:
        qd.optimize(model, "fit", over)
    assert str(error.value) == message


def test_a_tie_of_unequal_shapes():
    with pytest.raises(ValueError) as error:
        qd.optimize(Comb(), "fit", {"heights": (0, 1)}, ties={"slope": "heights"})
    assert str(error.value) == "ties['slope'] must be of the shape of heights, (3,), but slope is not"


def test_parameters_in_each_other_s_place():
    """One of the two, with its default where neither is given; `replace` takes the other away, and declarations are held to each other."""
    assert Comb().height == 0.5 and Comb(heights=[0.1, 0.2]).height is None and Comb.parameters()["height"].default == 0.5
    assert Comb(0.7).replace(heights=[0.1]).height is None and Comb(heights=[0.1]).replace(height=0.3).heights is None
    with pytest.raises(ValueError, match="heights must be given instead of height, but was given together with height"):
        Comb(0.5, [0.1])

    class Alone(qd.Model):
        height: float | None = qd.parameter(0.5, optional=True)

    class Misspelt(qd.Model):
        height: float | None = qd.parameter(0.5, optional=True)
        heights: jnp.ndarray | None = qd.parameter(None, instead_of="hieght")

    for kind, said in ((Alone, r"\[\], but are \['height'\]"), (Misspelt, r"\['hieght'\], but are \['height'\]")):
        with pytest.raises(TypeError, match=f"parameters of {kind.__name__} with optional=True must be .*{said}"):
            kind()
