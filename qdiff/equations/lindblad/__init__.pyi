from .evolution import Evolution as Evolution
from .evolution import Snapshot as Snapshot
from .relaxation import Relaxation as Relaxation
from .steady import State as State
