"""Some of a model's parameters as one vector, arrays entry by entry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..models.base import Model, as_number, known_name, names_of, sharing
from ..solvers.steady import failures


@dataclasses.dataclass(frozen=True)
class Flat:
    """Coordinates x (n,) of a model.

    Attributes:
        model: the device that x0 stands for. names: the parameters. lengths: of each, None for a number.
        x0: their values (n,).
    """

    model: Model
    names: tuple[str, ...]
    lengths: tuple[int | None, ...]
    x0: np.ndarray

    @classmethod
    def of(cls, model: Model, names: Iterable[str] | None) -> Flat:
        """Of these parameters; by default of all that can be differentiated.

        Raises:
            ValueError: an unknown name, a setting, a parameter that another one has replaced, no name.
        """
        kind = type(model)
        known = kind.parameters()
        if names is None:
            names = [name for name, about in known.items() if not about.static and getattr(model, name) is not None]
        names = names_of("parameters", names)
        if not names:
            raise ValueError("parameters must name at least one parameter, but were empty")
        for name in names:
            known_name(name, known, "parameter", kind.__name__)
            if known[name].static:
                raise ValueError(f"parameters must be ones that vary continuously, but {name} is a setting")
            if getattr(model, name) is None:
                raise ValueError(f"parameters must be in use, but another one has taken the place of {name}")
        values = [np.asarray(getattr(model, name), float) for name in names]
        return cls(model, names, tuple(v.size if v.ndim else None for v in values), np.concatenate([v.ravel() for v in values]))

    @property
    def owners(self) -> tuple[str, ...]:
        """The parameter of each coordinate."""
        return tuple(name for name, n in zip(self.names, self.lengths, strict=True) for _ in range(1 if n is None else n))

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each coordinate, such as "T[3]"."""
        out: list[str] = []
        for name, n in zip(self.names, self.lengths, strict=True):
            out += [name] if n is None else [f"{name}[{k}]" for k in range(n)]
        return tuple(out)

    def at(self, x) -> Model:
        """The model at x (n,), which may be traced."""
        start, parts = 0, []
        for n in self.lengths:
            parts.append(x[start] if n is None else x[start : start + n])
            start += 1 if n is None else n
        return eqx.tree_at(lambda m: [getattr(m, name) for name in self.names], self.model, parts)

    def figure(self, name: str):
        """The function x -> figure, NaN where it cannot be solved for.

        Raises (while tracing):
            ValueError: the figure is not a real number.
        """

        def of(x):
            with failures("nan"), sharing():
                value = as_number(name, getattr(self.at(x), name)())
            if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
                raise ValueError(f"figure must be a real number, but {name} has shape {value.shape} and type {value.dtype}")
            return value

        return of

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Of which points x (..., n) a coordinate is not physical, (...,)."""
        known = type(self.model).parameters()
        out = np.zeros(x.shape[:-1], bool)
        for k, name in enumerate(self.owners):
            out |= known[name].outside(x[..., k])
        return out


def by_label(flat: Flat, given, what: str) -> np.ndarray:
    """Positive numbers (n,) from name -> number or array, zero where nothing is given.

    Raises:
        ValueError: a name that is none of the parameters, a number that is not finite and positive, another shape.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"{what} must be a dictionary, name -> number, but was {given!r}")
    out, owners = np.zeros(len(flat.x0)), np.array(flat.owners)
    for name, value in dict(given or {}).items():
        if name not in flat.names:
            known_name(name, type(flat.model).parameters(), "parameter", type(flat.model).__name__)
            raise ValueError(f"{what} must be given for parameters that are looked at, but {name} is none of {', '.join(flat.names)}")
        on = owners == name
        array = _numbers(value)
        if array is None or array.shape not in ((), (int(on.sum()),)) or not np.all(np.isfinite(array)) or np.any(array <= 0):
            raise ValueError(f"{what} of {name} must be a positive number (for an array, also one for each entry), but was {value!r}")
        out[on] = array
    return out


def _numbers(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return None
