"""`qdiff models`, `qdiff show`, `qdiff --version`, help, and the cache of compiled programs."""

import os
import subprocess
import sys

import pytest

import qdiff as package
from qdiff.cli.cache import _forget_old, use_compile_cache


def test_models(qdiff):
    result = qdiff("models")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(package.models.NAMES)


def test_every_listed_model_exists():
    for home in package.models.NAMES.values():
        name = home.split(":")[1]
        cls = getattr(package.models, name)
        assert issubclass(cls, package.Model)
        assert cls.__name__ == name
        assert len(cls.merits()) > 0


def test_show(qdiff):
    result = qdiff("show", "rotor-rectifier")
    assert result.exit_code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines() if line.startswith("│")]
    table = {row[0]: row[1:] for row in rows}
    assert table["beta1"] == ["0.1", "1/energy", "above 0", "inverse temperature of the cold bath"]
    assert table["chi"][:3] == ["0.0", "1", "between -1 and 1"]
    assert table["negative"][:2] == ["odd", "one of 'odd', 'drop'"]
    assert table["heat_flow"] == ["J", "energy", "Eq. (40)", "max(|Q|, |Q_swap|) / (lam g^2)."]


def test_version(qdiff):
    from importlib.metadata import version

    result = qdiff("--version")
    assert (result.exit_code, result.stdout) == (0, f"qdiff {version('qdiff-jax')}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["evaluate", "--help"]])
def test_no_jax_for_lists(arguments):
    code = "import sys, qdiff.cli.app as a\ntry: a.main()\nfinally: sys.stderr.write(str('jax' in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "False")


def test_second_run_uses_the_cache(process, write, tmp_path):
    arguments = ["evaluate", write() + ":Damped", "--merit", "excited", "--json"]
    folder = tmp_path / "cache"
    first = process(*arguments, QDIFF_CACHE_DIR=str(folder))
    files = sorted(f for f in os.listdir(folder) if f.endswith("-cache"))
    assert any("_program" in f for f in files)
    second = process(*arguments, QDIFF_CACHE_DIR=str(folder))
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert sorted(f for f in os.listdir(folder) if f.endswith("-cache")) == files


def test_cache_that_cannot_be_made_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("QDIFF_CACHE_DIR", str(tmp_path / "file" / "below"))
    use_compile_cache()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_where_the_cache_is(tmp_path, monkeypatch):
    """In the platform's folder, unless a variable names another one; JAX's own variable is left alone."""
    for name in ("QDIFF_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    use_compile_cache()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "mine" and not list(tmp_path.iterdir())
    for platform, name, where in (
        ("linux", "posix", ".cache"),
        ("darwin", "posix", "Library/Caches"),
        ("win32", "nt", "AppData/Local"),
    ):
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        with monkeypatch.context() as here:
            here.setattr("sys.platform", platform)
            here.setattr("os.name", name)
            use_compile_cache()
        assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / where / "qdiff" / "xla")
        assert (tmp_path / where / "qdiff" / "xla").is_dir()
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "0"


def test_a_cache_that_another_run_cleans_does_no_harm(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"x" * 10)

    def gone(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr("os.remove", gone)
    _forget_old(str(tmp_path), limit=5)
    assert os.listdir(tmp_path) == ["old"]


def test_cache_forgets_what_was_not_used_for_longest(tmp_path):
    for k in range(4):
        (tmp_path / str(k)).write_bytes(b"x" * 10)
        os.utime(tmp_path / str(k), (100 - k, 100 - k))
    _forget_old(str(tmp_path), limit=25)
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]
