"""What a function's code reads from outside, and what identifies code without where it stands."""

from __future__ import annotations

import dis
import inspect
import tokenize
import types
from collections.abc import Iterator

_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_CELL = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD"}


def reads(code: types.CodeType) -> Iterator[tuple[bool, list[str]]]:
    """(whether it is of the closure, [name, attribute, attribute of that, ...]) of each value that code and code within it read."""
    steps = list(dis.get_instructions(code))
    for k, step in enumerate(steps):
        if step.opname in _GLOBAL or step.opname in _CELL:
            chain = [step.argval]
            for later in steps[k + 1 :]:
                if later.opname not in _ATTRIBUTE:
                    break
                chain.append(later.argval)
            yield step.opname in _CELL, chain
    for inner in _within(code):
        yield from reads(inner)


def imports_of(code: types.CodeType) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """(name, level, what is taken from it) of each import in code and code within it."""
    steps = list(dis.get_instructions(code))
    for k, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level, inner = steps[k - 2].argval, steps[k - 1].argval
            yield step.argval, level if isinstance(level, int) else 0, inner if isinstance(inner, tuple) else ()
    for inner in _within(code):
        yield from imports_of(inner)


def _within(code: types.CodeType) -> list[types.CodeType]:
    return [x for x in code.co_consts if isinstance(x, types.CodeType)]


def cells(f: types.FunctionType) -> dict[str, object]:
    """The values that a function closes over, but for those that are not there yet."""
    out = {}
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            out[name] = cell.cell_contents
        except ValueError:  # empty
            continue
    return out


def defaults(f: types.FunctionType) -> dict[str, object]:
    """The arguments of a function that have defaults, and these."""
    given = f.__defaults__ or ()
    names = f.__code__.co_varnames[: f.__code__.co_argcount]
    return dict(zip(names[len(names) - len(given) :], given, strict=True)) | (f.__kwdefaults__ or {})


def identity(code: types.CodeType) -> tuple:
    """The code without its constants, its name, and where it stands."""
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return code.co_code, code.co_exceptiontable, counts, names


def source(code: types.CodeType) -> str:
    """The text, "" if it cannot be had."""
    try:
        return inspect.getsource(code)
    except (OSError, TypeError, IndexError, SyntaxError, tokenize.TokenError):  # none, or a file that has changed since
        return ""
