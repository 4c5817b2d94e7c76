"""Powers of a map of states, and functionals after each of them, against products one by one."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from qdiff.equations.cycles import map_powers


def chain(n=4, slow=0.3, seed=0):
    """M - 1 of a random Markov chain, its fixed point, and the weights of the trace."""
    rng = np.random.default_rng(seed)
    M = rng.uniform(size=(n, n))
    N = slow * (M / M.sum(axis=0) - np.eye(n))
    x = np.linalg.svd(N)[2][-1]
    return N, x / x.sum(), np.ones(n)


@pytest.mark.parametrize("slow", [1.0, 0.3, 1e-3])
def test_powers_of_a_chain(slow):
    """M^n of a deviation, for n of every binary digit and none, contracting at once or late."""
    N, x, trace = chain(slow=slow)
    deviation = np.array([0.3, -0.1, -0.4, 0.2])
    table = map_powers.decaying(jnp.asarray(N), jnp.asarray(x), trace)
    assert table.shape == (31, 4, 4)
    counts = np.array([0, 1, 2, 3, 5, 12, 777, 2**20 + 1, 2**31 - 1])
    got = np.asarray(map_powers.after(table, jnp.asarray(deviation), jnp.asarray(counts)))
    want = np.stack([np.linalg.matrix_power(np.eye(4) + N, int(n)) @ deviation for n in counts])
    close(got, want, 1e-10)
    # What is left of a deviation keeps its own digits.
    kept = np.abs(want[5]).max()
    close(got[5] / kept, want[5] / kept, 1e-10)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 33])
def test_all_powers_until(count):
    N, x, trace = chain()
    deviation = np.array([0.3, -0.1, -0.4, 0.2])
    covectors = np.random.default_rng(1).normal(size=(2, 4))
    table = map_powers.decaying(jnp.asarray(N), jnp.asarray(x), trace, 6)
    got = map_powers.all_until(table, jnp.asarray(covectors), jnp.asarray(deviation), count)
    want = np.stack([covectors @ np.linalg.matrix_power(np.eye(4) + N, k) @ deviation for k in range(count)], axis=1)
    close(got, want, 1e-12)
