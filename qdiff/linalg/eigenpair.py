"""Newton's method for one eigenvalue and its vector, bordered by a normalisation, which keeps the equations regular."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact


def bordered(
    A: Inexact[Array, "n n"], value: Complex[Array, ""], vector: Complex[Array, "n"], c: Complex[Array, "n"]
) -> Complex[Array, "m m"]:
    """The derivative (n + 1, n + 1) of (A x - y x, c x - 1) in (x, y); regular where the eigenvalue is simple."""
    n = len(A)
    return jnp.block([[A - value * jnp.eye(n), -vector[:, None]], [c[None], jnp.zeros((1, 1))]])


def refined(A: Inexact[Array, "n n"], value, vector, act: Callable | None = None, regular: Any = True):
    """A simple eigenvalue of A (n, n) and its vector, from approximate ones by two Newton steps for A x = y x and c x = 1.

    A step changes nothing at its own solution, yet has the solution's first derivative; two of them have its first three.

    Args:
        A: differentiated; value, vector: not.
        act: x -> A x, where that is known more accurately than from the product.
        regular: where this is false, traced, nothing is done.
    """
    c = vector.conj() / (vector.conj() @ vector)
    y, x = value, vector
    for _ in range(2):
        rest = (A @ x if act is None else act(x)) - y * x
        # The matrix is replaced before the solve and not the result after it: the derivative of a
        # NaN that is only selected away is still NaN.
        J = jnp.where(regular, bordered(A, y, x, c), jnp.eye(len(A) + 1))
        step = jnp.where(regular, jnp.linalg.solve(J, jnp.append(rest, c @ x - 1)), 0.0)
        x, y = x - step[:-1], y - step[-1]
    return y, x
