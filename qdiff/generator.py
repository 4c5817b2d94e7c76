"""The interface of every equation of motion, and the verbs that act on all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

import equinox as eqx
import jax

Given = ParamSpec("Given")
Out = TypeVar("Out", covariant=True)


class AbstractGenerator(eqx.Module):
    """Whatever moves a state: an equation of motion with its numbers.

    What an equation can do is what it has as methods, each with the arguments and the answer that suit it:

        steady_state(...)                       the state at rest, for `qd.steady_state`
        evolve(initial, times, ...)             the states in time, for `qd.evolve`
        evolve_varying(function, initial, times, ...)    a static method, the same where the equation depends on time
        relax(...)                              how fast it comes to rest, for `qd.relax`

    An equation of one's own is a subclass with some of these.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> class Decay(qd.AbstractGenerator):
        ...     rate: float
        ...
        ...     def evolve(self, initial, times):
        ...         return initial * jnp.exp(-self.rate * times)
        >>> float(qd.evolve(Decay(0.0), 2.0, jnp.array(1.0)))
        2.0
    """


class SteadyState(Protocol[Given, Out]):
    """What has a steady state."""

    @property
    def steady_state(self) -> Callable[Given, Out]: ...


class Evolve(Protocol[Given, Out]):
    """What moves in time."""

    @property
    def evolve(self) -> Callable[Given, Out]: ...


class Relax(Protocol[Given, Out]):
    """What comes to rest."""

    @property
    def relax(self) -> Callable[Given, Out]: ...


def steady_state(generator: SteadyState[Given, Out], *args: Given.args, **options: Given.kwargs) -> Out:
    """The state at rest of any equation, such as L[rho] = 0 with Tr rho = 1.

    Args:
        generator: any equation, such as `Lindblad(...)` or `secular(...)`.
        args, options: as its own method takes them; `help(qd.Lindblad.steady_state)` tells those of a Lindblad equation
            (`solver`, `initial`), what is returned, raised, and how accurate and in what differentiable it is.

    Returns:
        What the method returns; for a Lindblad equation, a `State`.

    Raises:
        TypeError: the equation has no steady state to solve for.

    Example:
        >>> import qdiff as qd
        >>> mode = qd.Space(mode=qd.Boson(30)).mode
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> state = qd.steady_state(qd.Lindblad(mode.n, {"bath": qd.thermal_jumps(mode.a, 1.0, bath)}))
        >>> round(float(state.expect(mode.n)), 6)
        0.581977
    """
    return _method(generator, "steady_state")(*args, **options)


def evolve(generator: Evolve[Given, Out] | Callable[[Any], Any], *args: Given.args, **options: Given.kwargs) -> Out:
    """The states of any equation in time, such as d rho/dt = L(t)[rho] from rho(start) = initial.

    Args:
        generator: any equation, such as `Lindblad(...)`, or a function of the time that returns one. The time is traced: the
            function is made of JAX's operations.
        args, options: as its own method takes them, the initial state and the times first; `help(qd.Lindblad.evolve)` tells
            those of a Lindblad equation, what is returned, raised, and how accurate and in what differentiable it is.

    Returns:
        What the method returns; for a Lindblad equation, an `Evolution`.

    Raises:
        TypeError: the equation does not move in time, or the function of time is not made of JAX's operations.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> generator = qd.Lindblad(qubit.z, {"vacuum": (0.5, qubit.minus)})
        >>> run = qd.evolve(generator, {"qubit": "up"}, jnp.linspace(0, 4, 3), expect=qubit.up)
        >>> [round(float(p), 6) for p in run.expectations]
        [1.0, 0.367879, 0.135335]
    """
    if isinstance(generator, AbstractGenerator) or not callable(generator):
        return _method(generator, "evolve", " or a function of time")(*args, **options)
    return _method(at_some_time(generator), "evolve_varying")(generator, *args, **options)


def relax(generator: Relax[Given, Out], *args: Given.args, **options: Given.kwargs) -> Out:
    """How fast any equation comes to rest.

    Args:
        generator: any equation, such as `Lindblad(...)`.
        args, options: as its own method takes them; `help(qd.Lindblad.relax)` tells those of a Lindblad equation.

    Returns:
        What the method returns; for a Lindblad equation, a `Relaxation`.

    Raises:
        TypeError: the equation has no method that tells it.

    Example:
        >>> import qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> found = qd.relax(qd.Lindblad(qubit.z, {"vacuum": (0.5, qubit.minus)}), {"qubit": "up"}, tolerance=1e-2)
        >>> round(float(found.gap), 12), round(float(found.time), 4)
        (0.5, 9.2103)
    """
    return _method(generator, "relax")(*args, **options)


_CANNOT = {
    "steady_state": "has no steady state to solve for",
    "evolve": "does not say how it moves in time",
    "evolve_varying": "cannot depend on time",
    "relax": "has no relaxation to solve for",
}


def _method(generator: Any, name: str, otherwise: str = "") -> Callable:
    if not isinstance(generator, AbstractGenerator):
        raise TypeError(f"generator must be one such as Lindblad(...){otherwise}, but was {type(generator).__name__}")
    method = getattr(generator, name, None)
    if method is None:
        raise TypeError(f"generator must be an equation with a method `{name}`: {type(generator).__name__} {_CANNOT[name]}")
    return method


def at_some_time(function: Callable[[Any], Any], kind: type[AbstractGenerator] = AbstractGenerator) -> Any:
    """What a function of time returns, for its kind and its structure: its numbers are traced, and of no use outside.

    Raises:
        TypeError: the function is not made of JAX's operations, or returns something else than `kind`.
    """
    found = []

    def look(t):
        found.append(function(t))
        return t

    try:
        jax.eval_shape(look, jax.ShapeDtypeStruct((), float))
    except jax.errors.JAXTypeError as error:
        raise TypeError(
            "generator must be made of JAX's operations, because the time is traced: `jnp.where` for Python's `if`, `jnp.cos` "
            "for `math.cos`, `jnp.interp` for `np.interp`, or a pulse such as `qd.pulses.PiecewiseConstant(times, values)`"
        ) from error
    if not isinstance(found[0], kind):
        raise TypeError(f"generator must return an equation such as Lindblad(...) at each time, but returned {type(found[0]).__name__}")
    return found[0]
