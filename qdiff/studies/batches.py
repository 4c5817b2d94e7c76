"""One compiled program for many parameter points: as many at once as memory allows, on all devices of this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from ..models.base import Model, as_number, sharing
from ..models.parameters import assigned
from ..results import NotUnique, SolveError, failing, failures, told

# More points in one call than this gain nothing: a processor's caches are full, a GPU's lanes are busy.
_MOST = {"cpu": 256, "gpu": 65536, "tpu": 65536}
# At the first of XLA's levels programs run as fast as at its default, and compile in four fifths of the time. Here the emitters of
# fused loops stay: many points at once take up to twice as long without them.
_COMPILER: dict[str, Any] = {"xla_backend_optimization_level": 1}
# The share of the free memory that one call may take.
_SHARE = 0.25


def variables(model: Model, merits: tuple[str, ...], gradient: bool) -> Callable:
    """The function of a model that returns, by variable name, figures of merit and their derivatives.

    A derivative is named d_MERIT_d_PARAMETER; a complex figure of merit becomes MERIT_real and MERIT_imag.
    """

    def values(model):
        with failures("nan"), sharing():
            return {name: as_number(name, getattr(model, name)()) for name in merits}

    def real_scalars(model):
        found = values(model)
        return {k: v for k, v in found.items() if v.ndim == 0 and jnp.issubdtype(v.dtype, jnp.floating)}, found

    def both(model):
        kept = {name: getattr(model, name) for name in _floats(model)}

        def of(kept):
            real, found = real_scalars(eqx.tree_at(lambda m: [getattr(m, n) for n in kept], model, list(kept.values())))
            return real or {"": jnp.zeros(())}, found  # JAX cannot differentiate nothing

        # Forward mode costs a solve for each parameter, reverse mode one for each figure of merit.
        jacobian = jax.jacfwd if len(kept) <= len(merits) else jax.jacrev
        slopes, found = jacobian(of, has_aux=True)(kept)
        return {**found, **{f"d_{f}_d_{p}": d for f, row in slopes.items() if f for p, d in row.items()}}

    def split(model):
        out = {}
        for name, value in (both if gradient else values)(model).items():
            if jnp.iscomplexobj(value):
                out |= {f"{name}_real": value.real, f"{name}_imag": value.imag}
            else:
                out[name] = value.astype(float)
        return out

    return split


def _floats(model: Model) -> list[str]:
    """The parameters that can be differentiated."""
    return [name for name, about in type(model).parameters().items() if not about.static and getattr(model, name) is not None]


def _order(name: str, merits: tuple[str, ...]) -> int:
    """The place of a variable: figures of merit as they were asked for, and then derivatives."""
    return next((k for k, merit in enumerate(merits) if name in (merit, f"{merit}_real", f"{merit}_imag")), len(merits))


def shared_out(run: Callable, fixed: int, many: int, devices: list) -> tuple[Any, NamedSharding | None]:
    """A function with its last arguments, `many` arrays, and its results shared out by rows among devices, and how these lie.

    The arguments before them, `fixed` in number, are the same on all. None of one device.
    """
    if len(devices) == 1:
        return run, None
    mesh = jax.make_mesh((len(devices),), ("points",), devices=devices)
    spread = PartitionSpec("points")
    specs = (*[PartitionSpec()] * fixed, *[spread] * many)
    # Every device runs the same program on its own points; nothing is exchanged.
    run = jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=spread, check_vma=False)
    return run, NamedSharding(mesh, spread)


def filled(x: np.ndarray, rows: int, sharding: NamedSharding | None) -> Any:
    """x (n, ...) with its last row again up to so many rows, on the devices."""
    full = np.concatenate([x, np.broadcast_to(x[-1], (rows - len(x), *x.shape[1:]))])
    return full if sharding is None else jax.device_put(full, sharding)


class Batches:
    """Figures of merit of a model at many points, (points, names) -> variable -> (points, ...).

    Args:
        model: the device. names: the parameters that vary. merits: names. gradient: whether to differentiate.
        points: how many there will be in all. chunk: points in one call; by default what memory allows, which is read
            off the compiled program.

    Attributes:
        chunk: points in one call. shapes: variable -> its shape at one point.
    """

    def __init__(self, model: Model, names: tuple[str, ...], merits: tuple[str, ...], gradient: bool, points: int, chunk: int | None):
        self._model, self._names = model, names
        self._values = variables(model, merits, gradient)
        self._devices = jax.local_devices()
        if chunk is None:
            most = _MOST.get(self._devices[0].platform, _MOST["gpu"])
            self._compile(-(-points // -(-points // most)))  # calls of one size, so that the last one is as full as the others
        else:
            self._compile(min(points, chunk))
        found = {name: tuple(v.shape[1:]) for name, v in self._program.out_info.items()}
        self.shapes = dict(sorted(found.items(), key=lambda v: _order(v[0], merits)))
        if chunk is None and (allowed := self._allowed()) < self.chunk:
            self._compile(allowed)

    def _at(self, model, x):
        return self._values(assigned(model, {name: x[k] for k, name in enumerate(self._names)}))

    def _compile(self, points: int):
        count = len(self._devices)
        self.chunk = -(-points // count) * count
        run, self._sharding = shared_out(jax.vmap(self._at, in_axes=(None, 0)), 1, 1, self._devices)
        x = jax.ShapeDtypeStruct((self.chunk, len(self._names)), float, sharding=self._sharding)
        self._program = jax.jit(run).lower(self._model, x).compile(_COMPILER)

    def _allowed(self) -> int:
        """How many points fit, by what the compiled program says it needs."""
        found: Any = self._program.memory_analysis()
        needed = found.temp_size_in_bytes + found.output_size_in_bytes + found.argument_size_in_bytes
        if self._devices[0].platform == "cpu":
            needed, free = needed * len(self._devices), os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        else:
            stats = self._devices[0].memory_stats() or {}
            free = stats.get("bytes_limit", needed / _SHARE) - stats.get("bytes_in_use", 0)
        return max(1, min(self.chunk, int(self.chunk * _SHARE * free / max(needed, 1))))

    def __call__(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The variables at the points x (at most `chunk`, names)."""
        given = filled(x, self.chunk, self._sharding)
        out = jax.device_get(self._program(self._model, given))
        return {name: np.asarray(out[name])[: len(x)] for name in self.shapes}


class Reasons:
    """Why a point has no value: the sentence of the refusal or of the failed solve.

    Args: as of `Batches`. At most `most` points are asked again, one at a time.
    """

    BY_ITSELF = "the merit is not a finite number at this point, though nothing failed"

    def __init__(self, model: Model, names: tuple[str, ...], merits: tuple[str, ...], most: int = 1000):
        self._model, self._names, self._merits, self._left, self._most = model, names, merits, most, most

    def __call__(self, x: np.ndarray) -> str:
        """The reason at one point x (names,)."""
        if self._left == 0:
            return f"not examined: {self._most} points had failed before it"
        self._left -= 1
        try:
            model = self._model.replace(**dict(zip(self._names, x.tolist(), strict=True)))
            told(_again, model, self._merits)
        except (ValueError, SolveError, NotUnique) as error:
            return " ".join(str(error).split())
        return self.BY_ITSELF


@partial(eqx.filter_jit)
def _again(model, merits):
    with failing("tell"), sharing():
        return {name: getattr(model, name)() for name in merits}
