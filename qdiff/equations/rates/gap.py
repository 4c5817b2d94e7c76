"""The slowest decay of a generator: an eigenvalue, with implicit derivatives."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linalg import gth
from ...results import Failure, check, require_float64
from ..lindblad.equation import Lindblad
from ..lindblad.sector import reach
from ..lindblad.solver import matrix
from .equation import Rates
from .steady import elimination_order


def slowest_decay(generator: Rates | Lindblad):
    """The smallest decay rate of a generator: the distance of its spectrum, zero apart, from the imaginary axis.

        min over the eigenvalues lambda != 0 of -Re lambda

    Args:
        generator: a rate equation, or a Lindblad equation with one stationary state (in the sector of the populations).

    Returns:
        A scalar [rate].

    Raises:
        NotUnique: a rate equation has several closed sets of states.
        SolveError: at run time, if rates are not finite or the stationary state is not unique.

    Differentiable in every rate, to third order, where the slowest decay is a single one or a complex pair.

    Accuracy: of a rate equation 1e-13 of itself also where it is 1e-10 of the other rates (its inverse is found by
    elimination without subtraction); of a Lindblad equation 1e-15 of the largest rate. Costs n^3.

    Example:
        >>> import qdiff as qd
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> pair = qd.Rates([0.0, 1.0], {"bath": qd.thermal_transitions([0], [1], [1.0], bath)})
        >>> round(float(qd.slowest_decay(pair) / (bath.emission(1.0) + bath.absorption(1.0))), 12)
        1.0
    """
    require_float64()
    if isinstance(generator, Rates):
        finite = jnp.all(jnp.isfinite(generator.rate))
        gap = _of_rates(generator, tuple(elimination_order(generator).tolist()))
    elif isinstance(generator, Lindblad):
        sector = reach(generator)
        values = sector.values(generator)
        finite, gap = jnp.all(jnp.isfinite(values)), _of_matrix(matrix(sector, values), tuple(sector.trace_weights.tolist()))
    else:
        raise TypeError(f"generator must be Rates or a Lindblad, but was {type(generator).__name__}")
    return check(gap, (~finite, _NOT_FINITE), (~jnp.isfinite(gap), _NOT_DEFINED))


@partial(jax.jit, static_argnums=1)
def _of_rates(rates, order):
    at = np.array(order)
    return slowest(gth.relaxation(rates.jumps()[at][:, at]))


@partial(jax.jit, static_argnums=1)
def _of_matrix(G, weights):
    w = np.array(weights)
    u = w / w.sum()
    keep = jnp.eye(w.size) - u[:, None] * w
    return slowest(-jnp.linalg.solve(G - lax.stop_gradient(jnp.max(jnp.abs(G))) * u[:, None] * w, keep))


def slowest(K):
    """The smallest decay rate, from a matrix of decay times.

    Args:
        K: (n, n), minus the inverse of a generator on the deviations that decay, zero on the stationary state [time].

    Returns:
        min Re 1/mu over the non-zero eigenvalues mu of K, a scalar [rate].
    """
    n = K.shape[0]
    mu, vectors = jnp.linalg.eig(lax.stop_gradient(K))
    size = jnp.abs(mu)
    # The stationary state has mu = 0 up to rounding; the decays that count have a mu near the largest.
    decays = size > 1e-12 * jnp.max(size)
    at = jnp.argmin(jnp.where(decays, jnp.real(mu) / jnp.where(decays, size, 1.0) ** 2, jnp.inf))
    y, x = mu[at], vectors[:, at]
    c = x.conj()  # x is normalised: c . x = 1

    # A Newton step for (K - mu) x = 0, c . x = 1 changes nothing at its own solution, yet has the solution's first
    # derivative; two of them have its first three.
    for _ in range(2):
        J = jnp.block([[K - y * jnp.eye(n), -x[:, None]], [c[None], jnp.zeros((1, 1))]])
        step = jnp.linalg.solve(J, jnp.concatenate([K @ x - y * x, (c @ x - 1)[None]]))
        x, y = x - step[:n], y - step[n]
    return jnp.real(1 / y)


_NOT_FINITE = Failure("the decay rates are not finite: a rate is infinite or NaN, as of a bath with a flat spectrum at frequency zero")
_NOT_DEFINED = Failure("the slowest decay is not defined: the stationary state is not unique, or the two slowest decays are equal")
