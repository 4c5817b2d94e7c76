"""What tests count is printed at the end of a run, whichever process ran them."""

import os
import pathlib
import subprocess
import sys

import pytest

TESTS = """
import pytest
from hypothesis import given, settings, strategies

def test_two(counted):
    counted("random systems")
    counted("random systems", n=2)
    counted("oracle comparisons", 10)

@pytest.mark.parametrize("k", range(4))
def test_many(counted, k):
    counted("random systems", 100)

@given(k=strategies.integers(0, 10**9))
@settings(max_examples=7, derandomize=True, database=None)
def test_hypothesis(counted, k):
    counted("abuse cases")
"""
FAILING = """
def test_that_fails(counted):
    counted("random systems", 10**6)
    assert False
"""


@pytest.mark.parametrize("processes", [0, 2])
def test_numbers_are_summed_over_tests_and_processes(tmp_path, processes):
    """Ones and several, from two files; a test that fails adds nothing."""
    (tmp_path / "test_one.py").write_text(TESTS)
    (tmp_path / "test_other.py").write_text(TESTS + FAILING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "counted", f"-n{processes}", "-c", os.devnull, str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent)}, capture_output=True)
    assert b"806 random systems, 20 oracle comparisons, 14 abuse cases" in run.stdout, run.stdout.decode()
    assert b"1 failed, 12 passed" in run.stdout


def test_unknown_words_and_nothing_are_refused(counted):
    for wrong in (("random system",), ("random systems", 0), ("abuse cases", -1)):
        with pytest.raises(AssertionError, match="counted must be one of"):
            counted(*wrong)
