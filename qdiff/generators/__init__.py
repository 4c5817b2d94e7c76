"""How a system moves: generators, and the sector they act in."""
