"""Overlaps of polarised states on a ring, against the states themselves."""

import numpy as np
import pytest
from helpers import close

from qdiff.equations.momentum.scattering import overlaps, reach_of


@pytest.mark.parametrize("components", [2, 3])
def test_overlaps_are_those_of_spinors(components):
    """At all angles between the polarisations, and for nearly equal ones to relative accuracy."""
    n, reach = 24, 9
    angle = np.cumsum(np.linspace(1e-7, 0.6, n))
    tilt = 0.4 * np.sin(angle) if components == 3 else 0 * angle
    h = [np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)][:components]
    equal, opposite = map(np.asarray, overlaps([np.asarray(c) for c in h], reach))
    assert equal.shape == opposite.shape == (2 * reach + 1, n)
    # Half the chord, and half the chord to the antipode, without cancellation.
    vectors = np.stack(h)
    for m in range(-reach, reach + 1):
        there = np.roll(vectors, -m, axis=1)
        close(equal[m + reach], np.sum((vectors + there) ** 2, axis=0) / 4, 1e-14, 1.0)
        close(opposite[m + reach], np.sum((vectors - there) ** 2, axis=0) / 4, 1e-14, 1.0)
    small = np.sum((vectors[:, 1] - vectors[:, 0]) ** 2) / 4
    assert small < 1e-3 and abs(opposite[reach + 1, 0] / small - 1) < 1e-7


def test_reach():
    """Multiples of eight, up to a third of the ring; then all that is less than half."""
    assert [reach_of(n, 0.9) for n in (1000, 1001, 40, 41)] == [144, 144, 8, 8]
    assert [reach_of(n, 2.0) for n in (1000, 72, 71, 64)] == [320, 24, 35, 31]
    assert reach_of(480, 2 * np.pi * 15.9 / 480) == 16 and reach_of(480, 2 * np.pi * 16.1 / 480) == 24
