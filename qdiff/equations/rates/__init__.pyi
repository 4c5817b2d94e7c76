from .equation import Rates as Rates
from .equation import pauli as pauli
from .equation import thermal_transitions as thermal_transitions
from .gap import slowest_decay as slowest_decay
