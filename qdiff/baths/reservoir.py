"""Reservoirs: the rates at which a bath takes energy from a transition and gives energy to it."""

from __future__ import annotations

import abc
from typing import Any

from jax.typing import ArrayLike

from ..operators.checks import Checked, Fault, Real, is_number, real_array
from .occupation import omega_bose
from .spectrum import Flat, Spectrum


class AbstractBath(Checked):
    """A bath: rates at every transition frequency, of either sign; `BosonicBath` is one.

    A subclass has two methods and, as `arguments`, what its numbers must be (see `BosonicBath`), and then goes
    wherever a bath goes: `thermal_jumps`, `secular` and `thermal_transitions`.
    """

    @abc.abstractmethod
    def absorption(self, omega) -> Any:
        """The rate at which the system takes up a quantum omega [rate], any shape of omega [energy]."""

    @abc.abstractmethod
    def emission(self, omega) -> Any:
        """The rate at which the system gives one away [rate], any shape of omega [energy]."""


def as_bath(name: str, given) -> AbstractBath:
    """`given`, if it is a bath."""
    if not isinstance(given, AbstractBath):
        raise TypeError(f"{name} must be a bath such as BosonicBath(beta, spectrum), but was {given!r}")
    return given


class BosonicBath(AbstractBath):
    """Harmonic modes at inverse temperature `beta` with spectral density J.

    For a transition that gives the energy omega to the bath, and its reverse,

        emission(omega)   = J(omega) (n(omega) + 1)
        absorption(omega) = J(omega) n(omega),          n(omega) = 1/(e^{beta omega} - 1).

    Both are non-negative at either sign of omega, and absorption = e^{-beta omega} emission exactly.

    Args:
        beta: inverse temperature, above zero; inf for zero temperature, where nothing is absorbed [1/energy]. An array
            stands for several baths, whose rates are arrays then.
        spectrum: a `Spectrum`, or a number for a flat one [rate].

    Raises:
        ValueError: beta is zero, negative or NaN. Traced, it makes rates that are NaN, which every solver refuses with this reason.
        TypeError: the spectrum is neither a `Spectrum` nor a number.

    Differentiable in beta, in the parameters of the spectrum and in omega, also at omega = 0 (where the
    rates are J'(0)/beta) and where e^{beta omega} would overflow. At zero temperature derivatives in beta are zero.

    Example:
        >>> import qdiff as qd
        >>> bath = qd.BosonicBath(0.1, qd.baths.Ohmic(0.25, 20.0))
        >>> float(bath.absorption(0.0))
        2.5
    """

    beta: ArrayLike
    spectrum: Spectrum
    arguments = {"beta": Real("beta", low=0, open=True, finite=False, several=True)}

    def __init__(self, beta, spectrum):
        if not isinstance(spectrum, Spectrum) and not is_number(spectrum):
            raise TypeError(f"spectrum must be one such as Ohmic(0.1), or a number for a flat one, but was {spectrum!r}")
        self.beta, self.spectrum = beta, spectrum if isinstance(spectrum, Spectrum) else Flat(spectrum)

    @property
    def faults(self) -> tuple[Fault, ...]:
        return (*super().faults, *self.spectrum.faults)

    def absorption(self, omega):
        """J(omega) n(omega) [rate], any shape of omega [energy]."""
        omega = real_array("omega", omega)
        return self.spectrum.per_frequency(omega) * omega_bose(omega, self.beta)

    def emission(self, omega):
        """J(omega) (n(omega) + 1) [rate], any shape of omega [energy]."""
        return self.absorption(-real_array("omega", omega))
