"""What is read off a state: flows, entropy, ergotropy, rectification."""
