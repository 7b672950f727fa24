"""Pieces of Markdown."""

from collections.abc import Iterable, Iterator

GENERATED = "<!-- Written by `make docs` from the code; edit the code. -->"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a table, and an empty one behind it."""
    columns = list(head)
    yield _row(columns)
    yield "|" + "---|" * len(columns)
    yield from (_row(row) for row in rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
