from .evaluate import Evaluation as Evaluation
from .fisher import Fisher as Fisher
from .optimize import Optimum as Optimum
from .rerun import Comparison as Comparison
from .sensitivity import Sensitivity as Sensitivity
from .tradeoff import Tradeoff as Tradeoff
