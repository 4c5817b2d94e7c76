"""Stationary states of generators, with implicit derivatives."""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...linalg import double_double
from ...operators.operator import Operator
from ...results import Failure, NotUnique, check, require_float64
from .conserved import hidden
from .eigenbasis import eigenvalues
from .krylov import Krylov
from .matrix_form import MatrixForm
from .null_vector import RESIDUAL, UNIQUE, null_vector
from .reach import reach
from .sector import Sector
from .selected import averaged, energies_apart, selected, unchanged
from .solver import AbstractSolver, choose, matrix
from .states import density_matrix
from .steady_wide import direct_sector, solve_wide
from .terms import AbstractTerms, refusals


class State(eqx.Module):
    """A stationary state.

    Attributes:
        x: its real coordinates in the sector (n,) [1].
        rcond: estimate of the reciprocal condition of the equation it solves [1]: relative errors in the rates
            may be amplified by 1/rcond.
        residual: largest entry of G x over the largest entry of G [1]. Small for every accepted state; the
            error is residual/rcond at most.
        generator, sector: what was solved, and the sector it was solved in.
        iterations: the steps that `Krylov` took for the state and its condition; None of other solvers.
        solver: the `Krylov` that found it, which solves what is asked of it later, too; None of other solvers.
    """

    generator: AbstractTerms
    x: jax.Array
    rcond: jax.Array
    residual: jax.Array
    sector: Sector | MatrixForm = eqx.field(static=True)
    iterations: Any = None
    solver: Krylov | None = eqx.field(static=True, default=None)

    @property
    def rho(self) -> Operator:
        """The density matrix as an `Operator` in the original basis."""
        return self.generator.out_of_frame(self.sector.operator(self.x, self.generator.space))

    def dense(self):
        """The density matrix, complex or real (dim, dim)."""
        return self.rho.dense()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """The density matrix, for NumPy."""
        return self.rho.__array__(dtype, copy)

    def expect(self, op: Operator):
        """Tr[op rho], a scalar, real for a Hermitian operator and complex otherwise [unit of op]."""
        op = self.generator.into_frame(op)
        if op.is_hermitian:
            return self.sector.covector(op) @ self.x
        real, imag = (op + op.dag) * 0.5, (op - op.dag) * -0.5j
        return self.sector.covector(real) @ self.x + 1j * (self.sector.covector(imag) @ self.x)

    def reduced(self, *names: str) -> Operator:
        """The reduced density matrix of some of the space's factors, on `space.keep(*names)`."""
        return self.rho.reduced(*names)

    def populations(self, *names: str):
        """The diagonal of the (reduced) density matrix, real (dim of the factors,) [1]."""
        return jnp.real((self.reduced(*names) if names else self.rho).diagonal())

    def diagnostics(self) -> dict:
        """What is known of the state's accuracy, as a dictionary of numbers.

        residual, rcond: as the attributes. stationary_states: how many the generator has in this sector, from
        the singular values of the sector's matrix below 1e-12 of the largest. smallest_eigenvalue: of the
        density matrix; negative by more than rounding means that the equation is not completely positive or
        the solve is poor. edge_weight: for each truncated factor, the population of its last levels; truncation
        matters where this is not tiny. splitting: for a secular equation, the distance of the closest coupled
        levels over the largest energy; zero is a conical point, at which there is no derivative. Of `Krylov` there are
        `iterations`, and no number of stationary states.
        """
        sector = self.sector
        out: dict[str, Any] = {"residual": self.residual, "rcond": self.rcond}
        if isinstance(sector, MatrixForm):
            out["iterations"] = self.iterations
            out["smallest_eigenvalue"] = jnp.min(jnp.linalg.eigvalsh(sector.matrix(self.x)))
        else:
            values = jnp.asarray(sector.values(self.generator))
            conserving = matrix(sector, values) + jnp.diag(double_double.Conserving(sector, values).correction)
            singular = jnp.linalg.svd(conserving, compute_uv=False)
            out["stationary_states"] = jnp.sum(singular <= 1e-12 * singular[0])
            out["smallest_eigenvalue"] = jnp.min(eigenvalues(sector.operator(self.x, None)))
        space = self.generator.space
        if space is not None:
            edges = {k: list(f.edges) for k, f in space.factors.items() if f.edges}
            out["edge_weight"] = {k: self.populations(k)[np.array(at)] for k, at in edges.items()}
        if self.generator.splitting is not None:
            out["splitting"] = self.generator.splitting
        return out


def a_state(given: Any) -> State:
    """What was given as a state that knows its generator."""
    if not isinstance(given, State):
        raise TypeError(
            "state must come from `steady_state`, `evolve` (one time of it, `run[k]`) or `generator.state(...)`, so that its "
            f"generator is known, but was {type(given).__name__}"
        )
    return given


