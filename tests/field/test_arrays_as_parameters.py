"""A vector of couplings, a matrix of rates: declared, set, evaluated, differentiated, swept, searched and written as any parameter.

A ring of three sites with one particle, hopping J: H = sum_k J_k (|k><k+1| + h.c.), for J_3 = 0 an open chain with energies
0 and +-sqrt(J_1^2 + J_2^2); and mean squares, whose derivatives and optima are elementary.
"""

import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import command, refused
from helpers import close

import qdiff as qd


class Chain(qd.Model):
    """A chain of three sites, and a table of weights."""

    presets = {"weak": {"J": [0.1, 0.2, 0.0]}}
    J: Any = qd.parameter(jnp.array([3.0, 4.0, 0.0]), unit="energy", text="couplings", low=0, high=20)
    w: Any = qd.parameter([[1.0, 2.0], [3.0, 4.0]], text="weights")
    x: float = qd.parameter(0.5, text="a number")

    @qd.structured
    def hamiltonian(self):
        site = qd.Space(site=qd.Levels("1", "2", "3")).site
        hops = [site.transition(a, b) for a, b in (("1", "2"), ("2", "3"), ("3", "1"))]
        return sum(J * (hop + hop.dag) for J, hop in zip(self.J, hops, strict=True))

    @qd.merit(symbol="E", unit="energy", source="secular equation")
    def top(self):
        """The largest energy."""
        return jnp.linalg.eigvalsh(self.hamiltonian().dense())[-1]

    @qd.merit(symbol="m", unit="1", source="a paraboloid")
    def misfit(self):
        """Of the weights from 1, 1, 2, 2, plus that of the couplings from 1, 2, 30."""
        return jnp.sum((self.w - jnp.array([[1.0, 1.0], [2.0, 2.0]])) ** 2) + jnp.sum((self.J - jnp.array([1.0, 2.0, 30.0])) ** 2)

    @qd.merit(symbol="v", unit="energy", source="itself")
    def couplings(self):
        """The couplings."""
        return self.J


def misfit(J=(3.0, 4.0, 0.0), w=((1.0, 2.0), (3.0, 4.0))):
    return np.sum((np.array(w) - [[1, 1], [2, 2]]) ** 2) + np.sum((np.array(J) - [1, 2, 30]) ** 2)


def test_declared_and_differentiated():
    """sqrt(J_1^2 + J_2^2) = 5, its gradient (3/5, 4/5); that in J_3 is 2 u_1 u_3 with u = (3, 5, 4)/sqrt(50)."""
    chain = Chain()
    close(chain.top(), 5.0, 1e-14)
    for slope in (jax.grad(lambda c: c.top())(chain).J, jax.jit(jax.jacfwd(lambda c: c.top()))(chain).J):
        close(slope, [0.6, 0.8, 2 * 3 * 4 / 50], 1e-13)
    found = qd.evaluate(chain, gradient=True)
    close(found.gradients["top"]["J"], [0.6, 0.8, 0.48], 1e-13)
    close(found.gradients["misfit"]["w"], [[0, 2], [2, 4]], 1e-14)
    assert found.parameters["w"].tolist() == [[1, 2], [3, 4]]
    close(jax.jit(lambda J: Chain(J=[J, 4.0, 0.0]).top())(3.0), 5.0, 1e-14)
    close(jax.jit(jax.vmap(lambda J: Chain(J=J).top()))(jnp.array([[6.0, 8.0, 0.0], [1.0, 1.0, 1.0]])), [10.0, 2.0], 1e-14)


def test_instances_do_not_share_their_default():
    first = Chain()
    assert first.J is not Chain().J and Chain.parameters()["J"].default.tolist() == [3, 4, 0]
    assert first.replace(J=[1, 2, 3]).J.tolist() == [1, 2, 3] and first.J.tolist() == [3, 4, 0]
    assert first.replace(**{"J[-1]": 7, "w[0,1]": 9}).J.tolist() == [3, 4, 7]
    assert Chain.preset("weak", x=1.0).J.tolist() == [0.1, 0.2, 0.0]


