"""MongoDB that dies, steps down, answers a commit in every wrong way, runs short of memory; writes too many or too large."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern
from rapport_chassis.journal import JOURNAL, MAX_EVENT_BYTES, entry
from rapport_cli.running.state import SERVICES
from rapport_events.envelope import Envelope
from rapport_events.feedback import WaveClosed
from rapport_stack.mongo_users import uri_as
from rapport_stack.principals import ADMINISTRATOR

from tests.faults.armed import Order
from tests.faults.catalogue import fault
from tests.faults.grounds import THREE_MONGODS
from tests.faults.ledger import Promise
from tests.faults.load import SECRET
from tests.faults.scene import PATIENCE, Scene
from tests.integration.acts import QUESTION, REGIONS, day, open_exercise, subscribe
from tests.integration.rapport import new_key, until

if TYPE_CHECKING:
    from rapport_stack.cluster import Member

APIS = ("feedback-api", "registry-api")
PROMISE_BROKEN = "engagement.exercise.promise-broken"
ROUNDS = 4
"""How often each of many writers tries."""
MOST_AFTER = 4 * 1024 * 1024
"""Bytes of a body that may still come after its answer."""
COMMIT_PATIENCE = 10.0
"""Seconds until a request that the store keeps waiting is 503."""


@fault("F8", "kill -9 of the primary under load; it stays down until another one takes writes", on=THREE_MONGODS)
async def primary_dies(scene: Scene) -> int:
    member = scene.mongo.members[await _primary(scene)]
    scene.platform.left_alone.add(scene.mongo)
    began = time.monotonic()
    member.kill()
    await scene.load.probe()
    scene.figures["seconds until a write was taken by another primary"] = time.monotonic() - began
    await _come_back(scene, member)
    return 1


@fault("F9", "step-down of the primary while transactions are before or within their commit", on=THREE_MONGODS)
async def step_down(scene: Scene) -> int:
    waits = (scene.strike(name, Order("commit", act="delay", seconds=0.7)) for name in APIS)
    await asyncio.gather(*waits)  # each has written all it wants, and not committed
    for pause in (0.0, scene.dice.uniform(0.0, 0.5)):
        await scene.acknowledges(1) if pause else None
        await asyncio.sleep(pause)
        async with _direct(scene, await _primary(scene)) as client:
            await client.admin.command("replSetStepDown", 3, secondaryCatchUpPeriodSecs=2, force=True)
    return 2


WRONG_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "connection closed": {"closeConnection": True},
    "91": {"errorCode": 91},
    "189": {"errorCode": 189},
    "112": {"errorCode": 112, "errorLabels": ["TransientTransactionError"]},
    "251": {"errorCode": 251, "errorLabels": ["TransientTransactionError"]},
    "done, nobody confirmed it in time": {"writeConcernError": {"code": 64, "errmsg": "timed out"}},
    "done, the primary stepped down": {"writeConcernError": {"code": 189, "errmsg": "stepped down"}},
    "done, nobody can confirm it": {"writeConcernError": {"code": 100, "errmsg": "cannot be satisfied"}},
}


@fault("F10", "commits answered in every wrong way: not done, done, or cut off", on=THREE_MONGODS)
async def wrong_answers(scene: Scene) -> int:
    times = 3
    async with _direct(scene, await _primary(scene)) as client:
        for data in scene.dice.sample(list(WRONG_ANSWERS.values()), len(WRONG_ANSWERS)):
            async with _failing(client, {"failCommands": ["commitTransaction"], **data}, times=times) as over:
                await over()
            await scene.acknowledges(1)
    return times * len(WRONG_ANSWERS)


@fault(
    "F33",
    "bodies and lines that are too long; events that no broker takes, put into the journal past every check",
    on=THREE_MONGODS,
)
async def huge_payloads(scene: Scene) -> int:
    before = await _told(scene, "feedback")
    refused = await _too_long(scene)
    told = {e["envelope"]["type"] for e in await _told(scene, "feedback") if e not in before}
    assert told <= {"feedback.response.received.v1"}, f"{told}"
    poisoned = new_key()
    forced = [
        _forced(poisoned, WaveClosed.type, 15_900_000),
        _forced(poisoned, WaveClosed.type, 10),
        *(_forced(new_key(), "feedback.filler.told.v1", MAX_EVENT_BYTES - 1_000) for _ in range(4)),
        _forced(new_key(), "feedback.filler.told.v1", 1_048_577),
    ]
    journal = scene.rapport.mongo["feedback"].get_collection(JOURNAL, write_concern=WriteConcern("majority"))
    for each in forced:
        await journal.insert_one(each)

    async def held_up() -> bool:
        found = scene.rapport.mongo["measures"]["dead_letters"].find({"key": poisoned})
        return Counter([letter["state"] async for letter in found]) == {"dead": 1, "parked": 1}

    await until(held_up, seconds=PATIENCE, what="the aggregate is held up, and it alone")
    for service in SERVICES:
        count = await scene.rapport.mongo[service]["dead_letters"].count_documents({"key": poisoned})
        if count:
            scene.letters[service] = scene.letters.get(service, 0) + count
    ids = [each["_id"] for each in forced]

    async def sent() -> bool:
        return not await journal.count_documents({"_id": {"$in": ids}, "unsent": True})

    await until(sent, seconds=PATIENCE, what="all of them were sent")
    # They have done what they could: kept as they are, everybody who reads the journal after us would read them.
    await journal.update_many({"_id": {"$in": ids}}, {"$unset": {"envelope.data.filler": ""}})
    return refused + len(forced)


@fault(
    "F35",
    "store short of memory: transactions beyond what its cache takes at once, many of them side by side",
    on=THREE_MONGODS,
    limits="the cache shrinks to 32 MB while it runs, so that imports of half a thousand long comments are too large for it.",
)
async def short_of_memory(scene: Scene) -> int:
    words = f"{SECRET} " + "x" * 3_900
    async with _each(scene) as members:
        for client in members:
            await client.admin.command({"setParameter": 1, "wiredTigerEngineRuntimeConfig": "cache_size=32M"})
        try:
            await asyncio.gather(*(scene.load.bring_in(rows=500, comment=words) for _ in range(3)))
        finally:
            for client in members:
                await client.admin.command({"setParameter": 1, "wiredTigerEngineRuntimeConfig": "cache_size=256M"})
    return 3


@fault("F36", "64 writers of one stakeholder at once, on two processes of its API", on=THREE_MONGODS)
async def conflict_storm(scene: Scene) -> int:
    made = await scene.rapport.post("registry", "/stakeholders", _person())
    seen: Counter[int] = Counter()
    async with scene.beside("registry-api") as (other,):
        urls = scene.platform.state.urls["registry"], f"http://127.0.0.1:{other.env['RAPPORT_HTTP_PORT']}"
        await asyncio.gather(*(_insist(scene, urls[n % 2], made["id"], seen) for n in range(64)))
    assert set(seen) <= {200, 409, 412, 503}, f"answers: {seen}"
    found = await scene.rapport.get("registry", f"/stakeholders/{made['id']}")
    wrote = found["version"] - made["version"]
    # A 503 may have happened: whether the store took it in time is not known.
    assert ROUNDS <= seen[200] <= wrote <= seen[200] + seen[503], f"{wrote} versions by {seen}"
    return sum(seen.values())


@fault(
    "F44",
    "keys that cannot be read for 4 s: waited for; a key that is gone: its words are left out. Neither is a dead letter",
    on=THREE_MONGODS,
)
async def keys_away(scene: Scene) -> int:
    name, hook = "notifications-worker", new_key()
    subscription = await subscribe(scene.rapport, PROMISE_BROKEN, "webhook", scene.rapport.hook(hook))
    scene.freeze(name)
    titles = [f"{SECRET} {new_key()}", f"{SECRET} {new_key()}"]
    kept, lost = [
        await open_exercise(scene.rapport, title=title, opened_on=day(-60), reply_due=day(-10)) for title in titles
    ]
    await _broken(scene, kept["id"])
    await _broken(scene, lost["id"])
    gone = await scene.rapport.mongo["keyring"]["keys"].delete_one({"_id": lost["id"]})
    assert gone.deleted_count == 1, "an exercise has a key of its own"
    async with _direct(scene, await _primary(scene)) as client:
        data = {"failCommands": ["find"], "namespace": "keyring.keys", "errorCode": 11600}
        async with _failing(client, data, times=1_000_000):
            scene.thaw(name)
            await asyncio.sleep(4)
            letters = await scene.rapport.mongo["notifications"]["dead_letters"].count_documents({})
            assert letters == scene.letters.get("notifications", 0), "who could wait made a dead letter of it"

    async def told() -> str:
        with scene.rapport.mailbox() as mailbox:
            bodies = "".join(message.body for message in mailbox.messages(to=hook))
        return bodies if kept["id"] in bodies and lost["id"] in bodies else ""

    bodies = await until(told, seconds=PATIENCE, what="both promises are told")
    assert titles[0] in bodies, "a key that was away is as one that is gone"
    assert titles[1] not in bodies, "the words of a key that is gone"
    await scene.rapport.http("notifications").delete(f"/subscriptions/{subscription['id']}")
    return 2


# The replica set -----------------------------------------------------------------------------------------------------


def _uri(scene: Scene, host: str) -> str:
    """One member, for the administrator."""
    return uri_as(f"mongodb://{host}/", ADMINISTRATOR, scene.platform.stack.credentials.password(ADMINISTRATOR))


@asynccontextmanager
async def _direct(scene: Scene, number: int) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    """A client of this member alone."""
    async with AsyncMongoClient[dict[str, Any]](
        _uri(scene, scene.mongo.hosts[number]), directConnection=True, serverSelectionTimeoutMS=5_000
    ) as client:
        yield client


@asynccontextmanager
async def _each(scene: Scene) -> AsyncIterator[Sequence[AsyncMongoClient[dict[str, Any]]]]:
    """A client of each member."""
    clients = [AsyncMongoClient[dict[str, Any]](_uri(scene, host), directConnection=True) for host in scene.mongo.hosts]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


async def _primary(scene: Scene) -> int:
    """Which member is the primary; waits until there is one."""

    async def found() -> list[int]:
        numbers = []
        for number in range(len(scene.mongo.members)):
            try:
                async with _direct(scene, number) as client:
                    if (await client.admin.command("hello"))["isWritablePrimary"]:
                        numbers.append(number)
            except PyMongoError:
                continue
        return numbers

    return (await until(found, seconds=PATIENCE, what="there is a primary"))[0]


async def _come_back(scene: Scene, member: "Member") -> None:
    scene.platform.left_alone.discard(scene.mongo)

    async def runs() -> bool:
        return member.running

    await until(runs, seconds=PATIENCE, what=f"{member.name} runs again")


@asynccontextmanager
async def _failing(
    client: AsyncMongoClient[dict[str, Any]], data: Mapping[str, Any], *, times: int
) -> AsyncIterator[Any]:
    """So many of a server's commands fail as `data` says; what is given waits until they have."""

    fail = {"mode": {"times": times}, "data": dict(data)}
    before: int = (await client.admin.command("configureFailPoint", "failCommand", **fail))["count"]

    async def over() -> None:
        async def used_up() -> bool:
            found = await client.admin.command({"getParameter": 1, "failpoint.failCommand": 1})
            return found["failpoint.failCommand"]["timesEntered"] >= before + times

        await until(used_up, seconds=PATIENCE, what=f"{times} commands have failed: {data}")

    try:
        yield over
    finally:
        await client.admin.command("configureFailPoint", "failCommand", mode="off")


