"""Commands that must be refused, run in this process, and a small device to run them on."""

import os
import pathlib
import re
import shlex

from typer.testing import CliRunner

from qdiff.cli.app import app

DEVICE = '''
import jax.numpy as jnp
import qdiff as qd


class Hill(qd.Model):
    """A hill, and merits that nobody should ask for."""

    x: float = qd.parameter(0.0, unit="energy", search=(0, 1))
    y: float = qd.parameter(0.0, low=0, search=(0, 2))
    wide: float = qd.parameter(1.0, low=0, open=True)
    kind: int = qd.setting(1, low=0, high=9)
    word: str = qd.setting("a", choices=("a", "b"))
    flag: bool = qd.setting(True, choices=(True, False))
    several: object = qd.parameter(None, array="three")

    presets = {"high": {"y": 1.0}}

    def three(self):
        return jnp.ones(3) * self.y

    @qd.merit(symbol="h", unit="energy^2", source="none")
    def height(self):
        return 3 - (self.x - 0.25) ** 2 / self.wide + self.y

    @qd.merit(symbol="n", unit="1", source="none")
    def nowhere(self):
        return self.x * jnp.nan

    @qd.merit(symbol="v", unit="1", source="none")
    def vector(self):
        return self.x * jnp.ones(2)

    @qd.merit(symbol="i", unit="1", source="none")
    def imaginary(self):
        return self.x * 1j
'''
HILL = "device.py:Hill"


def command(line: str | list[str]):
    """Run the command of a line, in which HILL is the device: a result with exit_code, stdout and stderr."""
    words = shlex.split(line) if isinstance(line, str) else line
    return CliRunner().invoke(app, [HILL if word == "HILL" else word for word in words])


def files(folder: str | os.PathLike = ".") -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, and every folder and link with None, but what Python itself keeps."""
    found = {}
    for path in pathlib.Path(folder).rglob("*"):
        if "__pycache__" not in path.parts:
            found[str(path)] = path.read_bytes() if path.is_file() else None
    return found


def sentence(stderr: str) -> str:
    """The one sentence with which a command ended, without the box that a usage error is in, bars and what a model prints."""
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", stderr).split())
    if "qdiff: " not in stderr:
        return text.partition("Error ")[2]
    assert stderr.count("qdiff: ") == 1, stderr
    last = stderr[stderr.index("qdiff: ") :].rstrip("\n")
    assert "\n" not in last, stderr
    return last.removeprefix("qdiff: ")


def refused(line: str | list[str], *words: str, code: int = 2) -> str:
    """Run a command, which must end with this code and one sentence that has all these words, and change no file."""
    before = files()
    found = command(line)
    assert found.exception is None or isinstance(found.exception, SystemExit), repr(found.exception)
    assert (found.exit_code, found.stdout) == (code, ""), (found.exit_code, found.stdout, found.stderr)
    assert "Traceback" not in found.stderr and "Warning" not in found.stderr, found.stderr
    said = sentence(found.stderr)
    assert all(word in said for word in words), said
    assert len(said) < 700, said
    assert files() == before
    return said
