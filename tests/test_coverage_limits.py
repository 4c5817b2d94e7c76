"""The check of coverage fails where it should, and the reasons for lines that no test runs are of lines that are there."""

import json

import coverage_limits
import pytest
from coverage_limits import REPO, main, reasons


def test_every_reason_is_of_a_line():
    """A line that went has no reason any more."""
    for (file, text), why in reasons().items():
        assert text in [line.strip() for line in (REPO / file).read_text().splitlines()], (file, text)
        assert len(why) > 10, why


def report(folder, missing, missing_branches=()):
    """What two processes leave: one ran all of a.py's hundred lines but those that are missing, the other the first half of these."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.json"):
        path.unlink()
    for process, until in {"one": 101, "two": 50}.items():
        found = {"executed_lines": [], "missing_lines": [], "executed_branches": [], "missing_branches": []}
        for line in range(1, 101):
            found["executed_lines" if line < until and line not in missing else "missing_lines"].append(line)
            found["executed_branches" if line < until and line not in missing_branches else "missing_branches"].append([line, line + 1])
        (folder / f"{process}.json").write_text(json.dumps({"a.py": found}))
    return main(str(folder))


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("".join(f"x = {k}\n" for k in range(1, 101)))
    high = "\n".join(f"x = {k}" for k in range(90, 101))
    (tmp_path / "why.toml").write_text(f'[[reason]]\nwhy = "high numbers"\nlines."a.py" = """{high}"""\n')
    known = reasons(tmp_path / "why.toml")
    monkeypatch.setattr(coverage_limits, "REPO", tmp_path)
    monkeypatch.setattr(coverage_limits, "reasons", lambda: known)
    monkeypatch.setattr(coverage_limits.not_run, "__defaults__", (tmp_path,))
    return tmp_path / "processes"


def test_the_limits(toy, capsys):
    assert report(toy, []) == 0
    assert "lines 100.0 % (at least 95), branches 100.0 %" in capsys.readouterr().out
    assert report(toy, [97]) == 0
    assert "a.py:97 x = 97\n    high numbers" in capsys.readouterr().out
    assert report(toy, range(95, 101)) == 1  # lines below 95 per cent
    assert "lines 94.0 %" in capsys.readouterr().out
    assert report(toy, [], range(60, 71)) == 1  # branches below 90 per cent
    assert "branches 89.0 %" in capsys.readouterr().out
    assert report(toy, [1]) == 1
    assert "a.py:1 x = 1\n    NOT RUN, AND NO REASON" in capsys.readouterr().out
