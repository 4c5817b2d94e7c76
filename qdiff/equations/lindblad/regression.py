"""Two-time correlations, their spectra, and the noise at zero frequency, by the quantum regression theorem."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...operators.checks import checked_times, instance, real_array
from ...operators.operator import Operator
from ...results import Failure, check, failure_mode
from .evolution import Snapshot
from .integrators import AbstractIntegrator, Flow, choose
from .reach import reach
from .responses import Kick, Kind, complex_coordinates, kick, resolvents
from .sector import Sector
from .steady import State, a_state, steady_state
from .terms import AbstractTerms

_CORRELATION = Failure("the correlation is not finite: a time is too long for the solver, or a rate is infinite or NaN")
_SPECTRUM = Failure(
    "the spectrum is not finite: an oscillation at one of the frequencies is not damped (a delta peak), a second "
    "state is stationary, or a rate is infinite or NaN"
)

_STALLED = Failure(
    "the spectrum was not solved: an oscillation at one of the frequencies is not damped (a delta peak), a second state is stationary, "
    "a rate is infinite or NaN, or Krylov stalled; solve the state with BlockTridiagonal() or Dense(), if the system is not too large "
    "for these, or with Krylov(most=...) more steps"
)


def correlation(
    state: State,
    A: Operator,
    B: Operator,
    times,
    *,
    left: Operator | None = None,
    solver: AbstractIntegrator | None = None,
):
    """The two-time correlation function <A(t) B(0)> of a state, at times t >= 0.

        <left(0) A(t) B(0)> = Tr[A e^{L t}(B rho left)]           (left = 1 where it is not given)

    The operators stand in this order, and the later one is in the middle. So <B(0) A(t)> is `correlation(state, A,
    space.identity, times, left=B)`, and in a stationary state <A(0) B(t)> = <A(-t) B(0)>. Photon coincidences
    <a^dag(0) a^dag(t) a(t) a(0)> are `correlation(state, a.dag @ a, a, times, left=a.dag)`.

    B rho left may lie outside the sector of the state. It is split into its Hermitian and anti-Hermitian parts, and
    each moves as a real vector in the sector that its elements reach.

    Args:
        state: that at time zero, from `steady_state`, or any `generator.state(rho)`.
        A, B, left: operators in the original basis, Hermitian or not [unit of each].
        times: array (n,) of non-negative times, in any order [1/rate].
        solver: as in `evolve`; by default the exact propagator, or its action above 1200 coordinates.

    Returns:
        Complex array (n,) [product of the units].

    Raises:
        ValueError, TypeError: a time is negative, an operator acts on another space.
        SolveError: the solver failed: with the default, a time beyond 9e12 over the fastest rate.

    Differentiable in the generator, the state, the operators and the times, as the solver's documentation says; the
    default forward, reverse and to any order.

    Accuracy: that of the solver; of the default 1e-14 of the largest value (measured on random systems).

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> mode = qd.Space(mode=qd.Boson(30)).mode
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> generator = qd.Lindblad(mode.n, {"bath": qd.thermal_jumps(mode.a, 1.0, bath)})
        >>> c = qd.correlation(qd.steady_state(generator), mode.a.dag, mode.a, jnp.array([0.0, 2.0]))
        >>> bool(jnp.allclose(c, 0.581977 * jnp.exp((1j - 0.05) * jnp.array([0.0, 2.0])), atol=1e-6))
        True

    Source:
        Lax, Phys. Rev. 129, 2342 (1963); Gardiner and Zoller, Quantum Noise (2004), Sec. 5.2.
    """
    generator, times = a_state(state).generator, checked_times(times)
    if not times.size:
        raise ValueError("times must hold at least one, but are empty")
    rho = _density(state)
    kicked = _within(generator, B, "B") @ rho
    if left is not None:
        kicked = kicked @ _within(generator, left, "left")
    A = _within(generator, A, "A")
    if not kicked.pattern.nnz:
        return jnp.zeros(times.shape, complex)
    sector = reach(generator, kicked.pattern)
    if solver is None:
        solver = choose(sector, False)
    if not isinstance(solver, AbstractIntegrator):
        raise TypeError(f"solver must be one such as Explicit(), but was {solver!r}")
    return finite(_moving(generator, A, kicked, times, sector, solver), _CORRELATION)


def spectrum(state: State, A: Operator, B: Operator, omegas):
    """The spectrum of a two-time correlation, the part of it that is a function of frequency.

        S(omega) = int_0^inf dt { [<A(t) B(0)> - <A><B>] e^{-i omega t} + [<A(0) B(t)> - <A><B>] e^{i omega t} },

    in a stationary state the Fourier transform of <A(t) B(0)> over all times. What does not decay, <A> <B>, is taken out
    of it and would be the peak 2 pi <A> <B> delta(omega); it is `state.expect(A) * state.expect(B)`. Each half is
    one solve, -Tr[A (L -+ i omega)^-1 (...)], and stays finite through omega = 0.

    Args:
        state: that at time zero, from `steady_state`; or any `generator.state(rho)`: then the mean values are <A> at late
            times with <B> at time zero in the first half, and the other way around in the second.
        A, B: operators in the original basis [unit of each].
        omegas: array of any shape of angular frequencies [rate]. A line of B = lowering, A = B.dag at energy omega0
            stands at omega = +omega0.

    Returns:
        Array in the shape of omegas [product of the units over rate]: real where A is the adjoint of B for all parameters
        (it is then non-negative in a stationary state), complex otherwise.

    Raises:
        ValueError: an operator acts on another space.
        NotUnique: there are several stationary states in the sector.
        SolveError: an oscillation at one of the frequencies is not damped, a peak delta(omega - omega0) of its own; or
            `Krylov`, which has found the state, stalled.

    Differentiable in everything, frequencies included, forward, reverse and to any order.

    Accuracy: 1e-15 of the peak on random systems, and below 1e-11 for rates over nine decades (against 60 digits), because
    residuals are taken in doubled precision. One factorisation for each frequency, of twice the sector that B rho reaches.
    A state from `Krylov` is answered in matrix form: O(d^3) a step, to 1e-13 of the peak where it is well conditioned.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> generator = qd.Lindblad(0.5 * qubit.z, {"bath": [(0.3, qubit.minus), (0.1, qubit.plus)]})
        >>> state = qd.steady_state(generator)
        >>> s = qd.spectrum(state, qubit.plus, qubit.minus, jnp.array([1.0, 1.2]))
        >>> s.round(12).tolist()  # Lorentzian of half width 0.2 at omega = 1, area 2 pi <plus minus>
        [2.5, 1.25]
    """
    omegas = real_array("omegas", omegas)
    generator = a_state(state).generator
    first, second = _halves(state, A, B)
    mode = failure_mode()
    s = _at_frequencies(generator, first, omegas, mode)
    s = 2 * s.real if second is None else s + _at_frequencies(generator, second, -omegas, mode)
    return finite(s, _failure(first))


def zero_frequency_noise(state: State, A: Operator, B: Operator | None = None):
    """The noise at zero frequency, `spectrum(state, A, B, 0.0)` by real solves.

        S(0) = int dt [<A(t) B(0)> - <A><B>] = -2 Re Tr[A L^D (B rho - rho <B>)]     for A = B^dag,

    with L^D the Drazin inverse: for a Hermitian A = B it is one linear solve.

    Args:
        B: by default the adjoint of A. The others: as in `spectrum`.

    Returns:
        Scalar [product of the units over rate], real where A is the adjoint of B, complex otherwise.

    Raises and differentiable: as `spectrum`.

    Example:
        >>> import qdiff as qd
        >>> qubit = qd.Space(qubit=qd.Spin()).qubit
        >>> generator = qd.Lindblad(0.5 * qubit.z, {"bath": [(0.3, qubit.minus), (0.1, qubit.plus)]})
        >>> s = qd.zero_frequency_noise(qd.steady_state(generator), qubit.up)  # 2 p (1 - p) / (0.3 + 0.1)
        >>> round(float(s), 12)
        0.9375
    """
    generator = a_state(state).generator
    first, second = _halves(state, A, instance("A", A, Operator).dag if B is None else B)
    if second is None:
        # For a Hermitian A the anti-Hermitian part of B rho adds to the imaginary part only.
        s = 2 * _at_zero(generator, first, A.is_hermitian, failure_mode()).real
    else:
        s = sum(_at_zero(generator, half, False, failure_mode()) for half in (first, second))
    return finite(s, _failure(first))


def _failure(half: _Half) -> Failure:
    return _SPECTRUM if half.kick.solver is None else _STALLED


def finite(values, failure: Failure):
    """The values, if all are finite."""
    return check(values, (~jnp.isfinite(values), failure))


def _within(generator: AbstractTerms, op: Operator, name: str) -> Operator:
    """The operator in the generator's frame."""
    if not isinstance(op, Operator):
        raise TypeError(f"{name} must be an Operator, but was {type(op).__name__}")
    if op.size != generator.H.size or (op.space and generator.space and op.space != generator.space):
        raise ValueError(f"{name} must act on the generator's space {generator.space!r}, but acts on {op.space!r} (dimension {op.size})")
    return generator.into_frame(op)


