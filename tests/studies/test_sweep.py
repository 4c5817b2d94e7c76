"""Sweeps: the numbers and their labels, failing points, files that survive a kill, several processes."""

import errno
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import types

import jax
import numpy as np
import pytest
import xarray
from helpers import close

import qdiff as qd
from qdiff.studies.batches import _SHARE, Batches, Reasons
from qdiff.studies.grid import Grid, boxes
from qdiff.studies.store.paths import folder_to_be
from qdiff.studies.store.provenance import model_record
from qdiff.studies.store.shards import Shards

LAMBDA = qd.models.LambdaSystem()
T1, W1 = np.linspace(0.5, 3, 7), np.array([1.0, 2.0])


class Spiral(qd.Model):
    """A complex figure of merit and one that fails by itself."""

    x: float = qd.parameter(1.0, unit="length")

    @qd.merit(symbol="z", unit="1", source="a spiral")
    def turn(self):
        """A phase."""
        return jax.numpy.exp(1j * self.x)

    @qd.merit(symbol="r", unit="1/length", source="a pole")
    def pole(self):
        """A pole at zero."""
        return 1 / self.x


def test_values_are_those_of_the_merits():
    """A product of two grids, scalars and arrays, with gradients: as one device after the other."""
    data = qd.sweep(LAMBDA, ["imbalance", "populations"], T1=T1, omega1=W1, gradient=True, chunk=4)
    assert data.populations.dims == ("T1", "omega1", "populations_0") and data.imbalance.shape == (7, 2)
    value, slope = jax.jit(lambda m: (m.imbalance(), m.populations())), jax.jit(jax.grad(lambda m: m.imbalance()))
    for i, j in ((0, 1), (3, 0), (6, 1)):
        model = qd.models.LambdaSystem(T1=T1[i], omega1=W1[j])
        one, many = value(model)
        close(data.imbalance[i, j], one, 1e-14, 1.0)
        close(data.populations[i, j], many, 1e-14)
        for name in ("T1", "T2", "omega1", "omega2", "rate", "distance"):
            close(data[f"d_imbalance_d_{name}"][i, j], getattr(slope(model), name), 1e-13, 1.0)
    assert int((data.failure != 0).sum()) == 0
    assert data.d_imbalance_d_T1.attrs["units"] == "(1) / (energy)" and data.T1.attrs["units"] == "energy"
    assert data.imbalance.attrs["symbol"] == r"\Delta_{ss}" and json.loads(data.attrs["study"])["parameters"]["T2"] == 1.0
    assert data.attrs["qdiff_version"] and data.sel(T1=0.5, omega1=2.0).imbalance == data.imbalance[0, 1]


def test_grids_that_run_together():
    data = qd.sweep(LAMBDA, "force", T1=T1, T2=T1[::-1], omega1=W1, together=[("T1", "T2")])
    assert data.force.dims == ("T1_T2", "omega1") and data.T2.dims == ("T1_T2",)
    for k in (0, 2):
        close(data.force[k, 1], qd.models.LambdaSystem(T1=T1[k], T2=T1[6 - k], omega1=2.0).force(), 1e-14)


def test_a_point_that_fails_says_why():
    """NaN and a reason where there is no value; the others are untouched, also in the file."""
    lattice = qd.models.ThermophoreticLattice(sites=4)
    data = qd.sweep(lattice, "thermophoresis", g=[-0.5, 0.0, 0.5])
    assert np.isnan(data.thermophoresis[1]) and data.failure.values.tolist() == [0, 1, 0]
    assert "g must not be 0" in data.failure.attrs["reason_1"]
    close(data.thermophoresis[2], qd.models.ThermophoreticLattice(sites=4, g=0.5).thermophoresis(), 1e-13)
    mixed = qd.sweep(Spiral(), ["turn", "pole"], x=[0.0, 2.0])
    close(mixed.turn_real + 1j * mixed.turn_imag, np.exp(1j * np.array([0.0, 2.0])), 1e-15)
    assert np.isinf(mixed.pole[0]) and "nothing failed" in mixed.failure.attrs["reason_1"]


