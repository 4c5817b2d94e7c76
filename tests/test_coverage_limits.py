"""The check of coverage fails where it should, and the reasons for lines that no test runs are of lines that are there."""

import json

import coverage_limits
import pytest
from coverage_limits import REPO, main, reasons


def test_every_reason_is_of_a_line():
    """A line that went has no reason any more."""
    for (file, text), why in reasons().items():
        assert text in ["*"] + [line.strip() for line in (REPO / file).read_text().splitlines()], (file, text)
        assert len(why) > 10, why


def report(path, covered, missing, file="a.py"):
    totals = {"covered_lines": covered, "num_statements": 100, "covered_branches": covered, "num_branches": 100}
    path.write_text(json.dumps({"totals": totals, "files": {file: {"missing_lines": missing}}}))
    return main(str(path))


@pytest.fixture
def toy(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.py").write_text("x = 1\nif x:\n    y = 2\n")
    (tmp_path / "why.toml").write_text('[[reason]]\nwhy = "nobody has two"\nlines."a.py" = """\ny = 2\n"""\nlines."b.py" = "*"\n')
    (tmp_path / "b.py").write_text("z = 3\n")
    known = reasons(tmp_path / "why.toml")
    monkeypatch.setattr(coverage_limits, "REPO", tmp_path)
    monkeypatch.setattr(coverage_limits, "reasons", lambda: known)
    monkeypatch.setattr(coverage_limits.not_run, "__defaults__", (tmp_path,))
    return tmp_path / "report.json"


def test_the_limits(toy, capsys):
    assert report(toy, 96, [3]) == 0
    assert "a.py:3 y = 2\n    nobody has two" in capsys.readouterr().out
    assert report(toy, 94, []) == 1  # lines below 95 per cent
    assert report(toy, 96, [1]) == 1
    assert "a.py:1 x = 1\n    NOT RUN, AND NO REASON" in capsys.readouterr().out
    assert report(toy, 96, [1], "b.py") == 0  # all lines of this file have that reason
