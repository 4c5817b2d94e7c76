"""Numbers that leave for other libraries and come from them: NumPy, QuTiP, SciPy's sparse arrays, pandas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from helpers import close

import qdiff as qd
from qdiff.studies.store.paths import results_folder

PAIR = qd.Space(q=qd.Spin(), mode=qd.Boson(3))
X, Y = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]])
LOWER = np.diag([1, np.sqrt(2)], 1)

MATRICES = {
    "real": (PAIR.q.x, np.kron(X, np.eye(3))),
    "complex": (PAIR.q.y, np.kron(Y, np.eye(3))),
    "a product": (PAIR.q.y @ PAIR.mode.a, np.kron(Y, LOWER)),
    "a sum": (0.5 * PAIR.q.x + 2 * PAIR.mode.n, 0.5 * np.kron(X, np.eye(3)) + 2 * np.kron(np.eye(2), np.diag([0, 1, 2]))),
    "nothing": (0 * PAIR.q.x, np.zeros((6, 6))),
}


@pytest.mark.parametrize("name", MATRICES)
def test_an_operator_is_a_matrix_to_numpy(name):
    """By every way in which NumPy and JAX ask for an array; against Kronecker products."""
    op, matrix = MATRICES[name]
    for array in (np.asarray(op), np.array(op), jnp.asarray(op), np.asarray(op, complex), np.array(op, copy=True)):
        assert array.shape == (6, 6) and array.dtype.kind in "fc"
        close(array, matrix, 1e-15, 1.0)
    assert np.asarray(op, complex).dtype == complex and np.array([op, op]).shape == (2, 6, 6)
    close(np.linalg.eigvalsh(op + op.dag), np.linalg.eigvalsh(matrix + matrix.conj().T), 1e-13, 1.0)


@pytest.mark.parametrize("number", [2.0, 2, np.float64(2), np.int64(2), np.array(2.0), jnp.array(2.0)])
def test_a_number_times_an_operator_stays_an_operator(number):
    """From either side, whatever kind of number."""
    for product in (number * PAIR.q.x, PAIR.q.x * number):
        assert isinstance(product, qd.Operator)
        close(np.asarray(product), 2 * np.kron(X, np.eye(3)), 1e-15)


def test_a_traced_operator_is_no_array():
    with pytest.raises(jax.errors.TracerArrayConversionError):
        jax.jit(lambda t: np.asarray(t * PAIR.q.x))(2.0)
    with pytest.raises(ValueError, match="copy must not be False: the dense matrix of an Operator is made anew"):
        np.asarray(PAIR.q.x, copy=False)


def test_a_state_is_its_density_matrix():
    """A qubit at beta = 1 with splitting 2: Gibbs."""
    q = qd.Space(q=qd.Spin()).q
    state = qd.steady_state(qd.Lindblad(q.z, {"b": qd.thermal_jumps(q.minus, 2.0, qd.BosonicBath(1.0, 0.1))}))
    close(np.asarray(state), np.diag(np.exp([-1.0, 1.0])) / (2 * np.cosh(1.0)), 1e-14)


def test_matrices_of_others():
    """QuTiP's objects, sparse arrays and operators of other spaces become operators."""
    qutip = pytest.importorskip("qutip")
    space = qd.Space(q=qd.Spin())
    sparse = scipy.sparse.csr_array(Y)
    for given, matrix in (
        (qutip.sigmay(), Y),
        (sparse, Y),
        (scipy.sparse.coo_matrix(X), X),
        (space.q.x, X),
        (qd.Space(p=qd.Spin()).p.y, Y),
    ):
        close(np.asarray(space.operator(given)), matrix, 1e-15)
        close(np.asarray(PAIR.q.operator(given)), np.kron(matrix, np.eye(3)), 1e-15)
    with pytest.raises(TypeError, match="matrix must be a square array of numbers, but was str"):
        space.operator("x")
    with pytest.raises(ValueError, match="matrix must have the dimension of the space, 2, but has 3"):
        space.operator(qutip.num(3))


# ---- tables -----------------------------------------------------------------------------------------------


