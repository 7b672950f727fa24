"""A person erased: their words cannot be read anywhere any more, never lay anywhere in clear, and every figure stands."""

import base64
import json
from http import HTTPStatus
from typing import Any

from rapport_chassis.keyring import Keyring
from rapport_chassis.sealing import open_sealed

from tests.integration.acts import (
    answer,
    close_wave,
    consent,
    counted,
    day,
    explained,
    figure,
    import_responses,
    log_contact,
    open_exercise,
    open_wave,
    register,
    submit,
    subscribe,
)
from tests.integration.clear_text import found_in_clear
from tests.integration.rapport import Rapport, new_key, until

BOUND = 60.0
"""Seconds until an erasure has taken effect everywhere, with Kafka down; with Kafka, it is as fast as events are."""

RESPONSES = 40

Words = dict[str, str]
"""What was said, by what it is."""


async def live(rapport: Rapport, words: Words) -> dict[str, Any]:
    """Somebody who was registered, met, asked, and told."""
    person = await register(
        rapport,
        words["name"],
        email=f"{words['email']}@example.org",
        category="statutory",
        subtype="police",
        region="wales",
    )
    await consent(rapport, person, "email")
    address = f"{words['address']}@example.org"
    subscription = await subscribe(rapport, "engagement.contact.logged", "email", address, person)
    contact = await log_contact(rapport, [person], notes=words["notes"])
    waves = [await open_wave(rapport) for _ in range(2)]
    for wave in waves:
        await import_responses(rapport, wave["id"], [answer(n) for n in range(RESPONSES)])
        named = answer(0, stakeholder_id=person, comment=words["comment"])
        await submit(rapport, wave["id"], named)
        await counted(rapport, wave["id"], RESPONSES + 1)
    await close_wave(rapport, waves[0])
    await rapport.settled()
    return {"person": person, "subscription": subscription["id"], "contact": contact, "waves": waves}


async def test_words_are_gone_and_figures_stand(rapport: Rapport) -> None:
    words = {what: f"{what}{new_key()}" for what in ("name", "email", "notes", "comment", "address")}
    lived = await live(rapport, words)
    person, waves = lived["person"], [wave["id"] for wave in lived["waves"]]
    sealed = await sealed_words(rapport, person)
    async with keyring(rapport) as keys:
        key = await keys.key(person)
        assert key is not None
        said = " ".join(
            open_sealed(key, token, subject=person, owner=owner, path=path) for owner, path, token in sealed
        )
    assert [word for word in words.values() if word not in said] == [], "the scan below would find them all"
    before = {wave: await shown(rapport, wave) for wave in waves}
    populations = await population(rapport)

    erased = await rapport.http("registry").delete(f"/stakeholders/{person}")
    assert erased.is_success, erased.text
    await until(lambda: gone(rapport, lived), seconds=BOUND, what="erased everywhere")
    await rapport.settled()

    async with keyring(rapport) as keys:
        assert await keys.key(person) is None
    # Sealed words that still lie in journals and topics have lost their only key.
    assert await rapport.mongo["keyring"]["keys"].find_one({"_id": person}) == {"_id": person, "key": None}
    await refused(rapport, person, waves[1])

    now = await population(rapport)
    assert now.pop("police") == populations.pop("police") - 1
    assert now.pop("all") == populations.pop("all") - 1
    assert now.pop("statutory") == populations.pop("statutory") - 1
    assert now == populations
    for wave in waves:
        assert await shown(rapport, wave) == before[wave]

    assert await found_in_clear(rapport, words.values()) == []


async def test_words_of_exercises_never_lie_in_clear_either(rapport: Rapport) -> None:
    words = {what: f"{what} {new_key()}" for what in ("title", "promise", "reply")}
    exercise = await open_exercise(rapport, title=words["title"], promise=words["promise"])
    path = f"/exercises/{exercise['id']}/reply"
    headers = {"If-Match": f'"{exercise["version"]}"'}
    await rapport.post("engagement", path, {"reply": words["reply"]}, **headers)
    read = await rapport.get("engagement", f"/exercises/{exercise['id']}")
    assert {what: read[what] for what in words} == words
    await rapport.settled()
    assert await found_in_clear(rapport, words.values()) == []


