"""Bad input ends with exit code 2 and one message that names the culprit."""

import pytest

ENGINE = "RotorEngine has no {} {!r}{} It has {}"
PARAMETERS = "B1, B2, lam, g, chi, inertia, gamma, beta1, beta2, beta_load, l_min, l_max"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--set", "chi=2"], "chi must be between -1 and 1, but was 2.0"),
        (["--set", "beta1=-1"], "beta1 must be above 0, but was -1.0"),
        (["--set", "beta1=0"], "beta1 must be above 0, but was 0.0"),
        (["--set", "l_min=5", "--set", "l_max=-5"], "l_min must be below l_max, but l_min = 5 and l_max = -5"),
        (["--set", "chi=abc"], "chi must be a number, but was 'abc'"),
        (["--set", "chi=nan"], "chi must be finite, but was nan"),
        (["--set", "chi=inf"], "chi must be finite, but was inf"),
        (["--set", "chi"], "--set must be followed by NAME=VALUE, such as --set B1=4.0, but was 'chi'"),
        (["--set", "chi="], "--set must be followed by NAME=VALUE, such as --set B1=4.0, but was 'chi='"),
        (["--set", "=2"], "--set must be followed by NAME=VALUE, such as --set B1=4.0, but was '=2'"),
        (["--set", "l_min=1.5"], "l_min must be an integer, but was '1.5'"),
        (["--set", "chi=0.1", "--set", "chi=0.2"], "chi must be set once, but was set to both 0.1 and 0.2"),
        (["--set", "beta3=1"], ENGINE.format("parameter", "beta3", "; did you mean 'beta2'?", PARAMETERS)),
        (["--set", "zzz=1"], ENGINE.format("parameter", "zzz", ".", PARAMETERS)),
    ],
)
def test_value(qdiff, arguments, message):
    result = qdiff("evaluate", "rotor-engine", "--json", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"qdiff: {message}\n")


def test_choice(qdiff):
    result = qdiff("evaluate", "rotor-rectifier", "--set", "negative=foo")
    assert (result.exit_code, result.stderr) == (2, "qdiff: negative must be one of 'odd', 'drop', but was 'foo'\n")


def test_merit(qdiff):
    result = qdiff("evaluate", "rotor-engine", "--merit", "eficiency")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "qdiff: RotorEngine has no figure of merit 'eficiency'; did you mean 'efficiency'? It has heat_current_cold, "
    )
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["evaluate", "show"])
def test_model(qdiff, command):
    result = qdiff(command, "rotor-engin")
    assert result.exit_code == 2
    assert result.stderr.startswith("qdiff: there is no model 'rotor-engin'; did you mean 'rotor-engine'? The models are rotor-engine, ")


@pytest.mark.parametrize("arguments", [["evaluate"], ["evaluate", "rotor-engine", "--nope"], ["evaluat", "rotor-engine"], []])
def test_usage(qdiff, arguments):
    assert qdiff(*arguments).exit_code == 2


def test_traceback_only_on_request(qdiff):
    for arguments in (["--debug", "show", "nope"], ["show", "nope", "--debug"]):
        result = qdiff(*arguments)
        assert result.exit_code == 2
        assert result.stderr.count("Traceback") == 1
        assert "qdiff: there is no model 'nope'" in result.stderr
    assert "Traceback" not in qdiff("show", "nope").stderr


@pytest.mark.parametrize(
    "wanted, message",
    [
        ("{path}", "a model in a file is named as path/to/file.py:ClassName, but was '{path}'"),
        ("{path}:Dampd", "'{path}' has no class 'Dampd'; did you mean 'Damped'? Its models are Damped, Idle"),
        ("{path}:Ordinary", "Ordinary in '{path}' must be a class derived from qdiff.Model, but is the class Ordinary"),
        ("{path}:SOURCE", "'{path}' has no class 'SOURCE'. Its models are Damped, Idle"),
        ("{path}:jnp", "jnp in '{path}' must be a class derived from qdiff.Model, but is a value of type module"),
        ("{path}:Idle", "a has no default and must be given, by --set a=VALUE (a finite number)"),
        ("{path}x:Damped", "there is no file '{path}x' (for the model 'Damped')"),
    ],
)
def test_user_file(qdiff, write, wanted, message):
    path = write()
    result = qdiff("evaluate", wanted.format(path=path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == "qdiff: " + message.format(path=path)


@pytest.mark.parametrize(
    "source, cause",
    [
        ("x = 1\ny = z\n", " (line 2): NameError: name 'z' is not defined"),
        ("import sys\nsys.exit(5)\n", " (line 2): SystemExit: 5"),
        ("import nowhere_to_be_found\n", " (line 1): ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def f(:\n", ": SyntaxError: invalid syntax (broken.py, line 1)"),
    ],
)
def test_file_that_does_not_import(qdiff, write, source, cause):
    path = write(source, "broken.py")
    result = qdiff("show", f"{path}:Damped")
    assert (result.exit_code, result.stderr) == (2, f"qdiff: {path!r} does not import{cause}\n")


def test_exit_code_of_the_process(process):
    result = process("evaluate", "rotor-engine", "--json", "--set", "chi=2")
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "qdiff: chi must be between -1 and 1, but was 2.0\n")


@pytest.mark.parametrize(
    "error, code, message",
    [
        (MemoryError("2 TB"), 2, "what is asked for must fit the memory, but does not (2 TB)"),
        (MemoryError(), 2, "what is asked for must fit the memory, but does not (no size is known)"),
        (RuntimeError("nobody foresaw this"), 1, "RuntimeError: nobody foresaw this (--debug shows where)"),
        (OSError("a disk of no number"), 2, "a disk of no number"),
    ],
)
def test_what_the_library_did_not_say(qdiff, monkeypatch, error, code, message):
    """Every other error is one line too, with the code of its kind."""

    def broken(*_, **__):
        raise error

    monkeypatch.setattr("qdiff.studies.evaluate.evaluate", broken)
    result = qdiff("evaluate", "lambda-system")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"qdiff: {message}\n")
