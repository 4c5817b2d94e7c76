"""What `jax.vmap` makes of a function of one system: a batch on the last axis, or one member after the other."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap


def again(good, out, alone: Callable, *args):
    """The array `out`, but of every lane that is not `good` (lanes,) what alone(*its part of args) gives, one by one.

    The last axis of all arrays is the lane.
    """

    # A `lax.cond`: nearly always every lane is good, and then no slow solve is run at all.
    def those():
        at = jnp.argsort(good)  # those that are not good come first

        def one(k, out):
            lane = at[k]
            return out.at[..., lane].set(alone(*(a[..., lane] for a in args)))

        return lax.fori_loop(0, jnp.sum(~good), one, out)

    # Under `jax.vmap` a cond becomes a selection that runs both ways; in `in_lanes` nothing is
    # batched any more when this is traced, so that it stays a branch.
    return lax.cond(jnp.all(good), lambda: out, those)


def in_lanes(many: Callable, columns: bool = False) -> Callable:
    """The function of one system whose `jax.vmap` is many(*args) with the batch as the LAST axis of every array.

    Nested batches become one. With `columns`, the last argument and the result are matrices, and a batch of the last
    argument alone becomes more columns of them.
    """

    def whole(size, batched, args):
        return [a if b else jnp.broadcast_to(a, (size, *a.shape)) for a, b in zip(args, batched, strict=True)]

    # `jax.vmap` by itself puts the batch first, and the handful of entries of a block last, which
    # fill a fraction of a vector register; here one instruction works on the same entry of several
    # systems.
    nested = custom_vmap(many)

    @nested.def_vmap
    def _(size, batched, *args):
        out = _more_columns(nested, size, batched, args) if columns else None
        if out is None:
            lanes = args[0].shape[-1]
            out = nested(*(jnp.moveaxis(a, 0, -2).reshape(*a.shape[1:-1], size * lanes) for a in whole(size, batched, args)))
            out = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(*x.shape[:-1], size, lanes), -2, 0), out)
        return out, jax.tree.map(lambda _: True, out)

    @custom_vmap
    def single(*args):
        return jax.tree.map(lambda x: x[..., 0], nested(*(a[..., None] for a in args)))

    @single.def_vmap
    def _(size, batched, *args):
        out = _more_columns(single, size, batched, args) if columns else None
        if out is None:
            out = nested(*(jnp.moveaxis(a, 0, -1) for a in whole(size, batched, args)))
            out = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), out)
        return out, jax.tree.map(lambda _: True, out)

    return single


def one_by_one(function: Callable, columns: bool = False) -> Callable:
    """The function, whose `jax.vmap` does one member of the batch after the other on a CPU.

    For systems with blocks too wide for lanes. Together they take more than twice the work there: their loops go on until
    the last one is done, and what is small enough for a cache alone is not for sixteen. `columns` as in `in_lanes`; the
    function must have no derivatives of its own.
    """

    @custom_vmap
    def single(*args):
        return function(*args)

    @single.def_vmap
    def _(size, batched, *args):
        out = _more_columns(single, size, batched, args) if columns else None
        if out is None:
            leaves, tree = jax.tree.flatten(args)
            each = jax.tree.leaves(batched)
            axes = [0 if b else None for b in each]

            def member(*leaves):
                return single(*jax.tree.unflatten(tree, leaves))

            def in_turn(*leaves):
                def step(mine):
                    mine = iter(mine)
                    return member(*(next(mine) if b else a for a, b in zip(leaves, each, strict=True)))

                return lax.map(step, [a for a, b in zip(leaves, each, strict=True) if b])

            def together(*leaves):
                return jax.vmap(lambda *leaves: function(*jax.tree.unflatten(tree, leaves)), in_axes=axes)(*leaves)

            # A GPU has room for all members together, and would wait for each of them one by one.
            out = lax.platform_dependent(*leaves, cpu=in_turn, default=together)
        return out, jax.tree.map(lambda _: True, out)

    return single


def _more_columns(function, size, batched, args):
    """The result if only the last argument is batched, which is then more columns of it; None if others are."""
    if any(jax.tree.leaves(batched[:-1])):
        return None
    r = jnp.moveaxis(args[-1], 0, 1)
    out = function(*args[:-1], r.reshape(r.shape[0], -1, *r.shape[3:]))
    return jnp.moveaxis(out.reshape(out.shape[0], size, -1, *out.shape[2:]), 1, 0)
