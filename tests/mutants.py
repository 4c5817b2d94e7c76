"""`python tests/mutants.py`: how many small errors, made on purpose in the core rooms, the tests notice.

Draws a fixed sample of one-token changes (`mutation.py`) of qdiff's linear algebra, equations and thermodynamics, and runs for each
the doctests of its module and the tests that can see its line, nearest and quickest first, until one fails. A crash at import
and a hang count as noticed. One process imports JAX and forks for every mutant, which lives in a copy of the package; so the
time per mutant goes into its tests. A mutant that outlives its `--budget` of CPU seconds has survived, which overstates the
survivors: `--resume` with a larger budget tries those again, with the tests that they have not yet met. A test that fails
also without the mutant is left out. Ends with code 1 below 85 per cent.

`--map FILE` (once, slow) runs all tests under coverage and keeps which test executes which line; later runs take these first.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import doctest
import importlib
import json
import math
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import mutation
import quick
import reach

REPO = pathlib.Path(__file__).resolve().parents[1]
ROOMS = ("linalg", "equations", "thermo")
LEAST = 85.0  # per cent
HANGS = 60.0, 300.0  # seconds of CPU and of waiting after which a test hangs, beyond what it is known to take
UNKNOWN = 10.0  # seconds of a test that nothing is known of, for that
MEMORY = 16 * 2**30  # bytes of addresses, most of them of idle threads
# They look at sources, speed or the shape of programs, or run the whole of pytest or other programs.
LEFT_OUT = ("tests/test_", "tests/abuse/test_nothing_executed.py", "tests/studies/test_resume.py")
ARGUMENTS = ["-x", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-m", "not slow", "-o", "addopts=", "--tb=short"]


def cpu() -> float:
    """Seconds of work of this process and those it has waited for."""
    return sum(os.times()[:4])


class Watch:
    """Pytest's plugin in the child: doctests first, then the tests in their order, with limits; writes down what happens."""

    def __init__(self, log: pathlib.Path, module: str | None, cost, tried: set[str], known: dict[str, float], budget: float):
        self.log, self.module, self.cost, self.tried, self.known, self.budget = log.open("a"), module, cost, tried, known, budget
        self.begin = self.since = cpu()
        self.left = math.inf
        threading.Thread(target=self.clock, daemon=True).start()

    def clock(self):
        # By its own ticks, so that a process that is stopped for a while has not waited.
        while self.left > 0:
            time.sleep(1)
            self.left -= 1
        os.kill(os.getpid(), signal.SIGALRM)

    def note(self, **what):
        print(json.dumps(what), file=self.log, flush=True)

    def limits(self, name: str, known: float):
        self.note(started=name)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + HANGS[0] + 5 * known), resource.RLIM_INFINITY))
        self.left = HANGS[1] + 20 * known

    def pytest_collectreport(self, report):
        if report.failed:
            self.note(failed=f"collection of {report.nodeid}")

    def pytest_collection_modifyitems(self, items):
        seen: dict[str, int] = {}
        order = {}
        for item in items:
            name = item.nodeid
            function = name.split("[")[0]
            seen[function] = seen.get(function, 0) + 1
            near = self.cost(function)
            if near is not None and name not in self.tried:
                # Twice the time, or the second and fourth of the same function's cases, is as one step further away.
                order[item] = near + math.log2(max(self.known.get(name, 1.0), 0.1)) + math.log2(seen[function])
        items[:] = sorted(order, key=order.get)

    def pytest_collection_finish(self, session):
        if self.module and self.module not in self.tried:
            self.limits(self.module, UNKNOWN)
            flags = doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST
            if doctest.testmod(importlib.import_module(self.module), optionflags=flags).failed:
                self.note(failed=f"doctest of {self.module}")
                session.items.clear()
            else:
                self.note(passed=self.module, seconds=cpu() - self.begin)
        self.begin = cpu()

    def pytest_runtest_logstart(self, nodeid):
        self.limits(nodeid, self.known.get(nodeid, UNKNOWN))
        self.since = cpu()

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.note(failed=report.nodeid, how=str(report.longrepr)[-300:])
        elif report.when == "call":
            self.note(passed=report.nodeid, seconds=round(cpu() - self.since, 2))

    def pytest_runtest_teardown(self, item):
        if cpu() - self.begin > self.budget:
            item.session.shouldstop = "budget"


