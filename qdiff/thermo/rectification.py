"""Rectification of any current under any swap of baths."""

from __future__ import annotations

import jax.numpy as jnp


def rectification(forward, reverse):
    """R = |(forward - reverse) / (forward + reverse)|: 0 if the swap changes nothing, 1 for a perfect diode.

    Args:
        forward, reverse: the current in its direction before and after the swap, both counted positive along
            the hot-to-cold direction of their run [same unit, any shape].

    A pole where the two are opposite (R exceeds 1 if their signs differ), a kink where they are equal.
    """
    return jnp.abs((forward - reverse) / (forward + reverse))


def flow(forward, reverse):
    """max(|forward|, |reverse|), the larger current of the two; a kink where they are equal in size."""
    return jnp.maximum(jnp.abs(forward), jnp.abs(reverse))


def performance(alpha, R, J):
    """Gamma_alpha = alpha R + (1 - alpha) J, the trade-off between rectification and flow [1]."""
    return alpha * R + (1 - alpha) * J
