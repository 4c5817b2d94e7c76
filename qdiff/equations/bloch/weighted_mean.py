"""Weighted means over very many points, in chunks and on all devices, with a derivative that is summed in the same pass."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, PartitionSpec

from ...operators.checks import count

# Points whose arrays fit into the cache of a core, and few enough for XLA to leave each loop to one core.
_CHUNK = 1024
# Enough points to fill a GPU, if they fit a quarter of its free memory, or 14 GiB where it does not tell what is free.
_CHUNK_GPU, _SHARE, _UNTOLD = 2**22, 0.25, 14 * 2**30


def weighted_mean(terms: Callable, parameters, k, *, chunk: int | None = None, each: float = 1.0):
    """sum_k w f / sum_k w over an array k (points,), where terms(parameters, k) gives (log w, f), arrays like k.

    In chunks, and on all devices: those of this process; of every process, where k is spread over them; of the mesh that
    is active (`jax.set_mesh`). Within a `jax.shard_map` each device has work of its own, and does this alone.

    Args:
        chunk: points at once on each device, by default as many as suit it. each: bytes that a point takes meanwhile.
    """
    size, mesh = k.shape[0], _mesh(k)
    devices = mesh.size if mesh else 1
    chunk = None if chunk is None else count("chunk", chunk, 1)
    chunk = min(chunk or suited(each), -(-size // devices))
    rows = -(-size // chunk)
    rows += -rows % devices
    whole = size == rows * chunk
    k = _moved(k, mesh, PartitionSpec())
    k = (k if whole else jnp.pad(k, (0, rows * chunk - size), mode="edge")).reshape(rows, chunk)
    terms, parameters = _open(terms, parameters, chunk)
    total = _Sum(terms, size, chunk, mesh)(parameters, k)
    return total[1] / total[0]


def _open(terms: Callable, parameters, chunk: int):
    """Terms and parameters such that whatever may be differentiated is among these, also what the terms close over.

    A rule for derivatives does not see that: under `jit` its derivative would be zero.
    """
    converted, closed = jax.closure_convert(terms, parameters, jax.ShapeDtypeStruct((chunk,), float))
    if not closed:
        return terms, parameters
    return lambda both, k: converted(both[0], k, *both[1]), (parameters, closed)


def suited(each: float) -> int:
    """How many points of `each` bytes suit this process's first device."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return _CHUNK
    stats = device.memory_stats() or {}
    known = "bytes_limit" in stats
    room = _SHARE * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) if known else _UNTOLD
    fit = max(1, int(room / each))
    return min(_CHUNK_GPU, 2 ** (fit.bit_length() - 1))  # a power of two: what little else is in use compiles no new program


def _mesh(k):
    """The devices that share the points k; None for one alone."""
    active = jax.sharding.get_abstract_mesh()
    if not active.empty:
        # Within a shard_map, as of a sweep on several devices, these are no longer free.
        return None if AxisType.Manual in active.axis_types else active
    spread = not isinstance(k, Tracer) and not k.is_fully_addressable
    devices = jax.devices() if spread else jax.local_devices()
    return Mesh(np.array(devices), ("k",)) if len(devices) > 1 else None


def _moved(x, mesh, spec):
    """x with its points spread so, where the active mesh has axes that ask for it."""
    explicit = mesh is not None and AxisType.Explicit in mesh.axis_types
    return jax.sharding.reshard(x, spec) if explicit else x


