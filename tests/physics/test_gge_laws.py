"""Laws of the bulk rectifiers: the many-body generator, symmetries, closed forms, independence of the start."""

import jax
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.models.gge.many_body import FockSpace, raman_chain, rashba_chain

RNG = np.random.default_rng(3)
RAMAN = {"beta": 1.7, "delta_re": 0.4, "delta_im": -0.8, "delta_prime_re": 1.2, "delta_prime_im": 0.3, "drive": 0.35, "coupling": 1.0}
RASHBA = {"beta": 1.3, "alpha_y": 0.7, "alpha_z": 1.1, "field": 0.6, "dephasing_up": 0.8, "drive": 0.35, "coupling": 1.0}


def annihilators(n):
    return [op.dense() for op in FockSpace(n).modes]


def product_state(c, n):
    """rho_GGE with these occupations on the whole Fock space."""
    rho = np.eye(len(c[0]))
    for a, p in zip(c, n, strict=True):
        number = a.conj().T @ a
        rho = rho @ (p * number + (1 - p) * (np.eye(len(rho)) - number))
    return rho


def change(jumps, rho, c):
    """Tr[n_k L_1 rho] for every mode, L_1 the dissipator of (rate, operator) pairs."""
    moved = np.zeros_like(rho, complex)
    for rate, A in jumps:
        K = A.conj().T @ A
        moved += rate * (A @ rho @ A.conj().T - (K @ rho + rho @ K) / 2)
    return np.array([np.trace(a.conj().T @ a @ moved).real for a in c])


def thermal(c, energies, beta, rate):
    return [
        (rate * np.exp(beta * (e - f) / 2), a.conj().T @ b)
        for a, f in zip(c, energies, strict=True)
        for b, e in zip(c, energies, strict=True)
    ]


@pytest.mark.parametrize("L", [5, 6])
def test_raman_right_hand_side_in_fock_space(L):
    """Every rate of change is the trace with the real-space jumps of Eq. (15), exactly."""
    m = qd.models.RamanRectifier(**RAMAN, length=L)
    k, n, c = np.asarray(m.momenta()), RNG.uniform(0.05, 0.95, L), annihilators(L)
    sites = [sum(np.exp(1j * q * j) * a for q, a in zip(k, c, strict=True)) / np.sqrt(L) for j in range(L)]
    H = -sum(sites[(j + 1) % L].conj().T @ sites[j] + sites[j].conj().T @ sites[(j + 1) % L] for j in range(L))
    close(H, sum(-2 * np.cos(q) * a.conj().T @ a for q, a in zip(k, c, strict=True)), 1e-14)
    d, dp = complex(m.delta_re, m.delta_im), complex(m.delta_prime_re, m.delta_prime_im)
    jumps = [
        (float(m.drive), (sites[j].conj().T + d * sites[(j + 1) % L].conj().T) @ (sites[j] - dp * sites[(j + 1) % L])) for j in range(L)
    ]
    jumps += thermal(c, -2 * np.cos(k), float(m.beta), (1 - float(m.drive)) / L)
    want = change(jumps, product_state(c, n), c)
    close(m.channels().right_hand_side(n), want, 1e-13, scale=1.0)
    with pytest.raises(AssertionError):
        close(m.replace(delta_im=0.8).channels().right_hand_side(n), want, 1e-3, scale=1.0)


