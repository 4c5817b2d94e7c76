"""The eigenbasis of a structured Hamiltonian, differentiable also where uncoupled levels cross.

A basis state of one block never mixes with one of another, whatever the parameters; the blocks are found from
the pattern of H and, where symmetries hide in a single connected block, from generic copies of H. Each block is
diagonalised on its own, so that levels of different blocks may cross or coincide without any trace in the
derivatives. Within a block levels repel; where two of them are degenerate for all parameters, no gradient of
their eigenvectors enters. What remains is a conical point, at which there is no derivative, and at which the
eigenvectors are any: pairs of levels that are so close are listed, for those to refuse to whom they matter.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg.gather import sum_into, take
from ...operators.operator import Operator
from ...operators.pattern import Pattern, components
from ...operators.structure import PROBES, rounding, vanishes

# Numbers of the copies that differ by less than this part of the largest are equal: eigenvalues are rounded to some 1e-15.
SAME = 1e-13

# Levels of one block that are closer than this part of its size have eigenvectors that are wrong by more than some 1e-8, which
# is rounding of H over their distance, and by anything at distance zero.
RESOLVED = 1e-8

# Those of a pair are in closed form, and right at every distance that is not itself rounding of the two energies.
_ROUNDING = 16 * np.finfo(float).eps


@dataclasses.dataclass(frozen=True)
class Eigenbasis:
    """Energies (n,) [energy], the unitary frame V with H = V diag(energies) V^dag, and

    copies: (PROBES, n) the energies at generic parameters, in the same order;
    splitting: distance of the closest two levels of one block over the largest energy; a conical point at zero;
    pairs: (m, 2) levels of one block that are not equal for all parameters, and
    close: (m,) which of them are now so close that their eigenvectors are not known.
    """

    energies: jax.Array
    frame: Operator
    copies: np.ndarray
    splitting: jax.Array
    pairs: np.ndarray
    close: jax.Array


def eigenbasis(H: Operator) -> Eigenbasis:
    """Diagonalise H block by block."""
    basis, blocks, vague = _blocks(H)
    turned = H if basis is None else basis.dag @ H @ basis
    energies, copies = jnp.zeros(H.size), np.zeros((PROBES, H.size))
    rows, cols, values, probes, gaps = [], [], [], [], []
    pairs, close = [vague], [jnp.ones(len(vague), bool)]
    sizes = _sizes(H) if any(len(b) > 1 for b in blocks) else None
    for width in sorted({len(b) for b in blocks}):
        states = np.array([b for b in blocks if len(b) == width])  # (count, width)
        row, col = np.repeat(states, width, axis=1), np.tile(states, (1, width))
        at = turned.pattern.find(row, col)
        shape = (len(states), width, width)
        local = jnp.where(at >= 0, jnp.append(jnp.asarray(turned.values), 0.0)[at], 0).reshape(shape)
        fake = np.where(at >= 0, np.pad(turned.probe, ((0, 0), (0, 1)))[:, at], 0).reshape(PROBES, *shape)
        e_fake, v_fake = np.linalg.eigh(fake)
        if width == 1:
            e, v = jnp.real(local[..., 0]), jnp.ones(shape)
        elif width == 2:
            e, v = _doublet(local)
        else:
            gap = np.abs(e_fake[..., :, None] - e_fake[..., None, :])
            apart = np.any(gap > 1e-11 * gap.max(), axis=0)
            # Rounding of LAPACK's is that of what it is given: without a common energy it is that of the distances.
            mean = jnp.mean(jnp.real(jnp.diagonal(local, axis1=1, axis2=2)), axis=1)
            e, v = _eigh(local - mean[:, None, None] * jnp.eye(width), apart)
            e = e + mean[:, None]
        if width > 1:
            gap = jnp.abs(e[..., :, None] - e[..., None, :])
            bound = apart if width > 2 else ~np.eye(2, dtype=bool)
            gaps.append(jnp.min(jnp.where(bound, gap, jnp.inf)))
            which, i, j = np.nonzero(np.triu(np.broadcast_to(bound, gap.shape), 1))
            least = RESOLVED * jnp.asarray(sizes)[states[:, 0]]
            if width == 2 and basis is None:
                least = jnp.full(len(states), _ROUNDING * jnp.max(jnp.abs(jnp.asarray(H.values))))
            pairs.append(np.stack([states[which, i], states[which, j]], axis=1))
            close.append(gap[which, i, j] <= least[which])
        energies = energies.at[states].set(e)
        copies[:, states] = e_fake
        rows.append(row.ravel())
        cols.append(col.ravel())
        values.append(v.ravel())
        probes.append(v_fake.reshape(PROBES, -1))
    row, col = np.concatenate(rows), np.concatenate(cols)
    pattern = Pattern(H.size, row, col)
    order = np.empty(pattern.nnz, int)
    order[pattern.find(row, col)] = np.arange(row.size)
    frame = Operator(pattern, jnp.concatenate(values)[order], H.space, probe=np.concatenate(probes, axis=1)[:, order])
    splitting = jnp.min(jnp.stack(gaps)) / jnp.max(jnp.abs(energies)) if gaps else jnp.asarray(jnp.inf)
    pairs = np.concatenate(pairs)
    differ = np.flatnonzero(np.any(np.abs(copies[:, pairs[:, 0]] - copies[:, pairs[:, 1]]) > SAME * np.abs(copies).max(), axis=0))
    close = lax.stop_gradient(jnp.concatenate(close)[differ])
    return Eigenbasis(energies, frame if basis is None else basis @ frame, copies, splitting, pairs[differ], close)


def _sizes(H: Operator):
    """For each state the size of the block of the pattern that it belongs to, less the block's mean energy (n,) [energy]."""
    label = components(H.size, H.pattern.row, H.pattern.col)
    count, row, on = int(label.max()) + 1, H.pattern.row, H.pattern.row == H.pattern.col
    values = jnp.asarray(lax.stop_gradient(H.values))
    mean = sum_into(jnp.real(values[on]), label[row[on]], count) / np.bincount(label)
    rest = values - jnp.where(on, mean[label[row]], 0.0)
    return jnp.sqrt(sum_into(jnp.real(rest * rest.conj()), label[row], count))[label]


