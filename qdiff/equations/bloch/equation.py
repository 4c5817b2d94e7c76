"""Systems that are block diagonal in a crystal momentum: one small master equation for each k."""

from __future__ import annotations

from collections.abc import Callable

from .blocks import AbstractBlochModel


class BlochModel(AbstractBlochModel):
    """A master equation for each crystal momentum,  d rho_k/dt = -i[H(k), rho_k] + sum_j rate_j(k) D[A_j(k)] rho_k.

    Args:
        function: (k, parameters) -> `Lindblad`, or (H, jumps): H a Hermitian matrix (n, n), jumps a list of
            (rate, A) with matrices A (n, n), or a mapping from names of baths to such lists. k is a scalar. Matrices are
            `Operator`s or arrays; what is zero for all k is seen when the function is traced. A `Lindblad` whose H is
            Hermitian for a reason that is not seen from its structure, such as a phase e^{ik}, is given as (H, jumps).
        parameters: a pytree that the function takes as its second argument.

    Differentiable in the parameters and in k: the velocity operator dH/dk is taken automatically.

    Example:
        >>> import jax.numpy as jnp, qdiff as qd
        >>> def ladder(k, p):
        ...     H = jnp.array([[-jnp.cos(k), p["field"]], [p["field"], jnp.cos(k)]])
        ...     return H, [(0.1, jnp.array([[0.0, 1.0], [0.0, 0.0]]))]
        >>> model = qd.bloch.BlochModel(ladder, {"field": 0.3})
        >>> k = jnp.linspace(-3, 3, 5)
        >>> rho = model.steady_state(k)
        >>> rho.shape, bool(jnp.allclose(jnp.trace(rho, axis1=1, axis2=2), 1))
        ((5, 2, 2), True)
    """

    def steady_state(self, k):
        """The stationary density matrices of all momenta: L_k[rho_k] = 0 with Tr rho_k = 1.

        Args:
            k: real (points,) [1].

        Returns:
            Complex (points, n, n), each with trace one; NaN where a momentum has no stationary state of its own.

        Raises:
            ValueError: k is no array (points,).

        Differentiable in the model's parameters and in k, forward and reverse, to any order.

        Accuracy: 1e-15 times the ratio of the fastest to the slowest rate of a block.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> lower = jnp.array([[0.0, 1.0], [0.0, 0.0]])
            >>> model = qd.bloch.BlochModel(lambda k, p: (jnp.diag(jnp.array([k, 0.0])), [(0.1, lower), (0.3, lower.T)]))
            >>> rho = model.steady_state(jnp.array([0.5]))
            >>> [round(float(p.real), 12) for p in jnp.diag(rho[0])]
            [0.25, 0.75]
        """
        from .steady import steady_states

        return steady_states(self, k)

    def steady_velocity(self, k):
        """The mean velocity Tr[v rho_k] of the stationary state of each momentum, v = dH/dk.

        Args:
            k: real (points,) [1].

        Returns:
            Real (points,); NaN, errors, derivatives and accuracy as for `steady_state`.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> lower = jnp.array([[0.0, 1.0], [0.0, 0.0]])
            >>> model = qd.bloch.BlochModel(lambda k, p: (jnp.diag(jnp.array([k, 0.0])), [(0.1, lower), (0.3, lower.T)]))
            >>> v = model.steady_velocity(jnp.array([0.5, 1.0]))
            >>> [round(float(x), 12) for x in v]
            [0.25, 0.25]
        """
        from .steady import steady_velocities

        return steady_velocities(self, k)

    def mean_velocity(self, k, log_weight: Callable, *, chunk: int | None = None):
        """The mean of Tr[v rho_k] over momenta with the weights exp(log_weight(k, parameters)), which need no normalisation.

            <v> = sum_k w_k Tr[v rho_k] / sum_k w_k

        Args:
            k: real (points,) [1]; split among the devices of this process, and those of all processes of a
                `jax.distributed` job where k itself is (under `jit` with `jax.set_mesh`). In a sweep every device has its points.
            log_weight: (k, parameters) -> the logarithm of the weight, any offset.
            chunk: how many momenta are worked on at once, by default as many as suits the device and its memory. Memory
                beyond k does not grow with the number of points.

        Returns:
            A scalar.

        Raises:
            ValueError, TypeError: an argument is not what it must be.

        Differentiable in the model's parameters, and in what its function and `log_weight` close over, forward, reverse and to
        any order; the gradient is summed chunk by chunk together with the value. k counts as constant.

        Example:
            >>> import jax.numpy as jnp, qdiff as qd
            >>> lower = jnp.array([[0.0, 1.0], [0.0, 0.0]])
            >>> model = qd.bloch.BlochModel(lambda k, p: (jnp.diag(jnp.array([k, 0.0])), [(0.1, lower), (0.3, lower.T)]))
            >>> v = model.mean_velocity(jnp.linspace(-3, 3, 7), lambda k, p: -jnp.cos(k))
            >>> round(float(v), 12)
            0.25
        """
        from .steady import mean_velocity

        return mean_velocity(self, k, log_weight, chunk)
