"""Stands in for the fixture that counts what the whole run has looked at."""

import pytest


@pytest.fixture
def counted():
    return lambda what, n=1: None
