"""An import over HTTP: a stream of rows in, a line of JSON out for each, in order, however many there are."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

from fastapi.responses import StreamingResponse
from pydantic_core import to_json
from rapport_chassis.committer import TooLarge, is_transient
from rapport_chassis.errors import Unavailable
from rapport_chassis.http import RunEach, problem_of
from rapport_chassis.keyring import KeyringUnavailable, SubjectErased
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from feedback.rows import Read
from feedback.usecases.import_responses import Fate, Imported, ImportResponses, Row, import_responses

CHUNK = 500
"""Rows that are committed together, unless they are long."""

CHUNK_BYTES = 256 * 1024
"""Of rows that are committed together: sealed and told they are three times that, in this process and in the store."""

IN_MEMORY = 1024 * 1024
"""Bytes of answers nobody has fetched yet; beyond it they wait in a file."""

PIECE = 64 * 1024


class Answers(StreamingResponse):
    """Sent while the request is still being read; Starlette's own would listen for a disconnect, and eat the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        await self.stream_response(send)


async def chunks(reads: AsyncIterator[Read]) -> AsyncIterator[list[Read]]:
    """Rows by the chunk, at least one chunk."""
    chunk: list[Read] = []
    size = 0
    async for read in reads:
        chunk.append(read)
        size += read.size
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    yield chunk


async def answers(
    first: list[Read], rest: AsyncIterator[list[Read]], wave_id: str, each: RunEach
) -> AsyncIterator[bytes]:
    """NDJSON: what became of each row. Where the service cannot go on, it says so for the chunk at hand and ends.

    Whoever has fewer answers than rows, or was told "unavailable", sends the stream again: what was accepted is a
    duplicate then.
    """
    chunk = first
    while chunk:
        try:
            fates = await _import([read.row for read in chunk if read.row is not None], wave_id, each)
        except Exception as error:
            if not (is_transient(error) or isinstance(error, KeyringUnavailable)):
                raise
            away = Unavailable("the service could not go on; what came of this row is unknown: send the stream again")
            yield b"".join(_answer(read.line, Imported(Fate.REJECTED, error=read.error or away)) for read in chunk)
            return
        fate = iter(fates)
        yield b"".join(
            _answer(read.line, Imported(Fate.REJECTED, error=read.error) if read.error else next(fate))
            for read in chunk
        )
        chunk = await anext(rest, [])


async def _import(rows: Sequence[Row], wave_id: str, each: RunEach) -> list[Imported]:
    if not rows:
        return []
    try:
        (outcome,) = await each(import_responses, [ImportResponses(wave_id=wave_id, rows=tuple(rows))], rows=len(rows))
    except TooLarge:  # the store's cache has no room for so many at once
        if len(rows) == 1:
            raise
        half = len(rows) // 2
        return [*await _import(rows[:half], wave_id, each), *await _import(rows[half:], wave_id, each)]
    if outcome.error is None:
        fates: list[Imported] = outcome.result
        return fates
    if isinstance(outcome.error, SubjectErased) and len(rows) > 1:
        # One of them is by somebody who was erased, which we have not heard yet: each by itself, to find out which.
        return [fate for row in rows for fate in await _import([row], wave_id, each)]
    return [Imported(Fate.REJECTED, error=outcome.error)] * len(rows)


def _answer(line: int, imported: Imported) -> bytes:
    answer: dict[str, Any] = {"line": line, "status": imported.fate}
    if imported.response is not None:
        answer["response_id"] = imported.response.id
        answer["event"] = imported.response.event_id
    if imported.error is not None:
        answer["problem"] = problem_of(imported.error)
    return to_json(answer) + b"\n"


async def unhurried(made: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, made whether or not anybody fetches it yet.

    Most clients send all they have before they begin to listen. Were an answer to wait for them, they would wait for
    us to read on, for ever.
    """
    news = asyncio.Event()
    with SpooledTemporaryFile(max_size=IN_MEMORY) as spool:

        async def make() -> None:
            try:
                with contextlib.suppress(ClientDisconnect):  # what was accepted until then stays accepted
                    async for piece in made:
                        spool.seek(0, 2)
                        spool.write(piece)
                        news.set()
            finally:
                news.set()

        making = asyncio.create_task(make(), name="import")
        place = 0
        try:
            while True:
                ended = making.done()
                spool.seek(place)
                if piece := spool.read(PIECE):
                    place += len(piece)
                    yield piece
                elif ended:
                    await making
                    return
                else:
                    await news.wait()
                    news.clear()
        finally:
            making.cancel()