class Spring(qd.Model):
    """Its energy J x^2/2 summed over three springs, and the force of each."""

    x: float = qd.parameter(1.0)
    k: jax.Array = qd.parameter([1.0, 2.0, 3.0], low=0)

    @qd.merit(symbol="E", unit="energy", source="Hooke")
    def energy(self):
        """Of all."""
        return jnp.sum(self.k) * self.x**2 / 2

    @qd.merit(symbol="F", unit="force", source="Hooke")
    def forces(self):
        """Of each."""
        return -self.k * self.x

    @qd.merit(symbol="r", unit="1", source="a root")
    def root(self):
        """Not a number for x < 0.5."""
        return jnp.sqrt(self.x - 0.5)


def test_a_sweep_as_a_table(tmp_path):
    """CSV that pandas reads: a row a point, an empty cell and a reason where there is no value; what is returned is what NetCDF holds."""
    pandas = pytest.importorskip("pandas")
    grid = {"x": [0.25, 1.0], "k[1]": [0.0, 2.0, 0.1 + 0.2]}
    merits = ["energy", "forces", "root"]
    with qd.sweep(Spring(), merits, gradient=True, out=tmp_path / "a.csv", chunk=2, **grid) as data:
        assert data.identical(qd.sweep(Spring(), merits, gradient=True, **grid))
    table = pandas.read_csv(tmp_path / "a.csv")
    names = ["x", "k[1]", "energy", "forces[0]", "forces[1]", "forces[2]", "root"]
    slopes = [f"d_{f}_d_{p}" for f in ("energy", "root") for p in ("x", "k[0]", "k[1]", "k[2]")]
    assert set(table) == {*names, *slopes, "failure"} and list(table)[:7] == names
    x, k = table["x"].to_numpy(), table["k[1]"].to_numpy()
    assert x.tolist() == [0.25] * 3 + [1.0] * 3 and k.tolist() == [0.0, 2.0, 0.1 + 0.2] * 2
    close(table["energy"], (4 + k) * x**2 / 2, 1e-15)
    close(table["forces[1]"], -k * x, 1e-15)
    close(table["d_energy_d_k[2]"], x**2 / 2, 1e-15)
    assert table["root"].isna().tolist() == [True] * 3 + [False] * 3
    assert table["failure"].notna().tolist() == [True] * 3 + [False] * 3 and "not a finite number" in table["failure"][0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv"]


def test_a_table_goes_on_after_an_interruption(tmp_path, monkeypatch):
    """What was computed is in a folder beside it; the finished table says that it cannot be resumed, or run again."""
    out, seen = tmp_path / "a.csv", []
    monkeypatch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)

    def stop(done, total):
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qd.sweep(Spring(), "energy", x=[1.0, 2.0, 3.0, 4.0], out=out, chunk=1, callback=stop)
    assert not out.exists() and (tmp_path / "a.csv.parts").is_dir()
    with qd.sweep(Spring(), "energy", x=[1.0, 2.0, 3.0, 4.0], out=out, resume=True, callback=lambda done, _: seen.append(done)) as data:
        close(data.energy.values, 3 * np.arange(1.0, 5.0) ** 2, 1e-15)
    assert out.read_text().splitlines()[:2] == ["x,energy,failure", "1.0,3.0,"]
    with pytest.raises(ValueError, match="a.csv exists, and a CSV does not say which study it is of"):
        qd.sweep(Spring(), "energy", x=[1.0], out=out, resume=True)
    with pytest.raises(ValueError, match=r"path must be a NetCDF file \(.nc\) of a study, but .*a.csv is a CSV"):
        qd.rerun(out)


@pytest.mark.parametrize("name", ["a.txt", "a.h5", "a", "a.csv.gz", "a.xlsx"])
def test_an_ending_that_says_something_else(name, tmp_path):
    """Neither NetCDF nor CSV is written under another ending."""
    with pytest.raises(ValueError, match=f"out must end in .nc, for NetCDF, or in .csv, but was '.*{name}'"):
        qd.sweep(Spring(), "energy", x=[1.0], out=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "a.csv", "a.nc", "a.json"])
def test_a_folder_with_the_name_of_a_file(name, tmp_path):
    """Where several files go, the name of one is refused; a folder that is there may have any name."""
    with pytest.raises(ValueError, match="out must be a folder, into which several files go, but .* is the name of a file"):
        qd.optimize(Spring(), "energy", {"x": (-1, 1)}, out=tmp_path / name)
    (tmp_path / name).mkdir()
    assert results_folder("out", tmp_path / name) == tmp_path / name
    assert results_folder("out", tmp_path / "run.1") == tmp_path / "run.1"