def _blocks(H: Operator) -> tuple[Operator | None, list[np.ndarray], np.ndarray]:
    """A constant basis (None: the given one), the finest blocks that H has in it for all parameters, and pairs (m, 2) of levels in
    different ones whose basis states are not known, because the copy that they are from has them so close together."""
    label = components(H.size, H.pattern.row, H.pattern.col)
    order = np.argsort(label, kind="stable")
    whole = np.split(order, np.cumsum(np.bincount(label))[:-1])
    turned, blocks, vague = [], [], [np.zeros((0, 2), int)]
    for states in whole:
        n = len(states)
        parts = [np.arange(n)]
        if n > 1:
            at = H.pattern.find(np.repeat(states, n), np.tile(states, n))
            fake = np.where(at >= 0, H.probe[:, np.maximum(at, 0)], 0).reshape(PROBES, n, n)
            fake = fake - np.trace(fake, axis1=1, axis2=2)[:, None, None] / n * np.eye(n)
            # An eigenbasis of one generic copy splits the others along every subspace that is common to all.
            e, v = np.linalg.eigh(fake[0])
            rest = np.abs(v.conj().T @ fake[1:] @ v).max(axis=0) > 1e-12 * np.abs(fake).max()
            label = components(n, *np.nonzero(rest))
            if label.max() > 0:
                parts = [np.flatnonzero(label == c) for c in range(label.max() + 1)]
                turned.append((states, v))
                near = np.abs(e[:, None] - e) <= RESOLVED * np.abs(e).max()
                vague.append(states[np.argwhere(np.triu(near & (label[:, None] != label)))])
        blocks += [states[p] for p in parts]
    if not turned:
        return None, blocks, np.concatenate(vague)
    matrix = np.eye(H.size, dtype=complex if any(np.iscomplexobj(v) for _, v in turned) else float)
    for states, v in turned:
        matrix[np.ix_(states, states)] = np.where(np.abs(v) < 1e-14, 0, v)
    return Operator.from_dense(matrix, H.space), blocks, np.concatenate(vague)


