"""More writes than can wait are refused at once; those that are taken are kept, and reads go on."""

import asyncio
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from libs.chassis.tests.pressure.program import UNHURRIED, Answer, Premises, Program

SENDERS = 64


async def write(api: Program, times: int) -> list[Answer]:
    """One after the other on one connection, which outlives every refusal."""
    answers = []
    async with api.connected() as connection:
        for _ in range(times):
            await connection.send(api.registering())
            answers.append(await connection.answer())
    return answers


async def read(api: Program, times: int) -> list[Answer]:
    return [await api.get() for _ in range(times)]


@pytest.mark.parametrize("bound", [{"commit_queue": 2}, {"http_writes": 4}], ids=["the committer's queue", "under way"])
async def test_what_does_not_fit_is_refused_at_once(
    premises: Premises, mongo_client: AsyncMongoClient, bound: dict[str, Any]
) -> None:
    api = await premises.start(commit_patience_seconds=UNHURRIED, **bound)
    reads, *written = await asyncio.gather(read(api, 20), *(write(api, 10) for _ in range(SENDERS)))
    answers = [a for found in written for a in found]
    accepted = [a for a in answers if a.status == 201]
    refused = [a for a in answers if a.status != 201]
    assert accepted
    assert refused
    assert all(a.is_refusal() for a in refused)
    assert {a.status for a in reads} == {200}
    assert await mongo_client[premises.database]["stakeholders"].count_documents({}) == len(accepted)
    assert await mongo_client[premises.database]["journal"].count_documents({}) == len(accepted)
    assert (await api.register()).status == 201
