"""The many-body master equations behind the generalised Gibbs ensembles of short chains, in full.

Equations (7), (8), (15) and (17) to (19) of Yamamoto, Ashida, Kawakami (2020), as operators on the Fock space of the
eigenmodes of the Hamiltonian (Jordan and Wigner's order is the modes'). Everything is made of annihilators c_j on sites,
or of annihilators eta of eigenmodes, which are unitary combinations of each other.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

from ...equations.channels import periodic_chain
from ...equations.lindblad.equation import Lindblad
from ...equations.lindblad.jumps import Jump
from ...generator import steady_state
from ...operators.fermions import Fermions
from ...operators.operator import Operator
from ...operators.pattern import Pattern
from ...operators.space import Space
from ...operators.structure import structured

# 2^10 states: beyond, a density matrix of half of the particles is larger than a steady state is worth.
MODES = 10


class FockSpace:
    """The states of fermions in some modes.

    Args:
        modes: how many. particles: how many of them are filled; None for any number.
    """

    def __init__(self, modes: int, particles: int | None = None):
        if modes > MODES:
            raise ValueError(f"length must be at most {MODES} modes for a many-body state, but there are {modes}")
        if particles is not None and not 0 <= particles <= modes:
            raise ValueError(f"particles must be between 0 and {modes}, but was {particles}")
        names = [f"m{k}" for k in range(modes)]
        factor = Fermions(*names)
        site = Space(chain=factor).chain
        self.modes = [getattr(site, name) for name in names]
        count = factor.occupations.sum(axis=1)
        self.states = np.arange(factor.dim) if particles is None else np.flatnonzero(count == particles)
        self.filled = factor.occupations[self.states]

    def restricted(self, op: Operator) -> Operator:
        """An operator that conserves the number of particles, on the states of this number."""
        place = np.full(op.size, -1)
        place[self.states] = np.arange(self.states.size)
        row, col = place[op.pattern.row], place[op.pattern.col]
        keep = np.flatnonzero((row >= 0) & (col >= 0))
        pattern = Pattern(self.states.size, row[keep], col[keep])
        at = pattern.find(row[keep], col[keep])
        source = np.empty(keep.size, int)
        source[at] = keep
        return Operator(pattern, op.values[source], probe=op.probe[:, source])

    def moved(self, into: int, out: int) -> Operator:
        """eta+_into eta_out."""
        return self.restricted(self.modes[into].dag @ self.modes[out])


def combined(operators, amplitudes) -> Operator:
    """sum_k amplitude_k A_k."""
    return sum((op * a for op, a in zip(operators, amplitudes, strict=True)), start=0)  # pyright: ignore[reportReturnType, reportArgumentType]


def thermal(space: FockSpace, energies, beta, rate) -> list[Jump]:
    """Eqs. (8) and (18): a jump eta+_l eta_k for all pairs of modes, at the rate `rate` e^{beta (E_k - E_l)/2}.

    Those from a mode to itself only dephase.
    """
    modes = range(len(space.modes))
    return [Jump(rate * jnp.exp(beta * (energies[k] - energies[q]) / 2), space.moved(q, k)) for q in modes for k in modes]


def mode_energies(space: FockSpace, energies) -> Operator:
    """sum_k E_k eta+_k eta_k."""
    return combined([space.moved(k, k) for k in range(len(space.modes))], list(energies))


def steady_occupations(space: FockSpace, generator) -> Array:
    """<eta+_k eta_k> (modes,) in the steady state of the generator that `generator()` makes, in a space of definite number."""
    if space.states.size == 1:  # no place to go
        return jnp.asarray(space.filled[0], float)
    return jnp.asarray(space.filled.T) @ steady_state(generator()).populations()


def raman_chain(model, particles: int | None) -> tuple[FockSpace, Callable[[], Lindblad]]:
    """The states of `particles` fermions on a chain, and Eqs. (7), (8), (16) on them.

    Eq. (15) on all sites j is Eq. (16) for all momentum transfers: L_q is the Fourier transform of L_j.
    """
    L = model.length
    space, k = FockSpace(L, particles), 2 * np.pi / L * np.asarray(periodic_chain.numbers(L))
    delta, delta_prime = model.delta_re + 1j * model.delta_im, model.delta_prime_re + 1j * model.delta_prime_im
    energies = -2 * model.J * jnp.cos(k)

    @structured
    def generator():
        into, out = 1 + delta * jnp.exp(-1j * k), 1 - delta_prime * jnp.exp(1j * k)
        transfers = [
            combined([space.moved((a - q) % L, a) for a in range(L)], [into[(a - q) % L] * out[a] for a in range(L)]) for q in range(L)
        ]
        rate = model.coupling * model.J / L
        jumps = {
            "equilibrium": thermal(space, energies, model.beta, rate * (1 - model.drive)),
            "raman": [(rate * model.drive, A) for A in transfers],
        }
        return Lindblad(mode_energies(space, energies), jumps)

    return space, generator


def rashba_chain(model, particles: int | None) -> tuple[FockSpace, Callable[[], Lindblad]]:
    """The states of `particles` fermions on a chain with spin, and Eqs. (17) to (19) on them, momentum transfer by transfer.

    Modes in the order of the upper band's momenta, then the lower band's. The phase of spin up is chosen so that all
    amplitudes are real.
    """
    L = model.length
    space = FockSpace(2 * L, particles)
    energies = model.band_energies().reshape(-1)

    @structured
    def generator():
        up, down = spin_amplitudes(model)
        rate = model.coupling * model.J

        def density(u, q):
            # sum_k c+_{k-q} c_k with c_k = sum_nu u_nu(k) eta_{k nu}
            pairs = [(nu * L + (a - q) % L, mu * L + a, u[nu, (a - q) % L] * u[mu, a]) for a in range(L) for nu in (0, 1) for mu in (0, 1)]
            return combined([space.moved(i, j) for i, j, _ in pairs], [amplitude for *_, amplitude in pairs])

        dephasing = rate * model.drive / L
        jumps = {
            "equilibrium": thermal(space, energies, model.beta, rate * (1 - model.drive) / L),
            "up": [(dephasing * model.dephasing_up, density(up, q)) for q in range(L)],
            "down": [(dephasing * (1 - model.dephasing_up), density(down, q)) for q in range(L)],
        }
        return Lindblad(mode_energies(space, energies), jumps)

    return space, generator


def spin_amplitudes(model):
    """u_sigma (2 bands, length) of spin up (times -i) and spin down: Eq. (C4) with the signs that make it unitary."""
    c, s = periodic_chain.momenta(model.length)
    d, o = 2 * model.alpha_y * s + model.field, 2 * model.alpha_z * s
    E = jnp.sqrt(d**2 + o**2)
    large = jnp.sqrt((1 + jnp.abs(d) / E) / 2)
    small = o / E / (2 * large)
    first, second = jnp.where(d >= 0, large, small), jnp.where(d >= 0, small, large)
    return jnp.stack([first, -second]), jnp.stack([second, first])
