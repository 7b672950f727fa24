"""Brokers that die one after another or all at once, and brokers that lose, cut off or forget what they had."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String
from rapport_chassis.records import number_of
from rapport_events.catalog import TOPICS
from rapport_stack import StackError

from tests.faults.catalogue import fault
from tests.faults.grounds import THREE_BROKERS, UNSENT_LIMIT
from tests.faults.load import HANDS, ROWS
from tests.faults.scene import PATIENCE, Scene
from tests.integration.acts import answer
from tests.integration.rapport import Place, new_key, until

T = TypeVar("T")

RESPONSES = "feedback.response"
"""The topic on which most of the load ends up; the measures read it."""
READER, WRITER = "measures-worker", "feedback-worker"
FILLERS = 8
"""Senders who fill the journal."""
PROMPT = 2.0
"""Seconds within which a closed gate says so."""


@fault("F13", "kill -9 of a partition's leader, of the one that follows it, and so on: five in a row", on=THREE_BROKERS)
async def chase_the_leader(scene: Scene) -> int:
    place = RESPONSES, scene.dice.randrange(TOPICS[RESPONSES].partitions)
    async with kept_down(scene):
        for _ in range(5):
            leader = await leader_of(scene, place, in_sync=3)
            scene.kafka.brokers[leader - 1].kill()
            await leader_of(scene, place, in_sync=2, other_than=leader)
            await sent_more(scene, place)
            await bring_back(scene)
    return 5


@fault(
    "F14",
    "all brokers killed; writes are acknowledged until the journal holds what it may, refused, and taken again",
    on=THREE_BROKERS,
    limits=f"the gate closes at {UNSENT_LIMIT} unsent events of a service, so that seconds do for ten minutes",
)
async def no_broker_at_all(scene: Scene) -> int:
    before = len(scene.ledger.promises)
    said = sizes(scene)
    async with kept_down(scene):
        await asyncio.to_thread(scene.kafka.kill)
        async with filled(scene):
            assert len(scene.ledger.promises) > before, "nothing was acknowledged while the brokers were away"
            # The promptest of three: what takes long on a machine with much else to do is not the gate.
            taken = min([await refused_in(scene) for _ in range(3)])
            assert taken < PROMPT, "the gate took its time"
            await asyncio.sleep(3)  # the brokers stay away for a while longer
        # What was on its way in when the gate closed may still land.
        most = UNSENT_LIMIT + HANDS * ROWS + FILLERS
        assert (held := await unsent(scene, "feedback")) <= most, f"{held} events unsent with the gate closed"
        await bring_back(scene)

    async def drained() -> bool:
        return await unsent(scene, "feedback") == 0

    await until(drained, seconds=PATIENCE, what="everything that waited is sent")
    assert not any("OutOfOrderSequence" in text for text in since(scene, said).values())
    return 1


@asynccontextmanager
async def filled(scene: Scene) -> AsyncIterator[None]:
    """Send until the journal holds what it may; whoever is refused then insists until writes are taken again."""
    over = asyncio.Event()

    async def fill() -> None:
        while not over.is_set():
            await scene.load.probe()

    fillers = [asyncio.create_task(fill()) for _ in range(FILLERS)]

    async def full() -> bool:
        # Both: what stands in the journal may be unknown to the gate yet, which may count twice what is just committed.
        told = ((await scene.status(scene.process("feedback-api"))).get("unsent") or 0) >= UNSENT_LIMIT
        return told and await unsent(scene, "feedback") >= UNSENT_LIMIT

    try:
        await until(full, seconds=PATIENCE, what="the journal holds what it may")
        over.set()
        yield
    finally:
        for each in fillers:
            each.cancel()
        await asyncio.gather(*fillers, return_exceptions=True)


async def refused_in(scene: Scene) -> float:
    """The seconds that the closed gate takes to refuse a write."""
    began = time.monotonic()
    sender = new_key()
    scene.ledger.abandoned(sender, "response")
    answered = await scene.rapport.http("feedback").post(
        f"/waves/{scene.wave}/responses", json=answer(0), headers={"Idempotency-Key": sender}
    )
    assert answered.status_code == httpx.codes.SERVICE_UNAVAILABLE, f"the gate let a write in: {answered}"
    assert int(answered.headers["Retry-After"]) > 0
    return time.monotonic() - began


@fault("F16", "two of three brokers stopped: too few in sync; nothing counts as sent that is not", on=THREE_BROKERS)
async def too_few_in_sync(scene: Scene) -> int:
    alone = active_controller(scene)  # it hands over what the others lead, and a quorum of two ends with the second
    down = [broker for number, broker in enumerate(scene.kafka.brokers, 1) if number != alone]
    scene.dice.shuffle(down)
    async with kept_down(scene):
        for broker in down:  # in order, so that the one that stays leads alone
            await asyncio.to_thread(broker.stop, 15.0)
        for number in range(TOPICS[RESPONSES].partitions):
            await leader_of(scene, (RESPONSES, number), in_sync=1, is_=alone)
        waiting = await unsent(scene, "feedback")
        await scene.acknowledges(30)

        async def more_waits() -> bool:
            return await unsent(scene, "feedback") >= waiting + 20

        await until(more_waits, seconds=PATIENCE, what="events wait in the journal")
        marked = await marked_as_sent(scene)
        await bring_back(scene)
    # Only now: a leader that too few follow may not tell where its log ends.
    there = await read(lambda: scene.rapport.told([RESPONSES]))
    told = {id_ for records in there.values() for _, id_ in records}
    assert marked <= told, f"{len(marked - told)} marked as sent that no broker has"
    return 2


@fault("F17", "kill -9 of the active controller, and of the broker that coordinates a consumer group", on=THREE_BROKERS)
async def who_coordinates(scene: Scene) -> int:
    async def coordinator(admin: AIOKafkaAdminClient) -> int:
        return int(await admin.find_coordinator("measures"))

    async with kept_down(scene):
        for victim in (active_controller(scene), await asked(scene, coordinator)):
            scene.kafka.brokers[victim - 1].kill()
            await scene.flows()  # the group is found again, and goes on, without it
            await bring_back(scene)
            await leader_of(scene, (RESPONSES, 0), in_sync=3)
    return 2


@fault(
    "F39",
    "the offsets that a group has committed to Kafka are gone, or lie: the cursor decides",
)
async def forgotten_offsets(scene: Scene) -> int:
    places = [TopicPartition(RESPONSES, number) for number in range(TOPICS[RESPONSES].partitions)]
    scene.freeze(READER)
    await given_up(scene)
    if scene.dice.random() < 0.5:
        await asked(scene, forget)
    else:
        ends = await scene.rapport.ends([RESPONSES])
        lie = {place: scene.dice.choice((0, ends[place])) for place in places}
        await asked(scene, lambda _: pretend(scene, lie))
    await scene.acknowledges(10)
    scene.thaw(READER)
    await scene.flows()
    return 1


async def given_up(scene: Scene) -> None:
    """Wait until the brokers have given up the only member of the measures' group."""

    async def state(admin: AIOKafkaAdminClient) -> str:
        (answer,) = await admin.describe_consumer_groups(["measures"])
        return str(answer.to_object()["groups"][0]["state"])

    async def empty() -> bool:
        return await asked(scene, state) == "Empty"

    await until(empty, seconds=PATIENCE, what="the group is empty")