@pytest.mark.parametrize("L", [3, 4])
def test_rashba_right_hand_side_in_fock_space(L):
    """The same from Eqs. (17) to (19) on sites, whose eigenmodes are found numerically; and the currents, Eq. (24)."""
    m = qd.models.RashbaRectifier(**RASHBA, length=L)
    c, next_ = annihilators(2 * L), [(j + 1) % L for j in range(L)]
    up, down = c[:L], c[L:]  # here the modes of the Fock space are the sites
    y, z, h = (float(x) for x in (m.alpha_y, m.alpha_z, m.field))
    one = np.zeros((2 * L, 2 * L), complex)  # the one-particle Hamiltonian
    for j, i in enumerate(next_):
        for s, sign in ((0, 1), (L, -1)):
            one[i + s, j + s] += -1 + 1j * y * sign
            one[j + s, j + s] += h * sign / 2
        one[i, j + L] += -z
        one[i + L, j] += z
    one = one + one.conj().T
    k = np.asarray(m.momenta())
    plane = np.exp(1j * np.outer(np.arange(L), k)) / np.sqrt(L)
    modes = []  # in the order upper band, lower band
    for band in (1, 0):
        for q in range(L):
            block = np.kron(np.eye(2), plane[:, q : q + 1])
            e, v = np.linalg.eigh(block.conj().T @ one @ block)
            assert e[band] == pytest.approx(float(m.band_energies()[1 - band, q]), abs=1e-13)
            modes.append(block @ v[:, band])
    eta = [sum(w.conj() * a for w, a in zip(v, c, strict=True)) for v in modes]
    n = RNG.uniform(0.05, 0.95, 2 * L)
    drive, share = float(m.drive), float(m.dephasing_up)
    jumps = [(drive * share, a.conj().T @ a) for a in up] + [(drive * (1 - share), a.conj().T @ a) for a in down]
    jumps += thermal(eta, np.ravel(m.band_energies()), float(m.beta), (1 - drive) / L)
    rho = product_state(eta, n)
    close(np.ravel(m.channels().right_hand_side(n.reshape(2, L))), change(jumps, rho, eta), 2e-13, scale=1.0)
    # I_sigma of Eq. (24): hops that arrive as sigma, -i/L sum (amplitude <c+_{j+1 sigma} c_j sigma'> - c.c.).
    for arrive, velocities in ((0, m._velocities_up), (L, m._velocities_down)):
        total = 0.0
        for j, i in enumerate(next_):
            for s in (0, L):
                hop = one[i + arrive, j + s] * np.trace(c[i + arrive].conj().T @ c[j + s] @ rho)
                total += 2 * hop.imag / L
        assert float(np.sum(np.asarray(velocities(m.channels().modes)) * n.reshape(2, L)) / L) == pytest.approx(total, abs=1e-13)


@pytest.mark.parametrize(
    ("model", "chain"),
    [(qd.models.RamanRectifier(**RAMAN, length=4), raman_chain), (qd.models.RashbaRectifier(**RASHBA, length=3), rashba_chain)],
)
def test_many_body_generator_changes_occupations_as_the_ensemble_does(model, chain):
    """The generator behind `exact_occupations`, on all numbers of particles, applied to an ensemble."""
    space, generator = chain(model, None)
    c = [a.dense() for a in space.modes]
    n = RNG.uniform(0.05, 0.95, len(c))
    L = generator()
    jumps = [(float(j.rate), np.asarray(j.operator.dense())) for label in L.labels for j in L.jumps[label]]
    found = change(jumps, product_state(c, n), c)
    close(np.ravel(model.channels().right_hand_side(n.reshape(model.channels().shape))), found, 1e-13, scale=1.0)


def test_symmetries_of_the_raman_current():
    current = jax.jit(lambda m: m.current())

    def at(d, p, **more):
        return float(
            current(
                qd.models.RamanRectifier(delta_re=d.real, delta_im=d.imag, delta_prime_re=p.real, delta_prime_im=p.imag, length=64, **more)
            )
        )

    d, p = 0.7 + 0.9j, 1.3 - 0.4j
    for more in ({}, {"filling": 0.3, "drive": 0.8}):
        assert at(d.conjugate(), p.conjugate(), **more) == pytest.approx(-at(d, p, **more), abs=1e-14)
        # delta -> 1/delta* with the ratio of the two rates times |delta|^2 leaves everything as it is.
        x = more.get("drive", 0.5)
        ratio = x / (1 - x) * abs(d) ** 2
        assert at(1 / d.conjugate(), p, **{**more, "drive": ratio / (1 + ratio)}) == pytest.approx(at(d, p, **more), abs=1e-14)
    assert at(d, p) == pytest.approx(-at(p, d), abs=1e-14) and abs(at(d, p)) > 0.01
    # Complex delta = delta' has no current at half filling, though the paper's condition (14) holds; elsewhere it has.
    assert at(1 + 1j, 1 + 1j) == pytest.approx(0, abs=1e-15)
    assert at(1 + 1j, 1 + 1j, filling=0.3) == pytest.approx(-0.0550317795, abs=1e-10)


