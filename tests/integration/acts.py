"""What people do with the platform in the journeys: each act is a request, or a few, through the public APIs."""

import itertools
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

from rapport_chassis.journal import entry
from rapport_events.envelope import Envelope

from tests.integration.rapport import Rapport, new_key, until

TRACKER, QUESTION, MEASURE = "public-perceptions-tracker", "ppt.heard", "PPT-1a"
"""An instrument, one of its questions, and the measure of everybody that reads it."""

GROUPS = ("bame", "young-18-24", "disability", "grade-de", "police", "police-accountability", "non-police")
REGIONS = ("london", "midlands", "north-east", "north-west", "south-east", "wales")

_ordinals = itertools.count(1)
"""Every wave of a run has a place of its own in its series, later than all before."""


async def prepare(rapport: Rapport) -> None:
    """Define the measures, and publish the instruments that they read."""
    await rapport.post("measures", "/definitions/load", None)
    catalogue = json.loads((resources.files("measures") / "data" / "instruments.json").read_text("utf-8"))
    for instrument in catalogue["instruments"]:
        asked = ("code", "version", "text", "answers", "counts", "left_out")
        await rapport.post(
            "feedback",
            "/instruments",
            {
                "code": instrument["code"],
                "version": instrument["version"],
                "title": instrument["title"],
                "weighted": True,
                "questions": [{name: question[name] for name in asked} for question in instrument["questions"]],
                "groups": GROUPS,
                "regions": REGIONS,
                "synthetic": True,
            },
        )


async def register(rapport: Rapport, name: str = "Example Person", **facts: Any) -> str:
    """Register somebody; the stakeholder's id, which every service has heard of."""
    who = {"kind": "person", "name": name, "category": "public", "synthetic": True, **facts}
    stakeholder: str = (await rapport.post("registry", "/stakeholders", who))["id"]
    await heard_of(rapport, [stakeholder])
    return stakeholder


async def heard_of(rapport: Rapport, stakeholders: Sequence[str]) -> None:
    """Wait until the other services know these people."""

    async def known() -> bool:
        there = {"_id": {"$in": list(stakeholders)}}
        counts = [
            await rapport.mongo[service]["stakeholders"].count_documents(there)
            for service in ("engagement", "measures")
        ]
        return all(count == len(set(stakeholders)) for count in counts)

    await until(known, what="everybody has heard of them")


async def consent(rapport: Rapport, stakeholder: str, *channels: str) -> None:
    """Agree to be told, and wait until notifications know."""
    for channel in channels:
        agreement = {"purpose": "updates", "channel": channel, "proof": "form"}
        await rapport.post("registry", f"/stakeholders/{stakeholder}/consents", agreement)

    async def known() -> bool:
        return set(channels) <= await agreed(rapport, stakeholder)

    await until(known, what="notifications know of the consent")


async def agreed(rapport: Rapport, stakeholder: str) -> set[str]:
    """The channels on which notifications may tell somebody."""
    found = await rapport.mongo["notifications"]["consents"].find_one({"_id": stakeholder})
    return {each["channel"] for each in found["given"]} if found else set()


async def subscribe(
    rapport: Rapport, event_type: str, channel: str, address: str, stakeholder: str | None = None
) -> dict[str, Any]:
    """The subscription; a webhook's secret is known to the mailbox from then on."""
    wish = {"event_types": [event_type], "channel": channel, "address": address, "stakeholder_id": stakeholder}
    made: dict[str, Any] = await rapport.post("notifications", "/subscriptions", wish)
    if channel == "webhook":
        with rapport.mailbox() as mailbox:
            mailbox.trust(address.rpartition("/")[2], made["secret"])
    return made


async def open_exercise(rapport: Rapport, participants: Iterable[str] = (), **facts: Any) -> dict[str, Any]:
    """An exercise whose reply is due in a month."""
    exercise: dict[str, Any] = await rapport.post(
        "engagement",
        "/exercises",
        {
            "title": "Example exercise",
            "level": "consult",
            "method": "open-space",
            "promise": "What you say will be read and answered.",
            "decision_maker": "director",
            "reply_due": day(30),
            "participants": list(participants),
            "synthetic": True,
            **facts,
        },
    )
    return exercise


