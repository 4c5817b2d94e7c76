"""What the figures are made of: crossings and peaks of curves, maps, labels, the table in a file."""

import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd
from qdiff.figures import table
from qdiff.figures.claims import near, true
from qdiff.figures.mapped import mapped
from qdiff.figures.style import canvas, captioned, style, unit
from qdiff.figures.variables import crossing, crossings, declared, largest, peaks

X = np.linspace(0, 7, 71)


def test_crossings_and_peaks():
    assert crossings(X, np.sin(X)) == pytest.approx([0, np.pi, 2 * np.pi], abs=1e-5)
    assert crossing(X, np.cos(X), 0.5) == pytest.approx(np.pi / 3, abs=1e-5) and np.isnan(crossing(X, np.cos(X), 2.0))
    assert peaks(X, np.sin(X))[0] == pytest.approx((np.pi / 2, 1), abs=1e-5) and len(peaks(X, np.sin(X))) == 1
    assert largest(X, X * 1.0) == (7.0, 7.0) and largest(X, -X * 1.0) == (0.0, 0.0)


def two(system):
    return jnp.stack([system.imbalance(), system.T1])


def test_mapped():
    """The same numbers as one by one, whatever the chunk, with the function's own shape last."""
    model, T1, T2 = qd.models.LambdaSystem(), np.array([[1.0], [2.0], [3.0]]), np.array([0.5, 1.0])
    got = mapped(two, model, chunk=4, T1=T1, T2=T2)
    assert got.shape == (3, 2, 2) and np.all(got[..., 1] == T1)
    one = [[model.replace(T1=float(a), T2=float(b)).imbalance() for b in T2] for a in T1[:, 0]]
    assert got[..., 0] == pytest.approx(np.array(one), rel=1e-13)


def test_claims():
    assert near("a", 0.4342, 0.43, 0.01).record() == {"claim": "a", "published": "0.43", "found": "0.434", "verdict": "holds"}
    assert near("a", 0.45, 0.43, 0.01).verdict == "does not hold" and not near("a", float("nan"), 0.43, 0.01).holds
    assert true("b", np.False_, "none").verdict == "does not hold"


def test_table(tmp_path):
    """Written between the marks and nowhere else; a file without marks is left alone."""
    file = tmp_path / "page.md"
    file.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.rewrite(file, {"rotor-2": [true("|x| grows", True, "yes")]})
    assert file.read_text().startswith(f"before\n{table.BEGIN}\n| figure |") and file.read_text().endswith(f"{table.END}\nafter\n")
    assert table.between(file.read_text()).splitlines()[2:] == [r"| rotor-2 | \|x\| grows |  | yes | holds |"]
    (tmp_path / "other.md").write_text("nothing")
    with pytest.raises(ValueError, match="must have the lines"):
        table.rewrite(tmp_path / "other.md", {})
    assert (tmp_path / "other.md").read_text() == "nothing"


def test_labels_come_from_declarations():
    _, _, about = declared("k", [1.0], qd.models.RotorEngine, "heat_current_hot")
    assert about["symbol"] == r"\dot Q_2" and about["units"] == "energy^2" and about["source"] == "Eq. (19)"
    assert unit("energy^2") == " [energy$^{2}$]" and unit("1") == ""


def test_style_is_for_its_context_only():
    import matplotlib

    before = matplotlib.rcParams["axes.grid"]
    with style():
        assert matplotlib.rcParams["axes.grid"] is True
        picture = captioned(canvas(4, 3), "word " * 100)
    assert matplotlib.rcParams["axes.grid"] == before
    assert picture.get_size_inches()[1] > 3.3 and len(picture.texts[0].get_text().splitlines()) > 3
