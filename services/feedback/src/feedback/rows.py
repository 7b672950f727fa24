"""Responses as they arrive in a stream, NDJSON or CSV, without holding it: rows with the line they begin in."""

import csv
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException
from pydantic import ValidationError
from rapport_chassis.http.body import parse
from rapport_chassis.http.characters import UNWELCOME, WHY

from feedback.usecases.import_responses import Row

LONGEST_ROW = 64 * 1024
"""Bytes."""

ANSWERS = "answers."
"""A CSV column `answers.<question>` holds the answers to that question."""
COLUMNS = ("reference", "region", "groups", "weight", "day", "stakeholder_id", "comment")
SEPARATOR = ";"
"""Between the groups of a cell."""

BOM = b"\xef\xbb\xbf"


class ColumnsWrong(Exception):
    """The header of a CSV stream is not one of responses."""


class RowUnreadable(Exception):
    """A row that is neither JSON nor CSV, or too long."""


@dataclass(frozen=True, slots=True)
class Read:
    """A row, or why it is none; `size` is how many bytes it came in."""

    line: int
    row: Row | None = None
    error: Exception | None = None
    size: int = 0


async def ndjson(pieces: AsyncIterable[bytes]) -> AsyncIterator[Read]:
    """One response a line; empty lines are none."""
    async for number, line in _lines(pieces):
        if line is None:
            yield Read(number, error=RowUnreadable(f"longer than {LONGEST_ROW} bytes"))
        elif line.strip():
            yield _json(number, line)


async def comma_separated(pieces: AsyncIterable[bytes]) -> AsyncIterator[Read]:
    """CSV (RFC 4180, UTF-8) with a header. Raises ColumnsWrong before the first row.

    After a quote that never closes nothing can be told apart any more: that row is the last.
    """
    columns: list[str] | None = None
    async for number, record in _records(pieces):
        try:
            cells = _cells(record)
        except RowUnreadable as error:
            if columns is None:
                raise ColumnsWrong(f"the first line must name the columns; it is {error}") from None
            yield Read(number, error=error)
            continue
        if columns is None:
            columns = _columns(cells)
        else:
            yield _row(number, columns, cells, len(record or b""))
    if columns is None:
        raise ColumnsWrong("the stream is empty; its first line names the columns")


def _json(number: int, line: bytes) -> Read:
    try:
        return Read(number, Row.model_validate(parse(line)), size=len(line))
    except ValidationError as error:
        return Read(number, error=error)
    except HTTPException as error:
        return Read(number, error=RowUnreadable(error.detail))


def _row(number: int, columns: list[str], cells: list[str], size: int) -> Read:
    if len(cells) != len(columns):
        return Read(number, error=RowUnreadable(f"{len(cells)} cells under {len(columns)} columns"))
    answers: dict[str, str] = {}
    values: dict[str, Any] = {"answers": answers}
    for column, cell in zip(columns, cells, strict=True):
        text = cell.strip()
        if not text:
            continue
        if column.startswith(ANSWERS):
            answers[column.removeprefix(ANSWERS)] = text
        elif column == "groups":
            values[column] = tuple(code.strip() for code in text.split(SEPARATOR))
        else:
            values[column] = text
    try:
        return Read(number, Row.model_validate(values), size=size)
    except ValidationError as error:
        return Read(number, error=error)


def _columns(cells: list[str]) -> list[str]:
    """Raises ColumnsWrong."""
    columns = [cell.strip() for cell in cells]
    answers = [column for column in columns if column.startswith(ANSWERS)]
    unknown = [column for column in columns if column not in COLUMNS and not column.startswith(ANSWERS)]
    if len(set(columns)) < len(columns) or unknown or not answers or "reference" not in columns:
        raise ColumnsWrong(
            f"needed: reference, and {ANSWERS}<question> for at least one question; possible: {', '.join(COLUMNS)}; "
            f"each once; {len(unknown)} unknown"
        )
    return columns


def _cells(record: bytes | None) -> list[str]:
    """Raises RowUnreadable."""
    if record is None:
        raise RowUnreadable(f"longer than {LONGEST_ROW} bytes, or a quote is left open: not read from here on")
    try:
        text = record.decode()
        if UNWELCOME.search(text):
            raise RowUnreadable(WHY)
        return next(csv.reader([text], strict=True))
    except UnicodeDecodeError:
        raise RowUnreadable("not UTF-8") from None
    except csv.Error:
        raise RowUnreadable("not CSV as RFC 4180 has it") from None


async def _records(pieces: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, bytes | None]]:
    """Lines joined where a quoted cell goes on in the next; None, and the end, for one that cannot be ended."""
    begin, record = 1, b""
    async for number, line in _lines(pieces):
        if line is None or len(record) + len(line) > LONGEST_ROW:
            yield begin, None
            return
        record += line
        if record.count(b'"') % 2:
            record += b"\n"
            continue
        if record.strip():
            yield begin, record
        begin, record = number + 1, b""
    if record:
        yield begin, None


async def _lines(pieces: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, bytes | None]]:
    """Lines, numbered from 1, without their ends; None in place of one that is too long."""
    number, pending, skipped = 1, b"", False
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for part in ended:
            yield number, _line(number, pending + part, skipped=skipped)
            number, pending, skipped = number + 1, b"", False
        pending += rest
        if len(pending) > LONGEST_ROW:
            pending, skipped = b"", True
    if pending or skipped:
        yield number, _line(number, pending, skipped=skipped)


def _line(number: int, line: bytes, *, skipped: bool) -> bytes | None:
    if skipped or len(line) > LONGEST_ROW:
        return None
    return (line.removeprefix(BOM) if number == 1 else line).removesuffix(b"\r")
