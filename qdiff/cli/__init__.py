"""The same from a shell."""
