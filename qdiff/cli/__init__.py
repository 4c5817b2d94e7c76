"""The same from a shell: one command a file.

This room imports from every other one, late, so that `qdiff --help` needs no JAX.
To add a command, write its function here, take model and values as `common` reads them, and register it in `app`.
"""
