from .equation import Channel as Channel
from .equation import Channels as Channels
from .gibbs_ensemble import Ensemble as Ensemble
