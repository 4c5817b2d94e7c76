"""What the functions and classes of a study are: digests of their code and of everything of the user's own that it uses.

A record names its parts ("Own.height in device.py", "C in run.py"), so that what has changed can be said. Code of
Python, of installed packages and of qdiff counts by its name alone.
"""

from __future__ import annotations

import contextlib
import copyreg
import hashlib
import importlib.util
import pickle
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...models.base import Model
from .bytecode import cells, defaults, identity, imports_of, reads, source
from .own_files import file_of, imports, own_class, own_file, own_imported, own_module, place

# Bytecode is compared where both are of the same Python, source text otherwise.
_PYTHON = importlib.util.MAGIC_NUMBER.hex()
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
_ARRAYS: Any = (np.ndarray, np.generic, jax.Array)
# Of a class, what Python, dataclasses and equinox derive from the rest of it, or what says nothing of its numbers.
_DERIVED = frozenset(
    "__module__ __dict__ __weakref__ __doc__ __qualname__ __firstlineno__ __static_attributes__ __annotations__"
    " __annotate__ __annotate_func__ __annotations_cache__ __abstractmethods__ _abc_impl __abstractvars__"
    " __abstractclassvars__ __dataclass_params__ __dataclass_fields__ __match_args__ __signature__ __slotnames__ __type_params__".split()
)
_MANY = 100_000  # values within one object of a library: one that has more is no data


class _Opaque(Exception):
    """There is an object whose content cannot be known, such as a lock or an open file."""


