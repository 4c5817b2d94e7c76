"""`python tests/coverage_limits.py REPORT.json`: whether enough of qdiff was run, by coverage.py's JSON report with branches.

Prints both shares, and the lines that were not run file by file; ends with code 1 below either limit.
"""

from __future__ import annotations

import json
import pathlib
import sys

LINES, BRANCHES = 95.0, 90.0


def shares(totals: dict) -> tuple[float, float]:
    """Per cent of lines and of branches that were run."""
    return 100 * totals["covered_lines"] / totals["num_statements"], 100 * totals["covered_branches"] / totals["num_branches"]


def main(path: str) -> int:
    report = json.loads(pathlib.Path(path).read_text())
    lines, branches = shares(report["totals"])
    for name, found in sorted(report["files"].items()):
        if found["missing_lines"]:
            print(f"{name}: lines not run {', '.join(map(str, found['missing_lines']))}")
    print(f"lines {lines:.1f} % (at least {LINES:g}), branches {branches:.1f} % (at least {BRANCHES:g})")
    return 0 if lines >= LINES and branches >= BRANCHES else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
