"""A claim that a paper makes about a figure, the number found, and whether it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

HOLDS, FAILS = "holds", "does not hold"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement, the number found, and whether the statement holds.

    Attributes:
        statement: the claim. published: its number or threshold, or "" for an order or a shape.
        found: the number computed, or what was found instead. holds: whether what was found is what is said.
    """

    statement: str
    found: str
    published: str
    holds: bool

    @property
    def verdict(self) -> str:
        return HOLDS if self.holds else FAILS

    def record(self) -> dict[str, str]:
        return {"claim": self.statement, "published": self.published, "found": self.found, "verdict": self.verdict}


def near(statement: str, found: float, published: float, within: float, digits: int = 3, text: str = "") -> Claim:
    """A claim on a number, which holds if what was found is within `within` of it. `text`: what to say of it instead of the number."""
    return Claim(statement, text or number(found, digits), f"{published:g}", bool(abs(float(found) - published) <= within))


def true(statement: str, holds, found: str = "", published: str = "") -> Claim:
    """A claim on an order, a sign or a shape."""
    return Claim(statement, found, published, bool(holds))


def number(value, digits: int = 3) -> str:
    """A number with this many digits."""
    return f"{float(value):.{digits}g}"


def numbers(values: Iterable, digits: int = 3) -> str:
    """Several of them, with commas."""
    return ", ".join(number(v, digits) for v in values)