def test_the_file_is_the_same_data(tmp_path):
    out = tmp_path / "deep" / "data.nc"
    grids = {"T1": T1, "T2": T1 + 0.1, "omega1": W1}
    memory = qd.sweep(LAMBDA, ["force", "populations"], together=[("T1", "T2")], chunk=3, **grids)
    with qd.sweep(LAMBDA, ["force", "populations"], together=[("T1", "T2")], chunk=3, out=out, **grids) as file:
        xarray.testing.assert_identical(file.load(), memory)
    assert [p.name for p in out.parent.iterdir()] == ["data.nc"]
    found = qd.rerun(out)
    assert found.same and set(found.differences) == {"force", "populations", "failure"} and not found.versions
    with qd.sweep(LAMBDA, ["force", "populations"], together=[("T1", "T2")], out=out, resume=True, **grids) as again:
        assert again.force.shape == (7, 2)


def test_a_rerun_can_differ(tmp_path):
    import h5netcdf

    out = tmp_path / "data.nc"
    qd.sweep(LAMBDA, "force", T1=T1, out=out).close()
    with h5netcdf.File(out, "r+") as file:
        file.variables["force"][3] = file.variables["force"][3] + 1e-6
        file.attrs["jax_version"] = "0.0.1"
    found = qd.rerun(out)
    assert not found.same and 1e-6 < found.differences["force"] < 1e-4 and found.versions == {"jax_version": "0.0.1"}


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (5, 1, 2)])
def test_boxes_cover_every_range(shape):
    size = int(np.prod(shape))
    for start in range(size):
        for stop in range(start, size + 1):
            hit, seen = np.zeros(shape, int), []
            numbers = np.arange(size).reshape(shape)
            for index, count in boxes(start, stop, shape):
                hit[index] += 1
                seen += numbers[index].ravel().tolist()
                assert count == numbers[index].size
            assert seen == list(range(start, stop)) and hit.sum() == stop - start


def test_points_run_as_the_axes_do():
    grid = Grid.of(LAMBDA, {"T1": T1, "omega1": W1})
    want = np.stack([a.ravel() for a in np.meshgrid(T1, W1, indexing="ij")], axis=1)
    assert np.array_equal(grid.points(3, 11), want[3:11])


SCRIPT = """
import sys, time
import numpy as np
import qdiff as qd
from qdiff.studies import batches, sweep

call = batches.Batches.__call__
def slow(self, x):
    time.sleep(0.02)
    return call(self, x)
batches.Batches.__call__ = slow
sweep._KEPT_EVERY = 0.05
qd.sweep(qd.models.LambdaSystem(), ["imbalance", "force"], T1=np.linspace(0.5, 3, 120), omega1=[1.0, 2.0], chunk=2,
         gradient=True, out=sys.argv[1], resume=True, callback=lambda done, total: print(done, flush=True))
"""


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    """Killed without warning, again and again, and resumed: the same data as undisturbed, nothing computed twice but one call."""
    out, rng, kills = tmp_path / "data.nc", np.random.default_rng(0), 0
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    computed = 0
    for _ in range(20):
        with subprocess.Popen([sys.executable, str(script), str(out)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(float(rng.uniform(0, 0.5)))
            if process.poll() is None and first:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
            computed += len(process.stdout.read().splitlines()) + bool(first)
        if out.exists():
            break
    subprocess.run([sys.executable, str(script), str(out)], check=True, capture_output=True)
    grids = {"T1": np.linspace(0.5, 3, 120), "omega1": [1.0, 2.0]}
    want = qd.sweep(LAMBDA, ["imbalance", "force"], chunk=2, gradient=True, **grids)
    with xarray.open_dataset(out, engine="h5netcdf") as found:
        for name in want.data_vars:
            assert np.array_equal(found[name].values, want[name].values), name
    assert kills >= 2 and computed < 120 + 20 * kills
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("data")] == ["data.nc"]


def test_an_interrupt_keeps_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)

    def stop(done, total):
        if done >= 6:
            raise KeyboardInterrupt

    out = tmp_path / "data.nc"
    with pytest.raises(KeyboardInterrupt, match="^interrupted: 4 of 14 points are kept in .*data.nc.parts; resume=True goes on"):
        qd.sweep(LAMBDA, "force", T1=T1, omega1=W1, chunk=2, out=out, callback=stop)
    assert not out.exists() and len(list((tmp_path / "data.nc.parts").glob("*.npz"))) == 2
    with pytest.raises(ValueError, match="unfinished study"):
        qd.sweep(LAMBDA, "force", T1=T1, omega1=W1, out=out)
    with pytest.raises(ValueError, match="must be the same as this one, but differs in merits, parameters"):
        qd.sweep(qd.models.LambdaSystem(T2=1.5), "imbalance", T1=T1, omega1=W1, out=out, resume=True)
    seen = []
    with qd.sweep(LAMBDA, "force", T1=T1, omega1=W1, out=out, resume=True, callback=lambda done, _: seen.append(done)) as data:
        xarray.testing.assert_identical(data.load(), qd.sweep(LAMBDA, "force", T1=T1, omega1=W1, chunk=2))
    assert seen == [2, 4, 6, 8, 10]  # of fourteen points, in calls of two as before


