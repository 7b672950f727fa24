"""G3: the committer beside a transaction per command, the same two documents each: state and journal entry."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from typing import TYPE_CHECKING, Any

from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from rapport_chassis.committer import Committer
from rapport_chassis.errors import Conflict
from rapport_chassis.journal import INDEXES, JOURNAL, entry
from rapport_chassis.write_set import ABSENT, Write, WriteSet

from benchmarks.harness import (
    Bound,
    Contestant,
    Goal,
    Measured,
    Meter,
    Sample,
    Scale,
    Servers,
    check,
    interleaved,
    this_process,
)
from benchmarks.responses import envelopes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.harness import Round

OURS, PEER = "committer", "transaction per command"
NEIGHBOURS = 63


def _ratio(figure: str, at: int) -> Callable[[Round], float]:
    return lambda samples: getattr(samples[f"{OURS}, {at}"], figure) / getattr(samples[f"{PEER}, {at}"], figure)


GOALS = (
    Goal(
        "G3",
        "commit of a command's two documents, one bad write among neighbours fails alone",
        "a transaction per command",
        (
            Bound("rate, 64 at once", "≥", 7, _ratio("rate", 64)),
            Bound("rate, 1 at a time", "≥", 0.95, _ratio("rate", 1)),
            Bound("CPU per commit, 64 at once", "≤", None, _ratio("cpu", 64)),
            Bound("p99, 64 at once", "≤", None, _ratio("p99", 64)),
        ),
    ),
)


async def measure(servers: Servers, scale: Scale) -> Measured:
    found = Measured()
    async with AsyncMongoClient[dict[str, Any]](servers.mongo_uri, maxPoolSize=128, tz_aware=True) as client:
        bench = _Bench(client, servers)
        await bench.prepare()
        await bench.one_bad_write_fails_alone()
        for at, full in ((64, 12_000), (1, 400)):
            contestants = (
                Contestant(
                    f"{OURS}, {at}",
                    bench.runner(bench.together, at),
                    "All or nothing, majority and journalled; a write is conditional on the version it was read with.",
                ),
                Contestant(
                    f"{PEER}, {at}",
                    bench.runner(bench.alone, at),
                    "All or nothing, majority and journalled.",
                    "Nothing of that, but no version is expected either.",
                    share=0.2 if at > 1 else 1.0,
                ),
            )
            found.add(await interleaved(contestants, scale, scale.size(full, 64)))
        await client.drop_database(bench.name)
    return found


class _Bench:
    def __init__(self, client: AsyncMongoClient[dict[str, Any]], servers: Servers) -> None:
        self.name = f"bench-{uuid.uuid4().hex[:8]}"
        self._client = client
        self._servers = servers
        self._committer = Committer(client, self.name)
        self._database = client[self.name]

    async def prepare(self) -> None:
        for name in ("things", JOURNAL):
            await self._database.create_collection(name)
        for index in INDEXES:
            if index.collection == JOURNAL:
                await self._database[JOURNAL].create_index(
                    [(field, 1) for field in index.fields],
                    **({"partialFilterExpression": dict(index.partial)} if index.partial else {}),
                )

    def _write_sets(self, count: int) -> list[WriteSet]:
        made = []
        for n, envelope in enumerate(envelopes(count, seed=time.monotonic_ns())):
            id_ = envelope.subject
            document = {"_id": id_, "version": 1, "wave_id": "wave", "answers": envelope.data["answers"], "weight": 1}
            journalled = entry(envelope, "feedback.response", time.time_ns() // 1_000 + n)
            made.append(WriteSet([Write("things", id_, document, ABSENT)], [journalled]))
        return made

    async def together(self, write_set: WriteSet) -> None:
        await self._committer.commit(write_set)

    async def alone(self, write_set: WriteSet) -> None:
        """As the driver's documentation has it."""
        async with (
            self._client.start_session() as session,
            await session.start_transaction(
                read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
            ),
        ):
            await self._database["things"].insert_one(write_set.writes[0].document, session=session)
            await self._database[JOURNAL].insert_one(write_set.journal[0], session=session)

    def runner(self, commit: Callable[[WriteSet], Awaitable[None]], at: int) -> Callable[[int], Awaitable[Sample]]:
        async def run(size: int) -> Sample:
            made = self._write_sets(size)
            before = await self._database[JOURNAL].count_documents({})
            waiting, latencies = iter(made), []

            async def hand() -> None:
                for write_set in waiting:
                    began = time.perf_counter()
                    await commit(write_set)
                    latencies.append(time.perf_counter() - began)

            with Meter(this_process(), self._servers.pids) as meter:
                await asyncio.gather(*(hand() for _ in range(at)))
            journalled = await self._database[JOURNAL].count_documents({})
            check(journalled == before + size, f"{journalled - before} of {size} commands are in the journal")
            ids = [write_set.writes[0].id for write_set in itertools.islice(made, 500)]
            stored = await self._database["things"].count_documents({"_id": {"$in": ids}})
            check(stored == len(ids), f"{stored} of {len(ids)} documents are stored")
            return meter.sample(size, latencies)

        return run

    async def one_bad_write_fails_alone(self) -> None:
        good, taken = self._write_sets(NEIGHBOURS), self._write_sets(1)[0]
        await self._committer.commit(taken)
        again = self._write_sets(1)[0]
        bad = WriteSet(
            [Write("things", taken.writes[0].id, dict(taken.writes[0].document or {}), ABSENT)], again.journal
        )
        outcomes = await asyncio.gather(
            *(self._committer.commit(each) for each in (*good[:30], bad, *good[30:])), return_exceptions=True
        )
        check(isinstance(outcomes[30], Conflict), f"the bad write came to {outcomes[30]!r}")
        check(outcomes.count(None) == NEIGHBOURS, f"{outcomes.count(None)} of {NEIGHBOURS} neighbours were committed")
        told = await self._database[JOURNAL].count_documents({"_id": bad.journal[0]["_id"]})
        check(told == 0, "the bad write's event was told")
