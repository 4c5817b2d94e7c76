"""What a system is made of: patterns, operators, spaces, and the structure that holds for all parameters.

This room imports from `results` and `linalg`. The values of an operator are traced, its pattern is known while tracing.
`checks` refuses wrong arguments in one sentence, for every room from here on.
To add a kind of factor, write it beside those in `space`; to add an algebra of its own, write a file such as `fermions`.
"""
