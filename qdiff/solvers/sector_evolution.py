"""Time evolution of a Lindblad equation in a small sector, by the exponential of its matrix."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..generators.lindblad import Lindblad
from ..generators.sector import Sector, reach
from .rate_evolution import checked_populations, checked_times
from .refusal import refuse
from .steady import _dense, _precision


def propagate_populations(motion: Lindblad, initial, times):
    """The density matrices at given times, of a Lindblad equation that starts without coherences.

    Args:
        motion: the generator, in the basis of the populations.
        initial: populations (dim,) at time zero [1]. times: from zero up (k,) [1/rate].

    Returns:
        (k, dim, dim), real or complex.

    Raises:
        ValueError: as `propagate`. SolveError: at run time, if a rate is not finite.

    Differentiable in everything. Accuracy: 1e-14 of the largest population. Costs n^3 in the sector's size for each time.
    """
    _precision()
    if motion.frame is not None:
        raise ValueError("motion must be given in the basis of its populations, but is in the eigenbasis of H")
    sector = reach(motion)
    x = _evolved(motion, sector, checked_populations(initial, sector.dim, "initial"), checked_times(times))
    x = refuse(x, _REASONS, ~jnp.all(jnp.isfinite(x)))
    return jax.vmap(lambda x: sector.operator(x, None).dense())(x)


@partial(jax.jit, static_argnums=1)
def _evolved(motion, sector: Sector, initial, times):
    G = _dense(sector, sector.values(motion))
    start = jnp.where(sector.is_population, initial[np.asarray(sector.row)], 0.0)
    return lax.map(lambda t: jax.scipy.linalg.expm(t * G) @ start, times)


_REASONS = ("the state is not finite: a rate is infinite or NaN, or a time is far longer than 1e14 of the shortest",)