def test_symmetries_of_the_rashba_currents():
    """Exchanging the spins and particles with holes turns all currents around; where there is no current for other reasons."""
    look = jax.jit(lambda m: (m.current(), m.current_up(), m.current_down()))
    make = qd.models.RashbaRectifier
    for filling in (1.0, 0.6):
        for up in (0.9, 0.35):
            flow, I_up, I_down = map(float, look(make(dephasing_up=up, filling=filling, length=256)))
            other = list(map(float, look(make(dephasing_up=1 - up, filling=2 - filling, length=256))))
            assert other == pytest.approx([-flow, -I_down, -I_up], abs=1e-14) and abs(I_up) > 1e-3
            assert flow == pytest.approx(I_up + I_down, abs=1e-15)
    nothing = ({"field": 0.0, "length": 256}, {"alpha_z": 0.0}, {"alpha_y": 0.0}, {"dephasing_up": 0.5}, {"drive": 0.0}, {"drive": 1.0})
    for given in nothing:
        assert float(make(**given).current()) == pytest.approx(0, abs=1e-14), given
    assert float(make(dephasing_up=0.5, filling=0.7).current()) == pytest.approx(0.0173335, abs=1e-7)
    odd = np.asarray(make(field=0.0, length=256).occupations())[:, 1:]
    assert np.abs(odd - odd[:, ::-1]).max() == pytest.approx(0.1924, abs=1e-3)  # n is not even, yet nothing flows


def test_driving_bath_alone():
    """Raman: lambda = ln(a/b) + const; Rashba: n = filling/2 everywhere, also where no bath acts."""
    m = qd.models.RamanRectifier(drive=1.0, length=64, filling=0.3)
    q = np.asarray(m.momenta())
    a, b = abs(1 - (1 + 0.5j) * np.exp(1j * q)) ** 2, abs(1 + (1 + 1j) * np.exp(-1j * q)) ** 2
    rest = np.asarray(m.lagrange_parameters()) - np.log(a / b)
    close(rest, np.full(64, rest.mean()), 1e-13)
    for up in (1.0, 0.3, 0.0):
        close(qd.models.RashbaRectifier(drive=1.0, dephasing_up=up, filling=0.7, length=64).occupations(), np.full((2, 64), 0.35), 1e-14)


def test_the_coupling_does_not_matter_in_the_end():
    for model in (qd.models.RamanRectifier(length=64), qd.models.RashbaRectifier(length=64)):
        close(model.replace(coupling=3.0).occupations(), model.occupations(), 1e-14)
        scaled = {"J": 2.0, "beta": model.beta / 2}
        if isinstance(model, qd.models.RashbaRectifier):
            scaled |= {name: 2 * getattr(model, name) for name in ("alpha_y", "alpha_z", "field")}
        assert float(model.replace(**scaled).current()) == pytest.approx(2 * float(model.current()), abs=1e-14)


def test_many_body_spaces_of_no_use_are_refused():
    with pytest.raises(ValueError, match="length must be at most [0-9]+ modes for a many-body state, but there are 40"):
        FockSpace(40)
    with pytest.raises(ValueError, match="particles must be between 0 and 4, but was 5"):
        FockSpace(4, 5)