def child(mutant, folder: pathlib.Path, near: dict[str, float], tried: set[str], known: dict[str, float], budget: float):
    """Runs in the fork: the tests of one mutant, or without one, all that happens into `folder`. Does not return."""
    code = 70
    try:
        os.setsid()
        with (folder / "output").open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.environ.update(PYTHONPATH=str(folder), TMPDIR=str(folder / "tmp"))
        os.environ.pop("PYTEST_ADDOPTS", None)  # of a run of pytest that this one is part of
        (folder / "tmp").mkdir()
        tempfile.tempdir = None
        shutil.copytree(REPO / "qdiff", folder / "qdiff")
        module = None
        if mutant:
            path = folder / mutant.path
            path.write_text(mutant.applied(path.read_text()))
            module = mutant.path.removesuffix(".py").replace("/", ".")
        sys.path[:] = [str(folder), *(p for p in sys.path if pathlib.Path(p or ".").resolve() != REPO)]
        os.chdir(REPO)
        import hypothesis
        import pytest

        hypothesis.settings.register_profile("mutants", database=None, derandomize=True)
        hypothesis.settings.load_profile("mutants")
        names = list(dict.fromkeys(f.split("::")[0] for f in near))
        watch = Watch(folder / "log", module, near.get, tried, known, budget)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        base = [f"--rootdir={REPO}", f"-c{REPO / 'pyproject.toml'}", f"--basetemp={folder / 'base'}"]
        watch.note(ended=int(pytest.main([*base, *ARGUMENTS, *names], [watch])))
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


@dataclasses.dataclass
class Known:
    """What earlier children have seen: how long each test takes, that it passes somewhere, and which fail without a mutant."""

    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    passes: dict[str, bool] = dataclasses.field(default_factory=dict)
    caught: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # mutants, by test function

    def nearest(self, graph: reach.Graph, mutant, lines: dict[str, list[str]], budget: float, tried: set[str]) -> dict[str, float]:
        """How far the test functions are from a mutant's line: as many as may fit the budget, the known ones of the line first."""
        far = {"::".join(n): d for n, d in graph.tests(mutant.path, mutant.line).items() if not n[0].startswith(LEFT_OUT)}
        far = {n: d - min(math.log2(1 + self.caught[n]), 2.0) for n, d in far.items()}
        seen = {t.split("[")[0] for t in lines.get(f"{mutant.path}:{mutant.line}", ()) if not t.startswith(LEFT_OUT)}
        far |= {n: far.get(n, 0.0) - 8 for n in seen}
        whole: dict[str, float] = {}
        for name, seconds in self.seconds.items():
            if name not in tried:
                whole[name.split("[")[0]] = whole.get(name.split("[")[0], 0.0) + seconds
        left, chosen = 2 * budget, {}
        for name in sorted(far, key=lambda n: far[n] + math.log2(max(whole.get(n, 1.0), 0.1))):
            if left > 0:
                chosen[name] = far[name]
                left -= whole.get(name, 1.0)
        return chosen


def outcome(status: int, log: list[dict]) -> tuple[str, str]:
    """caught or survived, and by what, of a child's end and of its log."""
    failed = [line["failed"] for line in log if "failed" in line]
    started = [line["started"] for line in log if "started" in line]
    if failed:
        return "caught", failed[0]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        how = "hang" if number in (signal.SIGALRM, signal.SIGXCPU) else f"crash ({signal.Signals(number).name})"
        return "caught", f"{how} in {started[-1] if started else 'import'}"
    # Pytest's own errors, and that conftest.py cannot be imported.
    if not any(line.get("ended") in (0, 1, 2, 5) for line in log):
        return "caught", "import"
    return "survived", ""