def steady_state(
    generator: AbstractTerms, solver: AbstractSolver | Krylov | None = None, *, initial: Any = None
) -> State:
    """See `Lindblad.steady_state`."""
    if solver is not None and not isinstance(solver, (AbstractSolver, Krylov)):
        raise TypeError(f"solver must be one such as Dense(), but was {solver!r}")
    require_float64()
    if isinstance(solver, Krylov):
        return _wide(generator, solver, initial)
    if initial is None:
        sector = direct_sector(generator) if solver is None else reach(generator)
        if sector is None:
            return _wide(generator, Krylov(), None)
        if sector.closed:
            raise NotUnique(_closed(generator))
        if len(sector.classes) > 1:
            raise NotUnique(_several(generator, sector))
        if more := hidden(generator, sector):
            raise NotUnique(_coherent(more))
        x, rcond, residual = _solve(generator, sector, choose(sector) if solver is None else solver)
        return State(generator, _checked(generator, x, rcond, residual, _NOT_UNIQUE), rcond, residual, sector)
    local = generator.into_frame(density_matrix("initial", initial, generator.space, generator.H.size))
    sector = reach(generator, local.pattern)
    way = "unchanged" if sector.still else "averaged" if sector.closed else sector.nullity
    if way == 1:
        x, rcond, residual = _solve(generator, sector, choose(sector) if solver is None else solver)
    elif way == "averaged":
        x, rcond, residual = averaged(generator.H, local, sector, sector.values(generator))
    else:
        x, rcond, residual = _select(generator, local, sector, way)
    return State(generator, _checked(generator, x, rcond, residual, _NOT_DEFINED), rcond, residual, sector)


def _wide(generator: AbstractTerms, solver: Krylov, initial: Any) -> State:
    if not any(generator.terms.values()):
        raise NotUnique(_closed(generator))
    start, several = None, _NOT_UNIQUE
    if initial is not None:
        local = density_matrix("initial", initial, generator.space, generator.H.size)
        start, several = generator.into_frame(local).pattern, _NOT_DEFINED
    form, found = solve_wide(generator, solver, start)
    unsolved = ~(jnp.all(jnp.isfinite(found.x)) & (found.residual <= RESIDUAL) & jnp.isfinite(found.rcond))
    # A second stationary state does not keep the first one from being found, only its condition tells.
    kinds = (~jnp.isfinite(found.scale), _NOT_FINITE), (unsolved, _STALLED), (found.rcond < UNIQUE, several)
    x = check(found.x, *kinds, causes=partial(refusals, generator))
    return State(generator, x, found.rcond, found.residual, form, found.iterations, solver)


@partial(jax.jit, static_argnums=(1, 2))
def _solve(generator, sector, solver):
    return null_vector(sector, sector.values(generator), solver)


@partial(jax.jit, static_argnums=(2, 3))
def _select(generator, initial, sector, way):
    values, start = sector.values(generator), sector.coordinates(initial)
    return unchanged(values, start) if way == "unchanged" else selected(sector, values, start, way)


_NOT_FINITE = Failure(
    "the steady state is not finite: a rate or an energy is infinite or NaN, or a bath couples at zero frequency with a flat spectrum"
)
_NOT_UNIQUE = Failure(
    "the steady state is not unique (reciprocal condition below 1e-12): a part of the system is uncoupled or a decay "
    "is too slow to resolve; couple it, or give `initial`"
)
_NOT_DEFINED = Failure(
    "the steady state that `initial` relaxes to is not defined (reciprocal condition below 1e-12): at these numbers more is "
    "conserved than in general, because a rate or a coupling is zero, two energies meet, or a decay is too slow to resolve"
)
_STALLED = Failure(
    "the steady state was not solved: Krylov stalled; give solver=BlockTridiagonal() or Dense(), if the system is not too large for "
    "these, or Krylov(most=...) more steps"
)
_NOT_SOLVED = Failure("the steady state was not solved (residual above 1e-13): try solver=Dense(), or rates of more similar size")


def _checked(generator, x, rcond, residual, several: Failure):
    """Let no wrong state pass. A wrong rate is the cause where the solve failed, and does no harm where it did not."""
    infinite, flat, rough = ~jnp.all(jnp.isfinite(x)), rcond < UNIQUE, residual > RESIDUAL
    found = (infinite, _NOT_FINITE), (flat, several), (rough, _NOT_SOLVED)
    return check(x, *found, causes=partial(refusals, generator))


def _closed(generator: AbstractTerms) -> str:
    return (
        f"a closed system has no stationary state of its own: nothing decays, and there are {energies_apart(generator.H)} independent "
        "stationary operators. Give `initial`, a density matrix, for its average over all times, or a bath"
    )


def _coherent(more: int) -> str:
    return (
        f"there are {more + 1} independent stationary operators: coherences that the populations do not feed are conserved, "
        "and which state is reached depends on them. Give `initial`, a density matrix, to select one"
    )


def _several(generator: AbstractTerms, sector: Sector) -> str:
    def name(index):
        return generator.space.label(int(index)) if generator.space is not None else str(index)

    def states(members):
        names = [name(sector.row[m]) for m in members[:3]]
        return "{" + ", ".join(names) + (f", ... {len(members)} in all" if len(members) > 3 else "") + "}"

    sets = sector.classes
    shown = "; ".join(states(c) for c in sets[:4]) + (f"; ... {len(sets)} sets in all" if len(sets) > 4 else "")
    basis = "states" if generator.frame is None else "eigenstates of H (numbered as the states they come from)"
    return (
        f"there are at least {len(sets)} stationary states: the populations of these sets of {basis} are conserved "
        f"once entered, {shown}. Give `initial`, a density matrix, to select one, or couple the sets"
    )