def _density(state: State) -> Operator:
    """The density matrix of a state in the generator's frame."""
    return state.sector.operator(state.x, state.generator.space)


def _parts(M: Operator) -> tuple[Operator, Operator]:
    """Hermitian X and Y with M = X + i Y."""
    return (M + M.dag) * 0.5, (M - M.dag) * -0.5j


def _covector(sector: Sector, A: Operator):
    """The complex a with Tr[A M] = a . m for the coordinates m of any M."""
    X, Y = _parts(A)
    return sector.covector(X) + 1j * sector.covector(Y)


@eqx.filter_jit
def _moving(generator, A, kicked, times, sector, solver):
    """Tr[A e^{L t} kicked] at all times."""
    flow, m, a = Flow(sector.values(generator), sector), complex_coordinates(sector, kicked), _covector(sector, A)
    order = jnp.argsort(times)

    def read(x):
        return jnp.stack([a.real @ x, a.imag @ x])

    def along(x):
        done = solver.solve(flow, x, jnp.zeros(()), times[order], read, False)
        return jnp.where(done.failed, jnp.nan, done.saved)

    real, imag = jax.vmap(along)(jnp.stack([m.real, m.imag]))
    return ((real + 1j * imag) @ jnp.array([1, 1j]))[jnp.argsort(order)]