# Payloads ------------------------------------------------------------------------------------------------------------


async def _told(scene: Scene, service: str) -> list[dict[str, Any]]:
    return await scene.rapport.mongo[service][JOURNAL].find({}, {"envelope.type": 1}).to_list()


async def _too_long(scene: Scene) -> int:
    """Requests beyond what is allowed are refused as the client's; how many."""
    http, responses = scene.rapport.http("feedback"), f"/waves/{scene.wave}/responses"
    for size, expected in (
        (900_000, httpx.codes.UNPROCESSABLE_ENTITY),
        (1_048_576, httpx.codes.REQUEST_ENTITY_TOO_LARGE),
        (15_900_000, httpx.codes.REQUEST_ENTITY_TOO_LARGE),
    ):
        body = {"answers": {QUESTION: "yes"}, "comment": "x" * size}
        try:
            answered = await http.post(responses, json=body, headers={"Idempotency-Key": new_key()})
        except httpx.TransportError:
            # Who goes on sending for megabytes after the answer is hung up on, and may not see it.
            assert size > MOST_AFTER, f"hung up on after {size} bytes"
        else:
            assert answered.status_code == expected, f"{answered.status_code} instead of {expected}"
    lines = "".join(f'{{"reference": "{new_key()}", "comment": "{"x" * 1_048_000}"}}\n' for _ in range(5))
    answered = await http.post(
        f"{responses}/import", content=lines, headers={"Content-Type": "application/x-ndjson"}, timeout=60
    )
    assert answered.status_code == httpx.codes.OK, f"an import was answered {answered.status_code}"
    assert '"accepted"' not in answered.text, "a row of a megabyte was taken"
    return 4