def code_of(model: Model | None, callables: Mapping[str, Callable]) -> dict[str, str]:
    """The parts of the code of a user's model and of callables, part -> digest; empty where there are none.

    Args:
        model: None for one that ships with qdiff. callables: role, such as "merit" -> the callable.
    """
    walk = _Walk()
    if model is not None:
        walk.model(model)
    for role, given in callables.items():
        text = walk.data(given)
        walk.parts[role] = f"? {type(given).__name__}" if text.startswith("?") else _hash(text)
    return {"python": _PYTHON, **dict(sorted(walk.parts.items()))} if walk.parts else {}


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The parts that differ or cannot be compared, those first that are in both."""
    same = old.get("python") == new.get("python")

    def digest(parts, name) -> str | None:
        code, _, text = parts.get(name, "").partition(" source ")
        return code if same or not text else None if text == "none" else text

    out = [f"{name} (a {text[2:]}, which cannot be compared)" for name, text in new.items() if text.startswith("? ")]
    for name in sorted(sorted({*old, *new} - {"python"}), key=lambda name: (name not in old) + (name not in new)):
        if digest(old, name) != digest(new, name) or digest(new, name) is None:
            out.append(name)
    return out


class Same:
    """A callable as a key: it is the same as long as it is that object, and all that its code uses is as it was."""

    def __init__(self, given: Callable):
        self._given = given
        self._digest = _hash(repr(code_of(None, {"it": given})))

    def __hash__(self):
        return hash(self._digest)

    def __eq__(self, other):
        return isinstance(other, Same) and self._given is other._given and self._digest == other._digest


class _Walk:
    """Parts of code, found one from the other; `parts`: name -> digest.

    A text that stands for a value is "@NAME" for what is a part of its own, and begins with "?" for what is not known.
    """

    def __init__(self):
        self.parts: dict[str, str] = {}
        self._names: dict[int, str] = {}
        self._globals: dict[tuple[int, str], str] = {}
        self._taken: set[str] = set()
        self._texts: dict[int, str] = {}
        self._alive: list = []  # so that no id is given twice
        self._left: int | None = None  # within an object of a library, how many more values it may have
        self._files: set[str] = set()

    def model(self, model: Model):
        """A model's class, what of it is no parameter, and the files that its own imports."""
        kind = type(model)
        self.data(kind)
        for name, value in vars(model).items():
            if name not in kind.parameters():
                self.parts[f"{name} of the model"] = _hash(self.data(value))
        for base in kind.__mro__:
            path = file_of(base.__module__)
            if path is not None and own_module(base.__module__) and own_file(path):
                self._imports_of_file(path, getattr(sys.modules[base.__module__], "__package__", "") or "")

    def data(self, x) -> str:
        """A text that is the same for the same content, in every process."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise _Opaque
        if type(x) in _PLAIN:
            return f"{type(x).__name__} {x!r}"
        if isinstance(x, types.CodeType):
            return _hash(repr((identity(x), [self.data(c) for c in x.co_consts])))
        if id(x) in self._names:
            return f"@{self._names[id(x)]}"
        if id(x) not in self._texts:
            self._texts[id(x)] = "itself"  # where it holds itself
            self._alive.append(x)
            try:
                self._texts[id(x)] = self._content(x)
            except _Opaque:
                del self._texts[id(x)]
                raise
        return self._texts[id(x)]

    def _content(self, x: Any) -> str:
        if isinstance(x, _ARRAYS) and not isinstance(x, Tracer):
            return self._array(x)
        if isinstance(x, types.ModuleType):
            return self._module(x)
        if isinstance(x, types.FunctionType):
            return self._own(self._function, x) if own_file(x.__code__.co_filename) else self._of_library(x)
        if isinstance(x, type):
            return self._own(self._class, x) if own_class(x) else f"{x.__module__}.{x.__qualname__}"
        if type(x) in (tuple, list):
            return f"{type(x).__name__} {[self.data(entry) for entry in x]}"
        if type(x) in (set, frozenset):
            return f"{type(x).__name__} {sorted(self.data(entry) for entry in x)}"
        if type(x) in (dict, types.MappingProxyType):
            return f"dict {[(self.data(k), self.data(v)) for k, v in x.items()]}"
        if isinstance(x, types.MethodType):
            return f"method {self.data(x.__func__)} of {self.data(x.__self__)}"
        if isinstance(x, (classmethod, staticmethod)):
            return f"{type(x).__name__} {self.data(x.__func__)}"
        if isinstance(x, property):
            return f"property {self.data((x.fget, x.fset))}"
        if own_class(type(x)):
            return self._own(self._state, x)
        return self._whole(x)

    def _array(self, x) -> str:
        if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        x = np.asarray(x)
        if x.dtype.hasobject:
            return f"array {x.shape} {self.data(x.tolist())}"
        return f"array {x.dtype.str} {x.shape} {_hash(np.ascontiguousarray(x).tobytes())}"

    def _own(self, of: Callable, x) -> str:
        """of(x), for what is the user's own, of which each value is looked at by itself, wherever it was found."""
        left, self._left = self._left, None
        try:
            return of(x)
        finally:
            self._left = left

    def _whole(self, x) -> str:
        """An object of a library by all of its content; by its type alone where a part is opaque, for then it is no data."""
        outer = self._left
        self._left = _MANY if outer is None else outer
        try:
            return self._state(x)
        except (_Opaque, RecursionError):
            if outer is not None:
                raise
            return f"? {type(x).__module__}.{type(x).__qualname__}"
        finally:
            self._left = None if outer is None else self._left

    def _state(self, x) -> str:
        kind = self.data(type(x))
        inner = getattr(x, "__wrapped__", None) if callable(x) else None
        if inner is not None:  # what `jit`, `custom_jvp` or a cache have made of a function
            more = {k: v for k, v in getattr(x, "__dict__", {}).items() if not k.startswith("__")}
            return f"{kind} {self.data(inner)} {self.data(more)}"
        if isinstance(x, types.BuiltinFunctionType) and isinstance(x.__self__, (types.ModuleType, type(None))):
            return f"{x.__module__}.{x.__qualname__}"
        try:
            found = copyreg.dispatch_table[type(x)](x) if type(x) in copyreg.dispatch_table else x.__reduce_ex__(4)
        except (TypeError, AttributeError, ValueError, NotImplementedError, RuntimeError, pickle.PicklingError):
            if self._left is not None:
                raise _Opaque from None
            return f"? {kind}"
        if isinstance(found, str):
            return f"{kind} {found}"
        return f"{kind} {[self.data(list(part) if isinstance(part, Iterator) else part) for part in found]}"

    def _unique(self, name: str) -> str:
        """A name for a part that no other has, the same in every process."""
        k = 1
        while (found := name if k == 1 else f"{name} ({k})") in self._taken:
            k += 1
        self._taken.add(found)
        return found

    # ---- functions -----------------------------------------------------------------------------------------

    def _of_library(self, f: types.FunctionType) -> str:
        inner = [*cells(f).values(), f.__dict__.get("__wrapped__")]
        return f"{f.__module__}.{f.__qualname__} {[self.data(value) for value in inner if value is not None]}"

    def _function(self, f: types.FunctionType) -> str:
        code = f.__code__
        name = self._names[id(f)] = self._unique(f.__qualname__ + place(code.co_filename))
        used = {part: value for part, value in self._used(f, name)}
        used |= {f"the default {k} of {name}": value for k, value in defaults(f).items()}
        used |= {f"the attribute {k} of {name}": value for k, value in f.__dict__.items()}
        refers = []
        for part, value in used.items():
            text = self.data(value)
            if isinstance(value, (types.FunctionType, types.ModuleType, type)):
                refers.append((part, text))  # they are parts of their own, or a library's
            else:
                self.parts[part] = _hash(text)
        # A docstring is the first constant.
        consts = [self.data(c) for k, c in enumerate(code.co_consts) if k or f.__doc__ is None or c != f.__doc__]
        text = source(code)
        self.parts[name] = f"{_hash(repr((identity(code), consts, sorted(refers))))} source {_hash(text) if text else 'none'}"
        return f"@{name}"

    def _used(self, f: types.FunctionType, name: str) -> Iterator[tuple[str, Any]]:
        """(part, value) of what the code of a function reads from outside."""
        closed, where = cells(f), place(f.__code__.co_filename)
        for of_closure, (read, *chain) in reads(f.__code__):
            known = closed if of_closure else f.__globals__
            if read not in known:
                continue
            value = known[read]
            # Of a namespace only what is read: the rest may change from run to run, as the options of a command do.
            while chain and chain[0] in _members(value):
                value = _members(value)[chain[0]]
                read = f"{read}.{chain.pop(0)}"
            if of_closure:
                yield f"{read} of {name}", value
                continue
            at = id(known), read
            if at not in self._globals:
                self._globals[at] = self._unique(f"{read}{where}")
            yield self._globals[at], value
        for entry in imports_of(f.__code__):
            for found in own_imported(*entry, f.__globals__.get("__package__") or ""):
                self._file(*found)

    # ---- classes, modules and files ------------------------------------------------------------------------

    def _class(self, kind: type) -> str:
        path = None if kind.__module__ == "__main__" else file_of(kind.__module__)
        name = self._names[id(kind)] = self._unique(kind.__qualname__ + place(path))
        members = {k: self.data(v) for k, v in vars(kind).items() if k not in _DERIVED and not _generated(v)}
        fields = {k: self.data(dict(f.metadata)) for k, f in vars(kind).get("__dataclass_fields__", {}).items()}
        held = sorted((member, text if text.startswith("@") else "") for member, text in members.items())
        self.parts[name] = _hash(repr(([self.data(base) for base in kind.__bases__], held, fields)))
        self.parts |= {f"{member} of {name}": _hash(text) for member, text in members.items() if not text.startswith("@")}
        return f"@{name}"

    def _module(self, module: types.ModuleType) -> str:
        path = file_of(module.__name__)
        if path is not None and own_module(module.__name__) and own_file(path):
            self._file(module.__name__, path)
        return f"module {module.__name__}"

    def _file(self, name: str, path: str):
        """The file of a module and those that it imports, one from the other."""
        if path in self._files:
            return
        self._files.add(path)
        with contextlib.suppress(OSError), open(path, "rb") as file:
            self.parts[self._unique(f"the file {place(path)[4:]}")] = _hash(file.read())
        self._imports_of_file(path, name if path.endswith("__init__.py") else name.rpartition(".")[0])

    def _imports_of_file(self, path: str, package: str):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            for found in imports(file.read(), package):
                self._file(*found)


def _members(value) -> Mapping[str, Any]:
    """What a module or a class of the user's own, or an object, has by name."""
    if isinstance(value, (types.FunctionType, types.MethodType)):
        return {}
    if isinstance(value, types.ModuleType):
        return vars(value) if own_module(value.__name__) else {}
    if isinstance(value, type):
        return vars(value) if own_class(value) else {}
    return getattr(value, "__dict__", {})


def _generated(value) -> bool:
    """Whether a method was written by `dataclasses`."""
    return isinstance(value, types.FunctionType) and value.__code__.co_qualname.startswith("__create_fn__.")


def _hash(given: str | bytes) -> str:
    return hashlib.sha256(given if isinstance(given, bytes) else given.encode()).hexdigest()[:20]
