"""Rectification in the bulk: currents of driven chains in their generalised Gibbs ensemble.

Yamamoto, Ashida, Kawakami, "Rectification in nonequilibrium steady states of open many-body systems" (2020). Equation
numbers are the paper's. Energies are in units in which hbar = 1, lengths in lattice constants, and the momenta are
k = 2 pi m/length, m = -floor(length/2) and up, periodic for odd lengths too.

What the paper does not say: the steady state depends on the filling, which is conserved, so that a Gibbs state has
lambda = beta (E - mu); and in Eq. (C4) the one belongs under the root, where the sign of sin k is that of alpha_z sin k.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...equations.channels import periodic_chain
from ...equations.channels.equation import Channels
from ...equations.channels.gibbs_ensemble import Ensemble
from ...equations.channels.mean_field import Channel, Rates
from ..base import Model, compile_method, merit, parameter, setting, shared
from .many_body import raman_chain, rashba_chain, steady_occupations

# The sums over modes of a chain converge exponentially in its length: on one of this length the search begins.
_SAMPLE = 1024


class _GibbsChain(Model):
    """A chain of fermions between an equilibrium bath and a driving one."""

    bands: ClassVar[int] = 1
    warns: ClassVar[bool] = False

    if TYPE_CHECKING:  # what each chain declares
        filling: Any
        coupling: Any
        J: Any
        length: int
        _rates: ClassVar[Any]
        _weights: ClassVar[Any]
        _velocity: ClassVar[Any]
        _velocities: ClassVar[Any]
        _many_body: ClassVar[Any]

    # ---- what there is ----------------------------------------------------------------------------------

    def channels(self) -> Channels:
        """The channel equations, for the occupations of all modes."""
        sample = periodic_chain.momenta(_SAMPLE) if self.length > _SAMPLE else None
        return Channels(self._rates(), type(self)._weights, periodic_chain.momenta(self.length), self, self.coupling * self.J, sample)

    @merit(symbol="k", unit="1", source="Eq. (7)")
    def momenta(self):
        """Momenta (length,), 2 pi m/length from -pi (or just above it, for odd lengths) up."""
        return 2 * np.pi / self.length * periodic_chain.numbers(self.length)

    # ---- where it ends up -------------------------------------------------------------------------------

    @shared
    def ensemble(self) -> Ensemble:
        """The steady generalised Gibbs ensemble."""
        return self.channels().steady_state(self.filling)

    @merit(symbol="I", unit="energy", source="Eqs. (13), (23)")
    def current(self):
        """Particles per time to the right, of the Hamiltonian: the dissipative current of order `coupling` is left out."""
        return self.ensemble().mean(type(self)._velocities)

    @merit(symbol=r"\lambda", unit="1", source="Eq. (4)")
    def lagrange_parameters(self):
        """Lagrange parameters of the modes in the steady state; bands first, the upper one first."""
        return self.ensemble().lagrange_parameters()

    @merit(symbol="n", unit="1", source="Eq. (4)")
    def occupations(self):
        """Occupations of the modes in the steady state; bands first, the upper one first."""
        return self.ensemble().occupations()

    def exact_occupations(self, particles: int):
        """Occupations of the modes in the steady state of the many-body master equation, not of an ensemble of it.

        For short chains: up to ten modes, and up to 70 states. What differs from `occupations` is of the order 1/length;
        for small `coupling` they tend to a limit of their own.

        Args:
            particles: how many there are on the whole chain.
        """
        space, generator = self._many_body(particles)
        return steady_occupations(space, generator).reshape(self.channels().shape)

    def relaxation(self, times, initial=None, solver=None) -> GibbsRelaxation:
        """The ensemble in time, Eqs. (10) and (20): Fig. 2.

        Args:
            times: (k,), ascending, from zero up [1/energy].
            initial: occupations in the shape of that figure of merit; by default those of infinite temperature, all the same [1].
            solver: `qd.solvers.Explicit(...)` or `qd.solvers.Stiff(...)`, as for `Channels.evolve`.

        Returns:
            `GibbsRelaxation`.
        """
        channels = self.channels()
        if initial is None:
            initial = jnp.broadcast_to(jnp.asarray(self.filling / self.bands, float), channels.shape)
        n = channels.evolve(initial, times, solver)
        currents = {name: self._carried(n, velocities) for name, velocities in self._velocity.items()}
        return GibbsRelaxation(jnp.asarray(times, float), n, **currents)

    def _carried(self, n, velocities):
        """The current (k,) of occupations (k, *bands, length)."""
        v = velocities(self, periodic_chain.momenta(self.length))
        return jnp.sum(n * v, axis=tuple(range(1, n.ndim))) / self.length

    @compile_method
    def rates(self, lagrange_parameters) -> Rates:
        """The right-hand side of Eqs. (10) and (20): how fast lambda and the occupations change at given lambda.

        Args:
            lagrange_parameters: in the shape of the figure of merit of that name [1].

        Returns:
            `Rates`, the pair of d lambda/dt and dn/dt in that shape [energy].
        """
        given = jnp.asarray(lagrange_parameters, float)
        channels = self.channels()
        if given.shape != channels.shape:
            raise ValueError(f"lagrange_parameters must have shape {channels.shape}, but have shape {given.shape}")
        return channels.right_hand_sides(given)

    # ---- how far to trust it ----------------------------------------------------------------------------

    @compile_method
    def diagnostics(self) -> dict:
        """How far the last Newton step went, and how many modes no bath acts on."""
        state = self.ensemble()
        return {"newton_change": state.change, "undetermined_modes": state.untouched()}


class GibbsRelaxation(eqx.Module):
    """A generalised Gibbs ensemble at several times.

    Attributes:
        times: (k,) [1/energy].
        occupations: of the modes (k, *bands, length) [1].
        current: (k,) [energy]. current_up, current_down: likewise; None where there is no spin.
    """

    times: jax.Array
    occupations: jax.Array
    current: jax.Array
    current_up: jax.Array | None = None
    current_down: jax.Array | None = None

    @property
    def lagrange_parameters(self):
        """lambda = ln((1 - n)/n) (k, *bands, length) [1]."""
        return jnp.log1p(-self.occupations) - jnp.log(self.occupations)


class RamanRectifier(_GibbsChain):
    """A chain that a nonreciprocal bath drives, Eqs. (7), (8), (15): Raman-assisted hops that favour one direction.

        L_j = sqrt(J) (c+_j + delta c+_{j+1}) (c_j - delta' c_{j+1})

    Figures of merit are per site and of one spin species. A chain of 64 sites is converged to rounding at the default values.

    Example:
        >>> import qdiff as qd
        >>> f"{qd.models.RamanRectifier(drive=0.5).current():.10f}"
        '0.0351936624'
    """

    drive: float = parameter(0.5, text="share gamma_neq of the driving bath", low=0, high=1, search=(0, 1))
    beta: float = parameter(2.0, unit="1/energy", text="inverse temperature of the equilibrium bath", low=0)
    delta_re: float = parameter(1.0, text="real part of delta, where particles are put", search=(-2, 2))
    delta_im: float = parameter(1.0, text="imaginary part of delta", search=(-2, 2))
    delta_prime_re: float = parameter(1.0, text="real part of delta', where particles are taken", search=(-2, 2))
    delta_prime_im: float = parameter(0.5, text="imaginary part of delta'", search=(-2, 2))
    filling: float = parameter(0.5, text="particles per site", low=0, high=1, open=True)
    coupling: float = parameter(0.05, text="strength epsilon of the baths: sets how fast, not where to", low=0, open=True)
    J: float = parameter(1.0, unit="energy", text="hopping", low=0, open=True)
    length: int = setting(256, text="number of sites", low=2)

    def _rates(self):
        return {"equilibrium": 1 - self.drive, "raman": self.drive}

    def _weights(self, modes):
        """Eqs. (8) and (16): |1 + delta e^{-iq}|^2 into q, |1 - delta' e^{ik}|^2 out of k."""
        c, s = modes
        into = (1 + self.delta_re * c + self.delta_im * s) ** 2 + (self.delta_im * c - self.delta_re * s) ** 2
        out = (1 - self.delta_prime_re * c + self.delta_prime_im * s) ** 2 + (self.delta_prime_im * c + self.delta_prime_re * s) ** 2
        return {"equilibrium": Channel(tilt=-2 * self.beta * self.J * c), "raman": Channel(into, out)}

    def _velocities(self, modes):
        return 2 * self.J * modes.sin

    _velocity: ClassVar[dict] = {"current": _velocities}
    _many_body = raman_chain


class RashbaRectifier(_GibbsChain):
    """A chain with spin-orbit coupling and a magnetic field, driven by spin-dependent dephasing, Eqs. (17) to (19).

        L_{j sigma} = sqrt(J gamma_sigma) c+_{j sigma} c_{j sigma},   gamma_up = dephasing_up, gamma_down = 1 - dephasing_up

    Arrays have the upper band first, (2, length). Figures of merit are per site, with both spins.

    The current changes sign once more close to drive = 1 (at 0.99958 for the default values, from length 8192 on), and
    goes to zero there as a square root: modes that are all spin down at k = 0 and pi never feel a bath of spin up. At
    drive = 1 with dephasing_up 0 or 1 some modes feel no bath, and the state with n = filling/2 everywhere is returned,
    the limit for a long chain; the slope in `drive` diverges there. At alpha_z = 0 the current has a kink, rounded over
    1/length. At field = 0 the bands touch at k = 0 and pi, where coherences between them are conserved that the ensemble
    leaves out; those modes are labelled by their helicity, as their neighbours are. `warnings` says which of these apply.

    Example:
        >>> import qdiff as qd
        >>> device = qd.models.RashbaRectifier(drive=0.9)
        >>> [f"{float(x):.9f}" for x in (device.current(), device.current_up(), device.current_down())]
        ['0.097194507', '0.021063254', '0.076131253']
    """

    drive: float = parameter(0.9, text="share gamma_neq of the dephasing", low=0, high=1, search=(0, 0.99))
    beta: float = parameter(2.0, unit="1/energy", text="inverse temperature of the equilibrium bath", low=0)
    alpha_y: float = parameter(1.1, unit="energy", text="Rashba hopping that keeps the spin", search=(0, 2))
    alpha_z: float = parameter(0.9, unit="energy", text="Rashba hopping that flips the spin", search=(0.05, 2))
    field: float = parameter(1.0, unit="energy", text="Zeeman field h", search=(0.05, 2))
    dephasing_up: float = parameter(1.0, text="share of the dephasing that spin up has", low=0, high=1)
    filling: float = parameter(1.0, text="particles per site", low=0, high=2, open=True)
    coupling: float = parameter(0.05, text="strength epsilon of the baths: sets how fast, not where to", low=0, open=True)
    J: float = parameter(1.0, unit="energy", text="hopping", low=0, open=True)
    length: int = setting(1024, text="number of sites", low=2)

    bands: ClassVar[int] = 2

    def _rates(self):
        up = self.dephasing_up
        return {"equilibrium": 1 - self.drive, "up": self.drive * up, "down": self.drive * (1 - up)}

    def _weights(self, modes):
        """Eqs. (18) and (19): each spin's dephasing takes and puts with the share of that spin in the mode."""
        bands = Bands.at(self, modes)
        return {
            "equilibrium": Channel(tilt=self.beta * bands.energy),
            "up": Channel(bands.up, bands.up),
            "down": Channel(bands.down, bands.down),
        }

    def _velocities(self, modes):
        return Bands.at(self, modes).velocity

    def _velocities_up(self, modes):
        """Eq. (C5): hops that arrive as spin up."""
        b = Bands.at(self, modes)
        return 2 * (self.J * modes.sin + self.alpha_y * modes.cos) * b.up + b.flips

    def _velocities_down(self, modes):
        """Eq. (C6): hops that arrive as spin down."""
        b = Bands.at(self, modes)
        return 2 * (self.J * modes.sin - self.alpha_y * modes.cos) * b.down + b.flips

    _velocity: ClassVar[dict] = {"current": _velocities, "current_up": _velocities_up, "current_down": _velocities_down}
    _many_body = rashba_chain

    @merit(symbol=r"I_\uparrow", unit="energy", source="Eqs. (24), (C5)")
    def current_up(self):
        """The part of the current that arrives as spin up; spin is not conserved, so this is a definition."""
        return self.ensemble().mean(type(self)._velocities_up)

    @merit(symbol=r"I_\downarrow", unit="energy", source="Eqs. (24), (C6)")
    def current_down(self):
        """The part of the current that arrives as spin down."""
        return self.ensemble().mean(type(self)._velocities_down)

    @merit(symbol=r"\epsilon", unit="energy", source="Eq. (C2)")
    def band_energies(self):
        """Energies (2, length) of the modes."""
        return Bands.at(self, periodic_chain.momenta(self.length)).energy

    def warnings(self, numbers: dict) -> dict:
        """Where the state is not unique, the ensemble leaves something out, or a derivative does not exist."""
        out = {}
        if float(self.drive) == 1 and float(self.dephasing_up) in (0, 1):
            out["steady_state"] = (
                "not unique: at drive = 1 no bath acts on the modes without the spin that is dephased; the limit of a long chain is given"
            )
            out["derivative_in_drive"] = "diverges at drive = 1, as one over a square root"
        if float(self.alpha_z) == 0:
            out["derivative_in_alpha_z"] = "jumps at alpha_z = 0, from minus to plus that of |alpha_z|; rounded over 1/length"
        if float(self.field) == 0:
            out["ensemble"] = "incomplete at field = 0: bands touch at k = 0 and pi, and coherences between them are conserved"
        return out


class Bands(eqx.Module):
    """The two bands at some momenta, each array (2, n), the upper band first: Eqs. (C2) to (C6) without phases.

    Attributes:
        energy: -2 J cos k +- E, E^2 = d^2 + o^2, d = 2 alpha_y sin k + h, o = 2 alpha_z sin k [energy].
        up, down: the shares of spin up and spin down [1].
        velocity: d energy/dk [energy].
        flips: what the hops that flip the spin add to the current of either spin [energy].
    """

    energy: jax.Array
    up: jax.Array
    down: jax.Array
    velocity: jax.Array
    flips: jax.Array

    @classmethod
    def at(cls, model, modes) -> Bands:
        c, s = modes
        d, o = 2 * model.alpha_y * s + model.field, 2 * model.alpha_z * s
        # Where the bands touch, d and o vanish, and their ratio is that of the neighbours at larger sin k.
        touch = (d == 0) & (o == 0)
        y, z = jnp.asarray(model.alpha_y, float), jnp.asarray(model.alpha_z, float)
        none = (y == 0) & (z == 0)
        E, slope = _hypot(d, o), _hypot(y, z)
        x = jnp.where(touch, jnp.where(none, 1.0, y / jnp.where(none, 1.0, slope)), d / jnp.where(touch, 1.0, E))
        w = jnp.where(touch, jnp.where(none, 0.0, z / jnp.where(none, 1.0, slope)), o / jnp.where(touch, 1.0, E))
        # The smaller share without subtraction: 1 - |x| = w^2/(1 + |x|).
        large = (1 + jnp.abs(x)) / 2
        small = w**2 / (4 * large)
        up, down = jnp.where(x >= 0, large, small), jnp.where(x >= 0, small, large)
        flips = z * c * w
        spread, middle, slow = 2 * y * c * x + 2 * flips, -2 * model.J * c, 2 * model.J * s
        pairs = (middle + E, middle - E), (up, down), (down, up), (slow + spread, slow - spread), (flips, -flips)
        return cls(*map(jnp.stack, pairs))


def _hypot(x, y):
    """sqrt(x^2 + y^2), with derivative zero where both vanish."""
    square = x**2 + y**2
    return jnp.where(square == 0, 0.0, jnp.sqrt(jnp.where(square == 0, 1.0, square)))