@pytest.mark.parametrize("moment", ["write", "os.replace", "unlink", "last unlink", "rmdir"])
def test_killed_while_it_ends(tmp_path, monkeypatch, moment):
    """Killed while the shards are joined, or after the file is there: resumed, it is the whole file, and nothing else."""

    def run():
        return qd.sweep(LAMBDA, "force", T1=T1, omega1=W1, chunk=2, out=tmp_path / "data.nc", resume=True)

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    out, left = tmp_path / "data.nc", {"unlink": 1, "last unlink": 7}.get(moment, 0)
    with monkeypatch.context() as patch:
        if moment == "write":  # a kill leaves the file that no `finally` takes away
            patch.setattr(pathlib.Path, "unlink", lambda self, missing_ok=False: None)
            patch.setattr("os.replace", lambda fresh, to, of=os.replace: kill() if to == out else of(fresh, to))
        elif moment == "os.replace":
            patch.setattr("os.replace", lambda fresh, to, of=os.replace: (of(fresh, to), to == out and kill()))
        elif "unlink" in moment:
            unlink = pathlib.Path.unlink

            def some(self, missing_ok=False):
                nonlocal left
                if out.exists() and self.exists() and (left := left - 1) < 0:
                    raise Killed
                unlink(self, missing_ok)

            patch.setattr(pathlib.Path, "unlink", some)
            patch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)
        else:
            patch.setattr(pathlib.Path, "rmdir", kill)
        with pytest.raises(Killed):
            run()
    assert out.exists() != (moment == "write") and (tmp_path / "data.nc.parts").exists()
    with run() as data:
        xarray.testing.assert_identical(data.load(), qd.sweep(LAMBDA, "force", T1=T1, omega1=W1, chunk=2))
    assert os.listdir(tmp_path) == ["data.nc"]


def begun(out, record=None) -> Shards:
    """The shards of a study that has no point yet."""
    shards = Shards(out, 7)
    shards.begin(record or {"study": "sweep"}, False, 2)
    return shards


@pytest.mark.parametrize("moment", ["before", "after"])
def test_another_process_may_end_it_first(tmp_path, monkeypatch, moment):
    """While one looks at the shards, another joins them and takes them away: the same data, and nothing is left behind."""
    out, check, once = tmp_path / "data.nc", Shards.check, [None]

    def overtaken(self, *args):
        if once:
            once.clear()
            record = self.study()["record"]
            qd.sweep(LAMBDA, "force", T1=T1, chunk=2, out=out, resume=True).close()
            if moment == "after":
                begun(out, record)
        check(self, *args)

    monkeypatch.setattr(Shards, "check", overtaken)
    with qd.sweep(LAMBDA, "force", T1=T1, chunk=2, out=out) as data:
        xarray.testing.assert_identical(data.load(), qd.sweep(LAMBDA, "force", T1=T1, chunk=2))
    assert os.listdir(tmp_path) == ["data.nc"]


def test_shards_that_cannot_be_deleted_do_no_harm(tmp_path, monkeypatch):
    out = tmp_path / "data.nc"

    def forbidden(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "rmdir", forbidden)
        for _ in range(2):
            with qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True) as data:
                assert data.force.shape == T1.shape
    copy = tmp_path / "data.nc.parts" / "000000000000-000000000007.npz.bak"
    copy.write_text("of the user's own")
    qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True).close()
    assert copy.exists()
    copy.unlink()
    qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True).close()
    assert os.listdir(tmp_path) == ["data.nc"]


def test_what_is_of_no_finished_study_stays(tmp_path):
    """Next to a finished file: the shards of another study, and a folder that cannot be understood."""
    out, folder = tmp_path / "data.nc", tmp_path / "data.nc.parts"
    qd.sweep(LAMBDA, "force", T1=T1, out=out).close()
    begun(out)
    for text in (None, "{", ""):
        if text is not None:
            (folder / "study.json").write_text(text)
        qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True).close()
        assert [p.name for p in folder.iterdir()] == ["study.json"]
    (folder / "study.json").rename(folder / "notes.txt")
    qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True).close()
    assert [p.name for p in folder.iterdir()] == ["notes.txt"]


