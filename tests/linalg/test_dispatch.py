"""Compiled programs end: batched LAPACK calls that run at the same time do not wait for one another for ever."""

import subprocess
import sys

# Two loops of solves that do not depend on each other. With two threads for XLA this hangs in one run of three.
CONCURRENT = """
import qdiff
import jax
import jax.numpy as jnp
jax.config.update("jax_enable_x64", True)

@jax.jit
def both(a, b):
    def step(carry):
        k, x, y = carry
        return k + 1, jnp.linalg.solve(a + 1e-3 * k, x), jnp.linalg.solve(b - 1e-3 * k, y)

    ones = jnp.ones((2000, 8, 1))
    return jax.lax.while_loop(lambda carry: carry[0] < 20, step, (0, ones, ones))

a = jax.random.normal(jax.random.PRNGKey(0), (2000, 8, 8)) + 8 * jnp.eye(8)
for _ in range(40):
    jax.block_until_ready(both(a, a.mT))
names = [open(f"/proc/self/task/{task}/comm").read().strip() for task in __import__("os").listdir("/proc/self/task")]
print(names.count("tf_XLAEigen"))
"""


def test_concurrent_batches_of_solves_end():
    """Forty rounds of them do; and XLA has more threads than such calls can block."""
    done = subprocess.run([sys.executable, "-c", CONCURRENT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-1000:]
    assert int(done.stdout) >= 16