class Child:
    """One fork and its folder."""

    def __init__(self, mutant, near, tried, known: Known, budget: float):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mutant-"))
        self.mutant, self.began = mutant, time.monotonic()
        tried = tried | {name for name, good in known.passes.items() if not good}
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            child(mutant, self.folder, near, tried, known.seconds, budget)

    def wait(self, known: Known) -> tuple[str, str, list[str], str]:
        """The outcome, what passed, and the end of what was written; the folder and all further processes go."""
        _, status = os.waitpid(self.pid, 0)
        return self.ended(status, known)

    def ended(self, status: int, known: Known) -> tuple[str, str, list[str], str]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        path = self.folder / "log"
        log = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        passed = [line["passed"] for line in log if "passed" in line]
        for line in log:
            if "passed" in line:
                known.seconds[line["passed"]] = line["seconds"]
                known.passes.setdefault(line["passed"], True)
        output = (self.folder / "output").read_text(errors="replace") if (self.folder / "output").exists() else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        return *outcome(status, log), passed, output


def passes_without(by: str, known: Known) -> bool:
    """Whether the test that caught a mutant passes on the package as it is; asked once for each."""
    name = by.split(" in ")[-1].removeprefix("collection of ")
    if not name.startswith("tests/"):
        return True
    if "::" not in name:
        return any(good for test, good in known.passes.items() if test.startswith(name)) or _passes(name + "::", known)
    if name not in known.passes:
        known.passes[name] = _passes(name, known)
    return known.passes[name]


def begin(graph: reach.Graph, mutant):
    """Ends the program if pytest cannot even begin on the package as it is: every mutant would count as caught."""
    _, by, _, output = Child(None, Known().nearest(graph, mutant, {}, 1.0, set()), set(), Known(), 0.0).wait(Known())
    if by == "import":
        sys.exit(f"The tests cannot begin without a mutant either: {output[-600:]}")


def _passes(name: str, known: Known) -> bool:
    """Of one test; of a file::, whether it can be collected."""
    how, _, passed, _ = Child(None, {name.split("[")[0]: 0.0}, set(), Known(), math.inf).wait(known)
    return name in passed if name.split("::")[1] else how == "survived"


