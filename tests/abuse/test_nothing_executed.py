"""A model file is Python, and naming it runs it. Nothing else that qdiff reads is ever executed."""

import json
import pathlib
import pickle
import zlib

import h5py
import numpy as np
import pytest
from commands import DEVICE, command, refused

import qdiff as qd
from qdiff.studies.search.constraints import constraints_of
from qdiff.studies.search.objective import objective

TOUCH = "__import__('pathlib').Path('executed').touch()"
SWEEP = "sweep HILL --merit height --grid x=0:1:3 --out a.nc"
BEST = "optimize HILL height --starts 2 --steps 2 --out best"


class Bomb:
    """What runs when it is read as a pickle."""

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path("executed"),)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with a device; at the end nothing must have been executed in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "device.py").write_text(DEVICE)
    yield tmp_path
    assert not (tmp_path / "executed").exists()


def test_the_bomb_works(here):
    """So that its silence means something."""
    pickle.loads(pickle.dumps(Bomb()))
    eval(TOUCH)
    assert (here / "executed").exists()
    (here / "executed").unlink()
    (here / "bomb.py").write_text(TOUCH)
    command("show bomb.py:Hill")  # a model file that is named
    assert (here / "executed").exists()
    (here / "executed").unlink()


def test_a_pickle_for_a_shard(here, counted):
    from qdiff.cli.userfile import load_class
    from qdiff.studies import sweep as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_KEPT_EVERY", 0.0)

        def stop(done, total):
            if done == total:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            qd.sweep(load_class("device.py:Hill")(), "height", x=np.linspace(0, 1, 3), chunk=1, out="a.nc", callback=stop)
    shard = here / "a.nc.parts/000000000001-000000000002.npz"
    bomb = np.array([Bomb()], dtype=object)
    for write in (
        lambda: np.savez(shard, v_height=bomb, reasons=np.array("{}")),
        lambda: np.savez(shard, v_height=np.zeros(1), reasons=bomb),
        lambda: shard.write_bytes(pickle.dumps(Bomb())),
    ):
        write()
        refused(f"{SWEEP} --chunk 1 --resume", "is damaged: delete it, and resume")
        counted("abuse cases")
    (here / "a.nc.parts/study.json").write_bytes(pickle.dumps(Bomb()))
    refused(f"{SWEEP} --chunk 1 --resume", "study.json is damaged")
    (here / "a.nc.parts/study.json").write_text(TOUCH)
    refused(f"{SWEEP} --chunk 1 --resume", "study.json is damaged")
    counted("abuse cases", n=2)


def test_an_output_file(here, counted):
    """Python and pickles in each part of the record of a file, and a record that names a Python file."""
    assert command(SWEEP).exit_code == 0
    (here / "bomb.py").write_text(f"{TOUCH}\n{DEVICE}")
    whole = (here / "a.nc").read_bytes()
    with h5py.File("a.nc") as file:
        study = json.loads(file.attrs["study"])
    for change in (
        {"model": "bomb.py:Hill"},
        {"model": f"{here}/bomb.py:Hill"},
        {"merits": [TOUCH]},
        {"merits": TOUCH},
        {"grids": {TOUCH: [1.0]}},
        {"grids": {"x": TOUCH}},
        {"together": [[TOUCH]]},
        {"parameters": {TOUCH: 1.0}},
        {"parameters": {"x": TOUCH}},
        {"parameters": {"__class__": "bomb.Hill"}},
        {"study": TOUCH},
    ):
        (here / "a.nc").write_bytes(whole)
        with h5py.File("a.nc", "a") as file:
            file.attrs["study"] = json.dumps({**study, **change})
        refused("rerun a.nc" if "model" in change else "rerun a.nc --model HILL")
        counted("abuse cases")
    for content in (TOUCH, np.void(pickle.dumps(Bomb())), pickle.dumps(Bomb()).hex()):
        (here / "a.nc").write_bytes(whole)
        with h5py.File("a.nc", "a") as file:
            file.attrs["study"] = content
        refused("rerun a.nc --model HILL", "a.nc must be a whole output file of qdiff")
        (here / "a.nc").write_bytes(whole)
        with h5py.File("a.nc", "a") as file:
            file.attrs["title"] = file.attrs["qdiff_version"] = file["height"].attrs["units"] = content
        assert command("rerun a.nc --model HILL").exit_code == 0
        counted("abuse cases", n=2)


