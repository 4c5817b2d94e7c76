"""Which tests can see a line of the package, from the sources alone: who names what, from the line to the tests.

Every function, method and module variable is a node; it points to what it names. Names are resolved in their own file and by
its imports, attributes by their bare name, so that some tests are found that do not run the line; they are the distant ones.
A name that many things have, or arrays and dictionaries too, makes a long way.
"""

from __future__ import annotations

import ast
import collections
import heapq
import math
from pathlib import Path

import numpy as np

Node = tuple[str, str]  # path and name, "Class.method" for methods

COMMON = {name for kind in (np.ndarray, dict, list, str, set) for name in dir(kind)} | set(dir(np)) | set(dir(np.linalg))


class Graph:
    """users[a] are the nodes that name a, and how far they are from it."""

    def __init__(self, root: Path, folders: tuple[str, ...] = ("qdiff", "tests")):
        self.where: dict[str, list[tuple[int, int, str]]] = {}
        self.users: dict[Node, dict[Node, float]] = collections.defaultdict(dict)
        self.text: dict[str, str] = {}
        self.named: dict[str, set[Node]] = collections.defaultdict(set)
        parts, imported = {}, {}
        for path in sorted(p for folder in folders for p in (root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            self.text[name] = path.read_text()
            tree = ast.parse(self.text[name])
            parts[name] = list(_parts(tree))
            imported[name] = {a.asname or a.name: a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
            self.where[name] = [(part.lineno, part.end_lineno or part.lineno, label) for label, part in parts[name]]
            for label, _ in parts[name]:
                self.named[label.split(".")[-1]].add((name, label))
        for name, found in parts.items():
            own = {label for label, _ in found}
            for label, part in found:
                for used, far in self._used(part, name, own, imported[name], label.split(".")[0]):
                    self.users[used][name, label] = min(far, self.users[used].get((name, label), far))
                if "." in label:  # making an object, or having it, calls its special methods
                    head, method = label.split(".")
                    if method.startswith("__"):
                        self.users[name, label][name, head] = 0.5

    def _used(self, part: ast.AST, name: str, own: set[str], imported: dict[str, str], head: str):
        for node in ast.walk(part):
            if isinstance(node, ast.Name | ast.arg):
                bare = node.id if isinstance(node, ast.Name) else node.arg
                if bare in own:
                    yield (name, bare), 1.0
                elif bare in imported:
                    yield from ((n, 1.0) for n in self.named[imported[bare]] if "." not in n[1])
            elif isinstance(node, ast.Attribute):
                if isinstance(node.value, ast.Name) and node.value.id == "self" and f"{head}.{node.attr}" in own:
                    yield (name, f"{head}.{node.attr}"), 1.0
                else:
                    found = self.named[node.attr]
                    yield from ((n, 1.0 + math.log2(len(found)) + 4 * (node.attr in COMMON)) for n in found)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                # A figure of merit is asked for by its name.
                yield from ((n, 2.0) for n in self.named[node.value] if n[0].startswith("qdiff/models/"))

    def nodes(self, path: str, line: int) -> list[Node]:
        """The innermost function or variable of a line."""
        around = [(last - first, label) for first, last, label in self.where[path] if first <= line <= last]
        return [(path, min(around)[1])] if around else [(path, label) for _, _, label in self.where[path]]

    def tests(self, path: str, line: int) -> dict[Node, float]:
        """The test functions that can see a line, and how far they are from it; files that speak of its module are nearer."""
        distance: dict[Node, float] = {}
        queue = [(0.0, node) for node in self.nodes(path, line)]
        while queue:
            far, node = heapq.heappop(queue)
            if node not in distance:
                distance[node] = far
                for user, step in self.users[node].items():
                    if user not in distance:
                        heapq.heappush(queue, (far + step, user))
        stem, room = Path(path).stem, Path(path).parent.name
        nearer = {
            name: (stem in Path(name).stem) + (f".{stem} " in text or f" {stem}" in text) + (f"/{room}/" in name)
            for name, text in self.text.items()
        }
        tests = {n: d for n, d in distance.items() if n[1].startswith("test_") and Path(n[0]).name.startswith("test_")}
        return {n: d - nearer[n[0]] for n, d in tests.items()}


def _parts(tree: ast.Module):
    """The named parts of a module; of a class itself, what is not in its methods."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
            rest = [m for m in node.body if m not in methods]
            yield node.name, ast.copy_location(ast.ClassDef(node.name, node.bases, node.keywords, rest, node.decorator_list), node)
            yield from ((f"{node.name}.{m.name}", m) for m in methods)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from ((n.id, node) for n in ast.walk(target) if isinstance(n, ast.Name))
