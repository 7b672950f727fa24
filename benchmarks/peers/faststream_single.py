"""FastStream as its documentation teaches it: a handler per message, a pydantic model, acknowledged after the handler.

`AckPolicy.NACK_ON_ERROR` is its documented way to at-least-once; `acks` of its default policy come first and may lose.
Plain, it guarantees at least once and nothing against doubles; numbers are not checked, so a loss is not seen either.
With a store, each event is a transaction of its own that holds an inbox row: a second delivery changes nothing. Nobody
sees a gap even so, and there is neither evidence behind the tallies nor a verdict.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage  # noqa: TC002 - FastStream reads annotations at run time
from faststream.security import SASLPlaintext
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from rapport_events.feedback import ResponseReceived  # noqa: TC002 - as above

from benchmarks.reading import Assigned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pymongo import AsyncMongoClient

    from benchmarks.harness import Sample
    from benchmarks.reading import Stretch

    Store = Callable[[ResponseReceived, str], Awaitable[None]]


def broker_of(kafka: dict[str, Any]) -> KafkaBroker:
    """FastStream's, out of aiokafka's connection arguments."""
    who = SASLPlaintext(username=kafka["sasl_plain_username"], password=kafka["sasl_plain_password"], use_ssl=False)
    return KafkaBroker(kafka["bootstrap_servers"], security=who, logger=None)


async def consume(topic: str, stretch: Stretch, store: Store | None = None) -> Sample:
    """Handle as many messages as the stretch is long."""
    broker = broker_of(stretch.servers.kafka)

    @broker.subscriber(
        topic,
        group_id=f"single-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        listener=Assigned(stretch),
    )
    async def handle(response: ResponseReceived, message: KafkaMessage) -> None:
        if store is not None:
            await store(response, message.headers["ce_id"])
        stretch.add(1)

    await broker.start()
    try:
        return await stretch.over()
    finally:
        await broker.stop()


class TalliesWithInbox:
    """The tallies of responses, one transaction an event: inbox row and `$inc` of each question's document."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], database: str) -> None:
        self.database = database
        self._client = client
        self._inbox = client[database]["inbox"]
        self._answers = client[database]["answers"]

    async def prepare(self) -> None:
        for collection in (self._inbox, self._answers):
            await collection.database.create_collection(collection.name)

    async def responses(self) -> int:
        """How many are in the tallies, by the question with most answers."""
        kept = await self._answers.find().to_list()
        return max((sum(codes["n"] for codes in each["cells"]["all"].values()) for each in kept), default=0)

    async def __call__(self, response: ResponseReceived, event: str) -> None:
        cells = ["all", *(f"group:{code}" for code in response.groups)]
        if response.region:
            cells.append(f"region:{response.region}")
        weight = response.weight

        async def both(session: Any) -> None:
            await self._inbox.insert_one({"_id": event}, session=session)
            await self._answers.bulk_write(
                [
                    UpdateOne(
                        {"_id": f"{response.wave_id}/{question}"},
                        {
                            "$inc": {
                                f"cells.{cell}.{answer}.{name}": by
                                for cell in cells
                                for name, by in (("n", 1), ("w", weight), ("ww", weight * weight))
                            }
                        },
                        upsert=True,
                    )
                    for question, answer in response.answers.items()
                ],
                ordered=False,
                session=session,
            )

        async with self._client.start_session() as session:
            try:
                await session.with_transaction(
                    both, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
                )
            except DuplicateKeyError:
                return  # handled before
