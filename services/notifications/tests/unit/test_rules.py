"""The rules that need nothing: states, the gate, back-off, audience, consent."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.domain.back_off import BackOff
from notifications.domain.consent import Consents
from notifications.domain.gate import Withheld, withheld
from notifications.domain.message import Message, MessageState, WrongState, message_id, milliseconds
from notifications.domain.subscription import Subscription, SubscriptionState, audience

from services.notifications.tests.house import NOW, REPLIES, SOMEBODY, SOMEBODY_ELSE


def message(**changes) -> Message:
    facts = {
        "id": "m",
        "subscription_id": "s",
        "stakeholder_id": None,
        "recipient": "s",
        "channel": "email",
        "cause": "e",
        "cause_type": f"{REPLIES}.v1",
        "event_type": REPLIES,
        "occurred_at": NOW,
        "template": "reply-published",
        "template_version": 1,
        "facts": "{}",
        "synthetic": False,
        "queued": milliseconds(NOW),
        "due": milliseconds(NOW),
    }
    return Message(**{**facts, **changes})


def subscription(id_: str = "s", *, who: str | None = None, channel: str = "email", **changes) -> Subscription:
    facts = {
        "id": id_,
        "recipient": who or id_,
        "stakeholder_id": who,
        "event_types": (REPLIES,),
        "channel": channel,
        "address": "a@example.org",
        "subscribed_at": NOW,
    }
    return Subscription(**{**facts, **changes})


def agreeing(*channels: str) -> Consents:
    consents = Consents(id=SOMEBODY)
    for channel in channels:
        consents.grant("updates", channel)
    return consents


def test_a_message_is_claimed_sent_and_final():
    found = message()
    found.claim(NOW, 60, template_version=4)
    assert (found.state, found.attempts, found.template_version) == (MessageState.SENDING, 1, 4)
    assert found.due == milliseconds(NOW + timedelta(seconds=60))
    found.settle(MessageState.SENT, NOW)
    assert (found.state, found.due, found.facts, found.settled_at) == (MessageState.SENT, None, None, NOW)


def test_a_message_tried_again_waits_and_keeps_its_reason():
    found = message()
    found.claim(NOW, 60, template_version=1)
    found.try_again(NOW, 20, "turned-away")
    assert (found.state, found.reason, found.due) == (
        MessageState.QUEUED,
        "turned-away",
        milliseconds(NOW + timedelta(seconds=20)),
    )
    with pytest.raises(WrongState):
        found.claim(NOW, 60, template_version=1)


def test_a_lease_that_ran_out_can_be_taken_and_the_old_attempt_has_no_say():
    found = message()
    found.claim(NOW, 60, template_version=1)
    found.claim(NOW + timedelta(seconds=61), 60, template_version=1)
    assert not found.sending(1)
    assert found.sending(2)


@pytest.mark.parametrize("final", [MessageState.SENT, MessageState.FAILED, MessageState.SUPPRESSED])
def test_nothing_leads_out_of_a_final_state(final: MessageState):
    found = message()
    found.settle(final, NOW, "because")
    with pytest.raises(WrongState):
        found.claim(NOW, 60, template_version=1)
    with pytest.raises(WrongState):
        found.try_again(NOW, 1, "x")
    with pytest.raises(WrongState):
        found.settle(MessageState.SENT, NOW)
    with pytest.raises(WrongState):
        message().settle(MessageState.QUEUED, NOW)


def test_one_message_for_one_event_and_one_subscription():
    assert message_id("event", "one") == message_id("event", "one")
    assert len({message_id("event", "one"), message_id("event", "other"), message_id("later", "one")}) == 3


@pytest.mark.parametrize(
    ("found", "consents", "reason"),
    [
        (subscription(), None, None),
        (subscription(who=SOMEBODY), agreeing("email"), None),
        (subscription(who=SOMEBODY), None, Withheld.NO_CONSENT),
        (subscription(who=SOMEBODY), agreeing(), Withheld.NO_CONSENT),
        (subscription(who=SOMEBODY), agreeing("webhook"), Withheld.NO_CONSENT),
        (subscription(who=SOMEBODY, channel="webhook"), agreeing("webhook"), None),
        (subscription(who=SOMEBODY), Consents(id=SOMEBODY, erased=True), Withheld.ERASED),
        (subscription(who=SOMEBODY, address="erased"), agreeing("email"), Withheld.ERASED),
        (subscription(state=SubscriptionState.UNSUBSCRIBED, address=None), None, Withheld.UNSUBSCRIBED),
        (subscription(state=SubscriptionState.ERASED, address=None), None, Withheld.ERASED),
        (None, None, Withheld.UNSUBSCRIBED),
    ],
)
def test_the_gate(found: Subscription | None, consents: Consents | None, reason: Withheld | None):
    assert withheld(found, consents) == reason


def test_consent_is_per_purpose_and_channel_and_ends_with_erasure():
    consents = agreeing("email")
    consents.grant("research", "webhook")
    assert not consents.allows("updates", "webhook")
    consents.withdraw("research", "email")
    assert consents.allows("updates", "email")
    consents.withdraw("updates", "email")
    assert not consents.allows("updates", "email")
    consents.erase()
    consents.grant("updates", "email")
    assert not consents.allows("updates", "email")


def test_an_ended_subscription_keeps_nothing_to_send_to():
    found = subscription(secret="whsec_x")
    assert found.end(SubscriptionState.UNSUBSCRIBED, NOW)
    assert not found.end(SubscriptionState.ERASED, NOW)
    assert (found.state, found.address, found.secret) == (SubscriptionState.UNSUBSCRIBED, None, None)


def test_who_took_part_hears_once_a_channel_even_unasked():
    asked = subscription("1", who=SOMEBODY)
    also = subscription("2", who=SOMEBODY)
    hook = subscription("3", who=SOMEBODY, channel="webhook")
    later = subscription("4", who=SOMEBODY_ELSE, subscribed_at=NOW + timedelta(days=1))
    first = subscription("5", who=SOMEBODY_ELSE)
    ended = subscription("6", who=SOMEBODY_ELSE, channel="webhook", state=SubscriptionState.UNSUBSCRIBED)
    told = audience([asked], [asked, also, hook, later, first, ended])
    assert [found.id for found in told] == ["1", "3", "5"]


@given(
    attempt=st.integers(1, 10_000),
    spread=st.floats(0, 1),
    wish=st.none() | st.floats(0, 1e12),
)
def test_a_pause_grows_within_its_bounds(attempt: int, spread: float, wish: float | None):
    pause = BackOff(attempts=10, first_seconds=2, most_seconds=600).pause(attempt, spread, wish)
    longest = min(600, 2 * 2.0 ** min(attempt - 1, 100))
    assert longest / 2 <= pause <= 600
    assert pause >= min(wish or 0, 600)
    assert wish is not None or pause <= longest
