"""Differentiable open quantum systems and quantum thermodynamics.

What is used daily has a name here; the rest is in `qd.baths`, `qd.pulses`, `qd.solvers`, `qd.thermo`, `qd.models`,
`qd.studies`, `qd.figures`, and for each equation of motion in `qd.lindblad`, `qd.rates`, `qd.bloch`, `qd.momentum`, `qd.channels`
and `qd.cycles`. Names are loaded when they are first used, because JAX takes a second to import.

Importing qdiff asks JAX for 64-bit numbers, unless the environment variable JAX_ENABLE_X64 says otherwise, and gives its
CPU programs 64 threads, unless PJRT_NPROC says otherwise.
"""

import os
import sys

from .front_door import attach

__version__ = "0.1.0"

os.environ.setdefault("JAX_ENABLE_X64", "1")
if "jax" in sys.modules:
    # JAX has read its environment already; the variable still decides.
    sys.modules["jax"].config.update("jax_enable_x64", os.environ["JAX_ENABLE_X64"].lower() in ("1", "true"))

# A batched LAPACK call cuts its batch into tasks for the pool of threads in which it itself runs, and waits for them there. Before
# jaxlib 0.11.2 as many such calls at once as the pool has threads, one for each core, wait for ever. Idle threads cost nothing.
os.environ.setdefault("PJRT_NPROC", str(max(64, os.cpu_count() or 1)))

__getattr__, __dir__, __all__ = attach(__name__, __file__)
