from .equation import Master as Master
from .evolution import Evolution as Evolution
from .evolution import Snapshot as Snapshot
from .relaxation import Relaxation as Relaxation
from .sandwiches import Sandwich as Sandwich
from .steady import State as State