def preload():
    """All that is large and is the same for every mutant; nothing of it may start a backend of JAX before the fork."""
    os.environ["XLA_FLAGS"] = quick.flags()  # as in conftest.py
    os.environ.setdefault("PJRT_NPROC", str(max(64, os.cpu_count() or 1)))  # as qdiff itself
    os.environ.update(JAX_ENABLE_X64="1", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    for name in "jax equinox diffrax optax lineax scipy.linalg scipy.integrate scipy.optimize qutip beartype xarray typer".split():
        importlib.import_module(name)


def candidates() -> dict[str, list[mutation.Mutant]]:
    """All mutants of each core room."""
    sources = {room: sorted((REPO / "qdiff" / room).rglob("*.py")) for room in ROOMS}
    return {
        room: [m for p in paths for m in mutation.mutants(p.relative_to(REPO).as_posix(), p.read_text())] for room, paths in sources.items()
    }


def make_map(path: pathlib.Path) -> int:
    """Which tests execute which line of the core rooms, by one run of all tests under coverage."""
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "coverage"
        command = [sys.executable, "-m", "pytest", "-q", "--cov=qdiff", "--cov-context=test", "--cov-report=", *map(str, [REPO / "tests"])]
        code = subprocess.run(command, cwd=REPO, env=os.environ | {"COVERAGE_FILE": str(data)}).returncode
        import coverage

        read = coverage.CoverageData(str(data))
        read.read()
        lines: dict[str, list[str]] = {}
        for file in read.measured_files():
            name = pathlib.Path(file).relative_to(REPO).as_posix()
            if name.startswith(tuple(f"qdiff/{room}/" for room in ROOMS)):
                for line, contexts in read.contexts_by_lineno(file).items():
                    lines[f"{name}:{line}"] = sorted({c.split("|")[0] for c in contexts if c})
    path.write_text(json.dumps(lines))
    return code


def report(results: list[dict]) -> int:
    """Prints the survivors and the shares; the exit code."""
    for r in results:
        if r["outcome"] == "survived":
            print(f"{r['path']}:{r['line']} {r['kind']} ({len(r['passed'])} tests)\n    - {r['before']}\n    + {r['after']}")
    for room in (*ROOMS, "all"):
        own = [r["outcome"] == "caught" for r in results if room in (r["room"], "all")]
        if own:
            print(f"{room}: {sum(own)} caught, {len(own) - sum(own)} survived, {100 * sum(own) / len(own):.1f} %")
    return 0 if results and sum(r["outcome"] == "caught" for r in results) >= LEAST / 100 * len(results) else 1


def run(options) -> int:
    drawn = list(mutation.sample(candidates(), options.count, options.seed))[: options.first]
    state = {"results": [], "seconds": {}, "passes": {}}
    if options.resume and options.out.exists():
        state = json.loads(options.out.read_text())
    known = Known(state["seconds"], state["passes"])
    done = {(r["path"], r["start"], r["after_text"]): r for r in state["results"]}
    lines = json.loads(options.lines.read_text()) if options.lines else {}
    known.caught.update(r["by"].split("[")[0] for r in state["results"] if r["outcome"] == "caught")
    graph = reach.Graph(REPO)
    preload()

    def key(m):
        return m.path, m.start, m.after

    def save():
        ordered = [done[key(m)] for _, m in drawn if key(m) in done]
        temporary = options.out.with_suffix(".part")
        temporary.write_text(json.dumps({"results": ordered, "seconds": known.seconds, "passes": known.passes}, indent=0))
        temporary.replace(options.out)
        return ordered

    def unfinished(m):
        r = done.get(key(m))
        return r is None or (r["outcome"] == "survived" and r["budget"] < options.budget)

    waiting = [(room, m) for room, m in drawn if unfinished(m)]
    if waiting:
        begin(graph, waiting[0][1])
    running: dict[int, tuple] = {}
    while waiting or running:
        while waiting and len(running) < options.processes:
            room, mutant = waiting.pop(0)
            before = done.get(key(mutant), {"passed": [], "budget": 0.0})
            budget = options.budget - before["budget"]
            tried = set(before["passed"])
            near = known.nearest(graph, mutant, lines, budget, tried)
            new = Child(mutant, near, tried, known, budget)
            running[new.pid] = new, room, mutant, before
        pid, status = os.waitpid(-1, 0)
        if pid not in running:
            continue
        one, room, mutant, before = running.pop(pid)
        how, by, passed, output = one.ended(status, known)
        if how == "caught" and not passes_without(by, known):
            waiting.insert(0, (room, mutant))  # again, without that test
            continue
        known.caught[by.split("[")[0]] += 1
        old, new = mutant.shown((REPO / mutant.path).read_text())
        what = {"room": room, "path": mutant.path, "line": mutant.line, "kind": mutant.kind, "before": old, "after": new}
        passed = before["passed"] + passed
        ran = {"outcome": how, "by": by, "passed": passed if how == "survived" else [], "seconds": round(time.monotonic() - one.began, 1)}
        done[key(mutant)] = what | ran | {"budget": options.budget, "start": mutant.start, "after_text": mutant.after}
        if by == "import":
            done[key(mutant)]["output"] = output[-600:]
        results = save()
        caught = sum(r["outcome"] == "caught" for r in results)
        print(f"{len(results)}/{len(drawn)} {caught} caught | {mutant.path}:{mutant.line} {how} {by} {ran['seconds']} s", flush=True)
    return report(save())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="size of the sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, help="only so many of the sample")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--budget", type=float, default=60.0, help="CPU seconds of tests for each mutant")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("mutants.json"), help="results, one mutant after the other")
    parser.add_argument("--resume", action="store_true", help="go on with --out; survivors too, if the budget has grown")
    parser.add_argument("--lines", type=pathlib.Path, help="a file made by --map")
    parser.add_argument("--map", type=pathlib.Path, help="make that file instead")
    options = parser.parse_args(arguments)
    return make_map(options.map) if options.map else run(options)


if __name__ == "__main__":
    sys.exit(main())
