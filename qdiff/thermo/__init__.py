"""Properties of a state: flows and their ledger, counting statistics, entropy, ergotropy, rectification, modes of engines.

This room imports from `equations` and the rooms before it. A current is positive into the system; work is positive when done on it.
To add a quantity, write a function of a state, which knows its generator, say its unit and its sign, and test it against a law in
`tests/physics`.
"""

from ..front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