def keyring(rapport: Rapport) -> "Opened":
    return Opened(rapport)


class Opened:
    """The keyring as a service opens it, with nothing cached."""

    def __init__(self, rapport: Rapport) -> None:
        master = base64.b64decode(rapport.platform.folder.master_key())
        self._keyring = Keyring(rapport.mongo, kms_providers={"local": {"key": master}}, cache_seconds=0)

    async def __aenter__(self) -> Keyring:
        await self._keyring.open()
        return self._keyring

    async def __aexit__(self, *_: object) -> None:
        await self._keyring.close()


async def sealed_words(rapport: Rapport, person: str) -> list[tuple[str, str, str]]:
    """(owner, path, token) of everything sealed under somebody: in the services' documents, and in events on topics."""
    homes = (
        ("registry", "stakeholders", "_id", ("name", "email")),
        ("engagement", "contacts", "subject", ("notes",)),
        ("feedback", "responses", "subject", ("comment",)),
        ("notifications", "subscriptions", "recipient", ("address",)),
    )
    found = []
    for service, collection, subject, paths in homes:
        async for document in rapport.mongo[service][collection].find({subject: person}):
            found += [(f"{collection}/{document['_id']}", path, document[path]) for path in paths]
    for records in (await rapport.records()).values():
        for record in records:
            if person.encode() in (record.value or b""):
                id_ = dict(record.headers)["ce_id"].decode()
                fields = json.loads(record.value).items()
                found += [(id_, path, field["token"]) for path, field in fields if is_sealed(field, person)]
    return found


def is_sealed(field: object, person: str) -> bool:
    return isinstance(field, dict) and field.get("subject") == person and "token" in field


async def shown(rapport: Rapport, wave: str) -> Any:
    """A figure with its explanation, down to the events it was counted from."""
    return await figure(rapport, wave), await explained(rapport, wave)


async def population(rapport: Rapport) -> dict[str, int]:
    found = await rapport.get("measures", "/populations")
    return dict(next(each["counts"] for each in found if each["synthetic"]))


async def gone(rapport: Rapport, lived: dict[str, Any]) -> bool:
    """Whether each service says so, through its API where it shows such words and in its documents where it does not."""
    person = lived["person"]
    stakeholder = await rapport.http("registry").get(f"/stakeholders/{person}")
    notes = await rapport.get("engagement", f"/contacts/{lived['contact']}/notes")
    subscription = await rapport.get("notifications", f"/subscriptions/{lived['subscription']}")
    kept = await rapport.mongo["notifications"]["subscriptions"].find_one({"_id": lived["subscription"]})
    linked = await rapport.mongo["feedback"]["responses"].count_documents({"stakeholder_id": person})
    known = await rapport.mongo["measures"]["stakeholders"].count_documents({"_id": person})
    assert kept is not None
    return (
        stakeholder.status_code == HTTPStatus.GONE
        and notes["notes"] == "erased"
        and (subscription["state"], kept["address"]) == ("erased", None)
        and linked == known == 0
    )


async def refused(rapport: Rapport, person: str, wave: str) -> None:
    """Nobody can go on as if they were there."""
    agreement = {"purpose": "updates", "channel": "email", "proof": "form"}
    wish = {"event_types": ["engagement.contact.logged"], "channel": "email", "address": "a@example.org"}
    contact = {"level": "inform", "nature": "engagement", "mode": "proactive", "method": "meeting", "held_on": day(-1)}
    attempts = (
        ("registry", f"/stakeholders/{person}/consents", agreement, 410),
        ("notifications", "/subscriptions", {**wish, "stakeholder_id": person}, 410),
        ("feedback", f"/waves/{wave}/responses", answer(0, stakeholder_id=person, comment="Too late"), 410),
        ("engagement", "/contacts", {**contact, "participants": [person]}, 410),
    )
    for service, path, body, status in attempts:
        answered = await rapport.http(service).post(path, json=body, headers={"Idempotency-Key": new_key()})
        assert answered.status_code == status, f"{service} {path}: {answered.status_code} {answered.text}"
