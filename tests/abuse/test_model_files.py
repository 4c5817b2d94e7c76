"""Model files that are no text, no Python, no model, or that fail: exit code 2 and one sentence with the file and the line."""

import pytest
from commands import DEVICE, command, refused

HEAD = "import qdiff as qd\nclass Hill(qd.Model):\n    x: float = qd.parameter(1.0)\n"
MERIT = HEAD + "    @qd.merit(symbol='h', unit='1', source='none')\n    def height(self):\n        return "
# What the file has, and what `show` says.
NOT_IMPORTED = {
    "another encoding": (b"x = '\xff\xfe'\n", "does not import: SyntaxError"),
    "latin 1": ("x = 'Größe'\n".encode("latin-1"), "does not import: SyntaxError"),
    "UTF-16": ("x = 1\n".encode("utf-16"), "does not import: SyntaxError"),
    "an encoding that is none": (b"# -*- coding: klingon -*-\n", "does not import: SyntaxError: ", "klingon"),
    "null characters": (b"x = 1\0\n", "does not import: SyntaxError"),
    "random bytes": (bytes(range(256)) * 8, "does not import: SyntaxError"),
    "a compiled program": (b"\xa7\r\r\n\0\0\0\0", "does not import: SyntaxError"),
    "half a class": (b"import qdiff as qd\nclass Hill(qd.Model):\n", "does not import: IndentationError"),
    "a bracket too few": (b"x = (1\n", "does not import: SyntaxError: '(' was never closed"),
    "deep brackets": (b"x = " + b"(" * 5000 + b")" * 5000, "does not import: "),
    "deep signs": (b"x = " + b"-" * 100000 + b"1", "does not import: "),
    "a long sum": (b"x = " + b"+".join([b"1"] * 100000), "does not import: RecursionError"),
    "deep lists": (b"x = " + b"[" * 150 + b"]" * 150 + b"[", "does not import: "),
    "a missing module": (b"import nowhere_to_be_found\n", "(line 1): ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    "an error": (b"\n\nraise ValueError('first\\nsecond')\n", "(line 3): ValueError: first"),
    "an error without words": (b"assert False\n", "(line 1): AssertionError"),
    "an error of its own kind": (b"class Mine(BaseException): pass\nraise Mine('no')\n", "(line 2): Mine: no"),
    "an exit": (b"import sys\nsys.exit(0)\n", "(line 2): SystemExit: 0"),
    "endless recursion": (b"def f(): return f()\nf()\n", "(line 1): RecursionError"),
    "a model that is declared wrongly": (b"import qdiff as qd\nx = qd.parameter()\n", "(line 2): TypeError", "default"),
    "a default after a required field": (
        b"import qdiff as qd\nclass Hill(qd.Model):\n    a: float = 1.0\n    b: float\n",
        "does not import (line 2): TypeError",
    ),
    "nothing": (b"", "has no class 'Hill'. It has no models"),
    "another model": (HEAD.replace("Hill", "Hall").encode(), "has no class 'Hill'; did you mean 'Hall'? Its models are Hall"),
    "a function": (b"def Hill(): pass\n", "Hill in 'mine.py' must be a class derived from qdiff.Model, but is a value of type function"),
    "a number": (b"Hill = 3\n", "Hill in 'mine.py' must be a class derived from qdiff.Model, but is a value of type int"),
    "another class": (b"class Hill: pass\n", "Hill in 'mine.py' must be a class derived from qdiff.Model, but is the class Hill"),
    "the base class": (b"from qdiff import Model as Hill\n", "Hill in 'mine.py' must be a class derived from qdiff.Model"),
    "an instance": (HEAD.encode() + b"Hill = Hill()\n", "Hill in 'mine.py' must be a class derived from qdiff.Model"),
}
# What the file has, and what `evaluate` says.
NOT_EVALUATED = {
    "a default that is no number": (HEAD.replace("1.0", "'a'"), "x must be a number, but was 'a'"),
    "a default that is not finite": (HEAD.replace("1.0", "float('nan')"), "x must be finite, but was nan"),
    "a default out of bounds": (HEAD.replace("1.0", "1.0, high=0"), "x must be at most 0, but was 1.0"),
    "a setting that is no integer": (HEAD + "    n: int = qd.setting(1.5)\n", "n must be an integer, but was 1.5"),
    "a setting that is no choice": (HEAD + "    n: str = qd.setting('c', choices=('a', 'b'))\n", "n must be one of 'a', 'b', but was 'c'"),
    "a merit of nothing": (MERIT + "None\n", "height must return a number or an array of numbers, but returned None"),
    "a merit of words": (MERIT + "'word'\n", "height must return a number or an array of numbers, but returned 'word'"),
    "a merit of several things": (MERIT + "{'a': 1}\n", "height must return a number or an array of numbers"),
    "a merit of an object": (MERIT + "object()\n", "height must return a number or an array of numbers"),
    "a division by zero": (MERIT + "1 / 0\n", "'mine.py' fails (line 6): ZeroDivisionError: division by zero"),
    "an unknown name": (MERIT + "nothing\n", "'mine.py' fails (line 6): NameError: name 'nothing' is not defined"),
    "an unknown attribute": (MERIT + "self.y\n", "'mine.py' fails (line 6): AttributeError"),
    "a traced number as a Python one": (MERIT + "float(self.x)\n", "'mine.py' fails (line 6): ConcretizationTypeError"),
    "a traced number as a condition": (MERIT + "1 if self.x > 0 else 2\n", "'mine.py' fails (line 6): TracerBoolConversionError"),
    "a wrong argument": (MERIT + "qd.heat_current(1, 2, 3)\n", "(line 6): TypeError: state must come from `steady_state`"),
    "a wrong value": (MERIT + "qd.Boson(-1)\n", "levels must be"),
    "shapes that do not fit": (
        MERIT + "self.x * __import__('jax').numpy.ones((2, 3)) @ __import__('numpy').ones(2)\n",
        "(line 6): TypeError",
    ),
    "diagnostics that fail": (
        MERIT + "self.x\n    def diagnostics(self):\n        raise KeyError('q')\n",
        "(line 8): KeyError: 'q'",
    ),
    "diagnostics in words": (
        MERIT + "self.x\n    def diagnostics(self):\n        return {'a': 'word'}\n",
        "diagnostics must return a number or an array of numbers, but returned 'word'",
    ),
    "a constructor that fails": (HEAD + "    def __init__(self):\n        raise KeyError('q')\n", "(line 5): KeyError: 'q'"),
    "a check that fails": (HEAD + "    def __check_init__(self):\n        raise ValueError('x must be even')\n", "x must be even"),
    "endless recursion": (MERIT + "self.height()\n", "'mine.py' fails (line 6): RecursionError"),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("what", NOT_IMPORTED)
def test_not_a_model(here, what, counted):
    source, *words = NOT_IMPORTED[what]
    (here / "mine.py").write_bytes(source)
    refused("show mine.py:Hill", "'mine.py'", *words)
    counted("abuse cases")


@pytest.mark.parametrize("what", NOT_EVALUATED)
def test_a_model_that_fails(here, what, counted):
    source, *words = NOT_EVALUATED[what]
    (here / "mine.py").write_text(source)
    refused("evaluate mine.py:Hill", *words)
    counted("abuse cases")


@pytest.mark.parametrize("line", ["optimize mine.py:Hill height --over x=0:1", "sensitivity mine.py:Hill height"])
def test_every_command_says_where(here, line, counted):
    (here / "mine.py").write_text(MERIT + "1 / 0\n")
    refused(line, "'mine.py' fails (line 6): ZeroDivisionError")
    (here / "mine.py").write_text(MERIT + "None\n")
    refused(line, "height must return a number or an array of numbers, but returned None")
    counted("abuse cases", n=2)


def test_a_sweep_says_where(here, counted):
    (here / "mine.py").write_text(MERIT + "1 / 0\n")
    refused("sweep mine.py:Hill --merit height --grid x=0,1 --out a.nc", "'mine.py' fails (line 6): ZeroDivisionError")
    counted("abuse cases")


def test_files_that_are_no_files(here, counted):
    (here / "folder.py").mkdir()
    (here / "loop.py").symlink_to("loop.py")
    (here / "text.txt").write_text(DEVICE)
    refused("show folder.py:Hill", "there is no file 'folder.py'")
    refused("show loop.py:Hill", "there is no file 'loop.py'")
    refused("show text.txt:Hill", "a model's file must be Python source, path/to/file.py, but was 'text.txt'")
    counted("abuse cases", n=3)


def test_what_is_odd_but_right(here, counted):
    """Names with blanks and accents, a link, a mark at the beginning, another line end, a model that is imported from a neighbour."""
    for name in ("a b.py", "größe.py", "with:colon.py"):
        (here / name).write_text(DEVICE)
        assert command(["show", f"{name}:Hill"]).exit_code == 0
    (here / "link.py").symlink_to("a b.py")
    (here / "mark.py").write_bytes(b"\xef\xbb\xbf" + DEVICE.replace("\n", "\r\n").encode())
    (here / "neighbour_of_mine.py").write_text(DEVICE)
    (here / "imports.py").write_text("from neighbour_of_mine import Hill\n")
    for name in ("link.py", "mark.py", "imports.py"):
        assert command(["show", f"{name}:Hill"]).exit_code == 0
    counted("abuse cases", n=6)


def test_a_keyboard_interrupt_is_passed_on(here):
    from qdiff.cli.userfile import load_class

    (here / "mine.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_class("mine.py:Hill")