def test_a_model_of_ones_own_is_run_only_if_it_is_named(here, counted):
    assert command(SWEEP).exit_code == 0
    (here / "device.py").write_text(f"{TOUCH}\n{DEVICE}")
    refused("rerun a.nc", "a.nc is of a model of your own", "--model must name it, which runs its file")
    assert not (here / "executed").exists()
    assert command("rerun a.nc --model HILL").exit_code == 0 and (here / "executed").exists()
    (here / "executed").unlink()
    counted("abuse cases")


def test_a_journal(here, counted):
    """A pickle, Python, and Python in a line with its right checksum."""
    assert command(BEST).exit_code == 0
    journal = here / "best/journal.jsonl"
    whole = journal.read_bytes()

    def line(**entries):
        return json.dumps({**entries, "check": zlib.crc32(json.dumps(entries).encode())}).encode() + b"\n"

    first = json.loads(whole.splitlines()[0])["study"]
    for text in (
        pickle.dumps(Bomb()) + b"\n",
        TOUCH.encode() + b"\n",
        line(study=TOUCH),
        line(study={**first, "merit": TOUCH}),
        line(study=first) + line(at="slopes", found=[TOUCH]),
        line(study=first) + line(at="slopes", found=TOUCH),
        line(study=first) + line(at=[TOUCH], found=[]),
    ):
        journal.write_bytes(text)
        refused(f"{BEST} --resume", "journal.jsonl")
        counted("abuse cases")
    journal.write_bytes(whole)
    (here / "best/result.json").write_bytes(pickle.dumps(Bomb()))
    assert command(f"{BEST} --resume").exit_code == 0  # a result is written, never read
    counted("abuse cases")


FORMULAS = [
    TOUCH,
    f"height + {TOUCH}",
    f"[height for x in [{TOUCH}]]",
    f"(lambda: {TOUCH})()",
    "exec(height)",
    "eval('1')",
    "height.__class__",
    "height.__init__.__globals__",
    "x.at",
    "sqrt.__self__",
    "(height)(x)",
    "sqrt(sqrt)(x)",
    "sqrt(*height)",
    "sqrt(**height)",
    "jnp.exp(x)",
    "height[0]",
    "{height}",
    "{'a': height}",
    "(height, x)",
    "height and x",
    "not height",
    "~height",
    "height << 3",
    "height // 2",
    "height | x",
    "height < x < y",
    "height is x",
    "height in x",
    "await height",
    "(yield height)",
    "(x := height)",
    "...",
    "None",
    "b'x'",
    "'x' * 999999999",
    "9**9**9**9",
    "9.0**999**999",
    "height\nx",
    "import os",
    "height # x\n+ y\n; z",
    "@height",
    "print",
    "height__",
    "__name__ + height",
    "__builtins__",
    "open",
    "\0",
    "hei\u200bght",
    "height" + "+x" * 101,
    "-" * 101 + "height",
    "(" * 250 + "height" + ")" * 250,
    "sqrt(" * 101 + "height" + ")" * 101,
]


@pytest.mark.parametrize("text", FORMULAS, ids=lambda text: ascii(text)[:40])
def test_a_formula_is_no_program(text, counted):
    """As what is sought and as a constraint: one sentence, at once, before anything is computed."""
    from qdiff.cli.userfile import load_class

    kind = load_class("device.py:Hill")
    for what, read in (("merit", objective), ("constraints", lambda kind, text: constraints_of(kind, f"{text} <= 1"))):
        with pytest.raises(ValueError) as caught:
            read(kind, text)
        said = str(caught.value)
        assert said.startswith((f"{what} must", "Hill has no figure of merit", "Hill has no parameter")) and len(said) < 500, said
        counted("abuse cases")


def test_what_a_formula_may_be(counted):
    """Everything that is allowed, against NumPy; names of figures of merit in capitals of other alphabets are not mixed up."""
    from qdiff.cli.userfile import load_class

    kind = load_class("device.py:Hill")
    model = kind(x=0.5, y=2.0)
    x, y, h = 0.5, 2.0, 3 - 0.25**2 + 2.0
    for text, value in (
        ("-height + 2*x/y - y**-2", -h + 2 * x / y - y**-2),
        ("sqrt(y)*exp(-x) + log(height)", np.sqrt(y) * np.exp(-x) + np.log(h)),
        ("sin(x) + cos(x) - tan(x)*tanh(x) + abs(-x)", np.sin(x) + np.cos(x) - np.tan(x) * np.tanh(x) + x),
        ("(1 + 2*3 - 4/5)**0.5 * x", (1 + 6 - 0.8) ** 0.5 * x),
        ("x" + "+1" * 99, x + 99),
        ("1e300*1e-300*x", x),
    ):
        assert float(objective(kind, text)(model)) == pytest.approx(value, rel=1e-14)
        counted("abuse cases")
