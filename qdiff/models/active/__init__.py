"""The active particle: its bands, its phonons and the device made of them.

This folder imports `models.base` and the rooms before `models`, and no other paper's folder.
To add a figure of merit, write a method of the device with `@merit`; `bands` and `phonons` are what the device needs and nobody else.
"""
