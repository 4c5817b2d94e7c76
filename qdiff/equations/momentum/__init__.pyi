from .drift_diffusion import DriftDiffusion as DriftDiffusion
from .drift_diffusion import FiniteVolumes as FiniteVolumes
from .drift_diffusion import finite_volumes as finite_volumes
from .scattering import Scattering as Scattering
