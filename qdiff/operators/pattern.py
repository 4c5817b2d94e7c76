"""Static sparsity: which entries of a square matrix can be non-zero.

Everything here is plain NumPy and happens while a program is traced, never while it runs.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np


class Pattern:
    """The set of entries of an (n, n) matrix that may be non-zero, in row-major order.

    Args:
        size: dimension n.
        row, col: integer arrays (nnz,), the positions; duplicates are merged and the order is fixed here.

    Hashable and comparable by content, so that it can be the static part of a JAX pytree.
    """

    __slots__ = ("size", "row", "col", "_digest", "__weakref__")

    def __init__(self, size: int, row, col):
        self.size = int(size)
        key = np.unique(np.asarray(row, np.int64) * self.size + np.asarray(col, np.int64))
        self.row, self.col = key // self.size, key % self.size
        self._digest = hashlib.blake2b(key.tobytes() + str(self.size).encode(), digest_size=16).digest()

    @property
    def nnz(self) -> int:
        return self.row.size

    @property
    def keys(self) -> np.ndarray:
        return self.row * self.size + self.col

    def __hash__(self):
        return hash(self._digest)

    def __eq__(self, other):
        return isinstance(other, Pattern) and self._digest == other._digest

    def __repr__(self):
        return f"Pattern(size={self.size}, nnz={self.nnz})"

    def find(self, row, col) -> np.ndarray:
        """Index of each (row, col) in this pattern, -1 where it is not there."""
        key = np.asarray(row, np.int64) * self.size + np.asarray(col, np.int64)
        if self.nnz == 0:
            return np.full(key.shape, -1)
        at = np.minimum(np.searchsorted(self.keys, key), self.nnz - 1)
        return np.where(self.keys[at] == key, at, -1)


def diagonal(size: int) -> Pattern:
    return Pattern(size, np.arange(size), np.arange(size))


@functools.lru_cache(maxsize=4096)
def union(a: Pattern, b: Pattern) -> tuple[Pattern, np.ndarray, np.ndarray]:
    """The union, and where the entries of `a` and of `b` stand in it."""
    out = Pattern(a.size, np.concatenate([a.row, b.row]), np.concatenate([a.col, b.col]))
    return out, out.find(a.row, a.col), out.find(b.row, b.col)


@functools.lru_cache(maxsize=4096)
def product(a: Pattern, b: Pattern) -> tuple[Pattern, np.ndarray, np.ndarray, np.ndarray]:
    """The pattern of a matrix product, and its terms: out[k[t]] += a[i[t]] * b[j[t]]."""
    i, j = join(a.col, b.row, a.size)
    out = Pattern(a.size, a.row[i], b.col[j])
    return out, i, j, out.find(a.row[i], b.col[j])


@functools.lru_cache(maxsize=4096)
def adjoint(a: Pattern) -> tuple[Pattern, np.ndarray]:
    """The transposed pattern, and where each of its entries stood in `a`."""
    out = Pattern(a.size, a.col, a.row)
    return out, a.find(out.col, out.row)


def join(left, right, size: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (i, j) with left[i] == right[j], keys in range(size)."""
    order = np.argsort(right, kind="stable")
    count = np.bincount(right, minlength=size)
    start = np.concatenate([[0], np.cumsum(count)])
    times = count[left]
    i = np.repeat(np.arange(len(left)), times)
    offset = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return i, order[start[np.asarray(left)[i]] + offset] if i.size else i


def components(size: int, row, col) -> np.ndarray:
    """Label (size,) of the connected component of each vertex, edges taken in both directions."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(row)), (row, col)), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def closed_classes(size: int, source, target, member) -> list[np.ndarray]:
    """The sets of mutually reachable members from which no other set of members can be reached.

    Args:
        source, target: the directed edges. member: boolean (size,), the vertices that count; the others only
            carry paths.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(source)), (source, target)), shape=(size, size))
    count, label = connected_components(graph, directed=True, connection="strong")
    edge = label[source] != label[target]
    steps = coo_matrix((np.ones(edge.sum()), (label[source][edge], label[target][edge])), shape=(count, count)).tocsr()
    holds = np.zeros(count, bool)
    holds[label[member]] = True
    out = []
    for c in np.flatnonzero(holds):
        front = seen = np.array([c])
        while front.size and not holds[seen[1:]].any():
            front = np.setdiff1d(np.unique(steps[front].indices), seen)
            seen = np.concatenate([seen, front])
        if not holds[seen[1:]].any():
            out.append(np.flatnonzero((label == c) & member))
    return out


def levels(size: int, row, col) -> list[np.ndarray]:
    """A partition into consecutive levels such that edges join only neighbouring ones.

    The level sets of a breadth-first search from a vertex far from the others: numbered level by level,
    a matrix with this pattern is block tridiagonal. The narrowest of a few starts is kept. Separate
    components are searched one after the other.
    """
    from scipy.sparse import coo_matrix

    graph = coo_matrix((np.ones(len(row)), (row, col)), shape=(size, size)).tocsr()
    graph = ((graph + graph.T) != 0).tocsr()
    label = components(size, row, col)
    out: list[np.ndarray] = []
    for c in range(label.max() + 1 if size else 0):
        members = np.flatnonzero(label == c)
        degree = np.diff(graph.indptr)[members]
        best = _search(graph, np.array([members[np.argmin(degree)]]))
        for _ in range(4):
            # Starting from the whole last level, then from its least connected vertex, finds longer
            # and narrower structures; four rounds are enough for graphs that have a long direction.
            last = best[-1]
            trials = [_search(graph, last), _search(graph, last[[np.argmin(np.diff(graph.indptr)[last])]])]
            better = min(trials, key=lambda s: max(map(len, s)))
            if max(map(len, better)) >= max(map(len, best)):
                break
            best = better
        out += best
    return out


def _search(graph, start: np.ndarray) -> list[np.ndarray]:
    seen = np.zeros(graph.shape[0], bool)
    seen[start] = True
    out, front = [start], start
    while True:
        step = np.unique(graph[front].indices)
        front = step[~seen[step]]
        if not front.size:
            return out
        seen[front] = True
        out.append(front)
