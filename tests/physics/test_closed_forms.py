"""Ergotropy, and the direction of heat, in closed form."""

import jax
import numpy as np
from helpers import close

import qdiff as qd


def test_ergotropy_of_a_passive_and_of_an_inverted_state():
    """A thermal state yields no work; the inverted one yields its whole energy above the passive order."""
    s = qd.Space(atom=qd.Levels(3))
    H = s.operator(np.diag([0.0, 1.0, 2.5]))
    close(float(qd.thermo.ergotropy(s.operator(np.diag([0.5, 0.3, 0.2])), H)), 0.0, 1e-15, 1.0)
    close(float(qd.thermo.ergotropy(s.operator(np.diag([0.2, 0.3, 0.5])), H)), (2.5 - 0.0) * 0.3, 1e-14)
    rng = np.random.default_rng(0)
    u = np.linalg.qr(rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)))[0]
    rho = u @ np.diag([0.5, 0.3, 0.2]) @ u.conj().T
    want = np.trace(H.dense() @ rho).real - (0.3 + 2.5 * 0.2)
    close(jax.jit(lambda r: qd.thermo.ergotropy(s.operator(r), H))(rho), want, 1e-13)


def test_hot_to_cold_without_work():
    """Between two baths of a global equation heat flows from hot to cold, for either order of temperatures."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    H = 0.5 * s.a.z + 0.7 * s.b.z + 0.3 * s.a.x @ s.b.x
    for b1, b2 in ((0.3, 1.0), (1.0, 0.3)):
        generator = qd.secular(
            H, {"a": (s.a.x, qd.BosonicBath(b1, qd.baths.Ohmic(0.1))), "b": (s.b.x, qd.BosonicBath(b2, qd.baths.Ohmic(0.1)))}
        )
        book = qd.ledger(qd.steady_state(generator))
        assert (float(book.heat["a"]) > 1e-6) == (b1 < b2)
        assert abs(float(book.imbalance)) < 1e-13 * abs(float(book.heat["a"])) * 10
