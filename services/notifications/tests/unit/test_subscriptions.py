"""Subscribing, unsubscribing, and what the registry says about those who did."""

import pytest
from notifications.domain.subscription import SubscriberErased, SubscriptionNotFound, SubscriptionState
from notifications.usecases.list_subscriptions import ListSubscriptions, list_subscriptions
from notifications.usecases.read_subscription import read_subscription
from notifications.usecases.subscribe import Subscribe
from notifications.usecases.unsubscribe import unsubscribe
from pydantic import ValidationError
from rapport_events.notifications import Subscribed, Unsubscribed

from services.notifications.tests.house import REPLIES, SOMEBODY, VERDICTS, House, erased, granted, verdict, withdrawn


async def test_who_subscribes_is_told_of_and_its_address_is_sealed(house: House):
    made = await house.subscribe("press@example.org", VERDICTS, REPLIES, stakeholder=SOMEBODY)
    assert house.memory.events == [
        Subscribed(subscription_id=made.id, stakeholder_id=SOMEBODY, event_types=(VERDICTS, REPLIES), channel="email")
    ]
    assert "press@example.org" not in str(house.memory.documents.collections)
    read = await read_subscription(made.id, house.memory.unit())
    assert (read.address, read.secret) == ("press@example.org", None)


async def test_a_webhook_gets_a_secret_that_is_sealed(house: House):
    made = await house.subscribe("https://example.org/hook", VERDICTS, channel="webhook")
    assert made.secret.startswith("whsec_")
    assert made.secret not in str(house.memory.documents.collections)
    again = await house.subscribe("https://example.org/hook", VERDICTS, channel="webhook")
    assert again.secret != made.secret


@pytest.mark.parametrize(
    "changes",
    [
        {"event_types": []},
        {"event_types": ["registry.stakeholder.erased"]},
        {"event_types": [VERDICTS, VERDICTS]},
        {"event_types": [f"{VERDICTS}.v1"]},
        {"stakeholder_id": "{'$ne': null}"},
        {"secret": "whsec_of_my_own"},
        {"address": 3},
    ],
)
def test_a_wrong_request_is_refused_without_quoting_the_address(changes):
    with pytest.raises(ValidationError) as refused:
        Subscribe.model_validate({"event_types": [VERDICTS], "channel": "email", "address": "a@example.org", **changes})
    assert "a@example.org" not in str(refused.value)


async def test_unsubscribing_forgets_the_address_and_may_be_repeated(house: House):
    made = await house.subscribe("press@example.org", VERDICTS)
    await house.memory.run(unsubscribe, made.id)
    await house.memory.run(unsubscribe, made.id)
    read = await read_subscription(made.id, house.memory.unit())
    assert (read.state, read.address) == (SubscriptionState.UNSUBSCRIBED, None)
    assert [type(event) for event in house.memory.events] == [Subscribed, Unsubscribed]
    await house.hear(verdict())
    assert await house.messages() == []


async def test_what_is_not_there_cannot_be_read_or_ended(house: House):
    for use_case in (read_subscription, unsubscribe):
        with pytest.raises(SubscriptionNotFound):
            await house.memory.run(use_case, "nothing")


async def test_subscriptions_are_listed_by_state_and_stakeholder(house: House):
    theirs = await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
    ended = await house.subscribe("b@example.org", VERDICTS)
    await house.memory.run(unsubscribe, ended.id)

    async def ids(**question):
        return [found.id for found in await list_subscriptions(ListSubscriptions(**question), house.memory.unit())]

    assert await ids() == [theirs.id, ended.id]
    assert await ids(limit=1) == [theirs.id]
    assert await ids(after=(theirs.id,)) == [ended.id]
    assert await ids(stakeholder=SOMEBODY) == [theirs.id]
    assert await ids(state=SubscriptionState.UNSUBSCRIBED) == [ended.id]


async def test_consent_is_copied_and_heard_twice_is_heard_once(house: House):
    for event in (granted(SOMEBODY), granted(SOMEBODY), granted(SOMEBODY, channel="webhook"), withdrawn(SOMEBODY)):
        await house.hear(event)
    consents = await house.memory.unit().consents.get(SOMEBODY)
    assert not consents.allows("updates", "email")
    assert consents.allows("updates", "webhook")
    assert len(consents.given) == 1


async def test_the_erased_are_unsubscribed_and_stay_so(house: House):
    made = await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
    await house.hear(granted(SOMEBODY), erased(SOMEBODY), granted(SOMEBODY))
    await house.hear(erased(SOMEBODY))
    read = await read_subscription(made.id, house.memory.unit())
    assert (read.state, read.address) == (SubscriptionState.ERASED, None)
    assert [type(event) for event in house.memory.events] == [Subscribed, Unsubscribed]
    with pytest.raises(SubscriberErased):
        await house.subscribe("a@example.org", VERDICTS, stakeholder=SOMEBODY)
