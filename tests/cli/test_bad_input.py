"""Bad input ends with exit code 2 and one message that names the culprit."""

import pytest

UNKNOWN = "RotorEngine has no parameter {!r}{} It has {}"
PARAMETERS = "B1, B2, lam, g, chi, inertia, gamma, beta1, beta2, beta_load, l_min, l_max"
TEN = "0.8,0.8,0.8,0.8,0.8,0.4,0.4,0.4,0.4,0.4"


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("rotor-engine", "chi", "--set must be followed by NAME=VALUE, such as --set B1=4.0, but was 'chi'"),
        ("rotor-engine", "chi=abc", "chi must be a number, but was 'abc'"),
        ("rotor-engine", "beta3=1", UNKNOWN.format("beta3", "; did you mean 'beta2'?", PARAMETERS)),
        ("rotor-engine", "zzz=1", UNKNOWN.format("zzz", ".", PARAMETERS)),
        ("raman-rectifier", "drive=1.2", "drive must be between 0 and 1, but was 1.2"),
        ("raman-rectifier", "drive=-0.1", "drive must be between 0 and 1, but was -0.1"),
        ("raman-rectifier", "filling=1", "filling must be above 0 and below 1, but was 1.0"),
        ("raman-rectifier", "filling=0", "filling must be above 0 and below 1, but was 0.0"),
        ("rashba-rectifier", "filling=2", "filling must be above 0 and below 2, but was 2.0"),
        ("rashba-rectifier", "length=1", "length must be at least 2, but was 1"),
        ("rashba-rectifier", "dephasing_up=1.5", "dephasing_up must be between 0 and 1, but was 1.5"),
        ("rashba-rectifier", "filling=many", "filling must be a number, but was 'many'"),
        ("thermophoretic-lattice", "temperatures=0.5", "temperatures must be one for each site, shape (10,), but has shape (1,)"),
        ("thermophoretic-lattice", "temperatures=0.5,warm", "temperatures must be an array of numbers, but was '0.5,warm'"),
        ("thermophoretic-lattice", "g=0", "g must not be 0: without hopping the sites are separate, and there are 10 stationary states"),
        ("thermophoretic-lattice", "sites=1", "sites must be at least 2, but was 1"),
        ("thermophoretic-lattice", "T_left=-1", "T_left must be above 0, but was -1.0"),
        ("spintronic-engine", "tau=0", "tau must be above 0, but was 0.0"),
        ("spintronic-engine", "tau=-1", "tau must be above 0, but was -1.0"),
        ("spintronic-engine", "left_out=-0.1", "left_out must be at least 0, but was -0.1"),
        ("spintronic-engine", "measured=n_X", "measured must be one of 'n_R', 'n_down'"),
        ("spintronic-engine", "measurement_strength=1.5", "measurement_strength must be between 0 and 1, but was 1.5"),
        ("rotor-rectifier", "negative=foo", "negative must be one of 'odd', 'drop', but was 'foo'"),
        (
            "thermophoretic-lattice",
            f"temperatures={TEN} T_left=1",
            "temperatures must be given instead of T_left and T_right, but was",
        ),
    ],
)
def test_value(qdiff, model, given, message):
    options = [word for value in given.split() for word in ("--set", value)]
    result = qdiff("evaluate", model, "--json", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"qdiff: {message}") and result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["evaluate", "show"])
def test_model(qdiff, command):
    result = qdiff(command, "rotor-engin")
    assert result.exit_code == 2
    assert result.stderr.startswith("qdiff: there is no model 'rotor-engin'; did you mean 'rotor-engine'? The models are rotor-engine, ")


def test_no_command(qdiff):
    assert qdiff().exit_code == 2


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
        ("{path}:Ordinary", "Ordinary in '{path}' must be a class derived from qdiff.Model, but is the class Ordinary"),
        ("{path}:SOURCE", "'{path}' has no class 'SOURCE'. Its models are Damped, Idle"),
        ("{path}:jnp", "jnp in '{path}' must be a class derived from qdiff.Model, but is a value of type module"),
        ("{path}:Idle", "a has no default and must be given, by --set a=VALUE (a finite number)"),
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
