"""The equations of motion, a folder each: how a system moves, where it ends up, and how it gets there.

An equation imports from the rooms before this one, and not from another equation; `tests/test_architecture.py` lists the exceptions
and their reasons. `lindblad` is the core.
To add an equation, make a folder with `equation.py`, an `AbstractGenerator` whose methods call `steady.py`,
`evolve.py` and so on, as far as it has them, and beside them what it alone needs.
"""
