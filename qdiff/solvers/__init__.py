"""Where a system ends up: linear algebra and stationary states."""
