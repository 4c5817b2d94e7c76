"""The README's promises: each is linked to tests that exist."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TITLE = "## What is promised, and how it is tested\n"


def promises(text: str) -> list[tuple[str, list[str]]]:
    """(promise, linked files) of every row of the table."""
    table = text.partition(TITLE)[2].partition("\n## ")[0]
    rows = [row.strip("|").rsplit("|", 1) for row in table.splitlines() if row.startswith("| ")][1:]
    return [(promise.strip(), re.findall(r"\]\(([^)]+)\)", links)) for promise, links in rows]


def missing(text: str) -> list[str]:
    """Promises without a test, and linked files that are none."""
    return [p for p, links in promises(text) if not links] + [f for _, links in promises(text) for f in links if not has_tests(f)]


def has_tests(name: str) -> bool:
    path = ROOT / name
    return path.is_file() and "\ndef test_" in path.read_text()


def test_every_promise_has_its_tests():
    text = (ROOT / "README.md").read_text()
    assert len(promises(text)) >= 8 and missing(text) == []


def test_the_check_can_fail():
    head = f"{TITLE}\n| promise | tests |\n|---|---|\n"
    assert missing(f"{head}| a | [x](tests/nowhere.py) |\n") == ["tests/nowhere.py"]
    assert missing(f"{head}| a | none |\n") == ["a"]
    assert missing(f"{head}| a | [x](tests/helpers.py) |\n") == ["tests/helpers.py"]
    assert missing(f"{head}| a | [x](tests/test_promises.py) |\n\n## Other\n| b | none |\n") == []


@pytest.mark.parametrize("text", ["naming it runs it", "nothing else"])
def test_the_command_says_what_is_executed(text):
    from typer.testing import CliRunner

    from qdiff.cli.app import app

    assert text in " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