def turned(op: Operator, frame: Operator) -> Operator:
    """V^dag op V for a frame V of eigenvectors.

    Levels are numbered by their energy within each block. In a block of three or more, levels may cross freely where a
    symmetry depends on the parameters, and then other entries vanish than in the generic copies. Between two such blocks all
    entries are kept, or none if all vanish. A multiple of one within a block, such as a conserved charge, stays one.
    """
    half, _, _ = frame.dag.times(op)
    whole, bound, most = half.times(frame)
    row, col = whole.pattern.row, whole.pattern.col
    small = rounding(whole.probe, bound, most)
    dead = np.all(small, axis=0)
    label = _labels(frame)
    width, count = np.bincount(label)[label], label.max() + 1
    pair = label[row] * count + label[col]
    alive = np.isin(pair, pair[~dead]) & ((width[row] > 2) | (width[col] > 2)) & ~_numbers(whole, label, dead, bound, most)[pair]
    # Every entry that is kept gets a non-zero sample: the next product would prune a zero one. Symmetric, for a Hermitian op.
    rng = np.random.default_rng(23)
    fill = rng.uniform(0.5, 1.5, (PROBES, label.size, label.size)) * np.abs(whole.probe).max(initial=0.0)
    probe = np.where(small & alive, (fill + np.swapaxes(fill, 1, 2))[:, row, col] / 2, whole.probe)
    at = np.flatnonzero(~dead | alive)
    return Operator(Pattern(whole.size, row[at], col[at]), take(whole.values, at), whole.space, probe=probe[:, at])


def _numbers(op: Operator, label: np.ndarray, dead: np.ndarray, bound: np.ndarray, most: int) -> np.ndarray:
    """For each pair of blocks (count^2,), whether it is a block with itself in which `op` is a multiple of one in all copies."""
    row, col, count = op.pattern.row, op.pattern.col, label.max() + 1
    diagonal, size = np.zeros((PROBES, label.size), complex), np.zeros((PROBES, label.size))
    on = row == col
    diagonal[:, row[on]], size[:, row[on]] = op.probe[:, on], bound[:, on]
    first = np.unique(label, return_index=True)[1][label]
    differs = ~vanishes(diagonal - diagonal[:, first], size + size[:, first], most)
    out = np.eye(count, dtype=bool)
    out[label[differs], label[differs]] = False
    mixed = ~dead & ~on & (label[row] == label[col])
    out[label[row[mixed]], label[col[mixed]]] = False
    return out.ravel()


def _labels(frame: Operator) -> np.ndarray:
    """A label (n,) of each level's block: levels of one block overlap between one generic copy and another."""
    at = (np.asarray(x, np.int64).tobytes() for x in (frame.pattern.row, frame.pattern.col))
    return _labels_of(frame.size, *at, np.asarray(frame.probe, complex).tobytes())


@functools.lru_cache(maxsize=64)
def _labels_of(n: int, row: bytes, col: bytes, probe: bytes) -> np.ndarray:
    """That of a frame's pattern and copies: every operator that is turned into the frame asks for it."""
    copies = np.zeros((PROBES, n, n), complex)
    copies[:, np.frombuffer(row, np.int64), np.frombuffer(col, np.int64)] = np.frombuffer(probe, complex).reshape(PROBES, -1)
    overlap = np.abs(np.swapaxes(copies.conj(), 1, 2) @ np.roll(copies, 1, axis=0)).max(axis=0)
    labels = components(n, *np.nonzero(overlap > 1e-9))
    labels.setflags(write=False)
    return labels


