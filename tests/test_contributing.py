"""CONTRIBUTING.md says what is there: the files that it names, and the rooms in their order."""

import re

from test_architecture import ROOMS, ROOT

TEXT = (ROOT.parent / "CONTRIBUTING.md").read_text()


def files_named(text: str) -> set[str]:
    """The files and folders of the package that a text names, as `models/base.py`."""
    return {name for name in re.findall(r"`([\w/]+\.py|[\w]+/[\w/]*)`", text) if not name.startswith(("tests/", "benchmarks/"))}


def missing(text: str) -> set[str]:
    return {name for name in files_named(text) if not (ROOT / name).exists() and not (ROOT / "equations" / "lindblad" / name).exists()}


def test_files_are_there():
    assert len(files_named(TEXT)) > 10 and missing(TEXT) == set()


def test_a_file_that_is_not_there_is_seen():
    assert missing("see `models/base.py` and `linalg/lanes.py`") == {"linalg/lanes.py"}


def test_rooms_are_named_in_their_order():
    block = TEXT[TEXT.index("qdiff/\n") : TEXT.index("Every room's")]
    rooms = re.findall(r"^  (\w+)(?:/|\.py) ", block, re.M)
    assert rooms == [room for room in ROOMS if room != "progress_bar"]
