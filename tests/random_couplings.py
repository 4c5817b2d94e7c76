"""Random systems for the global equation: each function of SHAPES makes of 12 numbers H and the couplings of two baths."""

import functools

import numpy as np
from hypothesis import strategies as st

import qdiff as qd

# Equal, nearly equal and vanishing numbers are as common as others.
SPECIAL = st.sampled_from([0.0, 1.0, 1.0, 1.0 + 1e-12, 1.0 + 1e-7, -1.0])
NUMBERS = st.lists(st.one_of(st.floats(-2, 2, allow_subnormal=False), SPECIAL), min_size=12, max_size=12)
BETA = st.one_of(st.floats(0.1, 3.0), st.sampled_from([0.5, 0.5 + 1e-9, 1.0]))
STRENGTH, CUTOFF = 0.3, 4.0


def spins(n):
    space = qd.Space(**{f"q{k}": qd.Spin() for k in range(n)})
    return [getattr(space, f"q{k}") for k in range(n)]


def chain(n, x):
    """Fields along z, links x x and z z: blocks of even and odd parity."""
    q = spins(n)
    H = sum(x[k] * s.z for k, s in enumerate(q))
    for k, (s, t) in enumerate(zip(q, q[1:], strict=False)):
        H = H + x[n + k] * s.x @ t.x + x[2 * n - 1 + k] * s.z @ t.z
    return H, q[0].x, q[-1].x + 0.3 * q[0].z


def crossing(x):
    """Three spins without any link that mixes levels: every one crosses the others freely."""
    q = spins(3)
    H = sum(x[k] * s.z for k, s in enumerate(q)) + x[3] * q[0].z @ q[1].z + x[4] * q[1].z @ q[2].z
    return H, q[0].x + 0.4 * q[1].x, q[2].x + 0.3 * q[1].x


def hidden(x):
    """The same turned: one block, in which the levels still cross freely."""
    q = spins(3)
    H = sum(x[k] * s.x for k, s in enumerate(q)) + x[3] * q[0].x @ q[1].x + x[4] * q[1].x @ q[2].x
    return H, q[0].z + 0.4 * q[1].z, q[2].z + 0.3 * q[1].z


def identical(x):
    """Three spins in one field with equal links: levels and lines that coincide at all parameters."""
    q = spins(3)
    H = sum(x[0] * s.z for s in q) + sum(x[1] * (s.x @ t.x + s.y @ t.y + s.z @ t.z) for s, t in zip(q, q[1:], strict=False))
    return H, q[0].x + 0.2 * q[1].z, q[2].x


def levels(x):
    """Five levels in one complex block."""
    atom = qd.Space(atom=qd.Levels(5)).atom
    steps = [atom.transition(k, k + 1) for k in range(4)]
    H = sum(x[k] * atom.projector(k) for k in range(5)) + sum(
        (x[5 + k] + 1j * x[8 + k]) * s + (x[5 + k] - 1j * x[8 + k]) * s.dag for k, s in enumerate(steps)
    )
    jump = sum((k + 1.0) * s for k, s in enumerate(steps))
    return H, jump + jump.dag, atom.operator(np.outer([1, -1, 0.5, 2, 0.3], [1, -1, 0.5, 2, 0.3]))


def spin_and_mode(x):
    s = qd.Space(spin=qd.Spin(), mode=qd.Boson(4))
    H = x[0] * s.spin.z + x[1] * s.mode.n + x[2] * s.spin.x @ s.mode.x + x[3] * s.mode.n @ s.mode.n
    return H, s.spin.x + 0.2 * s.spin.z, s.mode.x


def rotor(x):
    s = qd.Space(wheel=qd.Rotor(-2, 2), spin=qd.Spin())
    push = s.wheel.E @ s.spin.plus
    H = x[0] * s.wheel.L2 + x[1] * s.wheel.L + x[2] * s.spin.z + x[3] * (push + push.dag)
    return H, s.wheel.cos, s.spin.x


SHAPES = {
    "pair": functools.partial(chain, 2),
    "four spins": functools.partial(chain, 4),
    "crossing": crossing,
    "hidden": hidden,
    "identical": identical,
    "levels": levels,
    "spin and mode": spin_and_mode,
    "rotor": rotor,
}
