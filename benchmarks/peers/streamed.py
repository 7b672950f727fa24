"""Choice (b) for the relay, as a contestant only: a change stream read batch by batch, with the poll as its fallback.

It keeps the sentences of the design: numbers are reserved by inserting the batch, which names what is in flight, and
events are marked once the brokers have them, as depth, age and the poll need it. Whenever a tail of the batches is read
(at the start, after a failure, after another relay was faster), the stream begins anew from now on and a poll fetches
what lies before it. So any batch of another relay either holds only what was committed before that stream, or makes the
next insertion fail. The poll also is what helps where a resume token would have left the oplog; a token that was saved
in every pass would save that one poll and cost a write each time, so there is none, which is in favour of this choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapport_chassis.journal import JOURNAL, Journal

if TYPE_CHECKING:
    from collections.abc import Collection

    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase
    from rapport_chassis.journal import Batch, Partition

WAIT_MS = 500
PIPELINE = [{"$changeStream": {}}, {"$match": {"operationType": "insert"}}, {"$project": {"fullDocument": 1}}]


class StreamedJournal(Journal):
    """The product's journal with another way to learn of events."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], session: AsyncClientSession) -> None:
        super().__init__(database)
        self._database = database
        self._session = session
        self._cursor: int | None = None
        self._polling = False
        self._polled: set[str] = set()

    async def last_batch(self, partition: Partition, *, below: int | None = None) -> Batch | None:
        self._cursor = None
        return await super().last_batch(partition, below=below)

    async def unsent(self, limit: int, *, without: Collection[str] = ()) -> list[dict[str, Any]]:
        """In the order of commits. Waits on the server for what is new, so that no bell is needed."""
        if self._cursor is None:
            opened = await self._database.command(
                {"aggregate": JOURNAL, "pipeline": PIPELINE, "cursor": {"batchSize": 0}}, session=self._session
            )
            self._cursor, self._polling, self._polled = opened["cursor"]["id"], True, set()
        if self._polling:
            waiting = await super().unsent(limit, without=without)
            self._polling = bool(waiting)
            self._polled.update(entry["_id"] for entry in waiting)  # the stream may bring them, too
            return waiting
        found = await self._database.command(
            {"getMore": self._cursor, "collection": JOURNAL, "batchSize": limit, "maxTimeMS": WAIT_MS},
            session=self._session,
        )
        read = (change["fullDocument"] for change in found["cursor"]["nextBatch"])
        return [entry for entry in read if entry["_id"] not in self._polled]
