"""Rate equations: populations, their stationary values, their evolution and slowest decay, and rates between sites and levels.

`equation` is the generator, also as read off a Lindblad equation whose coherences decouple, which is why this folder imports
`equations.lindblad`; `steady`, `evolve` and `slowest` are behind its methods. `bipartite` and `separable` are for rates that factorise;
`open_chain` has the modes of a chain with ends.
To add another structure of rates, write its generator as `bipartite` has it, and its stationary state beside it.
"""
