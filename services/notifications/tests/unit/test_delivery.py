"""From a queued message to a final state, through real channels to real servers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from notifications.channels import CHANNELS
from notifications.delivery import Postman, deliver
from notifications.domain.message import MessageState, milliseconds
from notifications.usecases.claim_messages import ClaimMessages, claim_messages
from notifications.usecases.release_message import ReleaseMessage, release_message
from notifications.usecases.unsubscribe import unsubscribe
from rapport_chassis.errors import Conflict
from rapport_events.notifications import MessageFailed, MessageSent, MessageSuppressed

from services.notifications.tests.house import (
    REPLIES,
    SOMEBODY,
    VERDICTS,
    House,
    Inbox,
    erased,
    granted,
    reply,
    until,
    verdict,
    withdrawn,
)

CLAIM = ClaimMessages(limit=10, lease_seconds=60, attempts=3)


@pytest.fixture
async def postman(house: House, inbox: Inbox) -> AsyncIterator[Postman]:
    house.settings.email = inbox.email
    house.settings.webhook = inbox.webhook
    made = Postman(house, {code: make(house.settings) for code, make in CHANNELS.items()})
    yield made
    await made.close()


async def attempt(house: House, postman: Postman) -> None:
    """One attempt of everything that is due."""
    for message in await house.memory.run(claim_messages, CLAIM):
        await postman.carry(message)


def receipts(house: House) -> list[object]:
    return [e for e in house.memory.events if isinstance(e, MessageSent | MessageFailed | MessageSuppressed)]


async def test_mail_and_webhook_arrive_and_are_told_of(house: House, inbox: Inbox, postman: Postman):
    await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
    hook = await house.subscribe(f"{inbox.hooks}press", VERDICTS, channel="webhook")
    inbox.box.trust("press", hook.secret)
    await house.hear(granted(SOMEBODY))
    cause = await house.hear(verdict())
    await attempt(house, postman)
    await attempt(house, postman)

    mail, web = sorted(inbox.box.messages(), key=lambda received: received.kind)
    assert mail.subject == "PPT-1a: not met (provisional)"
    assert web.verified
    assert web.subject == VERDICTS
    sent = {message.channel: message for message in await house.messages(state="sent")}
    assert web.headers["webhook-id"] == sent["webhook"].id
    assert mail.headers["message-id"] == f"<{sent['email'].id}@example.org>"
    assert all(message.facts is None and message.due is None for message in sent.values())
    told = {event.channel: event for event in receipts(house)}
    assert told["email"] == MessageSent(
        message_id=sent["email"].id,
        subscription_id=sent["email"].subscription_id,
        stakeholder_id=SOMEBODY,
        cause=cause,
        cause_type=f"{VERDICTS}.v1",
        channel="email",
        template="verdict-changed",
        template_version=1,
        attempts=1,
        sent_at=house.memory.now,
    )


@pytest.mark.parametrize("change", [withdrawn(SOMEBODY), erased(SOMEBODY)])
async def test_consent_that_ends_while_queued_or_claimed_stops_the_message(
    house: House, inbox: Inbox, postman: Postman, change
):
    await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
    await house.hear(granted(SOMEBODY))
    await house.hear(verdict())
    (claimed,) = await house.memory.run(claim_messages, CLAIM)
    await house.hear(change)
    await postman.carry(claimed)

    assert inbox.box.messages() == []
    (told,) = receipts(house)
    assert isinstance(told, MessageSuppressed)
    assert told.reason == ("erased" if type(change).__name__ == "StakeholderErased" else "no-consent")
    assert [m.state for m in await house.messages()] == [MessageState.SUPPRESSED]


async def test_who_never_agreed_is_not_told_even_of_a_reply(house: House, inbox: Inbox, postman: Postman):
    await house.subscribe("a@example.org", REPLIES, stakeholder=SOMEBODY)
    await house.hear(granted(SOMEBODY, channel="webhook"), granted(SOMEBODY, purpose="research"))
    await house.hear(reply(SOMEBODY))
    await attempt(house, postman)
    assert inbox.box.messages() == []
    assert [event.reason for event in receipts(house)] == ["no-consent"]


async def test_what_is_queued_for_who_unsubscribed_is_suppressed(house: House, inbox: Inbox, postman: Postman):
    made = await house.subscribe("a@example.org", VERDICTS)
    await house.hear(verdict())
    await house.memory.run(unsubscribe, made.id)
    await attempt(house, postman)
    assert inbox.box.messages() == []
    assert [event.reason for event in receipts(house)] == ["unsubscribed"]


async def test_a_busy_receiver_is_asked_again_later_with_the_same_id(house: House, inbox: Inbox, postman: Postman):
    await house.subscribe("a@example.org", VERDICTS)
    await house.hear(verdict())
    inbox.box.fail("a@example.org", 451, times=1)
    await attempt(house, postman)
    (waiting,) = await house.messages()
    assert (waiting.state, waiting.attempts, waiting.reason) == (MessageState.QUEUED, 1, "turned-away")
    pause = waiting.due - milliseconds(house.memory.now)
    assert 5_000 <= pause <= 10_000

    await attempt(house, postman)
    assert len(inbox.box.messages(turned_away=True)) == 1, "not before it is due"
    house.memory.now += timedelta(milliseconds=pause)
    await attempt(house, postman)
    (received,) = inbox.box.messages()
    assert waiting.id in received.headers["message-id"]
    (told,) = receipts(house)
    assert told.attempts == 2


async def test_after_the_last_attempt_it_has_failed(house: House, inbox: Inbox, postman: Postman):
    await house.subscribe(f"{inbox.hooks}press", VERDICTS, channel="webhook")
    await house.hear(verdict())
    inbox.box.fail("press", 503, times=100)
    for _ in range(5):
        await attempt(house, postman)
        house.memory.now += timedelta(seconds=100)
    attempts = inbox.box.messages(turned_away=True)
    assert len(attempts) == 3
    assert len({received.headers["webhook-id"] for received in attempts}) == 1
    (told,) = receipts(house)
    assert isinstance(told, MessageFailed)
    assert (told.attempts, told.reason) == (3, "turned-away")


async def test_a_refusal_for_good_is_final_at_once(house: House, inbox: Inbox, postman: Postman):
    await house.subscribe("a@example.org", VERDICTS)
    await house.hear(verdict())
    inbox.box.fail("a@example.org", 550, times=1)
    await attempt(house, postman)
    (told,) = receipts(house)
    assert isinstance(told, MessageFailed)
    assert (told.attempts, told.reason) == (1, "rejected")


async def test_a_worker_that_died_after_sending_sends_the_same_id_again(house: House, inbox: Inbox, postman: Postman):
    await house.subscribe("a@example.org", VERDICTS)
    await house.hear(verdict())
    (first,) = await house.memory.run(claim_messages, CLAIM)
    letter = await house.memory.run(release_message, ReleaseMessage(message_id=first.id, attempt=1))
    assert letter is not None, "and here the worker dies, its outcome unknown"
    assert await house.memory.run(claim_messages, CLAIM) == [], "the lease holds"

    house.memory.now += timedelta(seconds=61)
    (second,) = await house.memory.run(claim_messages, CLAIM)
    await postman.carry(first)
    assert inbox.box.messages() == [], "the first attempt has lost its lease, and sends nothing"
    await postman.carry(second)
    (told,) = receipts(house)
    assert (told.message_id, told.attempts) == (first.id, 2)


async def test_a_message_whose_workers_all_die_fails_in_the_end(house: House):
    await house.subscribe("a@example.org", VERDICTS)
    await house.hear(verdict())
    for _ in range(4):
        await house.memory.run(claim_messages, CLAIM)
        house.memory.now += timedelta(seconds=61)
    (told,) = receipts(house)
    assert (told.attempts, told.reason) == (3, "no-answer")


async def test_of_two_workers_one_gets_the_message(house: House):
    await house.subscribe("a@example.org", VERDICTS)
    await house.hear(verdict())
    one, two = house.memory.unit(), house.memory.unit()
    assert len(await claim_messages(CLAIM, one)) == 1
    assert len(await claim_messages(CLAIM, two)) == 1
    await house.memory.commit(one)
    with pytest.raises(Conflict):
        await house.memory.commit(two)
    assert [message.attempts for message in await house.messages()] == [1]


async def test_a_fault_of_ours_in_one_message_is_tried_again_and_stops_no_other(
    house: House, inbox: Inbox, postman: Postman
):
    await house.subscribe("a@example.org", VERDICTS)
    await house.subscribe("b@example.org", VERDICTS)
    await house.hear(verdict())
    unit = house.memory.unit()
    broken_one = (await unit.messages.find({}))[0]
    broken_one.facts = "{}"
    unit.messages.save(broken_one)
    await house.memory.commit(unit)
    await attempt(house, postman)
    assert len(inbox.box.messages()) == 1
    (waiting,) = await house.messages(state="queued")
    assert (waiting.id, waiting.reason) == (broken_one.id, "internal-error")


async def test_the_loop_delivers_what_comes_and_stops_clean(house: House, inbox: Inbox, postman: Postman):
    await house.subscribe("a@example.org", VERDICTS)
    loop = asyncio.create_task(deliver(house))
    await house.hear(*(verdict() for _ in range(30)))
    await until(lambda: len(inbox.box.messages()) == 30)
    await until(lambda: len(receipts(house)) == 30)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert len({received.headers["message-id"] for received in inbox.box.messages()}) == 30


async def test_a_receiver_that_hangs_holds_up_nobody_else(house: House, inbox: Inbox, postman: Postman):
    over = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await house.subscribe(f"http://127.0.0.1:{port}/", VERDICTS, channel="webhook")
    await house.subscribe("a@example.org", VERDICTS)
    await house.hear(verdict())
    loop = asyncio.create_task(deliver(house))
    await until(lambda: len(inbox.box.messages()) == 1, seconds=1.5)
    await house.hear(verdict())
    await until(lambda: len(inbox.box.messages()) == 2, seconds=1.5)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    over.set()
    server.close()
    await server.wait_closed()
