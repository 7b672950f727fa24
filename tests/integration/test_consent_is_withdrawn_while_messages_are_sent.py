"""Consent is asked at the moment of sending: a withdrawal stops what is queued, and harms nobody else's messages."""

import asyncio
from collections import Counter
from typing import Any

from rapport_stack.mailbox import Received

from tests.integration.acts import agreed, consent, log_contact, register, subscribe
from tests.integration.rapport import Rapport, new_key, until

LOGGED = "engagement.contact.logged"
SUBSCRIBERS = 12
BEFORE, MEANWHILE, AFTER = 4, 4, 4
"""Events before one of them withdraws, while they do, and after it is known."""
EVENTS = BEFORE + MEANWHILE + AFTER


async def test_after_the_withdrawal_nothing_is_sent_and_everybody_else_hears_once(rapport: Rapport) -> None:
    people = [await register(rapport, f"Example Subscriber {n}") for n in range(SUBSCRIBERS)]
    addresses = {person: f"{new_key()}@example.org" for person in people}
    subscriptions: dict[str, str] = {}
    for person in people:
        await consent(rapport, person, "email")
        subscriptions[person] = (await subscribe(rapport, LOGGED, "email", addresses[person], person))["id"]
    withdrawing, first = people[0], people[1]
    # Their mail server is slow to take it: some of their messages are between two attempts when the word comes.
    with rapport.mailbox() as mailbox:
        mailbox.fail(addresses[withdrawing], 451, 2)
        mailbox.fail(addresses[first], 451, 2)

    async def events(count: int) -> list[str]:
        return [await log_contact(rapport, [first]) for _ in range(count)]

    await events(BEFORE)
    meanwhile = asyncio.create_task(events(MEANWHILE))
    path = f"/stakeholders/{withdrawing}/consents/updates/email"
    withdrawn = await rapport.http("registry").delete(path, params={"proof": "verbal"})
    assert withdrawn.is_success, withdrawn.text

    async def applied() -> bool:
        return not await agreed(rapport, withdrawing)

    await until(applied, what="the withdrawal is known where messages are sent")
    passed_the_gate = {
        message["_id"]
        async for message in rapport.mongo["notifications"]["messages"].find(
            {"subscription_id": subscriptions[withdrawing], "state": {"$in": ["sent", "sending"]}}
        )
    }
    await meanwhile
    late = await causes(rapport, await events(AFTER))
    await rapport.settled()

    mails = {person: arrived(rapport, addresses[person]) for person in people}
    messages = {
        person: await rapport.pages("notifications", "/messages", subscription=subscriptions[person])
        for person in people
    }
    for person in people:
        ids = Counter(message_of(mail) for mail in mails[person])
        assert len(messages[person]) == EVENTS, "one message for each event"
        assert set(ids.values()) <= {1}, "nobody got one twice"
        assert set(ids) == {message["id"] for message in messages[person] if message["state"] == "sent"}
        if person != withdrawing:
            assert len(ids) == EVENTS, "everybody else got exactly one of each"

    theirs = messages[withdrawing]
    suppressed = [message for message in theirs if message["state"] == "suppressed"]
    assert {message["reason"] for message in suppressed} == {"no-consent"}
    assert {message["id"] for message in theirs if message["state"] == "sent"} <= passed_the_gate
    assert late <= {message["cause"] for message in suppressed}
    await proved(rapport, suppressed)


def arrived(rapport: Rapport, address: str) -> list[Received]:
    with rapport.mailbox() as mailbox:
        return mailbox.messages(to=address)


def message_of(mail: Received) -> str:
    """The message's id is in front of the @ of the Message-ID."""
    return mail.headers["message-id"].removeprefix("<").partition("@")[0]


async def causes(rapport: Rapport, contacts: list[str]) -> set[str]:
    """The ids of the events that told of these contacts."""
    told = rapport.mongo["engagement"]["journal"].find({"key": {"$in": contacts}}, {"_id": 1})
    return {event["_id"] async for event in told}


async def proved(rapport: Rapport, suppressed: list[dict[str, Any]]) -> None:
    """Who asked for the contact finds out why its subscriber was not told."""
    ids = [message["id"] for message in suppressed]
    receipts = await rapport.mongo["engagement"]["receipts"].find({"_id": {"$in": ids}}).to_list()
    assert {(receipt["outcome"], receipt["reason"]) for receipt in receipts} == {("suppressed", "no-consent")}
    assert len(receipts) == len(ids)
