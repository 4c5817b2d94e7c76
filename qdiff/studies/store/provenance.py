"""What a study was: the model and its parameters as plain data, from which it can be made and run again."""

from __future__ import annotations

import hashlib
import inspect
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import __version__, models
from ...models.base import Model, known_name
from .fingerprint import changed, code_of

if TYPE_CHECKING:
    from ..search.constraints import Constraint
    from ..search.objective import Objective

_LONG = 1000  # numbers in a list that a record still spells out


def model_record(model: Model, callables: Mapping[str, Callable] | None = None) -> dict[str, Any]:
    """The model's name (as the command line takes it), its parameters, and what its code and that of `callables` is.

    "source_hash" is of the file of a user's model. "code" is as of `code_of`; it is missing where all the code
    ships with qdiff.
    """
    kind = type(model)
    for name, home in models.NAMES.items():
        if kind is getattr(models, home.split(":")[1]):
            return _with_code({"model": name, "source_hash": ""}, model, code_of(None, callables or {}))
    try:
        path = pathlib.Path(inspect.getfile(kind)).resolve()
        name, text = f"{path}:{kind.__qualname__}", path.read_bytes()
    except (TypeError, OSError):  # a class made in an interactive session
        name, text = f"{kind.__module__}:{kind.__qualname__}", b""
    source = hashlib.sha256(text).hexdigest() if text else ""
    return _with_code({"model": name, "source_hash": source}, model, code_of(model, callables or {}))


def _with_code(record: dict[str, Any], model: Model, code: dict[str, str]) -> dict[str, Any]:
    return {**record, "parameters": parameters(model), "qdiff": __version__, **({"code": code} if code else {})}


def roles(*sought: Objective, limits: Iterable[Constraint] = ()) -> dict[str, Callable]:
    """What each function given to a search is there for."""
    named = [*zip(("merit", "other"), sought, strict=False), *((f"constraint {k}", limit) for k, limit in enumerate(limits, 1))]
    return {role: of.function for role, of in named if of.given}


def differing(old: dict, new: dict) -> str:
    """In what two records differ, in words; "" if they are of the same study."""
    names = [k for k in sorted({*old, *new} - {"code"}) if old.get(k) != new.get(k)]
    before, after = (found if isinstance(found := record.get("code"), dict) else {} for record in (old, new))
    parts = changed(before, after)
    more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
    return ", ".join([*names, *([f"the code of {', '.join(parts[:3])}{more}"] if parts else [])])


def numbers(values: np.ndarray) -> list[float] | dict[str, Any]:
    """Numbers (n,) for a record: themselves or, where they are many, how many they are and what identifies them."""
    if values.size <= _LONG:
        return values.tolist()
    found = hashlib.sha256(np.ascontiguousarray(values, "<f8").tobytes()).hexdigest()
    return {"size": int(values.size), "sha256": found}


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
        ValueError: the record's model is not a shipped one and `kind` was not given.
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
