"""Iterative refinement: accurate solutions from approximate inverses, with a safe inverse where a fast one does not do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .batching import again, in_lanes, one_by_one
from .right_side import solvable

# A solution whose last correction was larger than this part of it is refused.
_CONVERGED = 1e-6


class Inverse(NamedTuple):
    """How an approximate inverse of a matrix with given entries is applied.

    Attributes:
        factor: values -> factors, a pytree of arrays.
        solve, solve_T: (factors, r) -> the inverse, and its transpose, applied to the columns of r (size, columns).
    """

    factor: Callable[[Any], Any]
    solve: Callable[[Any, Any], Any]
    solve_T: Callable[[Any, Any], Any]


class Refined(NamedTuple):
    """Refinements of one system, whose `jax.vmap` refines many: with the fast inverse, or where that fails the safe one.

    An `attempt` is a function (solve, values, *args) -> (result, whether it is good), where solve(r) applies an inverse.

    Attributes:
        fast: of many systems at once, the batch the last axis of every array; None if there is none, and a batch is refined
            one by one.
        safe: of one system.
    """

    fast: Inverse | None
    safe: Inverse

    def first(self, attempt: Callable, values):
        """What `attempt` gives, and the factors that it was computed with, for `further`.

        Those of the fast inverse are not handed on: they look otherwise in a batch, and are quickly made again.
        """
        if self.fast is not None:
            return in_lanes(partial(self._with_care, attempt, False))(values), ()

        def alone(values):
            factors = self.safe.factor(values)
            return attempt(partial(self.safe.solve, factors), values)[0], factors

        return one_by_one(alone)(values)

    def further(self, attempt: Callable, transposed: bool, factors, *args):
        """What `attempt` gives with the inverse, or its transpose, of which `first` has the factors.

        Args:
            args: values, and what else `attempt` takes; the last one, like the result, is a matrix of columns, and a batch of
                it alone is more columns.
        """
        if self.fast is not None:
            return in_lanes(partial(self._with_care, attempt, transposed), columns=True)(*args)

        def alone(factors, *args):
            return attempt(partial(_applied(self.safe, transposed), factors), *args)[0]

        return one_by_one(alone, columns=True)(factors, *args)

    def _with_care(self, attempt, transposed, values, *args):
        """The result in all lanes, with the safe inverse in those where that with the fast one was not good."""
        assert self.fast is not None
        factors = self.fast.factor(values)
        quick, careful = (_applied(inverse, transposed) for inverse in (self.fast, self.safe))

        def alone(values, r):
            # Anew in each solve, one lane after the other: this is rare, and the factors of all lanes would take much memory.
            return careful(self.safe.factor(values), r)

        def step(carry):
            k, good, _ = carry
            out, good = attempt(lambda r: again(good, quick(factors, r), alone, values, r), values, *args)
            return k + 1, good, out

        # A loop of at most two rounds, and not a second attempt after the first: an attempt is compiled only once.
        shape = jax.eval_shape(lambda: attempt(partial(quick, factors), values, *args)[0])
        nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shape)
        start = 0, jnp.ones(values.shape[1], bool), nothing
        return lax.while_loop(lambda carry: (carry[0] < 1) | ((carry[0] < 2) & ~jnp.all(carry[1])), step, start)[2]


def _applied(inverse: Inverse, transposed: bool):
    return inverse.solve_T if transposed else inverse.solve


def refine(solve: Callable, product: Callable, r, known: tuple, along: tuple):
    """z with product(z) = r, corrected until the next change would be below rounding, and whether it came to that.

    NaN where eight corrections are too few. Each is smaller than the last by the error of the inverse, its shift or rounding
    over the gap.

    Args:
        solve, product: the approximate inverse, and the matrix, of arrays like r.
        r: (size, ...), a right-hand side for each place in the axes after the first.
        known, along: pairs (left, inside) and (across, out) of arrays (size, ...) whose products, summed over the first axis,
            are one. The part (left . r) inside of r is left out, and z has no part (across . z) out.
    """
    (left, inside), (across, out) = known, along
    r = solvable(r, left, inside)

    def step(carry):
        k, z, before, done = carry
        rest = r - product(z)
        new = z + solve(rest - dot(left, rest) * inside)
        new = jnp.where(done, z, new - out * dot(across, new))
        now = jnp.where(done, before, largest(new - z))
        return k + 1, new, now, done | finished(new, before, now)

    z, places = jnp.zeros_like(r), r.shape[1:]
    _, z, last, done = lax.while_loop(partial(going_on, 8), step, (0, z, jnp.zeros(places), jnp.zeros(places, bool)))
    converged = (last <= _CONVERGED * largest(z)) & (last < jnp.inf)
    return jnp.where(converged, z, jnp.nan), done & converged


def finished(x, before, now):
    """Whether the next change of x would be a few roundings or less; or x is NaN, and there is nothing to be done.

    Each change is smaller than the last by a constant factor, which the last two tell. What is finished is not changed any
    more while others go on: a change that is all rounding tells nothing.
    """
    return ~(now * now > 1e-15 * before * largest(x))


def going_on(most: int, carry):
    """Two steps at least and `most` at most, until all that are worked on together are finished."""
    k, *_, done = carry
    return (k < 2) | ((k < most) & ~jnp.all(done))


def dot(w, x):
    """w . x along the first axis."""
    return jnp.sum(w * x, axis=0)


def largest(x):
    """The largest |x| along the first axis; infinite if one is NaN, which the maximum of many numbers leaves out on a CPU."""
    return jnp.max(jnp.where(jnp.isnan(x), jnp.inf, jnp.abs(x)), axis=0)
