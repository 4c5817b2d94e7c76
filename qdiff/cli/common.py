"""What the commands share: finding a model, setting its parameters, writing JSON, and ending with a message.

Nothing here imports JAX until a model is loaded, so that help and lists answer at once.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import models
from .errors import BadInput, nearest, show_tracebacks

if TYPE_CHECKING:
    from ..models.base import Model, Parameter


def _debugging(value: bool) -> bool:
    if value:
        show_tracebacks(True)
    return value


MODEL_HELP = "A name that `qdiff models` lists, or path/to/file.py:ClassName for a model of your own; that file is run."

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Give a parameter or setting a value (J=1,2,3 an array, J[1]=2 an entry); repeat."),
]
Preset = Annotated[
    str | None, typer.Option("--preset", metavar="NAME", help="Begin with this set of parameters; `qdiff show MODEL` lists them.")
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON object to standard output and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.", callback=_debugging, is_eager=True)]


def load_model(name: str) -> type[Model]:
    """The class of a shipped model, or of a user's `path/to/file.py:ClassName`.

    Raises:
        BadInput: there is no such model, file or class, the file does not import, or the class is not a model.
    """
    if ":" in name or name.endswith(".py"):
        from .userfile import load_class

        return load_class(name)
    if name not in models.NAMES:
        raise BadInput(
            f"there is no model {name!r}{nearest(name, models.NAMES)} The models are {', '.join(models.NAMES)}; "
            "a model of your own is path/to/file.py:ClassName"
        )
    return getattr(models, models.NAMES[name].split(":")[1])


def configured(cls: type[Model], sets: list[str] | None = None, preset: str | None = None) -> Model:
    """The model with a preset's parameters and the values of NAME=VALUE strings, checked as its constructor checks them.

    Raises:
        BadInput: a string is not NAME=VALUE, its name is unknown or set twice to different values, its value is
            not of the parameter's kind or out of its bounds, or a parameter without default has no value.
    """
    import dataclasses

    known = cls.parameters()
    values: dict[str, Any] = {}
    entries: dict[str, Any] = {}  # of arrays, which are put into what the array is otherwise
    begin: dict[str, Any] = {}
    if preset is not None:
        checked_names([preset], cls.presets, "preset", cls)
        begin = cls.presets[preset]
    written: dict[str, str] = {}
    for entry in sets or []:
        name, equals, text = (part.strip() for part in entry.partition("="))
        if not equals or not name or not text:
            raise BadInput(f"--set must be followed by NAME=VALUE, such as --set {_example(known)}, but was {entry!r}")
        name = checked_place(name, cls)
        into = values if name in known else entries
        value = _parsed(known[name], text) if name in known else _entry(name, text)
        if name in into and into[name] != value:
            raise BadInput(f"{name} must be set once, but was set to both {written[name]} and {text}")
        into[name], written[name] = value, text
    for name, about in known.items():
        if about.default is dataclasses.MISSING and name not in values and name not in begin:
            raise BadInput(f"{name} has no default and must be given, by --set {name}=VALUE ({about.bounds})")
    with bad_values():
        device = cls(**{**begin, **values})
        return device.replace(**entries) if entries else device


def _example(known: dict[str, Parameter]) -> str:
    return next((f"{name}={about.default_text}" for name, about in known.items()), "NAME=VALUE")


def _entry(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{name} must be a number, but was {text!r}") from None


def _parsed(about: Parameter, text: str):
    """The text as the parameter's kind of value; what cannot be read stays text, for the parameter's own check to refuse."""
    if about.choices == (True, False):
        return {"true": True, "false": False}.get(text.lower(), text)
    kind = str if about.choices else int if about.static else float
    with contextlib.suppress(ValueError):
        if not about.is_array:
            return kind(text)
        rows = [[float(part) for part in row.split(",")] for row in text.split(";")]
        return rows if len(about.shape or ()) == 2 or len(rows) > 1 else rows[0]
    with bad_values():
        return about.check(text)


@contextlib.contextmanager
def bad_values():
    """Within this context the ValueError with which a constructor refuses a value is bad input."""
    try:
        yield
    except ValueError as error:
        raise BadInput(str(error)) from error


def checked_names(names: list[str], known, what: str, owner: type) -> list[str]:
    """The names, each once, if all are known; BadInput with the nearest right one otherwise."""
    from ..models.base import known_name

    with bad_values():
        return list(dict.fromkeys(known_name(name, known, what, owner.__name__) for name in names))


def checked_place(name: str, cls: type[Model]) -> str:
    """The name of a parameter, or of an entry of an array such as J[1], if the model has it; BadInput otherwise."""
    from ..models.parameters import place_of

    with bad_values():
        return place_of(cls, name).name


def pairs(option: str, form: str, given, cls: type[Model], read, twice: str, again=False) -> dict[str, Any]:
    """The values of NAME=TEXT strings, by the name of a parameter or of an entry.

    Args:
        option, form: for the sentence on what cannot be read. given: the strings, or None.
        read: of the text and of the whole string; ValueError if it is none.
        twice: the sentence on a name that comes twice. again: whether it may, with the same value.

    Raises:
        BadInput: a string is of another form, its name is unknown or comes twice.
    """
    out: dict[str, Any] = {}
    for entry in given or []:
        name, equals, text = (part.strip() for part in entry.partition("="))
        try:
            if not equals or not name:
                raise ValueError
            value = read(text, entry)
        except ValueError:
            raise BadInput(f"{option} must be followed by {form}, but was {entry!r}") from None
        name = checked_place(name, cls)
        if name in out and not (again and out[name] == value):
            raise BadInput(twice.format(name))
        out[name] = value
    return out


def path_of(text: str) -> pathlib.Path:
    """The path that an option names."""
    if not text:
        raise typer.BadParameter("it must name a file or a folder, but was empty")
    return pathlib.Path(text)


def new_folder(name: str) -> pathlib.Path:
    """A folder here that holds nothing: of this name or, where that is taken, of the name with a number."""
    k = 1
    while (folder := pathlib.Path(name if k == 1 else f"{name}-{k}")).exists() and (not folder.is_dir() or any(folder.iterdir())):
        k += 1
    return folder


def without(out: pathlib.Path, files: list[pathlib.Path]):
    """BadInput if one of these files is in the folder `out`."""
    if there := [path.name for path in files if os.path.lexists(path)]:
        raise BadInput(f"--out must be a folder without the files of another run, but {out} has {', '.join(there)}")


def plain(value) -> Any:
    """The value in what JSON has: arrays as nested lists, complex numbers as [re, im], NaN and infinities as None."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    import numpy as np

    return plain(np.asarray(value).tolist())


def dump(value) -> str:
    """The value as one line of JSON, every float with the digits that give it back exactly."""
    return json.dumps(plain(value), allow_nan=False)
