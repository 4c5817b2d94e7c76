"""Cycles of strokes: free motion, measurements, unitaries and swapped baths, repeated.

`strokes` are the parts and `stroke_maps` what they do to a state; `sequence` puts them in order, and `cycle` is the generator made of
them; `limit_cycle` is where it ends up, `run` the way there, `trajectory` the records of measurements.
This folder imports `equations.lindblad`, the free motion between strokes. To add a kind of stroke, write its class in `strokes` and its
map in `stroke_maps`.
"""

from ...front_door import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
