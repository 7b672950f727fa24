"""Consumers that die at every point of a batch, freeze, are slow, come and go; and records that they should not like."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from rapport_chassis.journal import entry
from rapport_chassis.records import header
from rapport_cli.running.process import KeptProcess
from rapport_cli.running.state import SERVICES
from rapport_events.catalog import TOPICS
from rapport_events.envelope import Envelope, Headers
from rapport_events.event import Event
from rapport_events.feedback import ResponseReceived, WaveClosed, WaveOpened
from rapport_events.registry import StakeholderErased

from tests.faults.armed import Order
from tests.faults.brokers import layout
from tests.faults.catalogue import fault
from tests.faults.scene import PATIENCE, Ground, Scene
from tests.faults.upgraded import AmendedInRegions
from tests.integration.acts import QUESTION, register
from tests.integration.rapport import declared, new_key, until

WORKER = "measures-worker"
POLL_WITHIN = 4.0
"""Seconds that a batch may take here; five minutes is what a service is given."""
STRANGERS = Ground("one of each, batches within 4 s", settings={"RAPPORT_CONSUMER_MAX_POLL_INTERVAL_MS": "4000"})
"""Also that of strange records: they stay on the topics."""

# Within the transaction of a batch, and at both of its ends.
POINTS = {
    WORKER: ("write answers", "write intakes", "write cursors", "commit"),
    "engagement-worker": ("write stakeholders", "write cursors", "commit"),
}


@fault("F6", "kill -9 of two consumers: before, within or after the transaction of a batch, before Kafka's own commit")
async def consumer_dies(scene: Scene) -> int:
    orders = {
        name: Order(scene.dice.choice(points), scene.dice.choice(("before", "after")))
        for name, points in POINTS.items()
    }
    await asyncio.gather(*(scene.strike(name, order) for name, order in orders.items()))
    return len(orders)


@fault("F25", "consumer frozen in a batch past its session, its partitions given to another, and it goes on: refused")
async def zombie(scene: Scene) -> int:
    kept = scene.process(WORKER)
    point, when = scene.dice.choice(
        [("write answers", "before"), ("write answers", "after"), ("write cursors", "before"), ("commit", "before")]
    )
    async with scene.beside(WORKER) as (other,):
        await shared(scene, [kept, other])
        said = len(kept.log.read_bytes())
        await scene.strike(WORKER, Order(point, when, act="freeze"))
        await shared(scene, [other])
        await scene.flows()
        scene.thaw(WORKER)

        async def refused() -> bool:
            lines = kept.log.read_bytes()[said:]
            return b"batch lost a race" in lines or b"batch waits" in lines

        await until(refused, seconds=PATIENCE, what="what it had begun is refused")
    return 1


@fault("F26", "rebalance storm: the consumers of a group are one, four, two, three and one, within seconds")
async def storm(scene: Scene) -> int:
    kept = scene.process(WORKER)
    before = _cpu(kept), time.monotonic(), len(kept.log.read_text().splitlines())
    async with _pauses(scene) as pauses:
        async with scene.beside(WORKER, 3) as guests:
            scene.dice.shuffle(guests)
            first, second, third = guests
            await asyncio.sleep(scene.dice.uniform(0, 1.5))
            first.terminate()
            await asyncio.sleep(scene.dice.uniform(0, 1.5))
            os.kill(second.pid, signal.SIGKILL)
            await asyncio.sleep(scene.dice.uniform(0, 1.5))
            first.start()
            await shared(scene, [kept, first, third])
        await scene.flows()
    scene.figures["seconds in which no response was counted"] = sum(pauses)
    seconds = time.monotonic() - before[1]
    busy, lines = (_cpu(kept) - before[0]) / seconds, len(kept.log.read_text().splitlines()) - before[2]
    assert busy < 0.8, f"the one that stayed spun: {busy:.0%} of a core"
    assert lines < 20 * seconds, f"the one that stayed wrote {lines} lines in {seconds:.0f} s"
    return 7


@fault(
    "F27",
    "consumer slower than it may be: it leaves the group, lag shows, it joins again and skips nothing",
    on=STRANGERS,
    limits=f"A batch may take {POLL_WITHIN:.0f} s here, not the five minutes that are the default.",
)
async def slow(scene: Scene) -> int:
    async with _group(scene, "measures") as members:
        await scene.strike(WORKER, Order("write answers", "before", act="delay", seconds=2 * POLL_WITHIN))

        async def left() -> bool:
            return await members() == 0

        async def lags() -> bool:
            return await scene.metric(scene.process(WORKER), "rapport_consumer_lag_events") > 0

        async def joined() -> bool:
            return await members() == 1

        await until(left, seconds=PATIENCE, what="the slow one leaves the group")
        await until(lags, seconds=PATIENCE, what="lag shows")
        await until(joined, seconds=PATIENCE, what="it joins again")
    return 1


@fault("F30", "records that nobody can read, on two topics: each put aside, none holds up another", on=STRANGERS)
async def poison(scene: Scene) -> int:
    answer = ResponseReceived(
        response_id=new_key(),
        wave_id=scene.wave,
        instrument_code="x",
        answers={QUESTION: "yes"},
        day=_today(),
        synthetic=True,
    )
    strange = [
        (event.topic, *record)
        for event in (answer, StakeholderErased(stakeholder_id=new_key(), erased_on=_today()))
        for record in _poisoned(event)
    ]
    scene.dice.shuffle(strange)
    expected = Counter(scene.letters)
    async with AIOKafkaProducer(**scene.platform.stack.endpoints.kafka) as stranger:
        for topic, key, value, headers in strange:
            partition = scene.dice.randrange(TOPICS[topic].partitions)
            await stranger.send_and_wait(topic, value, key=key, headers=headers, partition=partition)
            expected.update(_who_buries(topic, headers))
    # With numbers, as an emitter with a fault would send them: out of range, and one of the same wave that must wait
    # behind it; one of a wave that nobody has heard of.
    wave = new_key()
    await _journal(scene, "feedback", _opened(wave), ordinal=-1)
    await _journal(scene, "feedback", _opened(wave))
    await _journal(scene, "feedback", WaveClosed(wave_id=new_key(), instrument_code="x", ordinal=1, closed_on=_today()))
    expected["measures"] += 3
    scene.letters, scene.strays = dict(expected), scene.strays + len(strange)

    async def buried() -> bool:
        return {service: len(await _letters(scene, service)) for service in expected} == expected

    await until(buried, seconds=PATIENCE, what=f"so many letters: {scene.letters}")
    states = [letter["state"] for letter in await _letters(scene, "measures", key=wave)]
    assert states == ["dead", "parked"], f"out of range, and behind it: {states}"
    return len(strange) + 3


@fault(
    "F31",
    "events of a newer release: a newer minor is read, a newer major is parked until the consumers are upgraded",
    on=STRANGERS,
)
async def too_new(scene: Scene) -> int:
    minor = _opened(new_key())
    await _journal(scene, "feedback", minor, colour="teal")
    person = await register(scene.rapport, region="london")
    registered = await scene.rapport.mongo["registry"]["journal"].find_one({"key": person})
    facts = registered["envelope"]["data"] | {"region": None, "regions": ["wales", "london"]}
    await _journal(scene, "registry", AmendedInRegions(**facts, changed=["region"], amended_on=_today()))
    for version, region in enumerate(("midlands", "north-east"), 1):
        await _move(scene, person, version, region)
    services = ("engagement", "measures")

    async def parked() -> bool:
        found = [[letter["reason"] for letter in await _letters(scene, each, key=person)] for each in services]
        return found == [["newer-version", "behind", "behind"]] * len(services)

    await until(parked, seconds=PATIENCE, what="the newer one and those behind it are parked")
    assert await _region(scene, person) == "london", "what is parked took effect"
    await asyncio.gather(*(scene.redeploy(f"{each}-worker", "tests.faults.upgraded") for each in services))

    async def replayed() -> bool:
        return not any([await _letters(scene, each, key=person) for each in services])

    await until(replayed, seconds=PATIENCE, what="the upgraded consumers replay them by themselves")
    for each in services:
        replays = await scene.rapport.mongo[each]["replays"].find({"key": person}).sort("at", 1).to_list()
        numbers = [replay["number"] for replay in replays if replay["outcome"] == "applied"]
        assert len(numbers) == 3, f"{each} replayed {len(numbers)} of 3"
        assert numbers == sorted(numbers), f"{each} replayed out of order"
    assert await _region(scene, person) == "north-east", "the last word is not what is known"
    assert await scene.rapport.mongo["measures"]["waves"].find_one({"_id": minor.wave_id}), "a newer minor is not read"
    await asyncio.gather(*(scene.redeploy(f"{each}-worker") for each in services))
    return 2


@fault("F32", "events of version 1 after consumers of version 3 were deployed: lifted step by step", on=STRANGERS)
async def too_old(scene: Scene) -> int:
    await scene.redeploy("engagement-worker", "tests.faults.upgraded")
    person = await register(scene.rapport, region="london")
    for version, region in enumerate(("midlands", "wales"), 1):
        await _move(scene, person, version, region)

    async def lifted() -> bool:
        return await _region(scene, person) == "wales"

    await until(lifted, seconds=PATIENCE, what="an event of version 1 is read by version 3")
    await scene.acknowledges()
    await scene.redeploy("engagement-worker")
    return 2


# What the injections share ------------------------------------------------------------------------------------------


async def shared(scene: Scene, members: Sequence[KeptProcess]) -> None:
    """Wait until these hold all partitions of the group among them, each its part: those there are, which F40 adds to."""
    wanted = sum([len((await layout(scene, topic))["partitions"]) for topic in scene.rapport.consumed["measures"]])

    async def done() -> bool:
        held = [(await scene.status(each)).get("positions", {}) for each in members]
        return all(held) and sum(map(len, held)) == wanted == len(set().union(*held))

    await until(done, seconds=PATIENCE, what=f"{len(members)} members hold all partitions")


@asynccontextmanager
async def _pauses(scene: Scene) -> AsyncIterator[list[float]]:
    """Collects the seconds, beyond one, for which nothing was counted."""
    pauses: list[float] = []

    async def look() -> None:
        count, since = -1, time.monotonic()
        while True:
            if (now := await scene.counted()) != count:
                if (pause := time.monotonic() - since) > 1:
                    pauses.append(pause)
                count, since = now, time.monotonic()
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield pauses
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def _cpu(process: KeptProcess) -> float:
    """Seconds of processor time that it has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@asynccontextmanager