async def forget(admin: AIOKafkaAdminClient) -> None:
    """Delete the group of the measures with all it has committed."""
    coordinator = await admin.find_coordinator("measures")
    answer: Any = await admin._send_request_to_node(coordinator, DeleteGroups(["measures"]))
    for _, code in answer.results:
        if code:
            raise for_code(code)
    assert not await admin.list_consumer_group_offsets("measures")


async def pretend(scene: Scene, offsets: dict[TopicPartition, int]) -> None:
    """Commit other offsets in the name of the group, as its only member."""
    stranger = AIOKafkaConsumer(**scene.platform.stack.endpoints.kafka, group_id="measures", enable_auto_commit=False)
    await stranger.start()
    try:
        stranger.assign(list(offsets))
        await stranger.commit(offsets)
    finally:
        await stranger.stop()


@fault("F40", "partitions of a topic doubled, or one more each time after: keys stay where they were")
async def more_partitions(scene: Scene) -> int:
    topic = scene.dice.choice((RESPONSES, "registry.stakeholder"))
    own = TOPICS[topic].partitions
    now = len((await layout(scene, topic))["partitions"])
    wanted = 2 * own if now == own else now + 1

    async def increase(admin: AIOKafkaAdminClient) -> None:
        await admin.create_partitions({topic: NewPartitions(wanted)})

    await asked(scene, increase)

    async def taken_on() -> bool:
        return f"{topic}/{wanted - 1}" in (await scene.status(scene.process(READER))).get("positions", {})

    await until(taken_on, seconds=PATIENCE, what="the new partitions are assigned")
    await scene.flows()
    async with scene.rapport.reader() as reader:
        ends = await reader.end_offsets([TopicPartition(topic, number) for number in range(own, wanted)])
    assert not any(ends.values()), f"something went to the new partitions: {ends}"
    return wanted - now


