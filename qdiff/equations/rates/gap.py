"""The slowest decay of a rate equation or of a Lindblad equation."""

from __future__ import annotations

from ..lindblad.equation import Lindblad
from ..lindblad.reach import reach
from ..lindblad.solver import matrix
from ..lindblad.terms import refuse_sandwiches
from .equation import Rates
from .slowest import slowest_of_matrix


def slowest_decay(generator: Rates | Lindblad):
    """The smallest decay rate of a generator: the distance of its spectrum, zero apart, from the imaginary axis.

        min over the eigenvalues lambda != 0 of -Re lambda

    Args:
        generator: a rate equation, or a Lindblad equation with one stationary state (in the sector of the populations).

    Returns:
        A scalar [rate].

    Raises:
        NotUnique: a rate equation has several closed sets of states.
        SolveError: at run time, if rates are not finite or the stationary state is not unique.

    Differentiable in every rate, to third order, where the slowest decay is a single one or a complex pair.

    Accuracy: of a rate equation 1e-13 of itself also where it is 1e-10 of the other rates (its inverse is found by
    elimination without subtraction); of a Lindblad equation 1e-15 of the largest rate. Costs n^3.

    Example:
        >>> import qdiff as qd
        >>> bath = qd.BosonicBath(1.0, 0.1)
        >>> pair = qd.rates.Rates([0.0, 1.0], {"bath": qd.rates.thermal_transitions([0], [1], [1.0], bath)})
        >>> round(float(qd.rates.slowest_decay(pair) / (bath.emission(1.0) + bath.absorption(1.0))), 12)
        1.0
    """
    if isinstance(generator, Rates):
        return generator.relax()
    refuse_sandwiches("generator", generator)
    if not isinstance(generator, Lindblad):
        raise TypeError(f"generator must be Rates or a Lindblad, but was {type(generator).__name__}")
    sector = reach(generator)
    values = sector.values(generator)
    return slowest_of_matrix(matrix(sector, values), values, sector.trace_weights)