async def _group(scene: Scene, name: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Counts the members of a consumer group."""
    admin = AIOKafkaAdminClient(**scene.platform.stack.endpoints.kafka)
    await admin.start()

    async def members() -> int:
        (answer,) = await admin.describe_consumer_groups([name])
        return len(answer.groups[0][5])

    try:
        yield members
    finally:
        await admin.close()


def _today() -> date:
    return datetime.now(UTC).date()


def _opened(wave: str) -> WaveOpened:
    return WaveOpened(
        wave_id=wave,
        instrument_id="x",
        instrument_code="x",
        instrument_version=1,
        ordinal=1,
        year=1,
        starts_on=_today(),
        ends_on=_today(),
        question_versions={},
        synthetic=True,
    )


def _envelope(event: Event) -> Envelope:
    return Envelope.of(event, id=new_key(), source="urn:stranger", time=datetime.now(UTC), correlationid=new_key())


def _poisoned(event: Event) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Records that each lack one thing; the last but the number lacks none."""
    key, value, headers = _envelope(event).to_kafka()

    def with_header(name: str, raw: bytes) -> Headers:
        return [(each, raw if each == name else old) for each, old in headers]

    return [
        (key, b"{not json", headers),
        (key, b"[]", headers),
        (key, b"", headers),
        (key, None, headers),
        (key, value, with_header("content-type", b"text/plain")),
        (key, value, with_header("ce_subject", b"\xff\xfe")),
        (key, value, with_header("ce_type", b"\xff\xfe")),
        (key, value, with_header("ce_type", b"feedback.response.vanished.v1")),
        (key, value, [*headers, ("ce_id", b"another")]),
        (None, value, headers),
        (b"", value, headers),
        (key, value, [*headers, ("ce_sequence", b"-1")]),
        (key, value, [*headers, ("ce_sequence", b"0")]),
        (key, value, []),
        (key, value, headers),
    ]


def _who_buries(topic: str, headers: Headers) -> list[str]:
    """The services that must put such a record aside; who hears nothing of its kind passes over it."""
    type_ = header(headers, "ce_type")
    family = type_.rpartition(".v")[0] if type_ else None
    return [
        service
        for service in SERVICES
        if any(event.topic == topic for event in declared(service).consumes)
        and (family is None or any(event.family == family for event in declared(service).consumes))
    ]


async def _journal(scene: Scene, service: str, event: Event, **changed: object) -> None:
    """Have the relay of a service send an event as another release of it would have written it."""
    document = entry(_envelope(event), event.topic, time.time_ns() // 1_000)
    document["envelope"]["data"] |= changed
    await scene.rapport.mongo[service]["journal"].insert_one(document)


async def _letters(scene: Scene, service: str, **where: object) -> list[dict[str, Any]]:
    return await scene.rapport.mongo[service]["dead_letters"].find(where).sort("number", 1).to_list()


async def _move(scene: Scene, person: str, version: int, region: str) -> None:
    answered = await scene.rapport.http("registry").patch(
        f"/stakeholders/{person}",
        json={"region": region},
        headers={"If-Match": f'"{version}"', "Idempotency-Key": new_key()},
    )
    assert answered.is_success, answered.text


async def _region(scene: Scene, person: str) -> str:
    """Where engagement believes somebody to be."""
    found = await scene.rapport.mongo["engagement"]["stakeholders"].find_one({"_id": person})
    return found["region"]