def test_a_damaged_study_is_said(tmp_path):
    out = tmp_path / "data.nc"
    (begun(out).path / "study.json").write_bytes(b"\xff{")
    with pytest.raises(ValueError, match="is damaged"):
        qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True)
    (tmp_path / "cut.nc").write_bytes(b"\x89HDF\r\n\x1a\n123")
    with pytest.raises(ValueError, match="whole output file"):
        qd.rerun(tmp_path / "cut.nc")


PROCESS = """
import sys
import jax
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", num_processes=2, process_id=int(sys.argv[3]))
import numpy as np
import qdiff as qd
seen = []
data = qd.sweep(qd.models.LambdaSystem(), ["imbalance", "populations"], T1=np.linspace(0.5, 3, 31), omega1=[1.0, 2.0], chunk=4,
                out=sys.argv[1], callback=lambda done, total: seen.append(done))
assert data.imbalance.shape == (31, 2)
print(jax.process_count(), seen[-1])
"""


@pytest.mark.slow
def test_two_processes_make_one_file(tmp_path):
    """The same numbers as one process, each having done half of the calls."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script, out = tmp_path / "run.py", tmp_path / "data.nc"
    script.write_text(PROCESS)
    run = [subprocess.Popen([sys.executable, script, out, port, str(k)], stdout=subprocess.PIPE, text=True) for k in (0, 1)]
    said = [p.communicate(timeout=240)[0].split() for p in run]
    assert all(p.returncode == 0 for p in run) and [s[0] for s in said] == ["2", "2"]
    assert sorted(int(s[1]) for s in said) == [30, 32]
    want = qd.sweep(LAMBDA, ["imbalance", "populations"], T1=np.linspace(0.5, 3, 31), omega1=[1.0, 2.0], chunk=4)
    with xarray.open_dataset(out, engine="h5netcdf") as found:
        xarray.testing.assert_identical(found.load(), want)


DEVICES = """
import numpy as np, jax
import qdiff as qd
assert jax.local_device_count() == 3
data = qd.sweep(qd.models.LambdaSystem(), ["imbalance"], T1=np.linspace(0.5, 3, 31), gradient=True)
data.load().to_netcdf(__import__("sys").argv[1], engine="h5netcdf")
"""


@pytest.mark.slow
def test_all_devices_share_a_call(tmp_path):
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=3", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", DEVICES, str(tmp_path / "data.nc")], check=True, env=environment)
    want = qd.sweep(LAMBDA, ["imbalance"], T1=np.linspace(0.5, 3, 31), gradient=True)
    with xarray.open_dataset(tmp_path / "data.nc", engine="h5netcdf") as found:
        for name in want.data_vars:
            close(found[name], want[name], 1e-14, 1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "grids must name at least one"),
        ({"T1": [[1.0]]}, "shape"),
        ({"T1": ["a"]}, "must be numbers"),
        ({"T1": [1.0], "merits": "forc"}, "did you mean 'force'"),
        ({"T1": [1.0], "merits": []}, "merits must name at least one"),
        ({"T1": [1.0], "out": 3}, "out must be the name of a file, but was 3"),
    ],
)
def test_refused_with_one_sentence(given, said):
    with pytest.raises(ValueError, match=said) as caught:
        qd.sweep(LAMBDA, **{"merits": "force", **given})
    assert "\n" not in str(caught.value)


def test_files_that_are_there_are_refused(tmp_path):
    (tmp_path / "there.nc").write_text("mine")
    with pytest.raises(ValueError, match="out must be a new file"):
        qd.sweep(LAMBDA, "force", T1=T1, out=tmp_path / "there.nc")
    with pytest.raises(ValueError, match="whole output file"):
        qd.sweep(LAMBDA, "force", T1=T1, out=tmp_path / "there.nc", resume=True)
    assert (tmp_path / "there.nc").read_text() == "mine"


@pytest.mark.parametrize("folder", [3, "", None, b"here"])
def test_what_is_no_folder(folder):
    with pytest.raises(ValueError, match="out must be the name of a folder, but was"):
        folder_to_be("out", folder)


def test_a_finished_file_is_of_one_study(tmp_path):
    """Resumed, it is read; a file of another study is left alone."""
    out = tmp_path / "data.nc"
    with qd.sweep(LAMBDA, "force", T1=T1, out=out) as data:
        want = data.load()
    before = out.read_bytes()
    with qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True) as data:
        xarray.testing.assert_identical(data.load(), want)
    with pytest.raises(ValueError, match="out must be a new file or one of the same study, but .*data.nc is of another one"):
        qd.sweep(LAMBDA, "imbalance", T1=T1, out=out, resume=True)
    assert out.read_bytes() == before


class Fragile(Spiral):
    """It cannot be made everywhere, and warns everywhere else."""

    def __check_init__(self):
        if not isinstance(self.x, jax.core.Tracer) and self.x > 2:
            raise ValueError("x must be at most 2")

    def warnings(self, numbers):
        return {"warning": f"x is {self.x:g}"}


def test_warnings_of_points_that_are_none():
    data = qd.sweep(Fragile(), "pole", x=[1.0, 2.0, 3.0, 4.0])
    assert data.attrs["warning"] == "at 2 of 4 points: x is 1"


class Calm(Spiral):
    warns = False

    def warnings(self, numbers):
        raise AssertionError("asked")


def test_models_without_warnings_are_not_asked():
    """Neither at the points of a sweep nor after a figure of merit."""
    assert "warning" not in qd.sweep(Calm(), "pole", x=[1.0, 2.0]).attrs
    assert np.isfinite(Calm(x=1.0).pole())


def test_many_failures_are_not_all_examined():
    reasons = Reasons(Spiral(), ("x",), ("pole",), most=1)
    assert reasons(np.array([0.0])) == Reasons.BY_ITSELF
    assert reasons(np.array([0.0])) == "not examined: 1 points had failed before it"


def test_calls_fit_the_memory(monkeypatch):
    """A device with room for a quarter of a call's share gets calls of a quarter; one that tells nothing, its whole share."""
    batches = Batches(LAMBDA, ("T1",), ("force",), False, 64, None)
    assert batches.chunk == 64 and batches._allowed() == 64
    found = batches._program.memory_analysis()
    needed = found.temp_size_in_bytes + found.output_size_in_bytes + found.argument_size_in_bytes
    stats = {"bytes_limit": 1000 + needed / (4 * _SHARE), "bytes_in_use": 1000}
    batches._devices = [types.SimpleNamespace(platform="gpu", memory_stats=lambda: stats)]
    assert batches._allowed() == 16
    stats = None
    assert batches._allowed() == 64
    monkeypatch.setattr(Batches, "_allowed", lambda self: 5)
    close(qd.sweep(LAMBDA, "force", T1=T1).force, [float(LAMBDA.replace(T1=float(t)).force()) for t in T1], 1e-13)
    assert Batches(LAMBDA, ("T1",), ("force",), False, 64, None).chunk == 5


