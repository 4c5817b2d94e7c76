"""Which lines and branches of qdiff the tests run: `COUNT_LINES=FOLDER python -m pytest`, then `coverage_limits.py FOLDER`.

slipcover puts the counting into qdiff's own code. coverage.py (on Python 3.11) is called for every line of JAX as well, which
made tests 40 % slower.
"""

from __future__ import annotations

import json
import os
import pathlib

REPO = pathlib.Path(__file__).resolve().parents[1]
FOLDER = os.environ.get("COUNT_LINES")


class Lines:
    """The pytest plugin of one process: it counts what is imported from now on, and writes a file of its own at the end."""

    def __init__(self, folder: str):
        import slipcover

        self.folder = pathlib.Path(folder)
        self.counts = slipcover.Slipcover(branch=True, source=[str(REPO / "qdiff")])
        slipcover.ImportManager(self.counts, slipcover.FileMatcher(sources=[REPO / "qdiff"])).__enter__()

    def pytest_sessionfinish(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{os.getpid()}.json").write_text(json.dumps(self.counts.get_coverage()["files"]))
