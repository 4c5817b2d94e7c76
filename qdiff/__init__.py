"""Differentiable open quantum systems and quantum thermodynamics.

The public names are loaded when they are first used (PEP 562), because JAX takes a second to import. Importing
qdiff asks JAX for 64-bit numbers, unless the environment variable JAX_ENABLE_X64 says otherwise, and gives its
CPU programs 64 threads, unless PJRT_NPROC says otherwise.
"""

import importlib
import os
import sys
from typing import Any

__version__ = "0.1.0"

os.environ.setdefault("JAX_ENABLE_X64", "1")
if "jax" in sys.modules:
    # JAX has read its environment already; the variable still decides.
    sys.modules["jax"].config.update("jax_enable_x64", os.environ["JAX_ENABLE_X64"].lower() in ("1", "true"))

# A batched LAPACK call cuts its batch into tasks for the pool of threads in which it itself runs, and waits for them there. Before
# jaxlib 0.11.2 as many such calls at once as the pool has threads, one for each core, wait for ever. Idle threads cost nothing.
os.environ.setdefault("PJRT_NPROC", str(max(64, os.cpu_count() or 1)))

_HOME = {
    "generator": ["AbstractGenerator"],
    "results": ["failures", "NotUnique", "SolveError"],
    "progress_bar": ["progress"],
    "operators.fermions": ["Fermions"],
    "operators.operator": ["Operator"],
    "operators.space": ["Boson", "Levels", "Rotor", "Space", "Spin"],
    "operators.structure": ["structured"],
    "baths.lead": ["AbstractLead", "FermionicLead", "GivenLead"],
    "baths.occupation": ["bose", "fermi"],
    "baths.reservoir": ["AbstractBath", "BosonicBath"],
    "baths.spectrum": ["Custom", "Flat", "Ohmic"],
    "equations.bloch.equation": ["BlochModel"],
    "equations.channels.equation": ["Channels"],
    "equations.channels.gibbs_ensemble": ["Ensemble"],
    "equations.channels.mean_field": ["Channel"],
    "equations.cycles.cycle": ["Cycle"],
    "equations.cycles.run": ["Run"],
    "equations.cycles.strokes": ["Free", "Measurement", "SwapBaths", "Unitary"],
    "equations.cycles.trajectories": ["replay", "trajectories", "Trajectories"],
    "equations.lindblad.equation": ["Jump", "lead_jumps", "Lindblad", "thermal_jumps"],
    "equations.lindblad.evolution": ["Evolution"],
    "equations.lindblad.evolve": ["evolve"],
    "equations.lindblad.integrators": ["AbstractIntegrator", "Action", "Explicit", "Propagator", "Stiff"],
    "equations.lindblad.pulses": [
        "CubicSpline",
        "GaussianPulse",
        "PiecewiseConstant",
        "PiecewiseLinear",
        "Pulse",
        "Pulses",
        "RaisedCosine",
    ],
    "equations.lindblad.regression": ["correlation", "spectrum", "zero_frequency_noise"],
    "equations.lindblad.relaxation": ["relax", "Relaxation"],
    "equations.lindblad.secular": ["secular"],
    "equations.lindblad.solver": ["AbstractSolver", "BlockTridiagonal", "Dense"],
    "equations.lindblad.steady": ["State", "steady_state"],
    "equations.momentum.cells": ["evolve_cells", "stationary_cells", "stationary_density"],
    "equations.momentum.drift_diffusion": ["DriftDiffusion", "finite_volumes", "FiniteVolumes"],
    "equations.momentum.scattering": ["Scattering"],
    "equations.momentum.scattering_gap": ["slowest_scattering"],
    "equations.momentum.scattering_steady": ["driven_scattering", "evolve_scattering", "stationary_scattering"],
    "equations.rates.equation": ["pauli", "Rates", "thermal_transitions"],
    "equations.rates.evolve": ["propagate"],
    "equations.rates.gap": ["slowest_decay"],
    "equations.rates.steady": ["stationary_populations"],
    "thermo.counting": ["cumulants", "fano_factor", "uncertainty_ratio"],
    "thermo.entropy": ["entropy", "entropy_production", "free_energy"],
    "thermo.ergotropy": ["ergotropy"],
    "thermo.flows": ["current", "currents", "heat_current", "Ledger", "ledger"],
    "thermo.gibbs": ["gibbs"],
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
