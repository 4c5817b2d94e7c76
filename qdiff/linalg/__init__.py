"""Linear algebra on arrays of numbers: one algorithm a file, no physics.

This room imports nothing of qdiff but `results` and `progress_bar`. Shapes are written as types where a kernel is shared; the axis of a
batch is the last one.
To add an algorithm, write a file named as a textbook or SciPy names it, say what it costs and how accurate it is, and test it in
`tests/linalg` against LAPACK or against arithmetic of many digits.
"""
