"""`rapport rebuild measures`: made anew from the first event, compared, swapped while everybody reads and answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from rapport_cli.running.platform import Platform

from tests.integration.acts import (
    MEASURE,
    QUESTION,
    answer,
    close_wave,
    counted,
    explained,
    figure,
    import_responses,
    open_wave,
    prepare,
    register,
    submit,
)
from tests.integration.command import command, rebuilding
from tests.integration.conftest import running
from tests.integration.rapport import Rapport, of_generation, until

RESPONSES = 300
SURVEY = "stakeholder-survey"


@pytest.fixture(scope="module")
def rebuilt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of this module's own: it moves the collections of measures to other names."""
    with running(request, tmp_path_factory) as platform:
        yield platform


@pytest.fixture(scope="module")
async def rapport(rebuilt: Platform) -> AsyncIterator[Rapport]:
    async with Rapport.of(rebuilt) as found:
        await prepare(found)
        for name in ("One", "Two", "Three"):
            await register(found, name, category="non-statutory", subtype="academics")
        survey = await open_wave(found, SURVEY)
        await close_wave(found, survey)
        await register(found, "Four", category="non-statutory", subtype="academics")
        early = await open_wave(found)
        await import_responses(found, early["id"], [answer(n, groups=["bame"]) for n in range(RESPONSES)])
        await counted(found, early["id"], RESPONSES)
        await close_wave(found, early)
        await found.settled()
        yield found


async def test_figures_answer_all_the_time_and_every_response_is_in_once(rapport: Rapport) -> None:
    wave, ids = await fed(rapport)
    told = await verdicts(rapport)
    async with reading(rapport, wave) as seen, feeding(rapport, wave, ids) as fed_on:
        await until(lambda: more(fed_on, 5), what="answers arrive")
        said = await command(rapport, "rebuild", "measures", "--json")
        enough = len(fed_on) + 10
        await until(lambda: more(fed_on, enough), what="answers go on arriving")
    assert said.code == 0, said.errors
    assert said.lines[-1]["state"] == "swapped"
    assert said.lines[-1]["differences"] == 0
    assert not [line for line in said.lines if "difference" in line]
    assert said.lines[-1]["events"] > RESPONSES
    assert await rapport.generation("measures") == said.lines[-1]["generation"]

    assert len(seen) > 20
    assert min(seen) >= RESPONSES
    assert seen == sorted(seen), "a figure never went back"
    await rapport.settled()
    await counted(rapport, wave, len(ids))
    explanation = await explained(rapport, wave)
    assert explanation["agrees"]
    assert sorted(explanation["events"]) == sorted(ids), "each once"
    # Nothing was told a second time: what happened to the wave's verdicts, happened once.
    assert len(await verdicts(rapport)) - len(told) <= 2


async def test_only_compared_nothing_is_swapped(rapport: Rapport) -> None:
    before = await rapport.generation("measures")
    said = await command(rapport, "rebuild", "measures", "--dry-run")
    assert said.code == 0, said.errors
    assert "no difference" in said.text
    assert await rapport.generation("measures") == before


async def test_a_wrong_cell_is_found_and_mended_when_accepted(rapport: Rapport) -> None:
    wave, ids = await fed(rapport)
    right = await figure(rapport, wave)
    assert right is not None
    generation = await rapport.generation("measures")
    tallies = rapport.mongo["measures"][of_generation("answers", generation)]
    planted = await tallies.update_one(
        {"wave_id": wave, "question": QUESTION},
        {"$inc": {"cells.all.yes.0": 70, "cells.all.yes.1": 700_000, "cells.all.yes.2": 7_000_000_000, "version": 1}},
    )
    assert planted.modified_count == 1
    ids.append(await submit(rapport, wave, answer(0)))
    wrong = await counted(rapport, wave, len(ids))
    assert wrong["share"] > right["share"] + 0.05

    said = await command(rapport, "rebuild", "measures")
    assert said.code == 1
    assert "cells.all.yes" in said.text
    assert f"figures {MEASURE}/{wave}/all" in said.text
    assert "judgement.share" in said.text
    assert await rapport.generation("measures") == generation
    kept = await figure(rapport, wave)
    assert kept is not None
    assert kept["share"] == wrong["share"], "nothing is put right that nobody accepted"

    said = await command(rapport, "rebuild", "measures", "--accept-differences", "--json")
    assert said.code == 0, said.errors
    assert said.lines[-1]["differences"] > 0

    async def mended() -> bool:
        now = await figure(rapport, wave)
        return now is not None and now["base"] == len(ids)

    await until(mended, what="the figure is right again")
    explanation = await explained(rapport, wave)
    assert explanation["agrees"]
    assert sorted(explanation["events"]) == sorted(ids)


