"""A stream is committed piece by piece: not many rows at once, not many bytes, and fewer where the store says so."""

import json

import pytest
from feedback.imports import CHUNK, CHUNK_BYTES, answers, chunks
from feedback.rows import Read, ndjson
from feedback.usecases.import_responses import Fate, Imported
from rapport_chassis.committer import TooLarge
from rapport_chassis.http.run import Outcome


def rows(count, **more):
    async def pieces():
        for number in range(count):
            yield json.dumps({"reference": str(number), "answers": {"heard": "yes"}, **more}).encode() + b"\n"

    return ndjson(pieces())


async def test_short_rows_go_together_by_their_number():
    assert [len(chunk) async for chunk in chunks(rows(CHUNK + 1))] == [CHUNK, 1]


async def test_long_rows_go_together_by_their_bytes():
    found = [chunk async for chunk in chunks(rows(CHUNK, comment="x" * 4_000))]
    assert [read.line for chunk in found for read in chunk] == list(range(1, CHUNK + 1))
    assert all(sum(read.size for read in chunk[:-1]) < CHUNK_BYTES for chunk in found)
    assert len(found) > CHUNK * 4_000 // CHUNK_BYTES


@pytest.mark.parametrize("room", [1, 3, 7, 50])
async def test_what_is_too_large_together_is_taken_in_parts(room):
    taken = []

    async def each(_, commands, *, rows):
        (command,) = commands
        if len(command.rows) > room:
            raise TooLarge
        taken.extend(row.reference for row in command.rows)
        return [Outcome(result=[Imported(Fate.ACCEPTED) for _ in command.rows])]

    (first,) = [chunk async for chunk in chunks(rows(50))]
    first.insert(7, Read(99, error=ValueError()))
    told = b"".join(
        [piece async for piece in answers(first, chunks(rows(0)), "01900000-0000-7000-8000-0000000000aa", each)]
    )
    assert taken == [str(number) for number in range(50)]
    assert [json.loads(each)["status"] for each in told.splitlines()] == ["accepted"] * 7 + ["rejected"] + [
        "accepted"
    ] * 43