class _Sum:
    """(sum w, sum w f), w = exp(log w - shift), with a derivative that is summed in the same pass. Static."""

    def __init__(self, terms, size, chunk, mesh):
        self.terms, self.size, self.chunk, self.mesh = terms, size, chunk, mesh

    def __call__(self, parameters, k):
        # A rule of its own, so that value and gradient are one pass: reverse differentiation of the
        # scan would evaluate every chunk twice, once for the sum and once more on the way back.
        @jax.custom_jvp
        def total(parameters, k):
            return self._over(self._value, parameters, k)

        @total.defjvp
        def _(primals, tangents):
            (parameters, k), (change, _) = primals, tangents
            value, slope = self._over(self._value_and_slope, parameters, k)
            leaves = zip(jax.tree.leaves(slope), jax.tree.leaves(change), strict=True)
            moved = [jnp.tensordot(s, jnp.asarray(c, float), jnp.ndim(c)) for s, c in leaves if jnp.result_type(c) != jax.dtypes.float0]
            return value, sum(moved, jnp.zeros(2))

        return total(parameters, k)

    def _weights(self, log_weight, first):
        """exp(log w - shift), zero for what only fills up the last chunk, and the shift, the largest log w."""
        there = first + jnp.arange(self.chunk) < self.size
        log_weight = jnp.where(there, log_weight, -jnp.inf)
        shift = lax.stop_gradient(jnp.max(log_weight))
        # A chunk of nothing has no largest one.
        return jnp.exp(log_weight - jnp.where(shift > -jnp.inf, shift, 0.0)), shift

    def _value(self, parameters, k, first):
        log_weight, f = self.terms(parameters, k)
        w, shift = self._weights(log_weight, first)
        return shift, jnp.stack([jnp.sum(w), jnp.sum(w * f)])

    def _value_and_slope(self, parameters, k, first):
        """Besides, the derivatives of both sums in the parameters: d sum w = sum w dlog w, d sum w f = sum (w f dlog w + w df)."""
        log_weight, of_weight = jax.vjp(lambda p: self.terms(p, k)[0], parameters)
        f, of_term = jax.vjp(lambda p: self.terms(p, k)[1], parameters)
        w, shift = self._weights(log_weight, first)
        of_both = jax.tree.map(jnp.add, of_weight(w * f)[0], of_term(w)[0])
        slope = jax.tree.map(lambda *x: jnp.stack(x), of_weight(w)[0], of_both)
        return shift, (jnp.stack([jnp.sum(w), jnp.sum(w * f)]), slope)

    def _over(self, one, parameters, k):
        """What `one` gives for each chunk, summed at a common shift: over the chunks of a device, then over the devices."""
        mesh = self.mesh
        per_device = k.shape[0] // (mesh.size if mesh else 1)

        def local(parameters, k, start):
            def step(carry, row):
                k, number = row
                return _joined(carry, one(parameters, k, (start[0] + number) * self.chunk)), None

            shapes = jax.eval_shape(one, parameters, k[0], 0)
            empty = (jnp.full((), -jnp.inf), jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes[1]))
            # Checkpointed: higher derivatives go through this scan, and would keep what every chunk
            # computed.
            return lax.scan(jax.checkpoint(step), empty, (k, jnp.arange(per_device)))[0]

        if mesh is None:
            return local(parameters, k, jnp.zeros(1, int))[1]

        def shared(parameters, k, start):
            shift, values = local(parameters, k, start)
            top = lax.pmax(shift, mesh.axis_names)
            return jax.tree.map(lambda x: lax.psum(x * jnp.exp(shift - top), mesh.axis_names), values)

        over, all_ = PartitionSpec(mesh.axis_names), PartitionSpec()
        starts = _moved(jnp.arange(mesh.size) * per_device, mesh, over)
        run = jax.shard_map(shared, mesh=mesh, in_specs=(all_, over, over), out_specs=all_, check_vma=False)
        return run(parameters, _moved(k, mesh, over), starts)


def _joined(a, b):
    """Two sums with shifts of their own as one."""
    # Each chunk is scaled by its own largest weight, as in a running log-sum-exp: one pass, no
    # overflow.
    top = jnp.maximum(a[0], b[0])
    scale = [jnp.exp(x[0] - top) for x in (a, b)]
    return top, jax.tree.map(lambda x, y: scale[0] * x + scale[1] * y, a[1], b[1])
