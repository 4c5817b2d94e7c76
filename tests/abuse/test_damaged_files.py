"""Files that qdiff wrote, cut off and altered: said in one sentence with the file's name, or read for what they are; never lost."""

import json
import random
import shutil

import h5py
import numpy as np
import pytest
import xarray
from commands import DEVICE, HILL, command, files, refused, sentence

import qdiff as qd

SWEEP = "sweep HILL --merit height --merit vector --grid x=0:1:6 --chunk 2 --out a.nc"
BEST = "optimize HILL height --starts 2 --steps 6 --out best"
SHARD = "a.nc.parts/000000000002-000000000004.npz"
WHOLE = "must be a whole output file of qdiff, but"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a finished sweep and search, an unfinished sweep, and what the sweep's file holds."""
    from qdiff.cli.userfile import load_class
    from qdiff.studies import sweep as module

    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(module, "_KEPT_EVERY", 0.0)
        (folder / "device.py").write_text(DEVICE)
        kind = load_class(HILL)

        def stop(done, total):
            if done == total:
                raise KeyboardInterrupt

        assert command(SWEEP).exit_code == 0 and command(BEST).exit_code == 0
        with xarray.open_dataset("a.nc") as data:
            want = data.load()
        (folder / "a.nc").rename(folder / "whole.nc")
        with pytest.raises(KeyboardInterrupt):
            qd.sweep(kind(), ["height", "vector"], x=np.linspace(0, 1, 6), chunk=2, out="a.nc", callback=stop)
    assert {"a.nc.parts/study.json", SHARD, "best/journal.jsonl"} <= {name[len(str(folder)) + 1 :] for name in files(folder)}
    return folder, want


@pytest.fixture
def here(made, monkeypatch, tmp_path):
    """That folder, as it was, to be damaged."""
    folder, want = made
    shutil.copytree(folder, tmp_path / "kept")
    monkeypatch.chdir(folder)
    yield folder, want
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)


def altered(data: bytes, seed: int) -> bytes:
    """With one bit flipped."""
    k = random.Random(seed).randrange(8 * len(data))
    out = bytearray(data)
    out[k // 8] ^= 1 << k % 8
    return bytes(out)


def cut(data: bytes, seed: int) -> bytes:
    return data[: random.Random(seed).randrange(len(data))]


def resumed(want, *words) -> bool:
    """Whether the sweep goes on to the right numbers; or else is refused in these words."""
    before = files()
    found = command(f"{SWEEP} --resume")
    if found.exit_code == 0:
        with xarray.open_dataset("a.nc") as data:
            xarray.testing.assert_identical(data.load(), want)
        return True
    said = sentence(found.stderr)
    assert found.exit_code == 2 and all(word in said for word in words), said
    assert files() == before
    return False


@pytest.mark.parametrize("damage", [cut, altered])
def test_a_shard(here, damage, counted):
    """Ten times; what was refused goes on when the file that it names is gone."""
    folder, want = here
    whole, refusals = (folder / SHARD).read_bytes(), 0
    for seed in range(10):
        (folder / SHARD).write_bytes(damage(whole, seed))
        if resumed(want, SHARD, "is damaged: delete it, and resume"):
            (folder / "a.nc").unlink()
            shutil.copytree(folder.parent / "parts", folder / "a.nc.parts", dirs_exist_ok=True)
        elif not refusals:
            shutil.copytree("a.nc.parts", folder.parent / "parts", dirs_exist_ok=True)
            refusals = 1
        counted("abuse cases")
    assert refusals
    (folder / SHARD).unlink()
    assert resumed(want)


def other(**changes):
    """The arrays of a shard, with some of them changed."""
    with np.load(SHARD) as data:
        return {**{name: data[name] for name in data.files}, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"v_height": np.zeros(3)},
        {"v_height": np.zeros((2, 2))},
        {"v_height": np.zeros(2, int)},
        {"v_height": np.array(["a", "b"])},
        {"v_other": np.zeros(2)},
        {"reasons": np.array("{")},
        {"reasons": np.array("[]")},
        {"reasons": np.array('{"x": "y"}')},
        {"reasons": np.array('{"7": "out of the range"}')},
        {"reasons": np.array("[" * 100000)},
    ],
)
def test_a_shard_of_something_else(here, changes, counted):
    folder, want = here
    np.savez(folder / SHARD, **other(**changes))
    assert not resumed(want, SHARD, "is damaged: delete it, and resume")
    counted("abuse cases")


def test_shards_that_overlap(here, counted):
    folder, want = here
    shutil.copy(folder / SHARD, folder / SHARD.replace("000000000002-", "000000000001-"))
    assert not resumed(want, "is damaged: delete it, and resume")
    counted("abuse cases")