def _doublet(h):
    """Eigenvalues (.., 2) ascending and eigenvectors (.., 2, 2) of Hermitian 2x2 matrices, in closed form.

    The small component is |b| / sqrt(2 W (W + |d|)), free of cancellation far from resonance.
    """
    d, b = jnp.real(h[..., 0, 0] - h[..., 1, 1]) / 2, h[..., 1, 0]
    mean = jnp.real(h[..., 0, 0] + h[..., 1, 1]) / 2
    square = d**2 + jnp.real(b * b.conj())
    conical = square == 0
    root = jnp.sqrt(jnp.where(conical, 1.0, square))
    first = d >= 0
    sum_ = root + jnp.where(first, d, -d)
    big = jnp.where(conical, 1.0, jnp.sqrt(sum_ / (2 * root)))
    small = jnp.where(conical, 0.0, b / jnp.sqrt(2 * root * sum_))
    big = big.astype(h.dtype)
    lower = jnp.stack([jnp.where(first, -small.conj(), big), jnp.where(first, big, -small)], -1)
    upper = jnp.stack([jnp.where(first, big, small.conj()), jnp.where(first, small, big)], -1)
    root = jnp.where(conical, 0.0, root)
    return jnp.stack([mean - root, mean + root], -1), jnp.stack([lower, upper], -1)


class _Mask:
    """A static array that can be an argument of a JAX rule."""

    def __init__(self, array):
        self.array = array

    def __hash__(self):
        return hash(self.array.tobytes())

    def __eq__(self, other):
        return isinstance(other, _Mask) and np.array_equal(self.array, other.array)


def _eigh(h, apart):
    return _eigh_rule(_Mask(apart), h)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _eigh_rule(apart, h):
    vectors, values = lax.linalg.eigh(h, sort_eigenvalues=True)
    return values, vectors


@_eigh_rule.defjvp
def _eigh_jvp(apart, primals, tangents):
    """First-order perturbation theory, with no mixing among levels that are degenerate for all parameters."""
    (h,), (dh,) = primals, tangents
    values, vectors = _eigh_rule(apart, h)
    turned = jnp.swapaxes(vectors.conj(), -1, -2) @ dh @ vectors
    gap = values[..., None, :] - values[..., :, None]
    tiny = jnp.abs(gap) <= 1e-14 * jnp.max(jnp.abs(values), axis=-1)[..., None, None]
    mix = jnp.where(apart.array & ~tiny, turned / jnp.where(tiny, 1.0, gap), 0.0)
    return (values, vectors), (jnp.real(jnp.diagonal(turned, axis1=-2, axis2=-1)), vectors @ mix)


def eigenvalues(op: Operator):
    """The eigenvalues (n,) of a Hermitian operator, block by block of its pattern and in no particular order.

    Differentiable where no two levels of one block cross; to first order also there.
    """
    out = []
    for _, _, local in blocks_of(op, op.values):
        width = local.shape[-1]
        if width == 1:
            e = jnp.real(local[..., 0])
        elif width == 2:
            e = _doublet(local)[0]
        else:
            e = _eigh(local, np.broadcast_to(~np.eye(width, dtype=bool), local.shape))[0]
        out.append(e.ravel())
    return jnp.concatenate(out)


def blocks_of(op: Operator, values):
    """The blocks of an operator's pattern, all of one width together, with `values` (nnz,) for its own: flat rows and columns of
    their entries, and matrices (count, width, width).
    """
    label = components(op.size, op.pattern.row, op.pattern.col)
    order = np.argsort(label, kind="stable")
    whole = np.split(order, np.cumsum(np.bincount(label))[:-1])
    for width in sorted({len(b) for b in whole}):
        states = np.array([b for b in whole if len(b) == width])
        row, col = np.repeat(states, width, axis=1), np.tile(states, (1, width))
        at = op.pattern.find(row, col)
        local = jnp.where(at >= 0, jnp.asarray(values)[np.maximum(at, 0)], 0).reshape(len(states), width, width)
        yield row.ravel(), col.ravel(), local
