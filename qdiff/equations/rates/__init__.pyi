from .equation import Rates as Rates
from .equation import pauli as pauli
from .gap import slowest_decay as slowest_decay
from .transitions import thermal_transitions as thermal_transitions