def _forced(aggregate: str, type_: str, size: int) -> dict[str, Any]:
    """A journal's entry as no request could make it, of an aggregate that nobody else has."""
    closed = WaveClosed(wave_id=aggregate, instrument_code="none", ordinal=1, closed_on=datetime.now(UTC).date())
    made = entry(
        Envelope.of(
            closed, id=str(uuid.uuid4()), source="urn:rapport:feedback", time=datetime.now(UTC), correlationid="f"
        ),
        closed.topic,
        time.time_ns() // 1_000,
    )
    made["envelope"]["type"] = type_
    made["envelope"]["data"]["filler"] = "x" * size
    return made


# Writers -------------------------------------------------------------------------------------------------------------


def _person() -> dict[str, Any]:
    name = f"{SECRET} {new_key()}"
    return {"kind": "person", "name": name, "category": "public", "region": REGIONS[0], "synthetic": True}


async def _insist(scene: Scene, url: str, id_: str, seen: Counter[int]) -> None:
    """Move somebody elsewhere, reading again after a lost race, a few times at most; every answer comes in time."""
    usual = scene.rapport.http("registry").headers["Authorization"]
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": usual}, timeout=COMMIT_PATIENCE + 5, trust_env=False
    ) as http:
        for _ in range(ROUNDS):
            read = await http.get(f"/stakeholders/{id_}")
            region = scene.dice.choice([each for each in REGIONS if each != read.json()["region"]])
            sender = new_key()
            headers = {"If-Match": read.headers["ETag"], "Idempotency-Key": sender}
            answered = await http.patch(f"/stakeholders/{id_}", json={"region": region}, headers=headers)
            seen[answered.status_code] += 1
            if answered.is_success:
                written = int(answered.headers["ETag"].strip('"'))
                scene.ledger.acknowledged(sender, Promise("stakeholder", id_, written, region))
                return


async def _broken(scene: Scene, exercise: str) -> None:
    async def broken() -> bool:
        found = await scene.rapport.get("engagement", f"/exercises/{exercise}")
        return bool(found["promise_state"] == "broken")

    await until(broken, seconds=PATIENCE, what="the clock strikes")
