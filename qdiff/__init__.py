import jax
jax.config.update("jax_enable_x64", True)
from .operators.space import Space, Spin, Rotor, Boson, Levels
from .operators.operator import Operator
from .baths.reservoir import BosonicBath
from .baths.spectrum import Ohmic, Flat, Custom
from .generators.lindblad import Lindblad, Jump, thermal_jumps
from .solvers.steady import steady_state, Dense, BlockTridiagonal
from .operators.probe import structured
from .generators.secular import secular
