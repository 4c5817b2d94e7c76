"""Mean-field equations of particles that channels take from one mode of a chain and put into another.

A channel c takes a particle from mode k with the weight l_c(k) and puts it into mode q with the weight g_c(q). In a
generalised Gibbs ensemble, where modes are independent, the occupations obey

    dn_q/dt = speed sum_c rate_c [ (1 - n_q) g_c(q) X_c - n_q l_c(q) Y_c ],    X_c = <l_c n>,  Y_c = <g_c (1 - n)>,

with <f> the sum over all modes per site. The number of particles is conserved. Each channel costs O(sites).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...generator import AbstractGenerator


class Channel(eqx.Module):
    """The weights of one channel: g(q) = gain(q) e^{-tilt(q)/2} and l(q) = loss(q) e^{tilt(q)/2}.

    An equilibrium bath has gain = loss = 1 and the tilt beta E(q). Large exponents belong into the tilt: it may reach
    several hundred.

    Args:
        gain, loss: numbers or arrays (*bands, sites), not negative [1].
        tilt: an array (*bands, sites), or None for zero [1].
    """

    gain: Any = 1.0
    loss: Any = 1.0
    tilt: Any = None


class Rates(NamedTuple):
    """How fast an ensemble changes: of the Lagrange parameters and of the occupations, (*bands, sites) each [rate]."""

    lagrange_parameters: jax.Array
    occupations: jax.Array


class AbstractChannels(AbstractGenerator):
    """What `Channels` hold, and how fast they change occupations."""

    rates: jax.Array
    names: tuple[str, ...] = eqx.field(static=True)
    weights: Callable = eqx.field(static=True)
    modes: Any
    parameters: Any
    speed: Any
    sample: Any

    @property
    def sites(self) -> int:
        """The number that sums over modes are divided by."""
        return jax.tree.leaves(self.modes)[0].shape[-1]

    def named(self, modes=None) -> dict[str, Channel]:
        """Each channel's weights at these modes, all of them by default."""
        found = self.weights(self.parameters, self.modes if modes is None else modes)
        if set(found) != set(self.names):
            raise ValueError(f"weights must return the channels {list(self.names)}, but returned {list(found)}")
        return {name: found[name] for name in self.names}

    @property
    def shape(self) -> tuple[int, ...]:
        """(*bands, sites)."""
        return shape_of(list(jax.eval_shape(self.named).values()), self.sites)

    def right_hand_side(self, n):
        """dn/dt (*bands, sites) at the occupations n (*bands, sites) [rate]."""
        gain, loss = self._flows(n)
        return self.speed * ((1 - n) * gain - n * loss)

    def right_hand_sides(self, lagrange_parameters) -> Rates:
        """How fast lambda and n = 1/(1 + e^lambda) change, at lambda (*bands, sites) [rate].

        dlambda/dt = -[ Gain (1 + e^lambda) - Loss (1 + e^-lambda) ]
        """
        n, empty = jax.nn.sigmoid(-lagrange_parameters), jax.nn.sigmoid(lagrange_parameters)
        gain, loss = self._flows(n, empty)
        return Rates(self.speed * (loss / empty - gain / n), self.speed * (empty * gain - n * loss))

    def decay(self, n):
        """How fast each mode alone would relax at these occupations, Gain + Loss (*bands, sites) [rate]."""
        gain, loss = self._flows(n)
        return self.speed * (gain + loss)

    def _flows(self, n, empty=None):
        """Gain_q = sum_c rate_c g_c(q) X_c and Loss_q = sum_c rate_c l_c(q) Y_c."""
        empty = 1 - n if empty is None else empty
        gain = loss = jnp.zeros_like(n)
        for rate, channel in zip(self.rates, self.named().values(), strict=True):
            into, out = balanced(channel)
            gain = gain + rate * into * (jnp.sum(out * n) / self.sites)
            loss = loss + rate * out * (jnp.sum(into * empty) / self.sites)
        return gain, loss


def balanced(channel: Channel):
    """g and l, with the middle of the tilt taken out: that leaves all products g_c l_c as they are."""
    if channel.tilt is None:
        return jnp.asarray(channel.gain), jnp.asarray(channel.loss)
    # Only products of a gain and a loss matter. Tilts around zero use both ends of the range of
    # floats.
    middle = jax.lax.stop_gradient(jnp.max(channel.tilt) + jnp.min(channel.tilt)) / 2
    half = (channel.tilt - middle) / 2
    return channel.gain * jnp.exp(-half), channel.loss * jnp.exp(half)


def shape_of(channels: Iterable[Channel], sites: int) -> tuple[int, ...]:
    """(*bands, sites), the common shape of the channels' weights."""
    return np.broadcast_shapes((sites,), *(np.shape(part) for c in channels for part in (c.gain, c.loss, c.tilt) if part is not None))
