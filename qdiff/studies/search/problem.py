"""What a search looks for, where, and how: all that its programs, its record and its checks need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...models.base import Model
from ...models.parameters import assigned
from ..store.provenance import model_record, roles
from .box import Box, followed, prepared, tied
from .constraints import Constraint, constraints_of
from .objective import Objective, objective
from .search import counted, rule

Sought = str | Mapping[str, float] | Callable


@dataclasses.dataclass(frozen=True)
class Problem:
    """A search of one or several figures of merit.

    Attributes:
        model: the device, with every searched array in it. sought: the figures of merit.
        box: what varies. ties: parameter -> the searched one that it is equal to.
        limits: functions of the model that must not be positive.
        starts, seed, steps, optimizer: of the first stage.
    """

    model: Model
    sought: tuple[Objective, ...]
    box: Box
    ties: dict[str, str]
    limits: tuple[Constraint, ...]
    starts: int
    seed: int
    steps: int
    optimizer: Any

    @classmethod
    def of(
        cls,
        model: Model,
        sought: Iterable[Sought],
        over: Mapping[str, tuple[float, float]] | None,
        ties: Mapping[str, str] | None,
        constraints: Iterable[str | Callable] | str | None,
        *,
        starts: int,
        seed: int,
        steps: int,
        optimizer: Any,
    ) -> Problem:
        """The problem, with every argument checked. Raises ValueError."""
        if not isinstance(model, Model):
            raise ValueError(f"model must be a qdiff.Model, but was {model!r}")
        kind = type(model)
        objectives = tuple(objective(kind, given) for given in sought)
        model = prepared(model, over)
        box = Box.of(model, over)
        equal = tied(model, box, ties)
        limits = constraints_of(kind, constraints)
        counted(starts=starts, steps=steps, seed=seed)
        rule(optimizer, steps)
        return cls(model, objectives, box, equal, limits, starts, seed, steps, optimizer)

    def record(self, study: str, **more: Any) -> dict[str, Any]:
        """What decides the numbers of a study of this problem, as plain data."""
        return {
            "study": study,
            **model_record(self.model, roles(*self.sought, limits=self.limits)),
            **more,
            "over": {name: list(pair) for name, pair in self.box.bounds.items()},
            "ties": self.ties,
            "constraints": [limit.text for limit in self.limits],
            "starts": int(self.starts),
            "seed": int(self.seed),
            "steps": int(self.steps),
            "optimizer": self.optimizer if isinstance(self.optimizer, str) else "custom",
        }

    def at(self, model: Model, x) -> Model:
        """A model such as this problem's with the searched values x (n,), which may be traced."""
        varied = assigned(model, dict(zip(self.box.names, self.box.split(x), strict=True)))
        return assigned(varied, followed(varied, self.ties))