async def promise_broken(rapport: Rapport, **facts: Any) -> dict[str, Any]:
    """An exercise that is recorded late, and whose promise the clock has broken since."""
    exercise = await open_exercise(rapport, opened_on=day(-60), reply_due=day(-10), **facts)
    assert exercise["promise_state"] == "standing"

    async def broken() -> dict[str, Any] | None:
        found: dict[str, Any] = await rapport.get("engagement", f"/exercises/{exercise['id']}")
        return found if found["promise_state"] == "broken" else None

    found = await until(broken, what="the clock strikes")
    assert found is not None
    return found


async def log_contact(rapport: Rapport, participants: Iterable[str], **facts: Any) -> str:
    """The contact's id."""
    contact: str = (
        await rapport.post(
            "engagement",
            "/contacts",
            {
                "participants": list(participants),
                "level": "inform",
                "nature": "engagement",
                "mode": "proactive",
                "method": "meeting",
                "held_on": day(-1),
                **facts,
            },
        )
    )["id"]
    return contact


async def open_wave(rapport: Rapport, instrument: str = TRACKER) -> dict[str, Any]:
    """A wave that is in the field today."""
    wave: dict[str, Any] = await rapport.post(
        "feedback",
        "/waves",
        {
            "instrument_code": instrument,
            "instrument_version": 1,
            "ordinal": next(_ordinals),
            "year": 1,
            "starts_on": day(-1),
            "ends_on": day(30),
            "synthetic": True,
        },
    )
    return wave


async def close_wave(rapport: Rapport, wave: dict[str, Any]) -> None:
    await rapport.post("feedback", f"/waves/{wave['id']}/close", None, **{"If-Match": f'"{wave["version"]}"'})


def answer(number: int, **facts: Any) -> dict[str, Any]:
    """A response: two in five have heard of it."""
    return {"answers": {QUESTION: "yes" if number % 5 < 2 else "no"}, **facts}


async def submit(rapport: Rapport, wave: str, response: dict[str, Any], **headers: str) -> str:
    """The id of the event that tells of the response."""
    event: str = (await rapport.post("feedback", f"/waves/{wave}/responses", response, **headers))["event"]
    return event


async def import_responses(rapport: Rapport, wave: str, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A stream of NDJSON in, an answer per row back."""
    stream = "".join(json.dumps({"reference": new_key(), **row}) + "\n" for row in rows)
    answered = await rapport.http("feedback").post(
        f"/waves/{wave}/responses/import", content=stream, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answered.status_code == 200, answered.text
    return [json.loads(line) for line in answered.text.splitlines()]


async def tell(rapport: Rapport, like: str, person: str, *changes: dict[str, Any]) -> list[str]:
    """Put events of one aggregate into the journal as no API would make them, like one that is there; their ids."""
    journal = rapport.mongo["feedback"]["journal"]
    found = await journal.find_one({"_id": like})
    assert found is not None
    ids = []
    for number, change in enumerate(changes):
        id_ = new_key()
        made = {**found["envelope"], "id": id_, "subject": person, "partitionkey": person}
        made["data"] = {**made["data"], "response_id": person, **change}
        made.pop("sequence", None)
        await journal.insert_one(entry(Envelope.from_structured(made), "feedback.response", found["pos"] + number))
        ids.append(id_)
    return ids


async def figure(rapport: Rapport, wave: str, measure: str = MEASURE) -> dict[str, Any] | None:
    """A measure's figure in one wave."""
    history: list[dict[str, Any]] = await rapport.get("measures", f"/measures/{measure}/history", synthetic=True)
    return next((each for each in history if each["wave_id"] == wave), None)


async def counted(rapport: Rapport, wave: str, responses: int, measure: str = MEASURE) -> dict[str, Any]:
    """Wait until so many responses of a wave are counted; the figure then."""

    async def there() -> dict[str, Any] | None:
        found = await figure(rapport, wave, measure)
        return found if found is not None and found["responses"] >= responses else None

    found = await until(there, what=f"{responses} responses are counted")
    assert found is not None
    return found


async def explained(rapport: Rapport, wave: str, measure: str = MEASURE) -> dict[str, Any]:
    """The explanation of a figure, with all its events."""
    path = f"/measures/{measure}/explain"
    whole: dict[str, Any] = await rapport.get("measures", path, wave=wave, synthetic=True, limit=200)
    more = whole["next"]
    while more is not None:
        page = await rapport.get("measures", path, wave=wave, synthetic=True, limit=200, after=more)
        whole["events"] += page["events"]
        more = page["next"]
    return whole


def day(offset: int) -> str:
    """A day from today, as the APIs take it."""
    return (datetime.now(UTC) + timedelta(days=offset)).date().isoformat()
