"""Far more than is accepted, with the slow and the silent among it: what is accepted is kept, and memory stays flat."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from pymongo import AsyncMongoClient

from libs.chassis.tests.pressure.program import UNHURRIED, Connection, Premises, Program, as_many_files_as_may_be, until

SENDERS = 300
EACH = 30
WRITES = 16
SLOW, SILENT = 100, 500
MOST_GROWTH = 192 * 1024 * 1024


async def test_a_flood_leaves_what_was_accepted_and_nothing_else(
    premises: Premises, mongo_client: AsyncMongoClient
) -> None:
    as_many_files_as_may_be(4_000)
    api = await premises.start(
        http_writes=WRITES,
        commit_queue=WRITES,
        http_head_seconds=5,
        http_body_grace_seconds=5,
        commit_patience_seconds=UNHURRIED,
    )
    assert (await api.register()).status == 201
    before = api.rss
    most = before
    said: Counter[int] = Counter()
    kept: set[str] = set()

    async def send() -> None:
        nonlocal most
        async with api.connected() as connection:
            for _ in range(EACH):
                key = uuid.uuid4().hex
                await connection.send(api.registering(key))
                answer = await connection.answer()
                said[answer.status] += 1
                if answer.status == 201:
                    kept.add(key)
                else:
                    assert answer.is_refusal()
            most = max(most, api.rss)

    async with burden(api) as slow_and_silent:
        await asyncio.gather(*(send() for _ in range(SENDERS)))
        await asyncio.gather(*(connection.ends(60) for connection in slow_and_silent))
    print(  # noqa: T201 - seen with -s
        f"{dict(said)}; memory {before >> 20} MiB before, {most >> 20} MiB at most, {api.rss >> 20} MiB after"
    )
    assert set(said) == {201, 503}
    assert most - before < MOST_GROWTH
    assert await mongo_client[premises.database]["stakeholders"].count_documents({}) == said[201] + 1
    assert await mongo_client[premises.database]["journal"].count_documents({}) == said[201] + 1

    async def recovered() -> bool:
        return (await api.register()).status == 201 and (await api.get()).status == 200

    await until(recovered)


@asynccontextmanager
async def burden(api: Program) -> AsyncIterator[list[Connection]]:
    """Clients that begin a request and stop, and clients that say nothing."""
    async with AsyncExitStack() as closing:

        async def begin(request: bytes) -> Connection:
            connection = await closing.enter_async_context(api.connected())
            await connection.send(request)
            return connection

        requests = [api.registering()[:-20]] * SLOW + [b""] * SILENT
        yield await asyncio.gather(*(begin(request) for request in requests))
