"""The sector that a generator's motion can reach, found while tracing.

Starting from the populations (or from the support of an initial state), every element of the density matrix that the
motion can ever reach is found from static patterns and generic numbers.
"""

from __future__ import annotations

import numpy as np

from ...operators.pattern import Pattern, join
from ...operators.structure import PROBES, sums_of, vanishes
from .entries import LEFT, Entries, entries
from .sector import Sector
from .terms import AbstractTerms


class TooMany(Exception):
    """A sector has more terms than were asked for."""


def reach(
    generator: AbstractTerms,
    start: Pattern | None = None,
    *,
    counted: str | None = None,
    most: float = np.inf,
) -> Sector:
    """The sector that the populations (or the elements of `start`, in the generator's frame) reach.

    The jumps of a `counted` bath are told apart: what two of them add to one element may cancel in the generator,
    but not where they are counted with different weights.

    Raises:
        TooMany: there are more than `most` terms, before as many are made.
    """
    dim, labels = generator.H.size, generator.labels
    terms = entries(generator)
    if most < np.inf:
        _refuse_many(dim, terms, most)
    loss = _loss(dim, labels, terms)
    kinds = _Kinds(len(labels), None if counted is None else labels.index(counted))
    found = _explore(dim, generator.H, terms, loss, start, kinds, most)
    return _real_form(dim, labels, generator.H, terms, loss, found, start, kinds)


def _refuse_many(dim: int, terms: Entries, most: float):
    """Raise `TooMany` if the losses alone, or the gains of the populations, have more terms."""
    left, right = terms.left, terms.right
    for one, other in ((left.row, right.row), (left.col, right.col)):
        keys = np.concatenate([left.group * dim + one, right.group * dim + other])
        places, at = np.unique(keys, return_inverse=True)
        first, second = (np.bincount(part, minlength=places.size) for part in (at[: one.size], at[one.size :]))
        if first @ second > most:
            raise TooMany


class _Kinds:
    """Numbers for the kinds of terms that may cancel among themselves: of H, or of the losses or the gains of one bath.

    The gains of the `counted` bath are of one kind for each jump.
    """

    def __init__(self, baths: int, counted: int | None):
        self.baths, self.counted = baths, counted

    def __call__(self, family, label, jump):
        kind = family * (self.baths + 1) + label + 1
        if self.counted is None:
            return kind
        return np.where((family == 2) & (label == self.counted), 3 * (self.baths + 1) + jump, kind)


def _loss(dim, labels, terms: Entries):
    """K_b = sum c B^dag A of every bath b as one sparse list, with the bilinear terms behind it.

    Those which stand only to the left of rho, or only to its right, are listed apart.
    """
    left, right, groups = terms.left, terms.right, max(terms.coefficient.shape[1], 1)
    p, q = join(right.row * groups + right.group, left.row * groups + left.group, dim * groups)
    side = terms.side[right.group[p]]
    bath = terms.label[right.group[p]]
    key = ((side * len(labels) + bath) * dim + right.col[p]) * dim + left.col[q]
    keys, out = np.unique(key, return_inverse=True)
    term = terms.coefficient[:, right.group[p]] * right.probe[:, p].conj() * left.probe[:, q]
    value, bound = sums_of(term, out, keys.size), sums_of(np.abs(term), out, keys.size)
    dead = vanishes(value, bound, int(np.bincount(out).max(initial=1)))
    keep = ~dead[out]
    number = np.cumsum(~dead) - 1
    keys = keys[~dead]
    side = keys // (dim * dim * max(len(labels), 1))
    return {
        "label": keys // (dim * dim) % max(len(labels), 1),
        "row": keys // dim % dim,
        "col": keys % dim,
        "probe": value[:, ~dead],
        "left": -LEFT[side],
        "right": LEFT[side] - 1,
        "plan": {
            "out": number[out[keep]],
            "rate": right.group[p][keep],
            "p": right.place[p][keep],
            "q": left.place[q][keep],
            "size": np.array([keys.size]),
        },
    }


