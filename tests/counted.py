"""Counts of what a run has looked at, summed over all tests that passed and over the processes that ran them.

A test says `counted("random systems")` for each one that it has looked at; the numbers travel with its report.
"""

import pytest

KINDS = ("random systems", "oracle comparisons", "abuse cases", "edges in 40 digits")


class Counter:
    """counted(what, n=1) adds n to what the running test has counted."""

    def __init__(self):
        self.item = None

    def __call__(self, what: str, n: int = 1):
        assert what in KINDS and n > 0, f"counted must be one of {KINDS} and a positive number, but was {what!r}, {n!r}"
        own = self.item.user_properties
        before = sum(value for name, value in own if name == what)
        own[:] = [pair for pair in own if pair[0] != what] + [(what, before + int(n))]


COUNTER = Counter()


@pytest.fixture(scope="session")
def counted():
    # For all tests one, so that hypothesis takes it; each test counts for itself by the hook below.
    return COUNTER


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    COUNTER.item = item


def pytest_terminal_summary(terminalreporter):
    total = dict.fromkeys(KINDS, 0)
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name in total:
                total[name] += value
    if any(total.values()):
        terminalreporter.section("looked at")
        terminalreporter.line(", ".join(f"{n} {what}" for what, n in total.items()))
