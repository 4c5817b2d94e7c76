"""The mode in which a machine between two baths operates, and its figure of merit in that mode."""

from __future__ import annotations

import jax.numpy as jnp

MODES = ("none", "engine", "refrigerator", "accelerator", "heater")


def mode(heat_hot, heat_cold, work):
    """The operating mode by the signs of the flows into the system, as an index into `MODES`.

    engine         heat_hot > 0 > heat_cold, work < 0
    refrigerator   heat_cold > 0 > heat_hot, work > 0
    accelerator    heat_hot > 0 > heat_cold, work > 0
    heater         heat_hot < 0, heat_cold < 0, work > 0
    """
    forward = (heat_hot > 0) & (heat_cold < 0)
    backward = (heat_cold > 0) & (heat_hot < 0)
    heating = (heat_hot < 0) & (heat_cold < 0)
    out = jnp.where(forward & (work < 0), 1, 0)
    out = jnp.where(backward & (work > 0), 2, out)
    out = jnp.where(forward & (work > 0), 3, out)
    return jnp.where(heating & (work > 0), 4, out)


def efficiency(heat_hot, work):
    """-work / heat_hot [1]; the efficiency of an engine, and only in that mode. A pole at heat_hot = 0."""
    return -work / heat_hot


def cop(heat_cold, work):
    """heat_cold / work [1]; the coefficient of performance of a refrigerator, and only in that mode."""
    return heat_cold / work
