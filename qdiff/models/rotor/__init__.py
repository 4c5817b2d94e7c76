"""The rotor as an engine and as a rectifier of heat and of angular momentum.

This folder imports `models.base` and the rooms before `models`, and no other paper's folder.
To add a figure of merit, write a method of the device with `@merit`, and its published number into `tests/papers`.
"""