def _explore(dim, H, terms: Entries, loss, start, kinds, most):
    """Breadth-first search over density-matrix elements; returns all terms as a list of flat arrays."""
    made = 0
    A, B, coefficient = terms.left, terms.right, terms.coefficient
    groups = max(coefficient.shape[1], 1)
    hrow, hcol, hprobe = H.pattern.row, H.pattern.col, H.probe
    krow, kcol, klabel, kprobe = loss["row"], loss["col"], loss["label"], loss["probe"]
    ones = np.ones(hrow.size)
    products = [
        (hrow, hcol, 0, np.full(hrow.size, -1), -1j * ones, 1j * ones),
        (krow, kcol, 1, klabel, loss["left"], loss["right"]),
    ]
    if start is None:
        front = np.arange(dim) * dim + np.arange(dim)
    else:
        up = np.minimum(start.row, start.col) * dim + np.maximum(start.row, start.col)
        front = np.unique(np.r_[up])
    seen = front
    chunks = []
    while front.size:
        i, j = front // dim, front % dim
        off = i != j
        i, j = np.r_[i, j[off]], np.r_[j, i[off]]  # both rho_ij and its conjugate act as sources
        found = []  # family, label, target row, target col, source row, source col, weight, first, second, rate
        for prow, pcol, family, plabel, left, right in products:
            on = np.flatnonzero(left)
            e, s = join(pcol[on], i, dim)
            e = on[e]
            found.append((family, plabel[e], prow[e], j[s], i[s], j[s], left[e], e, e, e))
            on = np.flatnonzero(right)
            e, s = join(prow[on], j, dim)
            e = on[e]
            found.append((family, plabel[e], i[s], pcol[e], i[s], j[s], right[e], e, e, e))
        p, s = join(A.col, i, dim)
        q, t = join(B.col * groups + B.group, j[s] * groups + A.group[p], dim * groups)
        p, s = p[t], s[t]
        g = A.group[p]
        found.append((2, terms.label[g], A.row[p], B.row[q], i[s], j[s], np.ones(p.size), p, q, g))
        made += sum(f[1].size for f in found)
        if made > most:
            raise TooMany
        family = np.concatenate([np.full(f[1].size, f[0]) for f in found])
        columns = [np.concatenate([f[k] for f in found]) for k in range(1, 10)]
        keep = columns[1] <= columns[2]
        family, columns = family[keep], [c[keep] for c in columns]
        probe = np.zeros((PROBES, family.size), complex)
        for number, value in ((0, hprobe), (1, kprobe)):
            on = family == number
            probe[:, on] = columns[5][on] * value[:, columns[6][on]]
        on = family == 2
        first, second, c = columns[6][on], columns[7][on], coefficient[:, columns[8][on]]
        probe[:, on] = c * A.probe[:, first] * B.probe[:, second].conj()
        # What one bath's gain (or loss, or the Hamiltonian) adds to one element may cancel identically.
        target, origin = columns[1] * dim + columns[2], columns[3] * dim + columns[4]
        keep = ~_cancelled(np.stack([kinds(family, columns[0], columns[8]), target, origin]), probe)
        family, columns, probe = family[keep], [c[keep] for c in columns], probe[:, keep]
        chunks.append((family, columns, probe))
        new = np.setdiff1d(columns[1] * dim + columns[2], seen)
        seen, front = np.union1d(seen, new), new
    family = np.concatenate([c[0] for c in chunks])
    columns = [np.concatenate([c[1][k] for c in chunks]) for k in range(9)]
    probe = np.concatenate([c[2] for c in chunks], axis=1)
    return seen, family, columns, probe


def _cancelled(keys: np.ndarray, term: np.ndarray) -> np.ndarray:
    """Which terms belong to a sum (equal keys) that vanishes identically."""
    if not keys.shape[1]:
        return np.zeros(0, bool)
    _, at = np.unique(keys, axis=1, return_inverse=True)
    at = at.reshape(-1)
    size = at.max() + 1
    dead = vanishes(sums_of(term, at, size), sums_of(np.abs(term), at, size), int(np.bincount(at).max()))
    return dead[at]


