"""CSV as it arrives (RFC 4180, UTF-8): rows with the line they begin in, without holding the file."""

import codecs
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
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    pending = ""
    try:
        async for chunk in chunks:
            *whole, pending = (pending + decoder.decode(chunk)).split("\n")
            for line in whole:
                yield line + "\n"
            if len(pending) > LONGEST_ROW:
                raise FileUnreadable(f"a line of more than {LONGEST_ROW} characters")
        pending += decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise FileUnreadable("the file is not UTF-8") from None
    if pending:
        yield pending
