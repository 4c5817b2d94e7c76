"""The generator of particles that channels take from one mode of a chain and put into another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ...operators.checks import kind_of, known, real_number
from .mean_field import AbstractChannels

if TYPE_CHECKING:
    from ..lindblad.integrators import Explicit, Stiff
    from .gibbs_ensemble import Ensemble


class Channels(AbstractChannels):
    """The channels that move particles between the modes of a chain.

    Args:
        rates: of each channel by name, not negative [1].
        weights: the function (parameters, modes) -> {name: Channel}. It is differentiated in `parameters`, and not in
            what it closes over.
        modes: what it needs to know of each mode, any pytree of arrays (..., sites), such as `equations.channels.periodic_chain.momenta`.
        parameters: any pytree of numbers.
        speed: of all of them together [rate].
        sample: `modes` of a shorter chain on which the search for the steady state starts, or None.

    Raises:
        ValueError: there is no channel, or a rate is negative.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> def weights(beta, energies):
        ...     return {"bath": qd.channels.Channel(tilt=beta * energies)}
        >>> channels = qd.channels.Channels({"bath": 1.0}, weights, jnp.linspace(-1, 1, 5), parameters=2.0)
        >>> n = 1 / (1 + jnp.exp(2 * jnp.linspace(-1, 1, 5)))
        >>> float(abs(channels.right_hand_side(n)).max()) < 1e-15
        True
    """

    def __init__(self, rates: Mapping[str, Any], weights: Callable, modes, parameters=None, speed=1.0, sample=None):
        if not isinstance(rates, Mapping) or not rates:
            raise ValueError(f"rates must hold at least one channel, name -> rate, but was {rates!r}")
        if not callable(weights):
            raise TypeError(f"weights must be a function (parameters, modes) -> channels, but was {weights!r}")
        for leaf in jax.tree.leaves(modes):
            if kind_of(leaf) not in "iuf" or not np.ndim(leaf) or (known(leaf) and not np.isfinite(np.asarray(leaf)).all()):
                raise ValueError(f"modes must be arrays of finite numbers, one for each site, but has {leaf!r}")
        if not jax.tree.leaves(modes):
            raise ValueError(f"modes must hold an array, but was {modes!r}")
        checked = [real_number(f"the rate of channel {name!r}", rate, low=0) for name, rate in rates.items()]
        self.names, self.rates = tuple(rates), jnp.stack([jnp.asarray(rate, float) for rate in checked])
        self.weights, self.modes, self.parameters, self.speed, self.sample = weights, modes, parameters, speed, sample

    def steady_state(self, filling) -> Ensemble:
        """The steady state of particles moved by channels, as a generalised Gibbs ensemble.

            0 = sum_c rate_c [ (1 - n_q) g_c(q) X_c - n_q l_c(q) Y_c ],   X_c = <l_c n>,  Y_c = <g_c (1 - n)>,   <n> = filling

        All n_q follow from the X_c and Y_c, so that these few scalars are solved for. The equation is cooperative with one
        conserved quantity: where the channels join all modes there is exactly one solution, and it attracts every initial
        state of this filling.

        Args:
            filling: particles per site, above 0 and below the number of bands [1].

        Returns:
            `Ensemble`.

        Raises:
            SolveError: at run time, if the filling is impossible, or no steady state or more than one was found.

        Differentiable in the rates, the parameters and the filling, forward, reverse and to any order; also at channels of
        rate zero, from the side where the rate is positive.

        Accuracy: moments to a few 1e-16 of themselves times the condition of the equation, about 1/rate of a channel without
        which modes would be disconnected. Cost: some ten sums on the sample, one or a few on all modes.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> def weights(beta, energies):
            ...     return {"bath": qd.channels.Channel(tilt=beta * energies)}
            >>> energies = jnp.linspace(-1, 1, 5)
            >>> channels = qd.channels.Channels({"bath": 1.0}, weights, energies, parameters=2.0)
            >>> n = channels.steady_state(0.5).occupations()
            >>> float(abs(n - 1 / (1 + jnp.exp(2 * energies))).max()) < 1e-15
            True
        """
        from .gibbs_ensemble import gibbs_ensemble

        return gibbs_ensemble(self, filling)

    def evolve(self, initial, times, solver: Explicit | Stiff | None = None) -> jax.Array:
        """The occupations at given times, dn/dt = the right-hand side of the channels.

        Args:
            initial: n(0) (*bands, sites), between 0 and 1 [1].
            times: (k,), ascending, from zero up [1/rate].
            solver: `Explicit(...)` or `Stiff(...)`. By default explicit, unless known numbers say that the fastest rate
                makes it slow: rates grow as e^{beta energy/2}.

        Returns:
            n (k, *bands, sites) [1].

        Raises:
            ValueError: an argument has a wrong shape or impossible values. SolveError: at run time, if the solver failed.

        Differentiable in the channels and the initial occupations, in the direction that the solver's `gradient` says
        (`times` are not differentiated).

        Accuracy: errors of one step are held below `rtol` of each occupation, by default 1e-15; occupations at the end are
        right to 1e-13, and lambda with explicit steps to 1e-12 (measured at lambda up to 4). Steps are short
        enough for derivatives too, which are right to 1e-9 where the occupations are at rest.

        Cost: O(sites) for each step. `Stiff()` makes use of the Jacobian being a diagonal plus two products per channel.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> def weights(beta, energies):
            ...     return {"bath": qd.channels.Channel(tilt=beta * energies)}
            >>> energies = jnp.linspace(-1, 1, 5)
            >>> channels = qd.channels.Channels({"bath": 1.0}, weights, energies, parameters=2.0)
            >>> n = channels.evolve(jnp.full(5, 0.5), jnp.array([0.0, 50.0]))
            >>> float(abs(n[-1] - 1 / (1 + jnp.exp(2 * energies))).max()) < 1e-10
            True
        """
        from .evolve import evolve

        return evolve(self, initial, times, solver)
