"""The compiled programs of a search: many starts at once, and one point with its second derivatives."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...models.base import sharing
from ...models.compiling import options
from ...results import failures
from ..batches import filled, shared_out
from ..interrupt import look
from ..store.journal import Journal
from .lbfgs import quasi_newton
from .newton import Polished, newton
from .problem import Problem
from .sqp import polished

# How much a constraint that is broken by one weighs, in spreads of the values over the starts.
_LEAD = 1e3


class Programs:
    """The compiled functions of one search: what is minimised is a weighted sum of objectives times `sign`.

    Two programs are compiled, at the same time, when the first of them is needed: values and gradients of all starts in
    one batch (reverse mode), shared out among the devices of this process, and value, gradient and Hessian of one point
    (forward over forward mode). Failed solves are NaN in both.

    Args:
        problem: what is searched. sign: 1 to minimise, -1 to maximise.
        weights: of the figures of merit, a row for each start of the batch (starts, k).
        second: whether the program of one point has the Hessian.
        journal: keeps the evaluations, or finds them.

    Attributes:
        parts: of the last batch, the value of every figure of merit (starts, k).
        penalty: how much a constraint that is broken by one adds to the values that the batch's gradients are of.
    """

    def __init__(
        self, problem: Problem, sign: int, weights: np.ndarray, journal: Journal, second: bool = True
    ):
        box, limits = problem.box, problem.limits

        def at(model, low, high, u):
            return problem.at(model, dataclasses.replace(box, low=low, high=high).values(u, jnp))

        def loss(model, low, high, weights, u):
            varied = at(model, low, high, u)
            with failures("nan"), sharing():
                parts = jnp.stack([of(varied) for of in problem.sought])
            # A weight of zero takes a part away also where that part is not a number.
            return sign * jnp.sum(jnp.where(weights == 0, 0.0, weights * parts)), parts

        def led(penalty, model, low, high, weights, u):
            value, parts = loss(model, low, high, weights, u)
            if not limits:
                return value, (value, parts)
            beyond = jnp.maximum(kept(model, low, high, u), 0)
            return value + penalty * jnp.sum(beyond**2), (value, parts)

        def slopes(penalty, model, low, high, weights, us):
            one = jax.value_and_grad(partial(led, penalty, model, low, high), argnums=1, has_aux=True)
            (_, (values, parts)), gradients = jax.vmap(one)(weights, us)
            return values, gradients, parts

        def kept(model, low, high, u):
            with failures("nan"), sharing():
                varied = at(model, low, high, u)
                return jnp.stack([limit(varied) for limit in limits])

        def at_one(model, low, high, weights, u):
            def of(u):
                return loss(model, low, high, weights, u)[0]

            return second_order(of, u) if second else jax.value_and_grad(of)(u)

        self.sign, self.weights, self._second, self._journal = sign, weights, second, journal
        devices = jax.local_devices()
        spread, self._sharding = shared_out(slopes, 4, 2, devices)
        self._programs = (spread, at_one)
        self._full = -(-len(weights) // len(devices)) * len(devices)
        self._inputs = (problem.model, box.low, box.high)
        self._key = (
            jax.tree.structure(problem.model),
            str(jax.tree.map(jax.typeof, jax.tree.leaves(problem.model))),
            tuple(of.key for of in problem.sought),
            box.names,
            tuple(sorted(problem.ties.items())),
            tuple(limit.key for limit in limits),
            len(weights),
            sign,
            second,
            box.bend.tobytes(),
        )
        self.evaluations, self.penalty = 0, 0.0
        self.parts = np.full(weights.shape, np.nan)
        bound = partial(kept, *self._inputs)
        self._limits = jax.jit(lambda u: (bound(u), *_twice(bound, u))) if limits else None
        self._limits_of_many = jax.jit(jax.vmap(bound)) if limits else None

    def _compiled(self, which: int):
        if self._key not in _compiled:
            # Compiling takes far longer than tracing, and lets other threads run; tracing stays in this one.
            slopes, at_one = self._programs
            pool = concurrent.futures.ThreadPoolExecutor(2)
            u, weights = np.zeros_like(self._inputs[1]), self.weights[0]
            many = self._rows(self.weights, np.zeros((len(self.weights), u.size)))
            first = pool.submit(jax.jit(slopes).lower(0.0, *self._inputs, *many).compile, options())
            second = pool.submit(jax.jit(at_one).lower(*self._inputs, weights, u).compile, options())
            pool.shutdown(wait=False)
            _compiled[self._key] = (first, second)
            while len(_compiled) > 8:
                _compiled.popitem(last=False)
        return _compiled[self._key][which].result()

    def _rows(self, *several: np.ndarray) -> list:
        """Arrays with a row for each start, on the devices that share them."""
        return [filled(x, self._full, self._sharding) for x in several]

    def slopes(self, us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (starts,) and gradients (starts, n) at the points us (starts, n)."""
        look()

        def compute(penalty, weights, us):
            found = jax.device_get(self._compiled(0)(float(penalty), *self._inputs, *self._rows(weights, us)))
            return [values[: len(us)] for values in found]

        values, gradients, self.parts = self._journal("slopes", compute, self.penalty, self.weights, us)
        self.evaluations += len(us)
        return values, gradients

    def limits(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values (k,), Jacobian (k, n) and Hessians (k, n, n) of what must not be positive, at the point u (n,)."""
        look()
        if self._limits is None:
            return np.zeros(0), np.zeros((0, u.size)), np.zeros((0, u.size, u.size))
        limits = self._limits
        values, J, K = self._journal("limits", lambda u: jax.device_get(limits(u)), u)
        return values, J, K

    def allowed(self, us: np.ndarray) -> np.ndarray:
        """At which points us (m, n) nothing is positive that must not be, (m,)."""
        if self._limits_of_many is None:
            return np.ones(len(us), bool)
        limits = self._limits_of_many
        (values,) = self._journal("allowed", lambda us: [jax.device_get(limits(us))], us)
        return np.all(values <= 0, axis=1)

    def one(self, u: np.ndarray, weights: np.ndarray | None = None) -> tuple:
        """Value, gradient (n,) and Hessian (n, n), with `second`, at the point u (n,), with the first start's weights or others (k,)."""
        look()

        def compute(weights, u):
            return jax.device_get(self._compiled(1)(*self._inputs, weights, u))

        found = self._journal("one", compute, self.weights[0] if weights is None else weights, u)
        self.evaluations += 1
        return (float(found[0]), *found[1:])

    def punish(self, values: np.ndarray):
        """Set the penalty by the values where the starts begin, of which some may not be finite."""
        known = values[np.isfinite(values)]
        self.penalty = _LEAD * float(np.ptp(known) or 1.0 if known.size else 1.0)

    def polish(self, u: np.ndarray, scale: float, weights: np.ndarray | None = None) -> Polished:
        """The local minimum that the point u (n,) leads to. Args: as of `one`, and of `newton`."""
        one = partial(self.one, weights=weights)
        limited = self._limits is not None
        if not self._second:
            return quasi_newton(one, self.limits if limited else None, u, scale)
        return polished(one, self.limits, u, scale) if limited else newton(one, u, scale)


def _twice(function, u):
    return jax.jacfwd(function)(u), jax.jacfwd(jax.jacfwd(function))(u)


# The programs of the last few searches, for the next one on the same structure; the parameters are their inputs.
_compiled: collections.OrderedDict = collections.OrderedDict()


def second_order(f, u):
    """Value, gradient and Hessian, forward over forward: compiled twice as fast as forward over reverse."""
    eye = jnp.eye(u.size)

    def first(u):
        return jax.vmap(lambda t: jax.jvp(f, (u,), (t,)), out_axes=(None, 0))(eye)

    def second(t):
        (value, gradient), (_, row) = jax.jvp(first, (u,), (t,))
        return value, gradient, row

    value, gradient, H = jax.vmap(second, out_axes=(None, None, 0))(eye)
    return value, gradient, (H + H.T) / 2
