"""From an event to its messages."""

import json

from notifications.domain.message import MessageState
from notifications.usecases.list_messages import ListMessages, list_messages
from rapport_events.event import Sealed
from rapport_events.notifications import MessageSuppressed

from services.notifications.tests.house import (
    BROKEN,
    CONTACTS,
    EXERCISE,
    REPLIES,
    SOMEBODY,
    SOMEBODY_ELSE,
    VERDICTS,
    House,
    broken,
    contact,
    erased,
    granted,
    reply,
    verdict,
)


async def test_one_message_for_each_subscription_that_wants_it(house: House):
    one = await house.subscribe("a@example.org", VERDICTS, REPLIES)
    two = await house.subscribe("https://example.org/hook", VERDICTS, channel="webhook")
    await house.subscribe("c@example.org", BROKEN)
    cause = await house.hear(verdict(synthetic=True))
    messages = await house.messages()
    assert {message.subscription_id for message in messages} == {one.id, two.id}
    for message in messages:
        assert (message.state, message.attempts, message.cause) == (MessageState.QUEUED, 0, cause)
        assert message.cause_type == "measures.measure.verdict-changed.v1"
        assert (message.template, message.template_version) == ("verdict-changed", 1)
        assert message.synthetic
        assert message.trace.startswith("00-34173cb38f07f89ddbebc2ac9128303f")


async def test_an_event_heard_again_makes_no_second_message(house: House):
    await house.subscribe("a@example.org", VERDICTS)
    cause = await house.hear(verdict())
    before = await house.messages()
    await house.hear(verdict(), id_=cause)
    assert await house.messages() == before
    await house.hear(verdict())
    assert len(await house.messages()) == 2


async def test_who_took_part_hears_of_the_reply_and_is_not_named_to_others(house: House):
    officer = await house.subscribe("officer@example.org", REPLIES)
    contributor = await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
    await house.subscribe("b@example.org", VERDICTS, stakeholder=SOMEBODY_ELSE)
    await house.hear(reply(SOMEBODY))
    messages = await house.messages()
    assert {message.subscription_id for message in messages} == {officer.id, contributor.id}
    for message in messages:
        assert json.loads(message.facts) == {
            "exercise_id": EXERCISE,
            "title": "Safer streets",
            "reply": "We will do it.",
            "published_on": "2026-01-05",
        }


async def test_who_took_part_hears_of_a_contact(house: House):
    await house.subscribe("a@example.org", CONTACTS, stakeholder=SOMEBODY)
    other = await house.subscribe("https://example.org/hook", VERDICTS, channel="webhook", stakeholder=SOMEBODY)
    await house.hear(contact(SOMEBODY, region="wales"))
    messages = await house.messages()
    assert len(messages) == 2
    assert other.id in {message.subscription_id for message in messages}
    assert SOMEBODY not in messages[0].facts


async def test_words_are_sealed_under_each_recipient(house: House):
    await house.subscribe("a@example.org", BROKEN, stakeholder=SOMEBODY)
    officer = await house.subscribe("officer@example.org", BROKEN)
    await house.hear(broken())
    stored = house.memory.documents.collections["messages"].values()
    assert {document["recipient"] for document in stored} == {SOMEBODY, officer.id}
    assert "Safer streets" not in str(stored)
    house.destroy_key(SOMEBODY)
    facts = {message.recipient: message.facts for message in await house.messages()}
    assert facts[SOMEBODY] == "erased"
    assert "Safer streets" in facts[officer.id]


async def test_words_of_an_erased_exercise_read_erased(house: House):
    await house.subscribe("a@example.org", REPLIES)
    event = reply()
    unreadable = {path: Sealed(subject=EXERCISE, token="v1.of-a-key-that-is-gone") for path, _ in event.sealed_fields()}
    await house.hear(event.with_sealed(unreadable))
    (message,) = await house.messages()
    facts = json.loads(message.facts)
    assert (facts["title"], facts["reply"], facts["published_on"]) == ("erased", "erased", "2026-01-05")


async def test_for_somebody_whose_key_is_gone_already_nothing_is_sealed(house: House):
    await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
    house.destroy_key(SOMEBODY)
    await house.hear(verdict())
    (message,) = await house.messages()
    assert message.facts is None


async def test_erasure_suppresses_what_is_queued(house: House):
    await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
    await house.subscribe("b@example.org", VERDICTS)
    await house.hear(granted(SOMEBODY))
    cause = await house.hear(verdict())
    await house.hear(erased(SOMEBODY))
    (suppressed,) = await house.messages(state="suppressed")
    assert (suppressed.reason, suppressed.facts, suppressed.recipient) == ("erased", None, SOMEBODY)
    assert len(await house.messages(state="queued")) == 1
    (told,) = [event for event in house.memory.events if isinstance(event, MessageSuppressed)]
    assert (told.message_id, told.reason, told.cause, told.stakeholder_id) == (
        suppressed.id,
        "erased",
        cause,
        SOMEBODY,
    )


async def test_messages_are_listed_newest_first_by_state_and_subscription(house: House):
    one = await house.subscribe("a@example.org", VERDICTS)
    for _ in range(3):
        await house.hear(verdict())
        house.memory.now = house.memory.now.replace(minute=house.memory.now.minute + 1)
    await house.subscribe("b@example.org", BROKEN)
    await house.hear(broken())

    async def listed(**question):
        return await list_messages(ListMessages(**question), house.memory.unit())

    first, *rest = await listed()
    assert first.event_type == BROKEN
    assert [message.queued for message in rest] == sorted((message.queued for message in rest), reverse=True)
    assert await listed(subscription=one.id) == rest
    assert await listed(after=(first.queued, first.id), limit=2) == rest[:2]
    assert await listed(state=MessageState.SENT) == []
