"""Bodies that lie, clients that dawdle, clients that leave: each is ended within its bound, and harms nobody else."""

import asyncio
import json
import uuid

import pytest

from libs.chassis.tests.pressure.program import Connection, Program, until

MIB = 1024 * 1024
BOUND = 1.5
"""Seconds, of the shared service."""
MARGIN = 10.0
"""For a machine that is busy with other tests; what has no bound would still be there."""


def posting(api: Program, *lines: str, key: str | None = None) -> bytes:
    """The head of a POST up to its empty line."""
    key = key or uuid.uuid4().hex
    return (
        api.head("POST", "/stakeholders", f"Idempotency-Key: {key}", "Content-Type: application/json", *lines) + b"\r\n"
    )


async def send_for_ever(connection: Connection, chunk: bytes) -> None:
    """Raises ConnectionError once the other side has had enough."""
    for _ in range(64 * MIB // len(chunk)):
        await connection.send(chunk)


@pytest.mark.catalogue("B1")
async def test_a_body_that_is_too_long_by_its_own_word_is_not_read(shared: Program) -> None:
    async with shared.connected() as connection:
        await connection.send(posting(shared, f"Content-Length: {10**10}"))
        assert (await connection.answer()).status == 413
    assert await shared.answers()


@pytest.mark.catalogue("B2")
async def test_a_chunked_body_without_end_takes_no_memory(shared: Program) -> None:
    before = shared.rss
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with shared.connected() as connection:
        await connection.send(posting(shared, "Transfer-Encoding: chunked"))
        await connection.send(chunk * 32)
        assert (await connection.answer()).status == 413
        with pytest.raises(ConnectionError):
            await send_for_ever(connection, chunk)
    assert shared.rss - before < 32 * MIB
    assert await shared.answers()


@pytest.mark.catalogue("B3")
async def test_a_length_that_is_too_short_leaves_no_second_request(shared: Program) -> None:
    async with shared.connected() as connection:
        await connection.send(posting(shared, "Content-Length: 2") + b'{}GARBAGE"}\r\n\r\n')
        said = await connection.ends(MARGIN)
    assert said.count(b"HTTP/1.1 ") <= 2
    assert b" 201 " not in said
    assert await shared.answers()


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "10, 12"])
@pytest.mark.catalogue("B3")
async def test_a_length_that_is_no_number_is_refused(shared: Program, length: str) -> None:
    async with shared.connected() as connection:
        await connection.send(posting(shared, f"Content-Length: {length}"))
        assert b" 400 " in (await connection.ends(MARGIN)).partition(b"\r\n")[0]


@pytest.mark.catalogue("B17")
async def test_a_body_that_never_comes_is_not_waited_for(shared: Program) -> None:
    async with shared.connected() as connection:
        await connection.send(posting(shared, "Content-Length: 500") + b"{")
        assert b" 408 " in (await connection.ends(BOUND + MARGIN)).partition(b"\r\n")[0]


@pytest.mark.catalogue("B17")
async def test_a_body_that_drips_is_not_waited_for(shared: Program) -> None:
    async with shared.connected() as connection:
        await connection.send(posting(shared, "Content-Length: 1000"))
        said, _ = await connection.trickle(b" " * 1000, every=0.1, within=BOUND + MARGIN)
    assert b" 408 " in said


@pytest.mark.catalogue("B17")
async def test_headers_that_drip_are_not_waited_for(shared: Program) -> None:
    async with shared.connected() as connection:
        said, _ = await connection.trickle(
            shared.head("GET", "/stakeholders") + b"X: " + b"x" * 1000, every=0.1, within=BOUND + MARGIN
        )
    assert b" 408 " in said


@pytest.mark.catalogue("B17")
async def test_empty_lines_are_no_sign_of_life(shared: Program) -> None:
    async with shared.connected() as connection:
        await connection.trickle(b"\r\n" * 500, every=0.1, within=BOUND + MARGIN)


@pytest.mark.catalogue("B17")
async def test_whoever_says_nothing_is_sent_away(shared: Program) -> None:
    async with shared.connected() as connection:
        assert await connection.ends(BOUND + MARGIN) == b""


@pytest.mark.catalogue("B16")
async def test_headers_without_end_are_refused(shared: Program) -> None:
    async with shared.connected() as connection:
        await connection.send(shared.head("GET", "/stakeholders") + b"X: " + b"x" * 300_000)
        said = await connection.ends(MARGIN)
    assert not said or b" 431 " in said.partition(b"\r\n")[0]
    assert await shared.answers()


async def test_an_answer_that_nobody_takes_is_given_up(shared: Program) -> None:
    before = shared.rss
    request = shared.head("GET", "/openapi.json") + b"\r\n"
    connection = await shared.connect()
    connection.writer.transport.pause_reading()
    await connection.send(request * 400)

    async def gone() -> bool:
        try:
            await connection.send(b"\r\n")
        except ConnectionError:
            return True
        return connection.writer.transport.is_closing()

    await until(gone, seconds=BOUND + MARGIN)
    await connection.close()
    assert shared.rss - before < 32 * MIB
    assert await shared.answers()


@pytest.mark.catalogue("B18")
async def test_whoever_leaves_before_the_end_has_done_nothing(shared: Program) -> None:
    key = uuid.uuid4().hex
    connection = await shared.connect()
    whole = shared.registering(key)
    await connection.send(whole[: len(whole) - 5])
    await connection.close()
    answer = await shared.register(key)
    assert answer.status == 201
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.catalogue("B18")
async def test_whoever_leaves_without_the_answer_finds_one_effect(shared: Program) -> None:
    """Early close of pipelined requests: each is whole or not at all, and the same key gives one effect."""
    keys = [uuid.uuid4().hex for _ in range(30)]
    for start in range(0, len(keys), 3):
        connection = await shared.connect()
        await connection.send(b"".join(shared.registering(key) for key in keys[start : start + 3]))
        connection.writer.transport.abort()
    first = [await shared.register(key) for key in keys]
    again = [await shared.register(key) for key in keys]
    assert {answer.status for answer in [*first, *again]} == {201}
    ids = [json.loads(answer.body)["id"] for answer in first]
    assert ids == [json.loads(answer.body)["id"] for answer in again]
    assert len(set(ids)) == len(keys)


@pytest.mark.catalogue("B18")
async def test_pipelined_requests_are_answered_in_their_order(shared: Program) -> None:
    async with shared.connected() as connection:
        await connection.send(shared.registering() + shared.head("GET", "/stakeholders?limit=1") + b"\r\n")
        assert [(await connection.answer()).status for _ in range(2)] == [201, 200]


@pytest.mark.catalogue("B17")
async def test_neighbours_of_the_slow_are_served(shared: Program) -> None:
    slow = await asyncio.gather(*(shared.connect() for _ in range(200)))
    for number, connection in enumerate(slow):
        await connection.send(
            posting(shared, "Content-Length: 500") + b"{" if number % 2 else shared.head("GET", "/stakeholders")
        )
    assert (await shared.register()).status == 201
    assert (await shared.get()).status == 200
    said = await asyncio.gather(*(connection.ends(BOUND + MARGIN) for connection in slow))
    assert all(b" 408 " in each for each in said)
    for connection in slow:
        await connection.close()