@fault(
    "F38",
    "retention takes what a frozen or dead consumer has not read: it stops, alarms, and goes on once it is sent again",
    limits="the records are deleted by the admin API instead of by age; "
    "sending again is the operator's `rapport republish`, as the alarm asks, and is part of the injection",
)
async def retention_overtakes(scene: Scene) -> int:
    scene.freeze(READER)
    stood = {p: c["number"] for p, c in (await scene.rapport.cursors("measures")).items() if p[0] == RESPONSES}

    async def overtaken() -> bool:
        ends = await numbered(scene, RESPONSES)
        return all(ends[place] > number + 1 for place, number in stood.items())

    await until(overtaken, seconds=PATIENCE, what="there is more on every partition than was read")
    ends = await scene.rapport.ends([RESPONSES])

    async def delete(admin: AIOKafkaAdminClient) -> None:
        await admin.delete_records({TopicPartition(*place): RecordsToDelete(end) for place, end in ends.items()})

    await asked(scene, delete)
    scene.truncated |= ends.keys()
    if scene.dice.random() < 0.5:
        scene.kill(READER)
    scene.thaw(READER)
    reader = scene.process(READER)

    async def alarmed() -> dict[str, int]:
        status = await scene.status(reader)
        return {place: missing for place, missing in status.get("gaps", {}).items() if place.startswith(RESPONSES)}

    missing = await until(alarmed, seconds=PATIENCE, what="the gap is told")
    assert await scene.metric(reader, "rapport_consumer_gaps") > 0
    now = await scene.rapport.cursors("measures")
    for place in ends:
        if (lacks := missing.get(f"{place[0]}/{place[1]}")) is not None:
            assert now[place]["number"] == lacks - 1, f"it went past what it lacks in {place}"
    await scene.rapport.post(
        "feedback", "/operations/republish", {"topic": RESPONSES, "first": min(stood.values()) + 1}
    )

    async def closed() -> bool:
        return not await alarmed() and bool(await scene.status(reader))

    await until(closed, seconds=PATIENCE, what="the gap is closed")
    return 1


@fault("F37", "topic deleted under load, made anew by somebody or by nobody: offsets begin at 0, numbers go on")
async def topic_made_anew(scene: Scene) -> int:
    there = await scene.rapport.records([RESPONSES])
    heads = {place: head for place, head in (await scene.rapport.heads()).items() if place[0] == RESPONSES}
    resent = await scene.metric(scene.process(WRITER), "rapport_relay_resent_events_total")

    async def delete(admin: AIOKafkaAdminClient) -> None:
        for _, code, *_ in (await admin.delete_topics([RESPONSES])).topic_error_codes:
            if code:
                raise for_code(code)

    await asked(scene, delete)
    if scene.dice.random() < 0.5:
        await asked(scene, make_anew)
    await refilled(scene, heads)
    assert await scene.metric(scene.process(WRITER), "rapport_relay_resent_events_total") > resent
    await begun_anew(scene, {RESPONSES}, there)
    return 1