@pytest.mark.parametrize("name", ["a-b.npz", "1-2.npz", "notes.txt", "folder/"])
def test_what_does_not_belong_to_a_sweep_is_left_alone(here, name, counted):
    folder, want = here
    path = folder / "a.nc.parts" / name
    path.mkdir() if name.endswith("/") else path.write_text("mine")
    assert resumed(want) and path.exists() and not (folder / SHARD).exists()
    counted("abuse cases")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff\xfe",
        b"[" * 100000,
        b'{"record": {}}',
        b'{"record": 3, "chunk": 2}',
        *(b'{"record": {}, "chunk": %s}' % chunk for chunk in (b"0", b"-1", b"2.5", b'"2"', b"true", b"1e30", b"NaN", b"null")),
    ],
)
def test_the_record_of_an_unfinished_sweep(here, text, counted):
    folder, want = here
    (folder / "a.nc.parts/study.json").write_bytes(text)
    for line in (SWEEP, SWEEP.replace(" --chunk 2", "")):
        refused(f"{line} --resume", "a.nc.parts/study.json is damaged: delete a.nc.parts and start again")
        counted("abuse cases")


def test_another_unfinished_sweep(here, counted):
    folder, want = here
    refused(SWEEP, "out has an unfinished study in a.nc.parts: resume it, or delete that folder")
    refused(f"{SWEEP} --resume --set y=1", "must be the same as this one, but differs in parameters")
    refused(f"{SWEEP} --resume --gradient", "must be the same as this one, but differs in gradient")
    (folder / "device.py").write_text(DEVICE + "\n# changed\n")
    refused(f"{SWEEP} --resume", "must be the same as this one, but differs in source_hash")
    (folder / "device.py").write_text(DEVICE)
    (folder / "a.nc.parts/study.json").unlink()
    refused(f"{SWEEP} --resume", "a.nc.parts is no unfinished study")
    shutil.rmtree(folder / "a.nc.parts")
    (folder / "a.nc.parts").write_text("mine")
    refused(f"{SWEEP} --resume", "a.nc.parts is no unfinished study")
    counted("abuse cases", n=6)


def test_a_file_that_is_cut_off(here, counted):
    """A finished file of which the end is missing is refused by a rerun and by a resume."""
    folder, _ = here
    whole = (folder / "whole.nc").read_bytes()
    for seed in range(12):
        (folder / "whole.nc").write_bytes(cut(whole, seed))
        refused("rerun whole.nc --model HILL", f"whole.nc {WHOLE}")
        refused(f"{SWEEP.replace('a.nc', 'whole.nc')} --resume", f"whole.nc {WHOLE}")
        counted("abuse cases", n=2)


def test_a_file_that_is_altered(here, counted):
    """One bit in a hundred places: refused before HDF5, which may fall into an endless loop, has looked at it."""
    folder, _ = here
    whole = (folder / "whole.nc").read_bytes()
    for seed in range(100):
        (folder / "whole.nc").write_bytes(altered(whole[:-79], seed) + whole[-79:])
        refused("rerun whole.nc --model HILL", f"whole.nc {WHOLE} is damaged")
    counted("abuse cases", n=100)
    (folder / "whole.nc").write_bytes(whole[:-79])  # as another program would write it
    assert command("rerun whole.nc --model HILL").exit_code == 0


STUDIES = {
    "nothing": "",
    "half": '{"study": "sweep", ',
    "a list": "[]",
    "a number": "3",
    "null": "null",
    "deep lists": "[" * 100000,
    "no study": "{}",
    "another study": '{"study": "optimize"}',
}


@pytest.mark.parametrize("what", STUDIES)
def test_a_record_that_is_none(here, what, counted):
    with h5py.File("whole.nc", "a") as file:
        del file.attrs["study"]
        file["text"] = STUDIES[what]
        if len(STUDIES[what]) < 60000:  # what an attribute can hold
            file.attrs["study"] = STUDIES[what]
    refused("rerun whole.nc --model HILL", "whole.nc must be")
    counted("abuse cases")