def _real_form(dim, labels, H, terms: Entries, loss, found, start, kinds) -> Sector:
    seen, family, columns, probe = found
    label, trow, tcol, srow, scol, weight, first, second, rate = columns
    erow, ecol = seen // dim, seen % dim
    # Coordinates before pruning: the real part of element e is 2e, its imaginary part 2e + 1.
    target = np.searchsorted(seen, trow * dim + tcol)
    source = np.searchsorted(seen, np.minimum(srow, scol) * dim + np.maximum(srow, scol))
    # Numbering of the run-time list of real numbers: [H, loss, gain], real parts, then imaginary parts of the complex ones.
    gains = family == 2
    sizes = [H.pattern.nnz, loss["row"].size, int(gains.sum())]
    index = np.where(family == 0, first, first + sizes[0])
    index[gains] = sizes[0] + sizes[1] + np.arange(sizes[2])
    is_complex = [not H.is_real, terms.is_complex, terms.is_complex]
    imag_start, total = np.zeros(3, int), sum(sizes)
    for k in range(3):
        imag_start[k] = total
        total += sizes[k] if is_complex[k] else 0
    real_start = np.array([0, sizes[0], sizes[0] + sizes[1]])
    imag_index = imag_start[family] + index - real_start[family]
    has_imag = np.asarray(is_complex)[family]

    rows = []  # target coordinate, source coordinate, run-time term, weight, label, jump, kind, probe value
    kind, jump = kinds(family, label, rate), np.where(gains, rate, -1)
    diagonal = srow == scol
    for source_part, factor in ((0, np.ones(family.size, complex)), (1, np.where(srow < scol, 1j, -1j))):
        w = weight * factor
        for target_part in (0, 1):
            on = (source_part == 0) | ~diagonal
            on &= (target_part == 0) | (trow != tcol)
            # Re(w t) = Re w Re t - Im w Im t;  Im(w t) = Im w Re t + Re w Im t.
            from_real = w.real if target_part == 0 else w.imag
            from_imag = -w.imag if target_part == 0 else w.real
            for use, value, pick, raw in (
                (on & (from_real != 0), from_real, index, _raw(family, weight, probe).real),
                (on & (from_imag != 0) & has_imag, from_imag, imag_index, _raw(family, weight, probe).imag),
            ):
                rows.append(
                    (
                        2 * target[use] + target_part,
                        2 * source[use] + source_part,
                        pick[use],
                        value[use],
                        label[use],
                        jump[use],
                        kind[use],
                        value[use] * raw[:, use],
                    )
                )
    tgt, src, term, wgt, lab, hop, sort = (np.concatenate([r[k] for r in rows]) for k in range(7))
    value = np.concatenate([r[7] for r in rows], axis=1)
    dead = _cancelled(np.stack([sort, tgt, src]), value)
    tgt, src, term, wgt, lab, hop, value = (a[..., ~dead] for a in (tgt, src, term, wgt, lab, hop, value))

    if start is None:
        seed = 2 * np.flatnonzero(erow == ecol)
    else:
        at = np.searchsorted(seen, np.minimum(start.row, start.col) * dim + np.maximum(start.row, start.col))
        seed = np.r_[2 * at, 2 * at[start.row != start.col] + 1]
    alive = _reachable(2 * seen.size, src, tgt, seed)
    keep = alive[src] & alive[tgt]
    tgt, src, term, wgt, lab, hop, value = (a[..., keep] for a in (tgt, src, term, wgt, lab, hop, value))
    number = np.cumsum(alive) - 1
    coords = np.flatnonzero(alive)
    size = coords.size
    key = number[tgt] * size + number[src]
    entries, out = np.unique(key, return_inverse=True)
    order = np.argsort(out, kind="stable")

    # Gains and losses may cancel too, such as those of a conserved coherence; at run time they are still summed.
    value, size_of = sums_of(value, out, entries.size), sums_of(np.abs(value), out, entries.size)
    value[:, vanishes(value, size_of, int(np.bincount(out).max(initial=1)))] = 0

    # Only the gain terms still in use are computed at run time.
    used = np.flatnonzero(gains)
    plan = {
        "out": out[order],
        "term": term[order],
        "weight": wgt[order],
        "label": lab[order],
        "jump": hop[order],
        "rate": rate[used],
        "p": terms.left.place[first[used]],
        "q": terms.right.place[second[used]],
    }
    return Sector(
        dim,
        labels,
        (erow[coords // 2], ecol[coords // 2], coords % 2),
        (entries // size, entries % size),
        plan,
        loss["plan"],
        value,
        start is not None,
    )


def _raw(family, weight, probe):
    """The generic copies of the terms themselves: for H and the losses `probe` already holds weight * value."""
    return np.where(family == 2, probe, probe / weight)


def _reachable(size, source, target, seed):
    from scipy.sparse import coo_matrix

    graph = coo_matrix((np.ones(source.size), (source, target)), shape=(size, size)).tocsr()
    alive = np.zeros(size, bool)
    alive[seed] = True
    front = np.flatnonzero(alive)
    while front.size:
        step = np.unique(graph[front].indices)
        front = step[~alive[step]]
        alive[front] = True
    return alive
