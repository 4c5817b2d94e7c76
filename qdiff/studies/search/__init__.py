"""The steps of a search: the box, the objective, the constraints, and the methods that go downhill.

This folder imports from `models`, and from the other files of `studies`.
`problem` holds what is searched, `programs` compiles it, `search` runs many starts; `newton`, `sqp`, `lbfgs` finish the best.
To add a method, write a file with a function that returns a `Polished`, as `newton` does.
"""
