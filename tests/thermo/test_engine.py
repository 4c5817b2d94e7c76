"""What a machine is used as, for every combination of signs."""

import itertools

import numpy as np
import pytest

from qdiff.thermo.engine import MODES, cop, efficiency, mode

SIGNS = {
    "engine": [(1, -1, -1)],
    "refrigerator": [(-1, 1, 1)],
    "accelerator": [(1, -1, 1)],
    "heater": [(-1, -1, 1)],
}


def test_modes():
    """Each of the four where its signs say so, and none in all other cases; a flow that is zero has no sign."""
    known = {signs: name for name, all_ in SIGNS.items() for signs in all_}
    for signs in itertools.product((-1, 0, 1), repeat=3):
        assert MODES[int(mode(*(0.3 * np.array(signs))))] == known.get(signs, "none"), signs


def test_how_well():
    assert float(efficiency(2.0, -0.5)) == pytest.approx(0.25) and float(cop(0.6, 0.3)) == pytest.approx(2.0)