CHANGES = {
    "no model": {"model": None},
    "an unknown model": {"model": "nothing"},
    "another model": {"model": "rotor-engine", "parameters": {"chi": 0.1, "x": 3}},
    "a model of one's own": {"model": "./other.py:Hill"},
    "no parameters": {"parameters": None},
    "a list of parameters": {"parameters": [1, 2]},
    "an unknown parameter": {"parameters": {"z": 1.0}},
    "a parameter that is not physical": {"parameters": {"wide": -1.0}},
    "a parameter of words": {"parameters": {"x": "words"}},
    "a parameter of lists": {"parameters": {"x": [[1], [2]]}},
    "no merits": {"merits": None},
    "an unknown merit": {"merits": ["nothing"]},
    "merits that are no words": {"merits": [1, {}]},
    "no grids": {"grids": None},
    "grids without names": {"grids": [1]},
    "an unknown grid": {"grids": {"z": [1.0]}},
    "a grid of words": {"grids": {"x": "words"}},
    "a grid of nothing": {"grids": {"x": []}},
    "a grid that is a file": {"grids": {"x": [1.0], "out": "stolen.nc"}},
    "a grid that is an option": {"grids": {"x": [1.0], "callback": [1.0]}},
    "a grid that is the model": {"grids": {"x": [1.0], "model": [1.0]}},
    "groups that are none": {"together": 3},
    "groups of numbers": {"together": [[3]]},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_with_something_else(here, what, counted):
    with h5py.File("whole.nc", "a") as file:
        file.attrs["study"] = json.dumps({**json.loads(file.attrs["study"]), **CHANGES[what]})
    line = "rerun whole.nc" if "model" in CHANGES[what] else "rerun whole.nc --model HILL"
    refused(line)
    counted("abuse cases")


def test_a_file_with_other_data(here, counted):
    """Missing variables, words and other shapes in place of numbers are differences."""
    for change in (
        lambda file: file.pop("height"),
        lambda file: (file.pop("vector"), file.create_dataset("vector", data=np.zeros((6, 3)))),
        lambda file: (file.pop("height"), file.create_dataset("height", data=np.array([b"words"] * 6))),
        lambda file: file["height"].__setitem__(2, np.nan),
        lambda file: file["height"].__setitem__(2, 7.0),
    ):
        shutil.copy("whole.nc", "other.nc")
        with h5py.File("other.nc", "a") as file:
            change(file)
        found = command("rerun other.nc --model HILL --json")
        assert found.exit_code == 3 and json.loads(found.stdout)["same"] is False, found.stderr
        counted("abuse cases")
    assert command("rerun whole.nc --model HILL").exit_code == 0


def test_a_journal_that_is_altered(here, counted):
    """One bit in twenty places, and lines that are not a search's: refused, or what is read again is right."""
    folder, _ = here
    path = folder / "best/journal.jsonl"
    whole, result = path.read_bytes(), (folder / "best/result.json").read_bytes()
    codes = []
    for seed in range(20):
        path.write_bytes(altered(whole, seed))
        before = files()
        found = command(f"{BEST} --resume --json")
        codes.append(found.exit_code)
        if found.exit_code == 0:
            assert (folder / "best/result.json").read_bytes() == result
        else:
            said = sentence(found.stderr)
            assert found.exit_code == 2 and ("journal.jsonl that is damaged: give another folder" in said or "must be the same" in said)
            assert files() == before
        counted("abuse cases")
    assert codes.count(2) > 15


LINES = {
    "not text": b"\xff\xfe\n",
    "no JSON": b"hello\n",
    "a number": b"3\n",
    "a list": b"[1]\n",
    "deep lists": b"[" * 100000 + b"\n",
    "an evaluation without its checksum": b'{"at": "one", "found": [1]}\n',
    "an evaluation with another": b'{"at": "one", "found": [1], "check": 3}\n',
    "nothing but a checksum": b'{"check": 2745614147}\n',  # of {}
}


@pytest.mark.parametrize("what", LINES)
def test_a_journal_with_something_else(here, what, counted):
    folder, _ = here
    path = folder / "best/journal.jsonl"
    whole = path.read_bytes()
    for text in (LINES[what], whole + LINES[what], LINES[what] + whole):
        path.write_bytes(text)
        refused(f"{BEST} --resume", "best/journal.jsonl", "damaged")
        counted("abuse cases")


def test_a_journal_that_is_no_file(here, counted):
    folder, _ = here
    path = folder / "best/journal.jsonl"
    path.unlink()
    path.symlink_to("journal.jsonl")
    refused(f"{BEST} --resume", "journal.jsonl that cannot be read")
    path.unlink()
    path.mkdir()
    refused(f"{BEST} --resume", "journal.jsonl that cannot be read")
    counted("abuse cases", n=2)


@pytest.mark.parametrize("name", ["result.json", "trace.csv", "picture.png"])
def test_a_result_is_made_again(here, name, counted):
    """A result that was damaged comes back from the journal, as it was."""
    folder, _ = here
    path = folder / "best" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert command(f"{BEST} --resume").exit_code == 0 and path.read_bytes() == whole
    counted("abuse cases")


def test_the_checks_can_fail(here):
    folder, want = here
    with pytest.raises(AssertionError):
        resumed(want * 2)
    (folder / "a.nc").unlink()
    shutil.rmtree(folder / "a.nc.parts", ignore_errors=True)
    assert altered(b"abc", 0) != b"abc" and cut(b"abc", 0) != b"abc"
