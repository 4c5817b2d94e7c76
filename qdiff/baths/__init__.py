"""What a system touches: occupations, spectral densities, reservoirs."""