async def make_anew(admin: AIOKafkaAdminClient) -> None:
    """Unless a relay was faster."""
    copies = 1
    answer = await admin.create_topics([NewTopic(RESPONSES, TOPICS[RESPONSES].partitions, copies)])
    for _, code, *_ in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)


@fault("K1", "the whole Kafka cluster destroyed with its data, an empty one in its place: the journals fill it again")
async def another_cluster(scene: Scene) -> int:
    there = await scene.rapport.records()
    heads = await scene.rapport.heads()
    counted = await scene.counted()
    old = scene.kafka.cluster_id
    async with kept_down(scene):
        await asyncio.to_thread(scene.kafka.lose)
        await scene.acknowledges(15)  # writes do not need it
        await bring_back(scene)
    assert scene.kafka.cluster_id != old
    await refilled(scene, heads)
    assert await scene.counted() >= counted
    await begun_anew(scene, TOPICS, there)
    return 1


# ---------------------------------------------------------------------------------------------------------------------


async def begun_anew(scene: Scene, topics: Collection[str], there: dict[Place, list[Any]]) -> None:
    """These logs are whole again, and what strangers had put there is gone.

    What was on its way to the old log may have come to stand in the new one first: whoever applied all before it goes on
    with it, and all others wait until they have.
    """
    scene.truncated = {place for place in scene.truncated if place[0] not in topics}
    scene.disordered = {place for place in scene.disordered if place[0] not in topics}
    for place, told in (await scene.rapport.told(topics)).items():
        numbers = [number for number, _ in told]
        if numbers != sorted(numbers):
            scene.disordered.add(place)
    scene.strays -= sum(
        number_of(r.headers) is None for place, records in there.items() if place[0] in topics for r in records
    )


@asynccontextmanager
async def kept_down(scene: Scene) -> AsyncIterator[None]:
    """What is down stays down until it is brought back here."""
    scene.platform.left_alone.add(scene.kafka)
    try:
        yield
    finally:
        scene.platform.left_alone.discard(scene.kafka)


async def bring_back(scene: Scene) -> None:
    """Start the brokers that are down, and wait until the cluster is whole."""

    async def started() -> bool:
        try:
            await asyncio.to_thread(scene.kafka.start)
        except StackError:  # a machine with much else to do
            return False
        return True

    await until(started, seconds=PATIENCE, what="the brokers are back")


