"""What is done with a device: evaluate, sweep, optimise, trade off, measure sensitivities.

This room imports from `models` and the rooms before it; a study takes any model and asks for no particular one.
`search` has the steps of a search, `store` has the files that studies keep, resume and compare.
To add a study, write a file with one public function beside `evaluate`, and its command in `cli`.
"""

from ..front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
