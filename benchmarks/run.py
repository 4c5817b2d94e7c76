"""Runs benchmarks, keeps what they found, and writes the README's table from it.

Every benchmark runs in a process of its own, so that none finds the memory or the programs of another. What it found goes to
benchmarks/results/NAME-DEVICE.json with the versions of everything, the processor, its cores and its load; the table between the
marks of README.md is then made from all that lies there.

    python benchmarks/run.py [NAME...] [--json] [--device cpu|gpu] [--table]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
RESULTS, README = HERE / "results", HERE.parent / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
NAMES = ("rotor", "counting", "evolve", "kgrid", "gge", "lattice", "cycle", "batches", "large", "design", "first_call")
PACKAGES = ("qdiff-jax", "jax", "jaxlib", "equinox", "diffrax", "numpy", "scipy", "qutip", "dynamiqs")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(NAMES)}; by default all")
    parser.add_argument("--json", action="store_true", help="print all results as one JSON object")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--table", action="store_true", help="run nothing, only write the table from what there is")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in NAMES]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    return given


def stamp() -> dict:
    """What the numbers depend on besides the code."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return {
        "versions": {"python": platform.python_version(), **found},
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d"),
    }


def processor() -> str:
    """Its name, where Linux tells it."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def run(name: str, device: str) -> dict:
    """One benchmark's result. Raises SystemExit with its words if it fails."""
    before = stamp()
    done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--json", "--device", device], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} ended with code {done.returncode}:\n{done.stderr.strip()[-3000:]}")
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "stamp": before}


def table() -> str:
    """All rows of all results as Markdown, and what the costs grow like."""
    lines = ["| what | size | qdiff | peer | | ratio |", "|---|---|---|---|---|---|"]
    growth = []
    for device in ("cpu", "gpu"):
        for name in NAMES:
            path = RESULTS / f"{name}-{device}.json"
            if not path.exists():
                continue
            found = json.loads(path.read_text())
            where = "" if device == "cpu" else " (GPU)"
            for r in found.get("rows", []):
                cells = (r["what"] + where, r["size"], seconds(r["qdiff"]), r["peer"], seconds(r["peer_seconds"]), f"{r['ratio']:.3g}")
                lines.append("| " + " | ".join(cells) + " |")
            growth += [f"{what}{where} {p:.2f}" for what, p in found.get("growth", {}).items()]
    return "\n".join(lines) + "\n\nCosts grow as size^p: " + ", ".join(growth) + "."


def seconds(t: float) -> str:
    """A time with its unit, in three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if t >= size:
            return f"{t / size:.3g} {unit}"
    return f"{t / 1e-6:.3g} µs"


def write_table():
    """Put the table between the README's marks."""
    text = README.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{README} must have the lines {BEGIN} and {END}, once each")
    README.write_text(text.split(BEGIN)[0] + f"{BEGIN}\n{table()}\n{END}" + text.split(END)[1], encoding="utf-8")


def main():
    given = arguments()
    found = {}
    if not given.table:
        RESULTS.mkdir(exist_ok=True)
        for name in given.names or NAMES:
            start = time.perf_counter()
            found[name] = run(name, given.device)
            (RESULTS / f"{name}-{given.device}.json").write_text(json.dumps(found[name], indent=1) + "\n")
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    write_table()
    print(json.dumps(found) if given.json else table())


if __name__ == "__main__":
    main()