async def asked(scene: Scene, question: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    """What an admin client answers, again and again until somebody does."""

    async def answered() -> list[T]:
        admin = AIOKafkaAdminClient(
            **scene.platform.stack.endpoints.kafka, request_timeout_ms=5_000, client_id="faults"
        )
        try:
            await admin.start()
            return [await question(admin)]
        except (KafkaError, OSError, TimeoutError):
            return []
        finally:
            await admin.close()

    return (await until(answered, seconds=PATIENCE, what="the brokers answer"))[0]


async def read(question: Callable[[], Awaitable[T]]) -> T:
    """What the topics hold, asked again where a partition had no leader to tell."""

    async def answered() -> list[T]:
        try:
            return [await question()]
        except KafkaError:
            return []

    return (await until(answered, seconds=PATIENCE, what="the topics can be read"))[0]


async def layout(scene: Scene, topic: str) -> Any:
    """Partitions with their leaders and replicas in sync."""

    async def describe(admin: AIOKafkaAdminClient) -> Any:
        (found,) = await admin.describe_topics([topic])
        if found["error_code"]:
            raise for_code(found["error_code"])
        return found

    return await asked(scene, describe)


async def leader_of(
    scene: Scene, place: Place, *, in_sync: int, other_than: int | None = None, is_: int | None = None
) -> int:
    """The number of the broker that leads a partition, once so many at least are in sync."""

    async def known() -> int | None:
        partitions = (await layout(scene, place[0]))["partitions"]
        found = next(each for each in partitions if each["partition"] == place[1])
        leader = int(found["leader"])
        fits = leader > 0 and leader != other_than and is_ in {None, leader}
        return leader if fits and len(found["isr"]) >= in_sync else None

    return await until(known, seconds=PATIENCE, what=f"{place} is led, {in_sync} in sync") or 0


def active_controller(scene: Scene) -> int:
    """The node that leads the quorum, as the nodes have noted it: a broker does not tell."""
    states = [
        json.loads((broker.data / "__cluster_metadata-0" / "quorum-state").read_text())
        for broker in scene.kafka.brokers
    ]
    return int(max(states, key=lambda state: (state["leaderEpoch"], state["leaderId"]))["leaderId"])


async def unsent(scene: Scene, service: str) -> int:
    return await scene.rapport.mongo[service]["journal"].count_documents({"unsent": True})


async def sent_more(scene: Scene, place: Place) -> None:
    """Wait until a partition has taken something that it did not have."""
    before = (await read(lambda: scene.rapport.ends([place[0]])))[place]

    async def grown() -> bool:
        return (await read(lambda: scene.rapport.ends([place[0]])))[place] > before

    await until(grown, seconds=PATIENCE, what=f"{place} takes more")


async def numbered(scene: Scene, topic: str) -> dict[Place, int]:
    """The last number that is acknowledged on each partition."""
    found: dict[Place, int] = {}
    batches = scene.rapport.mongo[TOPICS[topic].owner]["journal_batches"]
    async for batch in batches.find({"topic": topic, "offset": {"$ne": None}}):
        place = topic, batch["partition"]
        found[place] = max(found.get(place, 0), batch["first"] + len(batch["ids"]) - 1)
    return found


async def refilled(scene: Scene, heads: dict[Place, int]) -> None:
    """Wait until the logs hold at least as many records as there were numbers."""

    async def whole() -> bool:
        try:
            ends = await scene.rapport.ends({topic for topic, _ in heads})
        except KafkaError:
            return False
        return all(ends.get(place, 0) >= head for place, head in heads.items())

    await until(whole, seconds=PATIENCE, what="the journals have filled the logs again")


async def marked_as_sent(scene: Scene) -> set[str]:
    """The responses' events that the journal takes for sent."""
    journal = scene.rapport.mongo["feedback"]["journal"]
    sent = {"topic": RESPONSES, "unsent": {"$exists": False}}
    return {entry["_id"] async for entry in journal.find(sent, {"_id": 1})}


def sizes(scene: Scene) -> dict[str, int]:
    """How much each process has said."""
    return {each.name: each.log.stat().st_size for each in scene.platform.kept}


def since(scene: Scene, said: dict[str, int]) -> dict[str, str]:
    """What each process has said since."""
    return {e.name: e.log.read_bytes()[said[e.name] :].decode(errors="replace") for e in scene.platform.kept}


class DeleteGroupsResponse(Response):
    API_KEY = 42
    API_VERSION = 0
    SCHEMA = Schema(("throttle_time_ms", Int32), ("results", Array(("group", String("utf-8")), ("error_code", Int16))))


class DeleteGroupsRequest(RequestStruct):
    API_KEY = 42
    API_VERSION = 0
    RESPONSE_TYPE = DeleteGroupsResponse
    SCHEMA = Schema(("groups", Array(String("utf-8"))))


class DeleteGroups(Request[DeleteGroupsRequest]):
    """What aiokafka's admin client does not offer."""

    API_KEY = 42

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[DeleteGroupsRequest]) -> DeleteGroupsRequest:
        return request_struct_class(self._groups)
