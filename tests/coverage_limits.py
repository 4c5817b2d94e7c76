"""`python tests/coverage_limits.py FOLDER`: whether enough of qdiff was run, by what `lines_run.py` wrote there.

Prints the shares of lines and branches, and the lines that were not run with the reason that `not_run.toml` gives for each; ends
with code 1 below either limit, and where a line has no reason.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tomllib

LINES, BRANCHES = 95.0, 90.0
REPO = pathlib.Path(__file__).resolve().parents[1]
REASONS = REPO / "tests" / "not_run.toml"


def merged(folder: str) -> dict[str, dict[str, set]]:
    """For each file and kind, "lines" or "branches": all of them, and those that no process ran."""
    files: dict = {}
    for path in pathlib.Path(folder).glob("*.json"):
        for name, found in json.loads(path.read_text()).items():
            file = files.setdefault(name, {f"{done}_{kind}": set() for done in ("executed", "missing") for kind in ("lines", "branches")})
            for kind, entries in file.items():
                entries |= {tuple(e) if isinstance(e, list) else e for e in found[kind]}
    for file in files.values():
        for kind in ("lines", "branches"):
            file[f"missing_{kind}"] -= file[f"executed_{kind}"]
    return files


def share(files: dict, kind: str) -> float:
    """Per cent of the lines or branches that were run."""
    run, missing = (sum(len(file[f"{done}_{kind}"]) for file in files.values()) for done in ("executed", "missing"))
    return 100 * run / max(run + missing, 1)


def reasons(path: pathlib.Path = REASONS) -> dict[tuple[str, str], str]:
    """(file, text of the line) -> why no test runs it."""
    found = tomllib.loads(path.read_text())["reason"]
    return {(file, line.strip()): entry["why"] for entry in found for file, lines in entry["lines"].items() for line in lines.splitlines()}


def not_run(files: dict, root: pathlib.Path = REPO) -> list[tuple[str, int, str]]:
    """(file, number, text) of the lines that were not run."""
    out = []
    for name, found in sorted(files.items()):
        text = (root / name).read_text().splitlines()
        out += [(name, number, text[number - 1].strip()) for number in sorted(found["missing_lines"])]
    return out


def main(path: str) -> int:
    files = merged(path)
    lines, branches = share(files, "lines"), share(files, "branches")
    why, unexplained = reasons(), 0
    for name, number, text in not_run(files):
        reason = why.get((name, text))
        unexplained += reason is None
        print(f"{name}:{number} {text}\n    {reason or 'NOT RUN, AND NO REASON in tests/not_run.toml'}")
    print(f"lines {lines:.1f} % (at least {LINES:g}), branches {branches:.1f} % (at least {BRANCHES:g})")
    print(f"lines not run without a reason: {unexplained}")
    return 0 if lines >= LINES and branches >= BRANCHES and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
