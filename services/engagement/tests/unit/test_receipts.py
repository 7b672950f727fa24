"""Who was told of the reply is known from the receipts of the messages that its event caused."""

from datetime import UTC, datetime

import pytest
from engagement.usecases.note_told import note_told
from engagement.usecases.open_exercise import open_exercise
from engagement.usecases.publish_reply import PublishReply, publish_reply
from engagement.usecases.read_receipts import read_receipts
from rapport_events.engagement import ReplyPublished
from rapport_events.measures import VerdictChanged
from rapport_events.notifications import MessageFailed, MessageSent, MessageSuppressed

AT = datetime(2019, 6, 3, 9, 5, tzinfo=UTC)


def facts(cause, stakeholder_id, message_id, *, cause_type=ReplyPublished.type):
    return {
        "message_id": message_id,
        "subscription_id": "subscription",
        "stakeholder_id": stakeholder_id,
        "cause": cause,
        "cause_type": cause_type,
        "channel": "email",
        "template": "reply-published",
        "template_version": 1,
    }


@pytest.fixture
async def replied(memory, exercise):
    opened = await memory.run(open_exercise, exercise())
    return await memory.run(publish_reply, PublishReply(exercise_id=opened.id, reply="Example reply"))


async def test_each_participant_is_told_or_there_is_a_reason(memory, replied):
    cause = replied.reply_event
    await memory.consume(
        MessageFailed(**facts(cause, "first", "m1"), attempts=5, failed_at=AT, reason="rejected"), note_told
    )
    proof = await read_receipts(replied.id, memory.unit())
    assert (proof.told, proof.not_told, proof.waiting) == ((), ("first",), ("second",))

    await memory.consume(MessageSent(**facts(cause, "first", "m2"), attempts=1, sent_at=AT), note_told)
    await memory.consume(
        MessageSuppressed(**facts(cause, "second", "m3"), suppressed_at=AT, reason="no-consent"), note_told
    )
    await memory.consume(MessageSent(**facts(cause, None, "m4"), attempts=1, sent_at=AT), note_told)
    proof = await read_receipts(replied.id, memory.unit())

    assert (proof.told, proof.not_told, proof.waiting) == (("first",), ("second",), ())
    assert [(receipt.id, receipt.reason) for receipt in proof.receipts] == [
        ("m1", "rejected"),
        ("m2", None),
        ("m3", "no-consent"),
        ("m4", None),
    ]


async def test_a_receipt_is_kept_once(memory, replied):
    event = MessageSent(**facts(replied.reply_event, "first", "m1"), attempts=1, sent_at=AT)
    await memory.consume(event, note_told)
    await memory.consume(event, note_told)

    assert len((await read_receipts(replied.id, memory.unit())).receipts) == 1


async def test_messages_about_other_things_are_no_business_of_ours(memory, replied):
    other = facts("elsewhere", "first", "m1", cause_type=VerdictChanged.type)
    await memory.consume(MessageSent(**other, attempts=1, sent_at=AT), note_told)

    assert memory.documents.collections.get("receipts", {}) == {}
    assert (await read_receipts(replied.id, memory.unit())).waiting == ("first", "second")


async def test_before_the_reply_there_is_nothing_to_be_told(memory, exercise):
    opened = await memory.run(open_exercise, exercise())

    proof = await read_receipts(opened.id, memory.unit())
    assert (proof.reply_event, proof.receipts, proof.waiting) == (None, (), ("first", "second"))
