"""Differentiable open quantum systems and quantum thermodynamics.

The public names are loaded when they are first used (PEP 562), because JAX takes a second to import. Importing
qdiff asks JAX for 64-bit numbers, unless the environment variable JAX_ENABLE_X64 says otherwise, and gives its
CPU programs 64 threads, unless PJRT_NPROC says otherwise.
"""

import importlib
import os
import sys
from typing import Any

os.environ.setdefault("JAX_ENABLE_X64", "1")
if "jax" in sys.modules:
    # JAX has read its environment already; the variable still decides.
    sys.modules["jax"].config.update("jax_enable_x64", os.environ["JAX_ENABLE_X64"].lower() in ("1", "true"))

# A batched LAPACK call cuts its batch into tasks for the pool of threads in which it itself runs, and waits for them there. Before
# jaxlib 0.11.2 as many such calls at once as the pool has threads, one for each core, wait for ever. Idle threads cost nothing.
os.environ.setdefault("PJRT_NPROC", str(max(64, os.cpu_count() or 1)))

_HOME = {
    "operators.fermions": ["Fermions"],
    "operators.operator": ["Operator"],
    "operators.probe": ["structured"],
    "operators.space": ["Boson", "Levels", "Rotor", "Space", "Spin"],
    "baths.lead": ["FermionicLead", "GivenLead"],
    "baths.occupation": ["bose", "fermi"],
    "baths.reservoir": ["BosonicBath"],
    "baths.spectrum": ["Custom", "Flat", "Ohmic"],
    "generators.channels": ["Channel", "Channels"],
    "generators.drift_diffusion": ["DriftDiffusion", "finite_volumes", "FiniteVolumes"],
    "generators.lindblad": ["Jump", "lead_jumps", "Lindblad", "thermal_jumps"],
    "generators.momentum": ["BlochModel"],
    "generators.pulses": ["CubicSpline", "GaussianPulse", "PiecewiseConstant", "PiecewiseLinear", "Pulse", "Pulses", "RaisedCosine"],
    "generators.rates": ["pauli", "Rates", "thermal_transitions"],
    "generators.scattering": ["Scattering"],
    "generators.secular": ["secular"],
    "solvers.bloch": ["bloch_steady_states", "bloch_velocity", "mean_velocity"],
    "solvers.channel_evolution": ["evolve_occupations"],
    "solvers.channels": ["Ensemble", "gibbs_ensemble"],
    "solvers.cycle": ["Cycle"],
    "solvers.cycle_series": ["Run"],
    "solvers.decay": ["slowest_decay"],
    "solvers.drift_diffusion": ["evolve_cells", "stationary_cells", "stationary_density"],
    "solvers.evolution": ["Evolution"],
    "solvers.evolve": ["evolve"],
    "solvers.integrators": ["Action", "Explicit", "Propagator", "Stiff"],
    "solvers.populations": ["stationary_populations"],
    "solvers.progress": ["progress"],
    "solvers.rate_evolution": ["propagate"],
    "solvers.regression": ["correlation", "spectrum", "zero_frequency_noise"],
    "solvers.relax": ["relax", "Relaxation"],
    "solvers.scattering": ["driven_scattering", "evolve_scattering", "stationary_scattering"],
    "solvers.slowest": ["slowest_scattering"],
    "solvers.selective": ["replay", "trajectories", "Trajectories"],
    "results": ["failures", "NotUnique", "SolveError"],
    "solvers.steady": ["BlockTridiagonal", "Dense", "State", "steady_state"],
    "solvers.strokes": ["Free", "Measurement", "SwapBaths", "Unitary"],
    "thermodynamics.counting": ["cumulants", "fano_factor", "uncertainty_ratio"],
    "thermodynamics.entropy": ["entropy", "entropy_production", "free_energy"],
    "thermodynamics.ergotropy": ["ergotropy"],
    "thermodynamics.flows": ["current", "currents", "heat_current", "Ledger", "ledger"],
    "thermodynamics.gibbs": ["gibbs"],
    "models.base": ["merit", "Model", "parameter", "setting", "shared"],
    "studies.evaluate": ["evaluate", "Evaluation"],
    "studies.fisher": ["Fisher", "fisher_information"],
    "studies.optimize": ["optimize", "Optimum"],
    "studies.rerun": ["Comparison", "rerun"],
    "studies.sensitivity": ["sensitivity", "Sensitivity"],
    "studies.sweep": ["sweep"],
    "studies.tradeoff": ["tradeoff", "Tradeoff"],
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [*sorted(_WHERE), "figures", "models"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in ("figures", "models"):
        return importlib.import_module("." + name, __name__)
    if name not in _WHERE:
        raise AttributeError(f"module 'qdiff' has no attribute {name!r}")
    value = getattr(importlib.import_module("." + _WHERE[name], __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
