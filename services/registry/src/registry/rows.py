"""CSV as it arrives (RFC 4180, UTF-8): rows with the line they begin in, without holding the file."""

import csv
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

LONGEST_ROW = 64 * 1024


class FileUnreadable(Exception):
    """Not CSV, or not UTF-8; what follows in the file cannot be told apart any more."""


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: tuple[str, ...]


async def rows(chunks: AsyncIterable[bytes]) -> AsyncIterator[Row]:
    """Rows of a file that comes in pieces; empty lines are none. Raises FileUnreadable."""
    number, begin, row = 0, 1, ""
    async for line in _lines(chunks):
        number += 1
        row += line
        if len(row) > LONGEST_ROW:
            raise FileUnreadable(f"line {begin}: a row of more than {LONGEST_ROW} characters, or a quote left open")
        if row.count('"') % 2 == 0:  # otherwise a cell goes on in the next line
            if row.strip():
                yield Row(begin, _cells(row, begin))
            begin, row = number + 1, ""
    if row:
        raise FileUnreadable(f"line {begin}: a quote is left open")


def _cells(row: str, line: int) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([row], strict=True)))
    except csv.Error:
        raise FileUnreadable(f"line {line}: not CSV as RFC 4180 has it") from None


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Lines with their ends. Each is decoded by itself, so that what is before a fault does not depend on chunks."""
    pending, number = b"", 0
    async for chunk in chunks:
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            number += 1
            yield _text(line + b"\n", number)
        if len(pending) > LONGEST_ROW:
            raise FileUnreadable(f"line {number + 1}: more than {LONGEST_ROW} bytes")
    if pending:
        yield _text(pending, number + 1)


def _text(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise FileUnreadable(f"line {number}: not UTF-8") from None
