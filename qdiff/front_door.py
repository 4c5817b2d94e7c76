"""Public names that are loaded when they are first used (PEP 562), as the stub of their package lists them.

The stub is what type checkers and editors read, so that what they know and what there is are one list.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def names_of(stub: str) -> dict[str, str]:
    """The names that a stub passes on, and the modules that they come from: ".baths.lead"; or "", what the package itself defines."""
    body = ast.parse(stub).body
    own = {str(node.target.id): "" for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    return own | {alias.name: "." * node.level + (node.module or "") for node in imports for alias in node.names}


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package, from the stub beside its `__init__.py`.

    Args:
        package: its `__name__`.
        file: its `__file__`.
    """
    with open(file + "i", encoding="utf-8") as stub:
        where = names_of(stub.read())
    public = sorted(name for name in where if not name.startswith("_"))

    def load(name: str) -> Any:
        if not where.get(name):
            found = "" if name.startswith("_") else _elsewhere(name, Path(file).parent, where)
            raise AttributeError(f"module {package!r} has no attribute {name!r}{found}")
        home = None if where[name] == "." else importlib.import_module(where[name], package)
        # A submodule is no attribute before it is loaded.
        known = home is not None and hasattr(home, name)
        value = getattr(home, name) if known else importlib.import_module(f"{where[name].rstrip('.')}.{name}", package)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: public, public


def nearest(name: str, known: Iterable[str]) -> str:
    """The rest of a sentence that says that there is no such name: which is like it, if one is."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.3)
    return f"; did you mean {near[0]!r}?" if near else "."


def _elsewhere(name: str, folder: Path, where: dict[str, str]) -> str:
    """In which namespace of qdiff a name is that was looked for at its front door, in words, or ""."""
    for space, home in where.items():
        path = folder.joinpath(*home.strip(".").split("."), space)
        # Files are read and not imported: `hasattr(qdiff, name)` must not cost the second that JAX takes.
        for file in (path / "__init__.pyi", path.with_suffix(".py")):
            if file.is_file() and name in _public(file):
                return f"; it is qd.{space}.{name}"
    return ""


def _public(file: Path) -> list[str]:
    """The names of a stub, or of the `__all__` of a module."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".pyi":
        return list(names_of(text))
    body = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return next((ast.literal_eval(n.value) for n in body if ast.unparse(n.targets[0]) == "__all__"), [])
