"""`python tests/coverage_limits.py REPORT.json`: whether enough of qdiff was run, by coverage.py's JSON report with branches.

Prints both shares, and the lines that were not run with the reason that `not_run.toml` gives for each; ends with code 1 below
either limit, and where a line has no reason.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tomllib

LINES, BRANCHES = 95.0, 90.0
REPO = pathlib.Path(__file__).resolve().parents[1]
REASONS = REPO / "tests" / "not_run.toml"


def shares(totals: dict) -> tuple[float, float]:
    """Per cent of lines and of branches that were run."""
    return 100 * totals["covered_lines"] / totals["num_statements"], 100 * totals["covered_branches"] / totals["num_branches"]


def reasons(path: pathlib.Path = REASONS) -> dict[tuple[str, str], str]:
    """(file, text of the line, or * for all of them) -> why no test runs it."""
    found = tomllib.loads(path.read_text())["reason"]
    return {(file, line.strip()): entry["why"] for entry in found for file, lines in entry["lines"].items() for line in lines.splitlines()}


def not_run(files: dict, root: pathlib.Path = REPO) -> list[tuple[str, int, str]]:
    """(file, number, text) of the lines that were not run."""
    out = []
    for name, found in sorted(files.items()):
        text = (root / name).read_text().splitlines()
        out += [(name, number, text[number - 1].strip()) for number in found["missing_lines"]]
    return out


def main(path: str) -> int:
    report = json.loads(pathlib.Path(path).read_text())
    lines, branches = shares(report["totals"])
    why, unexplained = reasons(), 0
    for name, number, text in not_run(report["files"]):
        reason = why.get((name, text), why.get((name, "*")))
        unexplained += reason is None
        print(f"{name}:{number} {text}\n    {reason or 'NOT RUN, AND NO REASON in tests/not_run.toml'}")
    print(f"lines {lines:.1f} % (at least {LINES:g}), branches {branches:.1f} % (at least {BRANCHES:g})")
    print(f"lines not run without a reason: {unexplained}")
    return 0 if lines >= LINES and branches >= BRANCHES and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
