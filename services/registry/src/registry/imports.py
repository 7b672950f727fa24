"""An import over HTTP: CSV in, a line of JSON out for every row."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from fastapi import HTTPException, Request
from pydantic_core import to_json
from rapport_chassis.http import Query, Response, Routes, RunEach, problem_of

from registry.api import WRITERS
from registry.rows import FileUnreadable, Row, rows
from registry.usecases.import_stakeholders import (
    ColumnsWrong,
    Imported,
    ImportRow,
    Rehearsal,
    RowInvalid,
    check_columns,
    import_stakeholder,
    rehearse_import,
)

CHUNK = 500
"""Rows that are committed together."""

MOST_ROWS = 50_000


class TooManyRows(Exception):
    """The rest of the file was not read: send it as a file of its own."""


ERRORS = {ColumnsWrong: 422, RowInvalid: 422, FileUnreadable: 400, TooManyRows: 413}

routes = Routes(tags=["stakeholders"])


@routes.post(
    "/stakeholders/import",
    access=WRITERS,
    limit="registering",
    status=200,
    streaming=True,
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def import_(request: Request, each: RunEach, query: Query, *, dry_run: bool = False) -> Response:
    """Import CSV, with a line of JSON as answer for every row. `dry_run` says what would happen and changes nothing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise HTTPException(415, "send text/csv in UTF-8")
    answered = await answers(request.stream(), each, query, dry_run=dry_run)
    return Response(answered, media_type="application/x-ndjson")


async def answers(file: AsyncIterable[bytes], each: RunEach, query: Query, *, dry_run: bool) -> bytes:
    """NDJSON, one answer a row: registered, known, or refused with its problem. Raises ColumnsWrong, FileUnreadable.

    Answers are given when the whole file has been read: most clients send everything before they begin to listen, and
    an answer on the way would wait for them while they wait for us.
    """
    read = rows(file)
    columns = await _columns(read)
    taken: set[str] = set()
    answered: list[bytes] = []
    async for chunk, stopped in _chunks(read, columns):
        outcomes: list[Any]
        if not chunk:
            outcomes = []
        elif dry_run:
            outcomes = await _rehearsed(Rehearsal(rows=chunk, taken=taken), query)
        else:
            outcomes = [outcome.error or outcome.result for outcome in await each(import_stakeholder, chunk)]
        answered += [_line(row.line, outcome) for row, outcome in zip(chunk, outcomes, strict=True)]
        if stopped is not None:
            answered.append(_line(None, stopped))
    return b"".join(answered)


async def _columns(read: AsyncIterator[Row]) -> tuple[str, ...]:
    header = await anext(read, None)
    if header is None:
        raise ColumnsWrong("the file is empty; its first line names the columns")
    columns = tuple(cell.strip() for cell in header.cells)
    check_columns(columns)
    return columns


async def _chunks(
    read: AsyncIterator[Row], columns: tuple[str, ...]
) -> AsyncIterator[tuple[list[ImportRow], Exception | None]]:
    """Rows by the chunk; with the last, why reading stopped before the end of the file."""
    chunk: list[ImportRow] = []
    count = 0
    stopped: Exception | None = None
    try:
        async for row in read:
            if count == MOST_ROWS:
                stopped = TooManyRows(f"line {row.line}: not read from here on; a file has {MOST_ROWS} rows at most")
                break
            count += 1
            chunk.append(ImportRow(line=row.line, columns=columns, cells=row.cells))
            if len(chunk) == CHUNK:
                yield chunk, None
                chunk = []
    except FileUnreadable as error:
        stopped = error
    yield chunk, stopped


async def _rehearsed(rehearsal: Rehearsal, query: Query) -> list[Any]:
    found: list[Any] = []
    await query(rehearse_import, rehearsal, view=found.extend)
    return found


def _line(line: int | None, outcome: Imported | Exception) -> bytes:
    answer: dict[str, Any]
    if isinstance(outcome, Imported):
        answer = {"line": line, "status": outcome.status, "id": outcome.stakeholder_id}
        if outcome.differs:
            answer["differs"] = outcome.differs
    else:
        answer = {"line": line, "status": "refused", "problem": problem_of(outcome)}
    return to_json(answer) + b"\n"
