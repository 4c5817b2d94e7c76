"""What can be solved of a master equation, of Lindblad form or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .terms import AbstractTerms

if TYPE_CHECKING:
    from .evolution import Evolution
    from .integrators import AbstractIntegrator
    from .krylov import Krylov
    from .relaxation import Relaxation
    from .solver import AbstractSolver
    from .steady import State


class AbstractMaster(AbstractTerms):
    """What can be solved of any master equation that is given by its terms."""

    def steady_state(self, solver: AbstractSolver | Krylov | None = None, *, initial: Any = None) -> State:
        """The stationary state of a generator: L[rho] = 0 with Tr rho = 1.

        Solved in the real coordinates of the sector that the populations reach (or, with `initial`,
        that the initial state reaches), or in matrix form if that would be too large.

        Args, rarely needed:
            solver: `Dense()`, `BlockTridiagonal()` or, for Hilbert spaces of some hundred
                dimensions, `Krylov()`; by default chosen from the size and the width of the
                sector.
            initial: a state, in the forms that `evolve` takes. Needed only if there are several
                stationary states, as in a closed system; then the one it relaxes to is returned, or
                if it never comes to rest, its average over all times.

        Returns:
            `State`.

        Raises:
            NotUnique: the structure shows several stationary states and no `initial` was given.
            TypeError, ValueError: `initial` is no density matrix.
            SolveError: at run time, if the numbers show more stationary states than the structure,
                or the solve failed. Inside a function compiled by `jax.jit` this is Equinox's
                runtime error with the same message.

        Differentiable in every value of the generator, forward and reverse, to any order, by the
        implicit function theorem at the cost of one more solve with the same factors.

        Accuracy: about 1e-16/rcond at worst. For the rotor device at 81 levels (rcond 1e-5) states
        agree with 40-digit arithmetic to 1e-13 and heat currents to 1e-11.

        Example:
            >>> import qdiff as qd
            >>> mode = qd.Space(mode=qd.Boson(30)).mode
            >>> bath = qd.BosonicBath(1.0, 0.1)
            >>> generator = qd.Lindblad(mode.n, {"bath": qd.thermal_jumps(mode.a, 1.0, bath)})
            >>> state = qd.steady_state(generator)
            >>> round(float(state.expect(mode.n)), 6)
            0.581977
        """
        from .steady import steady_state

        return steady_state(self, solver, initial=initial)

    def evolve(
        self,
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

        Args:
            initial: a density matrix as an `Operator` or an array (dim, dim), a ket as an array
                (dim,), a `State`, or a mapping from every factor of the space to its own state, as
                `Space.state` takes it.
            times: ascending, (k,) or a single one [1/rate]. The initial state is that at `start`,
                not at the first time.
            solver: `Propagator()`, `Action()`, `Explicit(...)` or `Stiff(...)`. By default the
                exact propagator for a generator that is constant or stands still but for jumps (its
                action above 1200 coordinates), and `Explicit()` for any other.
            expect: an `Operator`, or a list or mapping of operators, whose expectation values are
                returned in the same form.
            states: whether to keep the states at all times; without them only expectation values,
                the last state and diagnostics are kept.
            start: the time of the initial state [1/rate].
            jumps: times at which the generator jumps that cannot be read off the function, such as
                those of a callback [1/rate]; steps end there.
            progress: whether to show a progress bar (`Action`, `Explicit` and `Stiff`); None leaves
                it to `qd.progress`.

        Returns:
            `Evolution`.

        Raises:
            ValueError, TypeError: an argument is not what it must be: its shape, the order of the
                times, a state that is not Hermitian, positive and of trace one. Inside a compiled
                function the checks of numbers are Equinox's runtime errors with the same message,
                or NaN with `failures("nan")`.
            SolveError: the solver failed; likewise.

        Differentiable in the generator, the initial state and the times. Which directions, each
        solver's documentation says; the default for generators that are constant but for jumps has
        them all.

        Accuracy: that of the solver.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> qubit = qd.Space(qubit=qd.Spin()).qubit
            >>> generator = qd.Lindblad(qubit.z, {"vacuum": (0.5, qubit.minus)})
            >>> run = qd.evolve(generator, {"qubit": "up"}, jnp.linspace(0, 4, 3), expect=qubit.up)
            >>> [round(float(p), 6) for p in run.expectations]
            [1.0, 0.367879, 0.135335]
        """
        from .evolve import evolve

        return evolve(self, initial, times, solver, expect, states, start, jumps, progress)

    @staticmethod
    def evolve_varying(
        function: Callable[[Any], AbstractTerms],
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
        """As `evolve`, for a function of the time that returns a `Lindblad`.

        The same operators are non-zero at all times. The generator is followed piece by piece.
        Where it jumps or kinks is read off the function itself: every comparison, `where`, `clip`,
        `abs`, `floor`, `%`, `searchsorted`, `interp` or index of a bin changes its answer at times
        that are found exactly where its argument is a straight line in time (such as `t > 50`), and
        on a grid of 4096 points where it is not (such as `cos(t) > 0`). Pulses from
        `qd.pulses.PiecewiseConstant` and its siblings are made of these. Steps end there, and the
        times of the jumps have derivatives as everything else. Between them, a generator that
        stands still moves by its exact propagator, and any other by steps that are accepted if
        state *and* tangent are accurate, and that never reach over what is seen of the generator
        and its derivatives on 32768 points: what is wider than the spacing of these is resolved,
        and what shows there without being resolved is refused. Only a smooth peak so narrow that
        the nearest of these points sees less than 1e-9 of it can be missed: give `max_step`.

        Args:
            function: of the time, which is traced: it is made of JAX's operations.
            initial, times: as in `evolve`.

        Args, rarely needed: as in `evolve`.

        Returns, raises: as `evolve`. Differentiable, too, in what the function closes over.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> q = qd.Space(q=qd.Spin()).q
            >>> def generator(t):
            ...     return qd.Lindblad(jnp.where(t > 5, 1.0, 0.0) * q.x, {})
            >>> run = qd.evolve(generator, {"q": "down"}, 5 + jnp.pi / 2, expect=q.up)
            >>> round(float(run.expectations[0]), 9)
            1.0
        """
        from .evolve import evolve

        return evolve(function, initial, times, solver, expect, states, start, jumps, progress)

    def relax(self, initial=None, *, count: int = 4, tolerance: float = 1e-3) -> Relaxation:
        """How long until stationary: the gap, the slowest modes, and the time that a state needs.

            G v = -(rate + i frequency) v
            |rho(t) - rho(infinity)|_1 / 2 <= tolerance  for t >= time

        Args:
            initial: the state that relaxes, as in `evolve`; by default the maximally mixed one. In
                a system that never comes to rest it relaxes to its average over all times, or not
                at all: the time is then infinite.
            count: how many modes; fewer are returned if the sector has fewer.
            tolerance: trace distance to the stationary state that counts as arrived [1].

        Returns:
            `Relaxation`.

        Raises:
            NotUnique: there are several stationary states and no `initial`. SolveError: the
                stationary state was not solved.

        Differentiable: gap, rates and frequencies, forward, reverse and to any order, as long as
        their eigenvalues are simple. The excitation and the time are not differentiated.

        Accuracy: rates to 1e-13 of themselves times the modes' condition (one final Newton step in
        doubled precision), the time to 1e-6 of itself. Cost: the eigenvalues of a dense matrix, 25
        n^3, on a CPU.

        Example:
            >>> import qdiff as qd
            >>> qubit = qd.Space(qubit=qd.Spin()).qubit
            >>> generator = qd.Lindblad(qubit.z, {"vacuum": (0.5, qubit.minus)})
            >>> found = qd.relax(generator, {"qubit": "up"}, tolerance=1e-2)
            >>> round(float(found.gap), 12), round(float(found.time), 4)
            (0.5, 9.2103)
        """
        from .relaxation import relax

        return relax(self, initial, count, tolerance)

    def state(self, given) -> State:
        """Any state, as one that this generator moves, to be asked for currents, correlations etc.

        Args:
            given: a state in the forms that `evolve` takes, or a `State` of a generator with the
                same baths.

        Returns:
            `Snapshot`, a state with this generator: its `residual` says how far it is from
            stationary, and its `rcond` is NaN, because nothing was solved for. `cumulants` and
            `spectrum` solve for the stationary state that it relaxes to. A stationary state of this
            very generator is returned as it is.

        Raises:
            TypeError, ValueError: it is no density matrix, or acts on another space, or is a
                `State` with other baths.

        Example:
            >>> import qdiff as qd
            >>> q = qd.Space(q=qd.Spin()).q
            >>> generator = qd.Lindblad(q.z, {"hot": (0.2, q.plus), "cold": (0.1, q.minus)})
            >>> round(float(qd.heat_current(generator.state({"q": "down"}), "hot")), 12)
            0.4
        """
        from .evolution import state_of

        return state_of("state", self, given)
