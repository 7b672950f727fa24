"""G6, G7: our consumer beside aiokafka's bare loop, and beside a handler per message."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rapport_chassis.consumer import Consumer
from rapport_chassis.records import read
from rapport_chassis.repository import repository
from rapport_chassis.service import collect_rarely
from rapport_chassis.unit_of_work import UnitOfWork
from rapport_events import short_way
from rapport_events.catalog import decode
from rapport_events.feedback import ResponseReceived

from benchmarks import reading
from benchmarks.harness import Bound, Contestant, Goal, Measured, Sample, Scale, Servers, check, interleaved
from benchmarks.peers import faststream_single
from benchmarks.processes import without_topics
from benchmarks.reading import Stretch
from benchmarks.responses import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rapport_chassis.journal import Partition
    from rapport_events.event import Event

    from benchmarks.harness import Round

TYPED, FLOOR = "typed batch consumer", "getmany, not decoded"
STORED, SINGLE = "use case per event, stored once", "FastStream single handler"


def ratio(ours: str, beside: str, figure: str = "rate") -> Any:
    def of_round(samples: Round) -> float:
        return float(getattr(samples[ours], figure) / getattr(samples[beside], figure))

    return of_round


GOALS = (
    Goal(
        "G6",
        "typed batch consumer without a store",
        "aiokafka `getmany` without decoding",
        (
            Bound("rate", "≥", 0.6, ratio(TYPED, FLOOR)),
            Bound("CPU per event", "≤", None, ratio(TYPED, FLOOR, "cpu")),
        ),
    ),
    Goal(
        "G7",
        "consumer written one event at a time, with its store and exactly-once effect",
        "FastStream single handler without a store, at least once",
        (
            Bound("rate", "≥", 10, ratio(STORED, SINGLE)),
            Bound("CPU per event", "≤", None, ratio(STORED, SINGLE, "cpu")),
        ),
    ),
)


@dataclass(slots=True, kw_only=True)
class Region:
    """What a service might keep of responses."""

    id: str
    version: int = 0
    responses: int = 0
    weight: int = 0
    latest: dict[str, str] = field(default_factory=dict)


class Regions(UnitOfWork):
    regions = repository("regions", Region)


async def note_response(event: ResponseReceived, unit: Regions) -> None:
    """A use case that knows nothing of batches."""
    id_ = event.region or "nowhere"
    region = await unit.regions.get(id_)
    if region is None:
        region = Region(id=id_)
        unit.regions.add(region)
    region.responses += 1
    region.weight += event.weight
    region.latest = event.answers
    unit.regions.save(region)


class Measuring(Consumer):
    """Ours, with a look at the clock when it gets its partitions and after each batch."""

    stretch: Stretch

    async def assigned(self, partitions: Iterable[Partition], logs: Mapping[str, str]) -> dict[Partition, int]:
        places = await super().assigned(partitions, logs)
        if places:
            self.stretch.begin()
        return places

    async def handle(self, records: Sequence[Any]) -> Any:
        seeks = await super().handle(records)
        # Applied, not seen: what arrives while the group changes hands is left, and comes again.
        applied = sum(cursor.number for cursor in self.positions.values())
        self.stretch.add(applied - self.stretch.dealt_with)
        return seeks


class Typing(Measuring):
    """Ours up to the event as an object of its class, and nothing behind it."""

    async def handle(self, records: Sequence[Any]) -> Any:
        for record in records:
            check(type(_event(record)) is ResponseReceived, "something else than responses was decoded")
        self.stretch.add(len(records))
        return {}


def _event(record: Any) -> Event:
    head = short_way.head(record.headers)
    event = short_way.event(head, record.key, record.value) if head is not None else None
    return event if event is not None else decode(read(record))


async def measure(servers: Servers, scale: Scale) -> Measured:
    collect_rarely()
    bench = _Bench(servers, f"bench.responses-{uuid.uuid4().hex[:8]}", scale.size(100_000, 600))
    await fill(servers.kafka, bench.topic, bench.count)
    contestants = (
        Contestant(TYPED, bench.typed, "Order per partition; every event validated against its schema."),
        Contestant(FLOOR, bench.floor, "Order per partition.", "Neither types nor validation."),
        Contestant(
            STORED,
            bench.stored,
            "Exactly one effect per event, in order, loss and doubles noticed; a poison event holds up its own aggregate.",
        ),
        Contestant(
            SINGLE,
            bench.single,
            "At least once, validated by pydantic.",
            "No store; nothing against doubles; a poison message is read again for ever.",
            share=0.02,
        ),
    )
    found = await interleaved(contestants, scale, bench.count)
    await without_topics(servers, [bench.topic])
    return found


@dataclass(slots=True)
class _Bench:
    servers: Servers
    topic: str
    count: int

    async def typed(self, size: int) -> Sample:
        return await self._ours(Typing, size)

    async def stored(self, size: int) -> Sample:
        return await self._ours(Measuring, size)

    async def floor(self, size: int) -> Sample:
        return await reading.polled(Stretch(self.servers, size), self.topic)

    async def single(self, size: int) -> Sample:
        stretch = Stretch(self.servers, size)
        return await faststream_single.consume(self.topic, stretch)

    async def _ours(self, kind: type[Measuring], size: int) -> Sample:
        async with reading.runtime(self.servers, Regions, ()) as running:
            consumer = kind(
                group=running.name,
                handlers={ResponseReceived: note_response},
                new_unit=running.unit,
                commit=running.commit,
                documents=running.documents,
            )
            consumer.stretch = Stretch(self.servers, size)
            sample = await reading.subscribed(running, consumer, self.topic, consumer.stretch.over)
            if kind is Measuring:
                kept = await running.documents.find("regions", {})
                responses = sum(region["responses"] for region in kept)
                check(responses >= size, f"{responses} responses are in the store, {size} were read")
        return sample
