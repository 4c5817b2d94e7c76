"""A user's own model: a class in a Python file, named as path/to/file.py:ClassName."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from .errors import BadInput, nearest, said, user_file, where

if TYPE_CHECKING:
    from ..models.base import Model


def load_class(name: str) -> type[Model]:
    """The model class that `path/to/file.py:ClassName` names. Importing the file runs it.

    Raises:
        BadInput: the file is missing or does not import, it has no such class, or the class is not a model.
    """
    path, colon, wanted = name.rpartition(":")
    if not colon or not path or not wanted:
        raise BadInput(f"a model in a file is named as path/to/file.py:ClassName, but was {name!r}")
    if not os.path.isfile(path):
        raise BadInput(f"there is no file {path!r} (for the model {wanted!r})")
    if not path.endswith(".py"):
        raise BadInput(f"a model's file must be Python source, path/to/file.py, but was {path!r}")
    module = _imported(path)

    from ..models.base import Model

    found = {key: value for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Model)}
    own = {key: value for key, value in found.items() if value.__module__ == module.__name__}
    if wanted in found and found[wanted] is not Model:
        return found[wanted]
    if hasattr(module, wanted):
        raise BadInput(f"{wanted} in {path!r} must be a class derived from qdiff.Model, but is {_what(getattr(module, wanted))}")
    listed = f"Its models are {', '.join(own)}" if own else "It has no models"
    raise BadInput(f"{path!r} has no class {wanted!r}{nearest(wanted, own)} {listed}")


def _imported(path: str):
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.append(folder)  # so that the file can import its neighbours
    stem = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(f"qdiff_user_{stem}", path)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    user_file(path)
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises
        del sys.modules[spec.name]
        place = None if isinstance(error, SyntaxError) else where(error)  # its own message says
        raise BadInput(f"{path!r} does not import{f' (line {place[1]})' if place else ''}: {said(error)}") from error
    return module


def _what(value) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a value of type {type(value).__name__}"
