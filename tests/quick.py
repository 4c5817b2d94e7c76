"""How the tests compile: quickly, with those flags of XLA that this jaxlib knows."""

from __future__ import annotations

import os
import subprocess
import sys

# Nearly every program of the tests runs once, and compiling it is most of what a test costs: these
# make that two to four times as fast, and the programs several times slower.
OPTIONS = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0, "xla_cpu_parallel_codegen_split_count": 1}

# XLA ends the process over a flag that it does not know, so that another process has to ask.
_PROBE = "from jaxlib import xla_client; xla_client.make_cpu_client()"


def known(*flags: str) -> bool:
    """Whether this jaxlib has all of these flags: names of flags come and go."""
    environment = os.environ | {"XLA_FLAGS": " ".join(flags), "TF_CPP_MIN_LOG_LEVEL": "1"}
    done = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True)
    if done.returncode and "Unknown flag" not in done.stderr:
        raise RuntimeError(f"jaxlib does not start: {done.stderr.strip()[-1000:]}")
    return not done.returncode


def as_flags(options: dict) -> list[str]:
    """The options of a compilation as XLA_FLAGS has them."""
    return [f"--{name}={str(value).lower()}" for name, value in options.items()]


def flags() -> str:
    """XLA_FLAGS for the tests and the processes that they start, unless it is set; XLA_FLAGS= compiles as users do."""
    if "XLA_FLAGS" in os.environ:
        return os.environ["XLA_FLAGS"]
    wanted = as_flags(OPTIONS)
    return " ".join(wanted if known(*wanted) else filter(known, wanted))
