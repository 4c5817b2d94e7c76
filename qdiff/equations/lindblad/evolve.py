"""Time evolution of a state under a generator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...operators.checks import kind_of
from ...operators.operator import Operator
from ...operators.space import Space
from ...results import Failure, Found, check
from .corners import TOO_MANY, rooms
from .equation import Lindblad, refusals
from .evolution import Evolution
from .integrators import AbstractIntegrator, Flow, Solution, choose
from .sector import Sector, reach
from .states import examined
from .switches import Inputs, Program

_UNSORTED = Failure("times must be sorted in ascending order, not before `start`, and finite", ValueError)


def evolve(
    generator: Lindblad | Callable[[Any], Lindblad],
    initial,
    times,
    *,
    solver: AbstractIntegrator | None = None,
    expect: Any = None,
    states: bool = True,
    start=0.0,
    jumps: Any = (),
    progress: bool | None = None,
) -> Evolution:
    """The state in time: d rho/dt = L(t)[rho] from rho(start) = initial.

    Solved in the real coordinates of the sector that the initial state reaches.

    A generator that depends on time is followed piece by piece. Where it jumps or kinks is read off the function
    itself: every comparison, `where`, `clip`, `abs`, `floor`, `%`, `searchsorted`, `interp` or index of a bin changes
    its answer at times that are found exactly where its argument is a straight line in time (such as `t > 50`), and on
    a grid of 4096 points where it is not (such as `cos(t) > 0`). Pulses from `qd.PiecewiseConstant` and its siblings are
    made of these. Steps end there, and the times of the jumps have derivatives as everything else. Between them, a
    generator that stands still moves by its exact propagator, and any other by steps that are accepted if state *and*
    tangent are accurate, and that never reach over what is seen of the generator and its derivatives on 32768 points:
    what is wider than the spacing of these is resolved, and what shows there without being resolved is refused. Only
    a smooth peak so narrow that the nearest of these points sees less than 1e-9 of it can be missed: give `max_step`.

    Args:
        generator: such as `Lindblad(...)` or `secular(...)`, or a function of the time that returns a
            `Lindblad` (with the same operators non-zero at all times). The time is traced: the function is made of
            JAX's operations.
        initial: a density matrix as an `Operator` or an array (dim, dim), a ket as an array (dim,), a `State`, or a
            mapping from every factor of the space to its own state, as `Space.state` takes it.
        times: ascending, (k,) or a single one [1/rate]. The initial state is that at `start`, not at the first time.
        solver: `Propagator()`, `Action()`, `Explicit(...)` or `Stiff(...)`. By default the exact propagator for a
            generator that is constant or stands still but for jumps (its action above 1200 coordinates), and
            `Explicit()` for any other.
        expect: an `Operator`, or a list or mapping of operators, whose expectation values are returned in the same form.
        states: whether to keep the states at all times; without them only expectation values, the last state and
            diagnostics are kept.
        start: the time of the initial state [1/rate].
        jumps: times at which the generator jumps that cannot be read off the function, such as those of a callback
            [1/rate]; steps end there.
        progress: whether to show a progress bar (`Action`, `Explicit` and `Stiff`); None leaves it to `qd.progress`.

    Returns:
        `Evolution`.

    Raises:
        ValueError, TypeError: an argument is not what it must be: its shape, the order of the times, a state that is
            not Hermitian, positive and of trace one. Inside a compiled function the checks of numbers are Equinox's
            runtime errors with the same message, or NaN with `failures("nan")`.
        SolveError: the solver failed; likewise.

    Differentiable in the generator, the initial state and the times. Which directions, each solver's documentation
    says; the default for generators that are constant but for jumps has them all.

    Accuracy: that of the solver.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> generator = qd.Lindblad(qubit.z, {"vacuum": (0.5, qubit.minus)})
        >>> run = qd.evolve(generator, {"qubit": "up"}, jnp.linspace(0, 4, 3), expect=qubit.up)
        >>> [round(float(p), 6) for p in run.expectations]
        [1.0, 0.367879, 0.135335]
    """
    constant = isinstance(generator, Lindblad)
    if not constant and not callable(generator):
        raise TypeError(f"generator must be one such as Lindblad(...) or a function of time, but was {type(generator).__name__}")
    if not jax.config.read("jax_enable_x64"):
        raise ValueError("qdiff needs 64-bit numbers, but JAX_ENABLE_X64 turned them off")
    given = start, times
    start, times = _times(start, times)
    jumps = _jumps(jumps)
    space, dim = (generator.space, generator.H.size) if isinstance(generator, Lindblad) else _look(generator)
    rho, wrong = examined("initial", initial, space, dim)
    local = generator.into_frame(rho) if isinstance(generator, Lindblad) else rho
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
    at = generator if isinstance(generator, Lindblad) else generator(start)
    readers = {"asked": _readers(at, flow.sector, expect, dim), "watch": _watch(at, flow.sector, space)}
    done = _solve(solver, flow, x, start, times, jumps, readers, states, progress)
    # A wrong rate of a constant generator shows in the state, or does no harm: in a part that the state does not reach.
    causes = partial(refusals, generator) if flow.program is None else list
    mark = check(jnp.ones(()), *wrong, *_found(solver, flow, done), causes=causes)
    (kept, seen), final = jax.tree.map(lambda a: a * mark, (done.saved, done.final))
    return Evolution(
        generator=generator if isinstance(generator, Lindblad) else jax.vmap(generator)(times),
        times=times,
        x=kept,
        final=final,
        expectations=_combined(expect, seen["asked"]),
        watched=seen["watch"],
        statistics=done.statistics,
        start=start,
        initial=x,
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


def _at(generator, t) -> Lindblad:
    """The generator at a time, which is traced."""
    try:
        now = generator(t)
    except jax.errors.JAXTypeError as error:
        raise TypeError(
            "generator must be made of JAX's operations, because the time is traced: `jnp.where` for Python's `if`, `jnp.cos` "
            "for `math.cos`, `jnp.interp` for `np.interp`, or a pulse such as `qd.PiecewiseConstant(times, values)`"
        ) from error
    if not isinstance(now, Lindblad):
        raise TypeError(f"generator must return a Lindblad at each time, but returned {type(now).__name__}")
    if now.frame is not None:
        raise ValueError("generator must return a Lindblad in one fixed basis, but a secular generator turns its basis with H(t)")
    return now


def _look(generator) -> tuple[Space | None, int]:
    """The space and the dimension of a generator that depends on time."""
    found = {}

    def look(t):
        now = _at(generator, t)
        found["space"], found["dim"] = now.space, now.H.size
        return t

    jax.eval_shape(look, jax.ShapeDtypeStruct((), float))
    return found["space"], found["dim"]


def _flow(generator, pattern, start, times) -> Flow:
    if isinstance(generator, Lindblad):
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


def _readers(generator: Lindblad, sector: Sector, expect, dim: int):
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


def _watch(generator: Lindblad, sector: Sector, space: Space | None) -> dict:
    """Covectors of what the diagnostics follow: the trace, and the last levels of truncated factors."""
    out: dict[str, Any] = {"trace": sector.trace_weights}
    for name, factor in space.factors.items() if space is not None else ():
        if factor.edges:
            site = getattr(space, name)
            levels = [site.projector(factor.labels[k]) for k in factor.edges]
            out[name] = jnp.stack([sector.covector(generator.into_frame(level)) for level in levels])
    return out
