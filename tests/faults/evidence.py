"""What lies on the disks: a dump of the databases and the raw records of the topics, as plain data."""

from dataclasses import dataclass, field
from typing import Any

from rapport_chassis.records import number_of
from rapport_cli.running.state import SERVICES

from tests.faults.load import SECRET
from tests.integration.clear_text import disguised
from tests.integration.rapport import Place, Rapport

RESPONSE = "feedback.response.received.v1"
PERSONS = ("registry.stakeholder.registered.v1", "registry.stakeholder.amended.v1")


WANTED = (
    "envelope.type",
    "envelope.data.wave_id",
    "envelope.data.answers",
    "topic",
    "partition",
    "key",
    "pos",
    "unsent",
)
"""What is read of an entry of a journal."""


@dataclass(slots=True)
class Entry:
    """One event as a service's journal has it. `pos` orders the events of an aggregate; `data` is what was answered."""

    service: str
    type: str
    place: Place
    aggregate: str
    pos: int
    unsent: bool
    data: dict[str, Any]


@dataclass(slots=True)
class Evidence:
    """Everything a checker may look at, beside the ledger.

    Attributes:
        journal: event id -> entry.
        batches: place -> (number, event id) as the relay's batch log gave them.
        topics: place -> (number, event id) of every record of a relay, in the order they lie there.
        responses: response id -> event that told of it.
        stakeholders: id -> (version, region), as the registry has them.
        copies: service -> stakeholder's id -> region, as those have them who heard of it.
        counted: ids of the events that the measures counted, in the order they did, doubles and all.
        tallies: wave -> answer code -> how many, as the read model has them.
        cursors: service -> place -> the last number applied.
        letters: service -> (place, number, state, event id).
        strays: records on topics that no relay numbered.
        leaks: where the secret words were found in clear.
    """

    journal: dict[str, Entry] = field(default_factory=dict)
    batches: dict[Place, list[tuple[int, str]]] = field(default_factory=dict)
    topics: dict[Place, list[tuple[int, str]]] = field(default_factory=dict)
    responses: dict[str, str] = field(default_factory=dict)
    stakeholders: dict[str, tuple[int, str]] = field(default_factory=dict)
    copies: dict[str, dict[str, str]] = field(default_factory=dict)
    counted: list[str] = field(default_factory=list)
    tallies: dict[str, dict[str, int]] = field(default_factory=dict)
    cursors: dict[str, dict[Place, int]] = field(default_factory=dict)
    letters: dict[str, list[tuple[Place, int | None, str, str]]] = field(default_factory=dict)
    strays: int = 0
    leaks: list[str] = field(default_factory=list)


async def gather(rapport: Rapport) -> Evidence:
    """Read all of it, past every service."""
    found = Evidence()
    for service in SERVICES:
        await _journal(rapport, service, found)
    await _state(rapport, found)
    await _topics(rapport, found)
    found.leaks = await _leaks(rapport)
    return found


async def _journal(rapport: Rapport, service: str, found: Evidence) -> None:
    database = rapport.mongo[service]
    async for d in database["journal"].find({}, WANTED):
        envelope = d["envelope"]
        found.journal[d["_id"]] = Entry(
            service,
            envelope["type"],
            (d["topic"], d["partition"]),
            d["key"],
            d["pos"],
            bool(d.get("unsent")),
            envelope["data"],
        )
    async for d in database["journal_batches"].find({}).sort([("topic", 1), ("partition", 1), ("first", 1)]):
        place = d["topic"], d["partition"]
        found.batches.setdefault(place, []).extend(enumerate(d["ids"], d["first"]))
    found.cursors[service] = {place: cursor["number"] for place, cursor in (await rapport.cursors(service)).items()}
    found.letters[service] = [
        ((d["topic"], d["partition"]), d.get("number"), d["state"], str((d.get("envelope") or {}).get("id", "")))
        async for d in database["dead_letters"].find({})
    ]


async def _state(rapport: Rapport, found: Evidence) -> None:
    async for d in rapport.mongo["feedback"]["responses"].find({}, {"event_id": 1}):
        found.responses[d["_id"]] = d["event_id"]
    async for d in rapport.mongo["registry"]["stakeholders"].find({}, {"version": 1, "region": 1}):
        found.stakeholders[d["_id"]] = d["version"], d["region"]
    async for d in rapport.mongo["engagement"]["stakeholders"].find({}, {"region": 1}):
        found.copies.setdefault("engagement", {})[d["_id"]] = d["region"]
    async for d in rapport.mongo["measures"]["evidence"].find({}).sort("_id", 1):
        found.counted += [row[0] for row in d["rows"]]
    async for d in rapport.mongo["measures"]["answers"].find({}, {"wave_id": 1, "cells.all": 1}):
        found.tallies[d["wave_id"]] = {code: tally[0] for code, tally in d["cells"].get("all", {}).items()}


async def _topics(rapport: Rapport, found: Evidence) -> None:
    for place, records in (await rapport.records()).items():
        numbered = [(number, r) for r in records if (number := number_of(r.headers)) is not None]
        found.strays += len(records) - len(numbered)
        found.topics[place] = [(number, dict(r.headers)["ce_id"].decode()) for number, r in numbered]
        if any(_holds_secret(r.value) or _holds_secret(r.key) for r in records):
            found.leaks.append(f"topic {place[0]}")


_FORMS = disguised(SECRET)


def _holds_secret(raw: bytes | None) -> bool:
    return raw is not None and any(form in raw.lower() for form in _FORMS)


async def _leaks(rapport: Rapport) -> list[str]:
    found = []
    for database in (*SERVICES, "keyring"):
        for name in await rapport.mongo[database].list_collection_names():
            async for document in rapport.mongo[database][name].find_raw_batches({}):
                if _holds_secret(document):
                    found.append(f"{database}.{name}")
                    break
    found += [f"log {log.name}" for log in rapport.platform.folder.logs.iterdir() if _holds_secret(log.read_bytes())]
    return found