WRONG = {
    "too short": (lambda: Chain(J=[1.0, 2.0]), "J must be an array of shape (3,), but has shape (2,)"),
    "a number": (lambda: Chain(J=1.0), "J must be an array of shape (3,), but has shape ()"),
    "a word": (lambda: Chain(J="strong"), "J must be an array of numbers, but was 'strong'"),
    "rows of two lengths": (lambda: Chain(w=[[1, 2], [3]]), "w must be an array of numbers, but was [[1, 2], [3]]"),
    "one out of bounds": (lambda: Chain(J=[1.0, -2.0, 0.0]), "J[1] must be between 0 and 20, but was -2.0"),
    "one that is none": (lambda: Chain(w=[[1.0, np.nan], [0, 0]]), "w[0,1] must be finite, but was nan"),
    "traced, too long": (lambda: jax.jit(lambda J: Chain(J=J).top())(jnp.ones(4)), "J must be an array of shape (3,), but has shape (4,)"),
    "no such entry": (lambda: Chain().replace(**{"J[3]": 1.0}), "J[3] must be an entry of J, but that has shape (3,)"),
    "one index too many": (lambda: Chain().replace(**{"J[0,1]": 1.0}), "J[0,1] must have one index, because J has shape (3,)"),
    "one index too few": (lambda: Chain().replace(**{"w[0]": 1.0}), "w[0] must have 2 indices, because w has shape (2, 2)"),
    "an entry of a number": (lambda: Chain().replace(**{"x[0]": 1.0}), "x[0] must be an entry of an array, but x of Chain is none"),
    "an entry out of bounds": (lambda: Chain().replace(**{"J[0]": 99.0}), "J[0] must be between 0 and 20, but was 99.0"),
    "an entry that is none": (lambda: Chain().replace(**{"J[0]": "a"}), "J[0] must be a number, but was 'a'"),
    "a default of words": (lambda: qd.parameter(["a"]), "default must be a number, or an array of numbers, but was ['a']"),
    "a default of two lengths": (
        lambda: qd.parameter([[1.0, 2.0], [3.0]]),
        "default must be a number, or an array of numbers, but was [[1.0, 2.0], [3.0]]",
    ),
    "a default of three dimensions": (
        lambda: qd.parameter(np.ones((2, 2, 2))),
        "default must have at most two dimensions, but has shape (2, 2, 2)",
    ),
    "a grid of the whole": (lambda: qd.sweep(Chain(), "top", J=[1.0]), "J is an array: give grids of its entries, such as J[0]"),
    "a grid out of bounds": (
        lambda: qd.sweep(Chain(), "top", **{"J[1]": [1.0, -1.0]}),
        "the grid of J[1] must stay where it is physical, between 0 and 20, but has -1",
    ),
    "one grid twice": (
        lambda: qd.sweep(Chain(), "top", **{"J[2]": [1.0], "J[-1]": [1.0]}),
        "grids must name each parameter once, but are of J[2], J[-1]",
    ),
    "searched twice": (
        lambda: qd.optimize(Chain(), "top", {"J": (0, 1), "J[1]": (0, 1)}),
        "over must name each entry once, but has J[1] twice",
    ),
    "tied and searched": (
        lambda: qd.optimize(Chain(), "top", {"J": (0, 1)}, ties={"J[1]": "J[0]"}),
        "ties['J[1]'] must be a parameter that is not searched itself, but `over` has J[1]",
    ),
    "tied twice": (
        lambda: qd.optimize(Chain(), "top", {"x": (0, 1)}, ties={"J[1]": "x", "J[-2]": "x"}),
        "ties must have each parameter once, but have J[1] twice",
    ),
    "an index that is no integer": (
        lambda: qd.optimize(Chain(), "top + J[x]", {"x": (0, 1)}),
        "J[x] must have indices that are integers, such as J[1]",
    ),
    "an index that is a word": (lambda: Chain().replace(**{"J[last]": 1.0}), "J[last] must have indices that are integers, such as J[1]"),
    "an array that is not in use": (
        lambda: qd.sensitivity(qd.models.ThermophoreticLattice(), "mean_site", ["temperatures[1]"]),
        "temperatures[1] must be an entry of an array in use, but temperatures is not given",
    ),
    "looked at twice": (lambda: qd.sensitivity(Chain(), "top", ["J", "J[1]"]), "parameters must name each entry once, but have J[1] twice"),
    "an array in a formula": (
        lambda: qd.optimize(Chain(), "top + J", {"x": (0, 1)}),
        "merit must be of merits and of parameters that are numbers and vary continuously, but J is not",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_sentence(name):
    call, sentence = WRONG[name]
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == sentence


def test_swept(tmp_path):
    """Entries as axes, alone, together and beside numbers; derivatives with respect to arrays; and the file's study again."""
    out = tmp_path / "a.nc"
    axes = {"J[0]": [3.0, 5.0], "w[1,0]": [0.0, 2.0, 4.0]}
    with qd.sweep(Chain(), ["top", "misfit", "couplings"], gradient=True, out=out, **axes) as data:
        assert data.top.dims == ("J[0]", "w[1,0]") and data["J[0]"].attrs["units"] == "energy"
        close(data.top.values, np.sqrt([[25.0] * 3, [41.0] * 3]), 1e-14)
        close(data.misfit.sel({"J[0]": 5.0}).values, [misfit((5, 4, 0), ((1, 2), (w, 4))) for w in (0, 2, 4)], 1e-14)
        close(data.d_misfit_d_w.values[0, :, 1, 0], [-4, 0, 4], 1e-14)
        close(data.d_top_d_J.values[1, 0, :2], np.array([5, 4]) / np.sqrt(41), 1e-14)
        close(data.couplings.values[1, 2], [5, 4, 0], 1e-15)
    with qd.sweep(Chain(), ["top", "misfit", "couplings"], gradient=True, out=out, resume=True, **axes) as again:
        assert again.top.shape == (2, 3)
    assert qd.rerun(out, Chain).same
    line = qd.sweep(Chain(), "top", together=[("J[0]", "J[1]")], **{"J[0]": [3.0, 5.0], "J[1]": [4.0, 12.0]})
    close(line.top.values, [5.0, 13.0], 1e-14)


def test_searched(tmp_path):
    """Every entry between the same bounds, one entry alone, and what another one follows; to bounds and constraints."""
    best = qd.optimize(Chain(), "misfit", {"J": (0, 4), "w[0,1]": (0, 9)}, minimize=True, starts=4, steps=10, out=tmp_path / "kept")
    close(best.parameters["J"], [1.0, 2.0, 4.0], 1e-9)
    close(best.parameters["w[0,1]"], 1.0, 1e-9)
    assert best.at_bound == {"J[2]": "high"} and best.bounds == {"J": (0.0, 4.0), "w[0,1]": (0.0, 9.0)}
    close(best.model.w, [[1, 1], [3, 4]], 1e-9)
    again = qd.optimize(
        Chain(), "misfit", {"J": (0, 4), "w[0,1]": (0, 9)}, minimize=True, starts=4, steps=10, out=tmp_path / "kept", resume=True
    )
    assert again.parameters == best.parameters
    assert json.loads((tmp_path / "kept" / "result.json").read_text())["parameters"] == best.parameters
    # (J_1 - 1)^2 + (J_2 - 2)^2 + (w - 2)^2 with w = J_1 and J_1 + J_2 >= 5: 2 (J_1 - 1) + 2 (J_1 - 2) = 2 (J_2 - 2)
    tied = qd.optimize(
        Chain(),
        "misfit",
        {"J[0]": (0, 4), "J[1]": (0, 4)},
        ties={"w[1,0]": "J[0]"},
        constraints="J[0] + J[1] >= 5",
        minimize=True,
        starts=4,
        steps=10,
    )
    close([tied.parameters["J[0]"], tied.parameters["J[1]"], tied.model.w[1, 0]], [2.0, 3.0, 2.0], 1e-9)
    assert tied.active == ["J[0] + J[1] >= 5"] and tied.ties == {"w[1,0]": "J[0]"}
    whole = qd.optimize(Chain(), "J[0] * J[1] - J[2]**2 - w[0,0]*J[0]", {"J": (0, 3)}, ties={"x": "J[1]"}, starts=4, steps=10)
    close(whole.parameters["J"], [3.0, 3.0, 0.0], 1e-9)
    close(whole.model.x, 3.0, 1e-12)


def test_two_dimensions_searched(tmp_path):
    """A matrix keeps its shape in the result and in the files."""
    best = qd.optimize(Chain(), "misfit", {"w": (-5, 5)}, minimize=True, starts=2, steps=5, out=tmp_path)
    close(best.parameters["w"], [[1, 1], [2, 2]], 1e-9)
    curve = qd.tradeoff(Chain(), "-misfit", "-(w[0,0] - 2)**2", {"w": (-5, 5)}, weights=[0.5], starts=2, steps=5, out=tmp_path / "curve")
    # (w - 1)^2 + (w - 2)^2 is least halfway
    close(curve.parameters["w"], [[[1.5, 1], [2, 2]]], 1e-9)
    assert (tmp_path / "curve" / "curve.csv").read_text().startswith('alpha,-misfit,"-(w[0,0] - 2)**2","w[0,0]","w[0,1]","w[1,0]","w[1,1]"')


def test_sensitivities_by_entry():
    """Labels, elasticities, error bars and information of entries."""
    found = qd.sensitivity(Chain(), "top", ["J"], uncertainty={"J": [0.3, 0.4, 0.1], "J[2]": 0.5}, samples=16)
    assert found.labels == ("J[0]", "J[1]", "J[2]")
    close(found.derivative, [0.6, 0.8, 0.48], 1e-13)
    close(found.elasticity, [9 / 25, 16 / 25, 0], 1e-13)
    close(found.error_linear, np.sqrt(0.18**2 + 0.32**2 + 0.24**2), 1e-12)
    assert qd.sensitivity(Chain(), "misfit", ["w[1,1]", "x"], samples=2).labels == ("w[1,1]", "x")
    known = qd.fisher_information(Chain(), {"top": 0.1}, ["J[0]", "w[0,0]"])
    assert known.labels == ("J[0]", "w[0,0]") and np.isinf(known.bound[1])
    close(known.alone[0], 0.1 / 0.6, 1e-12)


# ---- from a shell -----------------------------------------------------------------------------------------


CHAIN = f"{__file__}:Chain"


def said(*words: str) -> Any:
    """What a command about the chain writes as JSON."""
    found = command([words[0], CHAIN, *words[1:], "--json"])
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)


def test_shown():
    """The table of parameters has defaults as the command line takes them."""
    lines = command(["show", CHAIN]).stdout.splitlines()
    rows = {line.split()[1]: line for line in lines if line.startswith("\u2502") and len(line.split()) > 3}
    assert "3,4,0" in rows["J"] and "between 0 and 20, each" in rows["J"] and "1,2;3,4" in rows["w"]
    assert "0.6, 0.8, 0.48" in command(["evaluate", CHAIN, "--merit", "top", "--gradient"]).stdout


def test_set_and_evaluated():
    """Whole arrays, rows, entries, and entries of what a preset or another --set gives."""
    assert said("evaluate", "--set", "J=6,8,0", "--merit", "top")["merits"]["top"] == pytest.approx(10.0, abs=1e-13)
    assert said("evaluate", "--set", "J[1]=2", "--set", "J=1,2,3", "--merit", "couplings")["merits"]["couplings"] == [1, 2, 3]
    assert said("evaluate", "--preset", "weak", "--set", "J[2]=0.7", "--merit", "couplings")["merits"]["couplings"] == [0.1, 0.2, 0.7]
    found = said("evaluate", "--set", "w=1,2;3,5", "--set", "w[0,1]=7", "--merit", "misfit", "--gradient")
    assert found["parameters"]["w"] == [[1, 7], [3, 5]] and found["gradients"]["misfit"]["w"] == [[0, 12], [2, 6]]


def test_swept_searched_and_examined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = ("--grid", "w[0,1]=0:2:3", "--grid", "w[1,0]=0,1,2", "--together", "w[0,1],w[1,0]")
    assert said("sweep", *grid, "--merit", "misfit", "--out", "a.csv")["points"] == 3
    table = np.loadtxt("a.csv", delimiter=",", skiprows=1, usecols=range(3))
    # a header's comma within a name is quoted
    assert pathlib.Path("a.csv").read_text().startswith('"w[0,1]","w[1,0]",misfit,failure\n')
    close(table[:, 2], [misfit(w=((1, k), (k, 4))) for k in (0, 1, 2)], 1e-14)
    assert said("sweep", "--grid", "J[1]=0:4:3", "--merit", "top", "--out", "a.nc")["points"] == 3
    assert command(["rerun", "a.nc", "--model", CHAIN]).exit_code == 0
    best = said(
        "optimize", "misfit", "--minimize", "--over", "J[0]=0:4", "--over", "w=-1:3", "--tie", "x=J[0]", "--starts", "2", "--steps", "5"
    )
    assert best["parameters"]["J[0]"] == pytest.approx(1.0, abs=1e-9) and best["ties"] == {"x": "J[0]"}
    close(best["parameters"]["w"], [[1, 1], [2, 2]], 1e-9)
    shown = command(["optimize", CHAIN, "misfit", "--minimize", "--over", "w=-1:1.5", "--starts", "2", "--steps", "5"]).stdout
    assert "w[1,0]" in shown and "high (1.5)" in shown
    slopes = said("sensitivity", "top", "--parameter", "J", "--uncertainty", "J[1]=0.1", "--samples", "8")["parameters"]
    assert slopes["J[1]"]["derivative"] == pytest.approx(0.8, abs=1e-13) and slopes["J[1]"]["sigma"] == 0.1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("evaluate --set J=1,2", "J must be an array of shape (3,), but has shape (2,)"),
        ("evaluate --set J=1,a,2", "J must be an array of numbers, but was '1,a,2'"),
        ("evaluate --set J[3]=1", "J[3] must be an entry of J, but that has shape (3,)"),
        ("evaluate --set J[1]=a", "J[1] must be a number, but was 'a'"),
        ("evaluate --set J[1]=-1", "J[1] must be between 0 and 20, but was -1.0"),
        ("evaluate --set J[1]=1 --set J[1]=2", "J[1] must be set once, but was set to both 1 and 2"),
        ("evaluate --set x[0]=1", "x[0] must be an entry of an array, but x of Chain is none"),
        ("evaluate --set K[0]=1", "Chain has no parameter 'K'"),
        ("evaluate --set w=1,2;3", "w must be an array of numbers, but was"),
        ("sweep --merit top --out a.csv --grid J=1,2", "J is an array: give grids of its entries, such as J[0]"),
        ("sweep --merit top --out a.csv --grid w[0]=1,2", "w[0] must have 2 indices, because w has shape (2, 2)"),
        ("sweep --merit top --out a.txt --grid x=1,2", "out must end in .nc, for NetCDF, or in .csv, but was 'a.txt'"),
        ("optimize top --over J[9]=0:1", "J[9] must be an entry of J, but that has shape (3,)"),
        (
            "optimize top --over x=0:1 --out best.json",
            "--out must be a folder, into which several files go, but best.json is the name of a file",
        ),
        ("optimize top --over J=0:1 --tie J[0]=x", "ties['J[0]'] must be a parameter that is not searched itself"),
    ],
)
def test_refused_in_a_shell(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verb, *rest = words.split()
    refused([verb, CHAIN, *rest], sentence)
