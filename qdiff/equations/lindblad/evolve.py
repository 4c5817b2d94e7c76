"""Time evolution of a state under a generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...generator import at_some_time
from ...operators.checks import kind_of
from ...operators.operator import Operator
from ...operators.space import Space
from ...results import Failure, Found, check, require_float64
from .corners import TOO_MANY, rooms
from .evolution import Evolution
from .integrators import AbstractIntegrator, Flow, Solution, choose
from .reach import reach
from .sector import Sector
from .states import examined
from .switches import Inputs, Program
from .terms import AbstractTerms, refusals

_UNSORTED = Failure("times must be sorted in ascending order, not before `start`, and finite", ValueError)


def evolve(
    generator: AbstractTerms | Callable[[Any], AbstractTerms],
    initial,
    times,
    solver: AbstractIntegrator | None,
    expect: Any,
    states: bool,
    start,
    jumps: Any,
    progress: bool | None,
) -> Evolution:
    """See `Lindblad.evolve` and `Lindblad.evolve_varying`."""
    constant = isinstance(generator, AbstractTerms)
    require_float64()
    given = start, times
    start, times = _times(start, times)
    jumps = _jumps(jumps)
    space, dim = (generator.space, generator.H.size) if constant else _look(generator)
    rho, wrong = examined("initial", initial, space, dim)
    local = generator.into_frame(rho) if constant else rho
    flow = _flow(generator, local.pattern, *given)
    if solver is None:
        solver = choose(flow.sector, not flow.settled)
    if not isinstance(solver, AbstractIntegrator):
        raise TypeError(f"solver must be one such as Explicit(), but was {solver!r}")
    if not flow.settled and not solver.curved:
        raise ValueError(
            f"{type(solver).__name__} is for generators that are constant but for jumps; give Explicit() or Stiff() for this one"
        )

    x = flow.sector.coordinates(local)
    times = check(times, (_disordered(start, times), _UNSORTED))
    at = generator if constant else generator(start)
    readers = {"asked": _readers(at, flow.sector, expect, dim), "watch": _watch(at, flow.sector, space)}
    done = _solve(solver, flow, x, start, times, jumps, readers, states, progress)
    # A wrong rate of a constant generator shows in the state, or does no harm: in a part that the state does not reach.
    causes = None
    if isinstance(generator, AbstractTerms):
        causes = lambda: [*wrong, *refusals(generator)]  # noqa: E731
    mark = check(jnp.ones(()), *wrong, *_found(solver, flow, done), causes=causes)
    (kept, seen), final = jax.tree.map(lambda a: a * mark, (done.saved, done.final))
    return Evolution(
        generator=generator if constant else jax.vmap(generator)(times),
        times=times,
        x=kept,
        final=final,
        expectations=_combined(expect, seen["asked"]),
        watched=seen["watch"],
        statistics=done.statistics,
        start=start,
        initial=x * check(jnp.ones(()), *wrong) if wrong else x,  # it may be all that is asked for, by `at`
        sector=flow.sector,
        varying=not constant,
        solver=type(solver).__name__,
    )


# ---- arguments ------------------------------------------------------------------------------------------


def _times(start, times):
    for name, given in (("start", start), ("times", times)):
        if kind_of(given) not in "biufc":
            raise TypeError(f"{name} must be a real number or an array of them, but was {given!r}")
    start, times = jnp.asarray(start), jnp.asarray(times)
    if start.ndim != 0:
        raise ValueError(f"start must be one number, but has shape {start.shape}")
    if times.ndim > 1 or times.size == 0:
        raise ValueError(f"times must be one-dimensional and hold at least one, but has shape {times.shape}")
    if jnp.iscomplexobj(times) or jnp.iscomplexobj(start):
        raise ValueError(f"times must be real, as must be start, but are of type {times.dtype} and {start.dtype}")
    return start.astype(float), jnp.atleast_1d(times).astype(float)


def _jumps(given):
    if kind_of(given) not in "biuf" and np.size(given):
        raise TypeError(f"jumps must be real numbers, but was {given!r}")
    return jnp.ravel(jnp.asarray(given, float))


def _look(generator) -> tuple[Space | None, int]:
    """The space and the dimension of a generator that depends on time."""
    now = at_some_time(generator, AbstractTerms)
    if now.frame is not None:
        raise ValueError("generator must return a Lindblad in one fixed basis, but a secular generator turns its basis with H(t)")
    return now.space, now.H.size


def _flow(generator, pattern, start, times) -> Flow:
    if isinstance(generator, AbstractTerms):
        sector = reach(generator, pattern)
        return Flow(sector.values(generator), sector)
    found = {}

    def look(t):
        found["sector"] = reach(generator(t), pattern)
        return t

    jax.eval_shape(look, jax.ShapeDtypeStruct((), float))
    sector: Sector = found["sector"]

    @jax.jit
    def refused_rates(now):
        wrong = refusals(now)
        found["reasons"] = tuple(f.failure for f in wrong)
        return jnp.array([f.there for f in wrong], bool)

    def seen(t):
        now = generator(t)
        return sector.values(now), refused_rates(now)

    # What the function of time closes over becomes an argument, so that derivatives in it are seen.
    function, numbers = jax.closure_convert(seen, jnp.zeros(()))
    program = Program(function, numbers)
    end = times if isinstance(times, Tracer) else np.ravel(times)[-1]
    room = rooms(program, tuple(numbers), start, end)
    return Flow(Inputs(tuple(numbers)), sector, program, room, found["reasons"])


def _disordered(start, times):
    """Whether the times are not in order."""
    order = jnp.concatenate([start[None], times])
    return ~jnp.all(jnp.isfinite(order)) | jnp.any(jnp.diff(order) < 0)


@eqx.filter_jit
def _solve(solver: AbstractIntegrator, flow: Flow, x, start, times, jumps, readers, states: bool, shown: bool | None):
    def read(x):
        return (x if states else None), jax.tree.map(lambda o: o @ x, readers)

    return solver.solve(flow, x, start, times, read, shown, jumps)


_ROUGH = Failure(
    "the generator changes within less time than the 32768 points on which it was looked at can show: give the solver a max_step "
    "shorter than what changes, or the times of its jumps as `jumps`"
)


def _found(solver: AbstractIntegrator, flow: Flow, done: Solution) -> list[Found]:
    """What can have failed, the most telling reason first, with its time."""
    wrong = [Found(t < jnp.inf, failure, t) for t, failure in zip(done.faults, flow.reasons, strict=True)]
    bad = done.failed | ~jnp.all(jnp.isfinite(done.final))
    return [*wrong, Found(done.missed, TOO_MANY), Found(done.rough, _ROUGH, done.where), Found(bad, solver.failure)]


# ---- readings -------------------------------------------------------------------------------------------


def _is_operator(x):
    return isinstance(x, Operator)


def _readers(generator: AbstractTerms, sector: Sector, expect, dim: int):
    """For each operator asked for its covectors: one if it is Hermitian, two for its real and its imaginary part."""

    def covectors(op):
        if not _is_operator(op):
            raise TypeError(f"expect must hold Operators, but holds {type(op).__name__}")
        if op.size != dim:
            raise ValueError(f"the operators in expect must have the dimension of the space, {dim}, but one has {op.size}")
        op = generator.into_frame(op)
        parts = [op] if op.is_hermitian else [(op + op.dag) * 0.5, (op - op.dag) * -0.5j]
        return jnp.stack([sector.covector(part) for part in parts])

    return [covectors(op) for op in jax.tree.leaves(expect, is_leaf=_is_operator)]


def _combined(expect, seen: list):
    """The expectation values, in the form in which the operators were given."""
    values = [s[:, 0] if s.shape[1] == 1 else s[:, 0] + 1j * s[:, 1] for s in seen]
    return jax.tree.unflatten(jax.tree.structure(expect, is_leaf=_is_operator), values)


def _watch(generator: AbstractTerms, sector: Sector, space: Space | None) -> dict:
    """Covectors of what the diagnostics follow: the trace, and the last levels of truncated factors."""
    out: dict[str, Any] = {"trace": sector.trace_weights}
    for name, factor in space.factors.items() if space is not None else ():
        if factor.edges:
            site = getattr(space, name)
            levels = [site.projector(factor.labels[k]) for k in factor.edges]
            out[name] = jnp.stack([sector.covector(generator.into_frame(level)) for level in levels])
    return out