def test_two_may_begin_one_study(tmp_path, monkeypatch):
    """The one that comes second finds the folder made, and leaves nothing of its own; if there is none, the error is shown."""
    assert not begun(tmp_path / "data.nc")._made() and os.listdir(tmp_path) == ["data.nc.parts"]

    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.rename", forbidden)
    with pytest.raises(PermissionError):
        begun(tmp_path / "other.nc")
    assert os.listdir(tmp_path) == ["data.nc.parts"]


def test_a_class_without_a_file_is_named(tmp_path):
    """Made in an interactive session, it has no source that a hash could be of."""
    loose = type("Loose", (Spiral,), {"__module__": "nowhere"})
    record = model_record(loose())
    assert record["model"] == "nowhere:Loose" and record["source_hash"] == ""
    assert model_record(Spiral())["model"] == f"{__file__}:Spiral" and len(model_record(Spiral())["source_hash"]) == 64


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("qdiff.studies.sweep._KEPT_EVERY", 0.0)
    put, left = Shards.put, [3]

    def full(self, *args):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        put(self, *args)

    monkeypatch.setattr(Shards, "put", full)
    out = tmp_path / "data.nc"
    with pytest.raises(OSError, match="No space left on device; 3 of 7 points are kept in .*: make room, and resume"):
        qd.sweep(LAMBDA, "force", T1=T1, chunk=1, out=out)
    left[0] = 100
    with qd.sweep(LAMBDA, "force", T1=T1, out=out, resume=True) as data:
        close(data.force, qd.sweep(LAMBDA, "force", T1=T1).force, 1e-14, 1.0)
