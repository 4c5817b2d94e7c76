"""Differentiable open quantum systems and quantum thermodynamics.

The public names are loaded when they are first used (PEP 562), because JAX takes a second to import. Importing
qdiff asks JAX for 64-bit numbers, unless the environment variable JAX_ENABLE_X64 says otherwise.
"""

import importlib
import os
import sys
from typing import Any

os.environ.setdefault("JAX_ENABLE_X64", "1")
if "jax" in sys.modules:
    # JAX has read its environment already; the variable still decides.
    sys.modules["jax"].config.update("jax_enable_x64", os.environ["JAX_ENABLE_X64"].lower() in ("1", "true"))

_HOME = {
    "operators.operator": ["Operator"],
    "operators.probe": ["structured"],
    "operators.space": ["Boson", "Levels", "Rotor", "Space", "Spin"],
    "baths.occupation": ["bose", "fermi"],
    "baths.reservoir": ["BosonicBath"],
    "baths.spectrum": ["Custom", "Flat", "Ohmic"],
    "generators.lindblad": ["Jump", "Lindblad", "thermal_jumps"],
    "generators.rates": ["Rates", "pauli", "thermal_transitions"],
    "generators.secular": ["secular"],
    "solvers.decay": ["slowest_decay"],
    "solvers.evolution": ["Evolution"],
    "solvers.evolve": ["evolve"],
    "solvers.integrators": ["Action", "Explicit", "Propagator", "Stiff"],
    "solvers.populations": ["stationary_populations"],
    "solvers.progress": ["progress"],
    "solvers.rate_evolution": ["propagate"],
    "solvers.regression": ["correlation", "spectrum", "zero_frequency_noise"],
    "solvers.relax": ["Relaxation", "relax"],
    "solvers.steady": ["BlockTridiagonal", "Dense", "NotUnique", "SolveError", "State", "failures", "steady_state"],
    "thermodynamics.counting": ["cumulants", "fano_factor", "uncertainty_ratio"],
    "thermodynamics.entropy": ["entropy", "entropy_production"],
    "thermodynamics.ergotropy": ["ergotropy"],
    "thermodynamics.gibbs": ["gibbs"],
    "thermodynamics.flows": ["Ledger", "current", "currents", "heat_current", "ledger"],
    "models.base": ["Model", "figure", "parameter", "setting", "shared"],
    "studies.evaluate": ["Evaluation", "evaluate"],
    "studies.optimize": ["Optimum", "optimize"],
    "studies.rerun": ["Comparison", "rerun"],
    "studies.sweep": ["sweep"],
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [*sorted(_WHERE), "models"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "models":
        return importlib.import_module(".models", __name__)
    if name not in _WHERE:
        raise AttributeError(f"module 'qdiff' has no attribute {name!r}")
    value = getattr(importlib.import_module("." + _WHERE[name], __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
