"""What measured figures of merit tell of the parameters: the Fisher information and the Cramer-Rao bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models.base import Model, known_name
from ..results import SolveError
from .search.parameters import Flat

# Directions in which the information is below this share of the largest cannot be told from none.
_NONE = 1e-12


@dataclasses.dataclass(frozen=True)
class Fisher:
    """What `fisher_information` found.

    Attributes:
        labels: of the coordinates, (n,): parameter names, and "name[k]" of arrays.
        information: I (n, n) [1 over the units of both parameters].
        bound: the least standard deviation of each parameter if the others are not known either (n,), infinite where
            the measured figures of merit do not determine it.
        alone: the same if all others are known (n,).
        undetermined: directions (k, n), in units of the parameters' sizes, that no measured figure of merit depends on.
    """

    labels: tuple[str, ...]
    information: np.ndarray
    bound: np.ndarray
    alone: np.ndarray
    undetermined: np.ndarray

    def record(self) -> dict[str, Any]:
        """The result as plain numbers and dictionaries by label."""
        rows = [dict(zip(self.labels, row.tolist(), strict=True)) for row in self.information]
        return {
            "information": dict(zip(self.labels, rows, strict=True)),
            "bound": dict(zip(self.labels, self.bound.tolist(), strict=True)),
            "alone": dict(zip(self.labels, self.alone.tolist(), strict=True)),
            "undetermined": [dict(zip(self.labels, row.tolist(), strict=True)) for row in self.undetermined],
        }


def fisher_information(model: Model, measured: Mapping[str, float], parameters: Iterable[str] | str | None = None) -> Fisher:
    """The Fisher information of figures of merit that are measured with independent normal errors.

    I_ij = sum over merits f of (df/dx_i)(df/dx_j)/sigma_f^2. By the Cramer-Rao inequality no unbiased estimate of x_i has
    a standard deviation below sqrt((I^-1)_ii).

    Args:
        model: the device. measured: merit -> standard deviation sigma_f of its measurement, in the merit's unit.
        parameters: names of the unknown parameters; by default all that vary continuously.

    Returns:
        `Fisher`.

    Raises:
        ValueError: an unknown name, a figure of merit that is no real number, a sigma that is not positive.
        SolveError: a figure of merit or its derivative is not a finite number here.

    Example:
        >>> import numpy as np, qdiff as qd
        >>> found = qd.fisher_information(qd.models.LambdaSystem(), {"force": 1e-3, "frequency": 1e-3}, ["T1", "T2"])
        >>> found.labels, bool(np.all(found.alone <= found.bound))
        (('T1', 'T2'), True)
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a Model such as qdiff.models.RotorEngine(), but was {type(model).__name__}")
    kind = type(model)
    if not isinstance(measured, Mapping) or not measured:
        raise ValueError(f"measured must name at least one figure of merit, name -> standard deviation, but was {measured!r}")
    for name, error in measured.items():
        known_name(name, kind.merits(), "figure of merit", kind.__name__)
        if isinstance(error, bool) or not isinstance(error, (int, float, np.number)) or not math.isfinite(error) or error <= 0:
            raise ValueError(f"the standard deviation of {name} must be a positive number, but was {error!r}")
    flat = Flat.of(model, parameters)
    functions = [flat.merit(name) for name in measured]
    J = np.asarray(jax.jit(jax.jacfwd(lambda x: jnp.stack([f(x) for f in functions])))(flat.x0))
    if not np.isfinite(J).all():
        bad = [name for name, row in zip(measured, J, strict=True) if not np.isfinite(row).all()]
        raise SolveError(f"{bad[0]} or its derivative is not a finite number at these parameters; `sensitivity` says why")
    # In units of the parameters' sizes, so that what counts as no information does not depend on their units.
    size = np.where(flat.x0 != 0, np.abs(flat.x0), 1.0)
    weighted = J / np.array(list(measured.values()), float)[:, None]
    _, singular, directions = np.linalg.svd(weighted * size, full_matrices=True)
    singular = np.concatenate([singular, np.zeros(len(size) - len(singular))])
    known = singular > math.sqrt(_NONE) * singular[0]
    spread = directions[known].T / singular[known]
    bound = size * np.linalg.norm(spread, axis=1)
    bound[np.linalg.norm(directions[~known], axis=0) > 1e-6] = np.inf
    with np.errstate(divide="ignore"):
        alone = 1 / np.linalg.norm(weighted, axis=0)
    return Fisher(flat.labels, weighted.T @ weighted, bound, alone, directions[~known])
