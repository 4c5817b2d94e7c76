"""Entropies of blocks, of states, and what dephasing adds to them, against eigenvalues and against many digits."""

import mpmath
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.thermo.entropies import dephasing_entropy, pair_entropy


def block_entropy(p, q, squared):
    """-Tr[B ln B] of [[p, c], [c*, q]], of mpmath numbers."""
    root = mpmath.sqrt(((p - q) / 2) ** 2 + squared)
    return -sum(x * mpmath.log(x) if x > 0 else mpmath.mpf(0) for x in ((p + q) / 2 + root, (p + q) / 2 - root))


@pytest.mark.parametrize(
    ("p", "q", "share"), [(0.5, 0.2, 0.3), (0.2, 0.5, 0.9), (0.4, 0.4, 0.0), (0.4, 0.4, 0.5), (0.3, 0.0, 0.0), (1.0, 0.0, 0.0)]
)
def test_entropy_of_a_block(p, q, share):
    want = float(block_entropy(mpmath.mpf(p), mpmath.mpf(q), mpmath.mpf(share * p * q)))
    close(pair_entropy(p, q, share * p * q), want, 1e-14, 1.0)


def test_entropy_of_a_pure_and_of_an_empty_block():
    close(pair_entropy(0.3, 0.6, 0.18), -0.9 * np.log(0.9), 1e-14)
    assert float(pair_entropy(0.0, 0.0, 0.0)) == 0


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.2), (0.3, 0.3), (0.9, 1e-6)])
@pytest.mark.parametrize("share", [1e-12, 1e-3, 0.5, 0.999999])
@pytest.mark.parametrize("factor", [0.0, 0.9, 1 - 1e-9])
def test_entropy_of_dephasing(p, q, share, factor):
    """To relative accuracy however little it is: where coherences are weak, hardly dephased, or close to pure."""
    squared = share * p * q
    with mpmath.workdps(60):
        exact = [block_entropy(mpmath.mpf(p), mpmath.mpf(q), mpmath.mpf(s) * mpmath.mpf(squared)) for s in (factor, 1.0)]
        want = float(exact[0] - exact[1])
    # Of an almost pure block p q - |c|^2 is known to rounding of p q.
    close(dephasing_entropy(p, q, squared, factor), want, 1e-11 + 1e-16 / (1 - share))
    assert float(dephasing_entropy(0.0, 0.0, 0.0, factor)) == 0
    for pure in (0.0, 0.2, 1.0):  # without coherence, or not dephased
        assert float(dephasing_entropy(pure, 0.0, 0.0, factor)) == 0 == float(dephasing_entropy(pure, 0.3, 0.3 * pure, 1.0))


def test_entropy_and_free_energy_of_a_state():
    space = qd.Space(a=qd.Spin(), b=qd.Spin())
    H = 0.7 * space.a.z + 0.2 * space.b.z + 0.3 * space.a.x @ space.b.x
    rho = qd.thermo.gibbs(H, 0.8)
    p = np.exp(-0.8 * np.linalg.eigvalsh(H.dense()))
    p = p / p.sum()
    close(np.linalg.eigvalsh(rho.dense()), np.sort(p), 1e-14)
    close(rho.dense() @ H.dense(), H.dense() @ rho.dense(), 1e-14)
    close(qd.thermo.entropy(rho), -np.sum(p * np.log(p)), 1e-14)
    close(qd.thermo.free_energy(rho, H, 1 / 0.8), -np.log(np.exp(-0.8 * np.linalg.eigvalsh(H.dense())).sum()) / 0.8, 1e-13)
    assert abs(float(qd.thermo.entropy(space.a.up @ space.b.up))) < 1e-15


def test_what_is_no_density_matrix_is_refused():
    space = qd.Space(a=qd.Spin(), b=qd.Spin())
    with pytest.raises(ValueError, match="rho must be Hermitian, but differs from its adjoint by 1$"):
        qd.thermo.entropy(space.a.plus)
    with pytest.raises(ValueError, match=r"rho must act on Space\(q=Spin\(\)\) \(dimension 2\), but acts on Space\(a="):
        qd.thermo.ergotropy(space.a.up / 2, qd.Space(q=qd.Spin()).q.z)
