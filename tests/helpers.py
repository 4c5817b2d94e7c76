"""Shared by the tests: comparisons that cannot pass on NaN, finite differences, and brute-force generators in NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def close(got, want, tol: float, scale: float | None = None):
    """Assert |got - want| <= tol * scale everywhere; scale is by default the largest entry of `want`."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"shapes {got.shape} and {want.shape}"
    assert got.size > 0 and np.all(np.isfinite(want)), "nothing to compare with"
    scale = float(np.abs(want).max()) if scale is None else scale
    assert scale > 0, "the expected value is zero throughout: give a scale"
    worst = np.abs(got - want).max()
    assert worst <= tol * scale, f"differs by {worst / scale:.3g} of {scale:.3g}, allowed {tol:g}:\n{got}\n{want}"


def reference_numbers(name: str):
    """The reference numbers in data/NAME.json; a list of entries by their "id"."""
    found = json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())
    return {entry["id"]: entry for entry in found} if isinstance(found, list) else found


def slow_but(names, *usual):
    """Parameters of a test, of which all but the usual ones are run with the slow tests."""
    assert set(usual) <= set(names), f"{usual} of {list(names)}"
    return [pytest.param(name, marks=[] if name in usual else [pytest.mark.slow]) for name in names]


def derivative(f, x, h: float = 1e-2):
    """Gradient of f at x (n,) by central differences, extrapolated twice: error O(h^6) + eps |f| / h."""
    x = np.asarray(x, float)
    out = []
    for k in range(x.size):
        unit = np.zeros(x.size)
        unit[k] = max(abs(x[k]), 0.1)
        d = [(np.asarray(f(x + s * unit)) - np.asarray(f(x - s * unit))) / (2 * s) for s in (h, h / 2, h / 4)]
        e = [(4 * b - a) / 3 for a, b in zip(d, d[1:], strict=False)]
        out.append((16 * e[1] - e[0]) / 15 / unit[k])
    return np.array(out)


def dissipator(A):
    """D[A] as a matrix on row-major vectors."""
    A = np.asarray(A, complex)
    eye, K = np.eye(len(A)), A.conj().T @ A
    return np.kron(A, A.conj()) - 0.5 * np.kron(K, eye) - 0.5 * np.kron(eye, K.T)


def unitary(H):
    """-i[H, .] on row-major vectors."""
    H = np.asarray(H, complex)
    eye = np.eye(len(H))
    return -1j * (np.kron(H, eye) - np.kron(eye, H.T))


def davies(H, A, emission, absorption=None, negative="odd", tol=1e-9):
    """The Davies dissipator of one bath: eigh, frequencies grouped by value, Kronecker products.

    Hermitian coupling: give `emission` only. Rotating wave: A is the operator that lowers; both rates are used.
    """
    e, v = np.linalg.eigh(np.asarray(H))
    A = v.conj().T @ np.asarray(A) @ v
    omega = e[None, :] - e[:, None]  # energy given to the bath by <to| A |from>
    out = np.zeros((len(e) ** 2,) * 2, complex)
    left = np.abs(A) > 1e-13 * np.abs(A).max()
    while left.any():
        w = omega[left][0]
        line = left & (np.abs(omega - w) < tol)
        part = v @ np.where(line, A, 0) @ v.conj().T
        left &= ~line
        if negative == "drop" and w < 0:
            continue
        out += emission(w) * dissipator(part)
        if absorption is not None:
            out += absorption(w) * dissipator(part.conj().T)
    return out


def null_state(L):
    """The density matrix with L rho = 0, Tr rho = 1; fails unless it is unique."""
    _, s, vh = np.linalg.svd(L)
    assert s[-1] < 1e-11 * s[0] < s[-2], f"stationary state not unique or not there: singular values {s[-2:]} of {s[0]}"
    n = round(len(L) ** 0.5)
    rho = vh[-1].conj().reshape(n, n)
    return rho / np.trace(rho)


def flow(L, rho, H):
    """Tr[H L rho], real."""
    return np.trace(np.asarray(H) @ (L @ np.asarray(rho).ravel()).reshape(np.shape(H))).real


def ohmic(strength, cutoff=None):
    """J(omega)/omega of an Ohmic density."""
    return lambda w: strength if cutoff is None else strength / (1 + (w / cutoff) ** 2)


def rates(beta, per_frequency):
    """Emission and absorption of a bosonic bath, plain NumPy."""

    def absorption(w):
        return per_frequency(w) * (1 / beta if w == 0 else w / np.expm1(beta * w))

    return (lambda w: absorption(-w)), absorption


def random_hermitian(rng, n, real=False):
    h = rng.normal(size=(n, n)) + (0 if real else 1j) * rng.normal(size=(n, n))
    return (h + h.conj().T) / 2


def random_density(rng, n):
    """A density matrix of full rank."""
    root = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
    return root @ root.conj().T / np.sum(np.abs(root) ** 2)
