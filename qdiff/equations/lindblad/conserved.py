"""Stationary operators outside the sector that the populations reach, which make the stationary state not unique."""

from __future__ import annotations

import numpy as np

from ...operators.pattern import Pattern
from .reach import reach
from .sector import Sector, nullity
from .terms import AbstractTerms

# Conserved coherences are looked for up to this dimension; an inverse of dimension 256 takes milliseconds.
MOST = 16


def hidden(generator: AbstractTerms, sector: Sector) -> int:
    """How many independent stationary operators there are beside those in the sector that the populations reach.

    Where there is one, such as sigma_x of a qubit with H and jump proportional to sigma_x, coherences that the
    populations do not feed never decay, and which state is reached depends on them. Seen at trace time, from
    structure and generic copies; what is conserved by a relation that these do not show is not found.

    Args:
        generator: such as `Lindblad(...)`. sector: `reach(generator)`.

    Returns:
        Their number; zero also where the dimension exceeds `MOST`, beyond which nobody looks.
    """
    d = sector.dim
    if d > MOST or sector.size == d * d:
        return 0
    full = reach(generator, Pattern(d, *np.indices((d, d)).reshape(2, -1)))
    inside = set(zip(sector.row.tolist(), sector.col.tolist(), sector.part.tolist(), strict=True))
    outside = np.array([c not in inside for c in zip(full.row.tolist(), full.col.tolist(), full.part.tolist(), strict=True)])
    # The sector is closed: what is outside may feed it but is not fed by it, and every stationary operator of the
    # rest by itself extends to one of the whole, because the trace is conserved.
    on, number = outside[full.target] & outside[full.source], np.cumsum(outside) - 1
    return nullity(int(outside.sum()), number[full.target[on]], number[full.source[on]], full.copies[:, on])
