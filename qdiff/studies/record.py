"""What a study was: the model and its parameters as plain data, from which it can be made and run again."""

from __future__ import annotations

import hashlib
import inspect
import pathlib
from importlib.metadata import version
from typing import Any

import numpy as np

from .. import models
from ..models.base import Model, known_name


def model_record(model: Model) -> dict[str, Any]:
    """The model's name (as the command line takes it), its parameters, and a hash of the file of a model of one's own."""
    kind = type(model)
    for name, home in models.NAMES.items():
        if kind is getattr(models, home.split(":")[1]):
            return {"model": name, "parameters": parameters(model), "source_hash": "", "qdiff": version("qdiff")}
    try:
        path = pathlib.Path(inspect.getfile(kind)).resolve()
        name, text = f"{path}:{kind.__qualname__}", path.read_bytes()
    except (TypeError, OSError):  # a class made in an interactive session
        name, text = f"{kind.__module__}:{kind.__qualname__}", b""
    source = hashlib.sha256(text).hexdigest() if text else ""
    return {"model": name, "parameters": parameters(model), "source_hash": source, "qdiff": version("qdiff")}


def parameters(model: Model) -> dict[str, Any]:
    """Every parameter and setting as a number, a word, a list or None."""
    out = {}
    for name in type(model).parameters():
        value = getattr(model, name)
        out[name] = value if value is None or isinstance(value, (str, int, bool)) else np.asarray(value).tolist()
    return out


def recorded_model(record: dict, kind: type[Model] | None = None) -> Model:
    """The model of a record. `kind`: its class, for a model that does not ship with qdiff.

    Raises:
        ValueError: the record's model is one's own and `kind` was not given.
    """
    if kind is None:
        name = record.get("model")
        if not isinstance(name, str):
            raise ValueError("its model has no name")
        if name not in models.NAMES:
            raise ValueError(f"its model, {name}, does not ship with qdiff, so that `model` must be given, the class")
        kind = getattr(models, models.NAMES[name].split(":")[1])
    assert kind is not None
    values = record.get("parameters")
    if not isinstance(values, dict):
        raise ValueError("its model has no parameters")
    for name in values:
        known_name(name, kind.parameters(), "parameter", kind.__name__)
    return kind(**values)