class _Half(eqx.Module):
    """One half of a spectrum: its operator, and the other one's product with the state."""

    read: Operator
    kick: Kick


def _halves(state, A, B):
    """The two halves of a spectrum; None for a second that is the first one's conjugate."""
    generator, end = state.generator, state
    A, B = _within(generator, A, "A"), _within(generator, B, "B")
    if isinstance(state, Snapshot):  # a state that moves, or may: what it becomes
        end = steady_state(generator, initial=state)
    first = _Half(A, kick(state, B, end, left=True))
    if (A - B.dag).pattern.nnz == 0:
        return first, None
    return first, _Half(B, kick(state, A, end, left=False))


def _alone(sector: Kind) -> bool:
    """Whether the sector is one population: nothing decays in it."""
    return sector.size == 1 and bool(sector.is_population.all())


# In matrix form a derivative that is not solved says so in the program: one for each way of failing.
@partial(jax.jit, static_argnums=3)
def _at_frequencies(generator, half, omegas, mode):
    """The integral over t > 0 of what decays, times e^{-i omega t}."""
    kick, a = half.kick, _covector(half.kick.sector, half.read)
    if _alone(kick.sector):
        return jnp.zeros(omegas.shape, complex)
    solve = resolvents(kick.sector, generator, kick.x, kick.solver, kick.sure)
    return lax.map(lambda omega: -a @ solve(omega, kick.m), omegas.reshape(-1)).reshape(omegas.shape)


@partial(jax.jit, static_argnums=(2, 3))
def _at_zero(generator, half, one_part: bool, mode):
    """The same at omega = 0, by real solves; with `one_part` of the Hermitian part of m only."""
    kick, a = half.kick, _covector(half.kick.sector, half.read)
    if _alone(kick.sector):
        return jnp.zeros((), complex)
    solve = resolvents(kick.sector, generator, kick.x, kick.solver, kick.sure)
    real = -a @ solve(None, kick.m.real)
    return real if one_part else real - 1j * (a @ solve(None, kick.m.imag))
