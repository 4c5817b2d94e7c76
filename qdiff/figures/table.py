"""The claims of many figures as one Markdown table, and the README that holds it between two marks."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from .claims import Claim

BEGIN, END = "<!-- claims: begin -->", "<!-- claims: end -->"


def rows(name: str, claims: Iterable[Claim]) -> list[str]:
    """A figure's claims as lines of the table."""
    cells = ((name, c.statement, c.published, c.found, c.verdict) for c in claims)
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]


def table(claims: Mapping[str, Sequence[Claim]]) -> str:
    """The whole table: figure, claim, published, found, verdict."""
    head = ["| figure | claim | published | found | |", "|---|---|---|---|---|"]
    return "\n".join(head + [row for name, found in claims.items() for row in rows(name, found)])


def between(text: str) -> str:
    """The text between the two marks.

    Raises:
        ValueError: the text does not have both of them, once and in this order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the file must have the lines {BEGIN} and {END}, once each, but has not")
    return text.split(BEGIN)[1].split(END)[0].strip()


def marked(path: str | os.PathLike) -> str:
    """The text of a file that has the two marks.

    Raises:
        ValueError: it cannot be read, or has not both of them.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        between(text)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text" if isinstance(error, UnicodeError) else error
        raise ValueError(f"readme must be a file with the marks of the table, but {os.fspath(path)} is not one: {why}") from None
    return text


def rewrite(path: str | os.PathLike, claims: Mapping[str, Sequence[Claim]]):
    """Put the table between the two marks of a file, in place of what stands there."""
    text, path = marked(path), pathlib.Path(path)
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{table(claims)}\n{END}{after}")
