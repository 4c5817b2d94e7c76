"""Rectifiers of currents that generalised Gibbs ensembles describe, and the many-body chains that they are the limit of.

This folder imports `models.base` and the rooms before `models`, and no other paper's folder.
To add a figure of merit, write a method of the device with `@merit`; `many_body` is for tests and for small chains.
"""
