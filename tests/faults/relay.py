"""Relays that die between reading and sending, sending and marking; several at once; one that comes back from the dead."""

import asyncio

from tests.faults.armed import Order
from tests.faults.catalogue import fault
from tests.faults.scene import PATIENCE, Scene
from tests.integration.rapport import until

RELAYS = ("feedback-worker", "registry-worker")
"""Those on which the load leaves most to send."""


@fault("F3", "kill -9 of a relay after reading, before sending: before and after it reserved the numbers")
async def before_sending(scene: Scene) -> int:
    point, when = scene.dice.choice(
        [("insert_one journal_batches", "before"), ("insert_one journal_batches", "after"), ("append", "before")]
    )
    await scene.strike(scene.dice.choice(RELAYS), Order(point, when, skip=scene.dice.randrange(4)))
    return 1


@fault("F4", "kill -9 of a relay after the brokers appended, before it marked anything as sent")
async def before_marking(scene: Scene) -> int:
    await scene.strike(scene.dice.choice(RELAYS), Order("append", "after", skip=scene.dice.randrange(4)))
    return 1


@fault(
    "F5",
    "kill -9 of a relay in the middle of marking as sent: in the update of the entries, and before that of the batch",
)
async def while_marking(scene: Scene) -> int:
    order = scene.dice.choice(
        [
            Order("update_many journal", "before", seconds=scene.dice.uniform(0.0002, 0.003)),
            Order("update_many journal", "after"),
            Order("bulk_write journal_batches", "before", seconds=scene.dice.uniform(0.0002, 0.003)),
        ]
    )
    order.skip = scene.dice.randrange(4)
    await scene.strike(scene.dice.choice(RELAYS), order)
    return 1


@fault("F23", "two or three relays on all partitions at once, then kill -9 of those that came later")
async def several_relays(scene: Scene) -> int:
    more = scene.dice.choice((1, 2))
    kept = scene.process("feedback-worker")
    async with scene.beside("feedback-worker", more) as guests:
        sent = {each.name: await scene.metric(each, "rapport_relay_sent_events_total") for each in (kept, *guests)}

        async def all_sent() -> bool:
            return all(
                [await scene.metric(e, "rapport_relay_sent_events_total") > sent[e.name] for e in (kept, *guests)]
            )

        await until(all_sent, seconds=PATIENCE, what="each of the relays has sent something while the others did")
    return more


@fault("F24", "relay frozen before sending or before marking, another takes over, and it goes on where it was")
async def zombie(scene: Scene) -> int:
    point = scene.dice.choice(("append", "update_many journal", "bulk_write journal_batches"))
    async with scene.beside("feedback-worker") as (other,):
        before = await scene.metric(other, "rapport_relay_sent_events_total")
        await scene.strike("feedback-worker", Order(point, act="freeze", skip=scene.dice.randrange(4)))
        await asyncio.sleep(4)  # longer than a member of a group may be silent

        async def taken_over() -> bool:
            return await scene.metric(other, "rapport_relay_sent_events_total") > before

        await until(taken_over, seconds=PATIENCE, what="another relay takes over")
        await scene.flows()
        scene.thaw("feedback-worker")
        await scene.flows()
    return 1
