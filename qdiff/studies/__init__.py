"""What is done with a device: evaluate, optimise."""
