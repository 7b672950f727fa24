"""Events that pile up close the door for writes, and only for them; what is sent opens it again."""

import asyncio
from typing import Any

from pymongo import AsyncMongoClient

from libs.chassis.tests.pressure.program import UNHURRIED, Answer, Premises, Program, until

SENDERS = 20


async def write(api: Program, times: int) -> list[Answer]:
    return [await api.register() for _ in range(times)]


async def taken_again(api: Program) -> bool:
    return (await api.register()).status == 201


async def test_too_many_unsent_events_close_the_door_until_they_are_sent(
    premises: Premises, mongo_client: AsyncMongoClient, kafka_settings: dict[str, Any]
) -> None:
    premises.kafka = kafka_settings
    api = await premises.start(unsent_limit=40, commit_patience_seconds=UNHURRIED)
    answers = [a for found in await asyncio.gather(*(write(api, 10) for _ in range(SENDERS))) for a in found]
    accepted = [a for a in answers if a.status == 201]
    refused = [a for a in answers if a.status != 201]
    assert refused
    assert all(a.is_refusal() for a in refused)
    assert 40 <= len(accepted) <= 40 + SENDERS, "what was under way when the limit was reached, and no more"
    assert (await api.get()).status == 200
    assert await mongo_client[premises.database]["stakeholders"].count_documents({}) == len(accepted)
    await premises.start("worker")
    await until(lambda: taken_again(api))


async def test_an_event_unsent_for_too_long_closes_the_door_until_it_is_sent(
    premises: Premises, kafka_settings: dict[str, Any]
) -> None:
    premises.kafka = kafka_settings
    api = await premises.start(unsent_age_limit_seconds=2)
    assert (await api.register()).status == 201

    async def refused() -> bool:
        answer = await api.register()
        return answer.status == 503 and answer.is_refusal()

    await until(refused, seconds=10)
    assert (await api.get()).status == 200
    await premises.start("worker")
    await until(lambda: taken_again(api))
