"""Which code is the user's own, and which files it imports: not those of Python, of installed packages and of qdiff."""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

# What compiled packages name as the module of their types, without there being one.
_NO_FILES = {"nanobind", "pybind11_builtins"}
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE, which Python's own types lack
_QDIFF = str(pathlib.Path(__file__).resolve().parents[2])


@functools.cache
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(os.path.realpath(path) + os.sep for path in [*found, _QDIFF])


@functools.cache
def own_file(path: str) -> bool:
    """Whether code of this file is the user's; so is code without a file, of a prompt or a notebook."""
    if path.startswith(("<frozen ", "<@")):  # Python's own, and wrappers that beartype writes, with addresses as names
        return False
    parts = pathlib.PurePath(path).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    return not os.path.realpath(path).startswith(_libraries())


def own_module(name: str) -> bool:
    """Whether what a module of this name defines is the user's."""
    if name == "__main__":  # also where that is a file of Python's, as under `python -m`
        return True
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in _NO_FILES or top.startswith("_cython_"):
        return False
    path = file_of(name) or file_of(top)
    return path is None or own_file(path)


def own_class(kind: type) -> bool:
    """Whether a class is the user's; "builtins" is also where code without a module's name, as of a bare `exec`, puts its own."""
    return bool(kind.__flags__ & _HEAP) if kind.__module__ == "builtins" else own_module(kind.__module__)


def file_of(name: str) -> str | None:
    """The file of a module that is imported."""
    path = getattr(sys.modules.get(name), "__file__", None)
    return path if isinstance(path, str) else None


def place(path: str | None) -> str:
    """Where code is, for its name: " in FILE", or nothing for code without a file, whose number differs from run to run."""
    return f" in {os.path.basename(path)}" if path and os.path.isfile(path) else ""


def imports(source: bytes, package: str) -> Iterator[tuple[str, str]]:
    """(name, file) of each module of the user's own that Python source imports anywhere, whether or not it has come to that.

    Args:
        package: that relative imports begin from, "" for none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # of another Python; what it imports was then not imported from it
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from own_imported(alias.name, 0, (), package)
        elif isinstance(node, ast.ImportFrom):
            yield from own_imported(node.module or "", node.level, tuple(alias.name for alias in node.names), package)


def own_imported(name: str, level: int, inner: tuple[str, ...], package: str) -> Iterator[tuple[str, str]]:
    """(name, file) of the modules of the user's own behind `from LEVEL*"."NAME import INNER`: packages, module, submodules."""
    if level:
        base = package.rsplit(".", level - 1)[0] if package.count(".") >= level - 1 else ""
        name = f"{base}.{name}".strip(".")
    parts = name.split(".")
    for full in [*(".".join(parts[: k + 1]) for k in range(len(parts))), *(f"{name}.{x}" for x in inner)]:
        path = _origin(full)
        if path is not None and path.endswith(".py") and own_file(path):
            yield full, path


def _origin(name: str) -> str | None:
    """The file of a module, imported or not, without importing it."""
    if name in sys.modules:
        return file_of(name)
    if name.partition(".")[0] in sys.stdlib_module_names:
        return None
    head, _, _ = name.rpartition(".")
    folders: Any = None
    if head:
        module = sys.modules.get(head)
        path = _origin(head) if module is None else None
        folders = getattr(module, "__path__", None) or ([os.path.dirname(path)] if path and path.endswith("__init__.py") else None)
        if folders is None:
            return None
    spec = importlib.machinery.PathFinder.find_spec(name, folders)
    return spec.origin if spec is not None else None
