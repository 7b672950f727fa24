"""The delivery loop over a real MongoDB: several workers, and consent that ends while messages are being sent."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from notifications.delivery import deliver
from notifications.main import SERVICE
from notifications.settings import DeliverySettings, Settings
from rapport_chassis.allowances import RULES
from rapport_chassis.runtime import Runtime
from rapport_chassis.testing import Component, component
from rapport_events.notifications import MessageSent, MessageSuppressed

from services.notifications.tests.house import SOMEBODY, VERDICTS, Inbox, granted, until, verdict, withdrawn


@dataclass(slots=True)
class Loop:
    """What the delivery loop needs of the chassis' worker, over the component's own runtime."""

    runtime: Runtime
    settings: Settings

    async def limit(self, rule: str, actor: str) -> None:
        await self.runtime.allowances.take(rule, actor)

    async def run(self, use_case: Callable[..., Awaitable[object]], command: object) -> object:
        return await self.runtime.perform(lambda unit: use_case(command, unit))


@pytest.fixture
def loop(running: Component, inbox: Inbox) -> Loop:
    settings = Settings(
        service="notifications",
        email=inbox.email,
        webhook=inbox.webhook,
        delivery=DeliverySettings(attempts=4, back_off_seconds=0.02, most_back_off_seconds=0.1, poll_seconds=0.01),
    )
    return Loop(running.runtime, settings)


async def subscribe(running: Component, address: str, channel: str, stakeholder: str | None = None) -> dict[str, str]:
    body = {"event_types": [VERDICTS], "channel": channel, "address": address, "stakeholder_id": stakeholder}
    async with running.http("engagement-officer") as client:
        answer = await client.post("/subscriptions", json=body, headers={"Idempotency-Key": f"key-{address}"})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def final(running: Component) -> list[MessageSent | MessageSuppressed]:
    return [e for e in await running.events() if type(e).topic == "notifications.message"]


async def test_several_workers_send_each_message_once_whatever_receivers_do(
    running: Component, inbox: Inbox, loop: Loop
):
    hook = await subscribe(running, f"{inbox.hooks}press", "webhook")
    inbox.box.trust("press", hook["secret"])
    await subscribe(running, "a@example.org", "email")
    inbox.box.fail("press", 503, times=5)
    inbox.box.fail("a@example.org", 451, times=5)
    for number in range(15):
        for _ in range(2):
            await running.consume(verdict(ordinal=number), id_=f"event-{number}")

    async def all_settled() -> bool:
        return len(await final(running)) == 30

    workers = [asyncio.create_task(deliver(loop)) for _ in range(3)]
    try:
        await until(all_settled, seconds=30)
    finally:
        for worker in workers:
            worker.cancel()
        ends = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    received = inbox.box.messages()
    ids = [r.headers.get("webhook-id") or r.headers["message-id"] for r in received]
    assert len(ids) == len(set(ids)) == 30
    assert all(r.verified for r in received if r.kind == "webhook")
    assert {type(event) for event in await final(running)} == {MessageSent}
    assert {event.message_id for event in await final(running)} == {i.strip("<>").split("@")[0] for i in ids}


async def test_after_a_withdrawal_is_applied_nothing_more_is_sent(running: Component, inbox: Inbox, loop: Loop):
    await subscribe(running, "a@example.org", "email", SOMEBODY)
    await running.consume(granted(SOMEBODY))
    for number in range(40):
        await running.consume(verdict(ordinal=number))
    loop.settings.delivery.concurrency = 2
    worker = asyncio.create_task(deliver(loop))
    try:
        await until(lambda: len(inbox.box.messages()) >= 5, seconds=20)
        await running.consume(withdrawn(SOMEBODY))
        # What was released in the instant before may still arrive: as many as are carried at once.
        sent = len(inbox.box.messages())

        async def all_settled() -> bool:
            return len(await final(running)) == 40

        await until(all_settled, seconds=20)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    arrived = len(inbox.box.messages())
    assert arrived <= sent + loop.settings.delivery.concurrency
    outcomes = await final(running)
    assert sum(isinstance(event, MessageSent) for event in outcomes) == arrived
    reasons = {event.reason for event in outcomes if isinstance(event, MessageSuppressed)}
    assert reasons == {"no-consent"}


@pytest.mark.catalogue("Z13")
async def test_one_too_many_for_an_address_waits_and_is_not_lost(mongo_uri: str, inbox: Inbox, loop: Loop):
    """Six at once, and as many more as time makes good; whichever subscription they are for."""
    limits = {**dict.fromkeys(RULES, "1000000/1"), "telling": "6/2"}
    webhook = inbox.webhook
    async with component(SERVICE, mongo_uri, "notifications_telling", webhook=webhook, limits=limits) as running:
        for spelling in ("a@example.org", "A@example.org"):  # two subscriptions, one inbox
            await subscribe(running, spelling, "email")
        for number in range(6):
            await running.consume(verdict(ordinal=number))
        began = asyncio.get_running_loop().time()
        worker = asyncio.create_task(deliver(Loop(running.runtime, loop.settings)))
        try:

            async def waits() -> bool:
                messages = running.runtime.database["messages"]
                return await messages.count_documents({"reason": "too-many", "attempts": 0}) > 0

            await until(waits, seconds=5)

            async def all_settled() -> bool:
                return len(await final(running)) == 12

            await until(all_settled, seconds=20)
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        assert asyncio.get_running_loop().time() - began > 1, "twelve are not sent in the time for six"
        assert {type(event) for event in await final(running)} == {MessageSent}
        assert {event.attempts for event in await final(running)} == {1}