@pytest.mark.parametrize("stage", ["applying", "comparing", "swapping"])
async def test_killed_while_it_rebuilds_nothing_is_half_swapped(rapport: Rapport, stage: str) -> None:
    wave, ids = await fed(rapport)
    generation = await rapport.generation("measures")
    async with rebuilding(rapport, "measures") as process:
        assert process.stdout is not None
        async for line in process.stdout:
            if f'"{stage}' in line.decode():
                process.kill()
    now = await rapport.generation("measures")
    assert now == generation or stage == "swapping"
    # Whichever is in force, it is whole, and goes on counting.
    ids += [await submit(rapport, wave, answer(n)) for n in range(5)]
    await counted(rapport, wave, len(ids))
    explanation = await explained(rapport, wave)
    assert explanation["agrees"]
    assert sorted(explanation["events"]) == sorted(ids)
    said = await command(rapport, "rebuild", "measures", "--json")
    assert said.code == 0, said.errors
    assert said.lines[-1]["differences"] == 0
    assert await rapport.generation("measures") > now


async def test_what_a_topic_has_lost_comes_from_the_journal(rapport: Rapport) -> None:
    wave, ids = await fed(rapport)
    await rapport.settled()
    admin = AIOKafkaAdminClient(**rapport.platform.stack.endpoints.kafka)
    await admin.start()
    lost = {
        TopicPartition(topic, number): RecordsToDelete(before_offset=end)
        for (topic, number), end in (await rapport.ends(["feedback.response"])).items()
        if end
    }
    await admin.delete_records(lost)
    await admin.close()

    said = await command(rapport, "rebuild", "measures", "--json")
    assert said.code == 0, said.errors
    assert any("lacks" in line for line in said.lines)
    assert said.lines[-1]["differences"] == 0
    await counted(rapport, wave, len(ids))
    assert sorted((await explained(rapport, wave))["events"]) == sorted(ids)


async def test_where_cursors_are_lost_nothing_is_counted_until_it_is_made_anew(rapport: Rapport) -> None:
    wave, ids = await fed(rapport)
    await rapport.settled()
    generation = await rapport.generation("measures")
    cursors = rapport.mongo["measures"][of_generation("cursors", generation)]
    await cursors.delete_many({"topic": "feedback.response"})
    before = len(ids)
    ids += [await submit(rapport, wave, answer(n)) for n in range(5)]
    worker = rapport.process("measures-worker")

    async def told() -> bool:
        return "the cursor is lost" in worker.said

    await until(told, what="it is told that a cursor is lost")
    kept = await figure(rapport, wave)
    assert kept is not None
    assert kept["responses"] == before, "nothing is counted twice, and nothing more"

    said = await command(rapport, "rebuild", "measures", "--accept-differences", "--json")
    assert said.code == 0, said.errors
    assert await rapport.generation("measures") > generation
    await counted(rapport, wave, len(ids))
    explanation = await explained(rapport, wave)
    assert explanation["agrees"]
    assert sorted(explanation["events"]) == sorted(ids), "each once"
    await rapport.all_ready()


async def test_the_old_one_stays_until_it_is_deleted(rapport: Rapport) -> None:
    generation = await rapport.generation("measures")
    assert len(await generations(rapport)) > 1
    said = await command(rapport, "rebuild", "measures", "--drop-old")
    assert said.code == 0, said.errors
    assert await generations(rapport) == {generation}
    wave, ids = await fed(rapport)
    assert (await explained(rapport, wave))["agrees"]
    assert len(ids) == RESPONSES


async def fed(rapport: Rapport) -> tuple[str, list[str]]:
    """A wave with its first responses, counted, and the ids of their events."""
    wave = (await open_wave(rapport))["id"]
    outcomes = await import_responses(rapport, wave, [answer(n) for n in range(RESPONSES)])
    await counted(rapport, wave, RESPONSES)
    return wave, [each["event"] for each in outcomes]


@asynccontextmanager
async def reading(rapport: Rapport, wave: str) -> AsyncIterator[list[int]]:
    """Somebody who reads a figure again and again; how many responses it was made from, each time."""
    seen: list[int] = []

    async def read() -> None:
        while True:
            found = await figure(rapport, wave)  # asserts that it is answered
            assert found is not None, "there always is a figure"
            assert found["share"] is not None
            overview = await rapport.get("measures", f"/measures/{MEASURE}", synthetic=True)
            assert overview["figure"] is not None
            seen.append(found["responses"])

    reader = asyncio.create_task(read())
    yield seen
    reader.cancel()
    done, _ = await asyncio.wait([reader])
    for each in done:
        assert each.cancelled(), each.exception()


@asynccontextmanager
async def feeding(rapport: Rapport, wave: str, ids: list[str]) -> AsyncIterator[list[str]]:
    """Somebody who answers again and again; the ids of all events are added."""
    added: list[str] = []
    enough = asyncio.Event()

    async def feed() -> None:
        while not enough.is_set():
            event = await submit(rapport, wave, answer(len(added)))
            added.append(event)
            ids.append(event)

    feeder = asyncio.create_task(feed())
    yield added
    enough.set()
    await feeder


async def more(added: list[str], count: int) -> bool:
    return len(added) >= count


async def generations(rapport: Rapport) -> set[int]:
    """The numbers of all generations there are."""
    names = await rapport.mongo["measures"].list_collection_names()
    return {int(name.partition("@")[2] or 1) for name in names if name.partition("@")[0] == "figures"}


async def verdicts(rapport: Rapport) -> list[Any]:
    """What measures has told of verdicts."""
    where = {"envelope.type": {"$regex": "verdict-changed"}}
    return await rapport.mongo["measures"]["journal"].find(where).to_list()
