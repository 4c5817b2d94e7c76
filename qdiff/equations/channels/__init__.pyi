from .equation import Channels as Channels
from .gibbs_ensemble import Ensemble as Ensemble
from .mean_field import Channel as Channel
