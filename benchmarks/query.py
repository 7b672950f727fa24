"""G10: what a question costs as answers grow, through the read path of the measures service, beside an aggregation.

The read model is made by the service's own use cases and its own store, in units of 5,000 responses as a consumer makes
them. Of ten million responses only the first half million are told apart; their tallies are then what twenty times as
many would have made: every integer of the read model is multiplied, as adding them again would do. The evidence behind
the tallies, which no such question reads, is that of the responses told apart.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from measures.main import SERVICE
from measures.usecases.fold_response import fold_response
from measures.usecases.judge_touched import judge_touched
from measures.usecases.load_definitions import LoadDefinitions, load_definitions
from measures.usecases.note_wave import note_opened_wave
from measures.usecases.read_measure import ReadMeasure, read_measure
from pymongo import ASCENDING, AsyncMongoClient
from rapport_chassis.unit_of_work import Circumstances

from benchmarks import reading
from benchmarks.consumer import ratio
from benchmarks.harness import (
    Bound,
    Contestant,
    Goal,
    Measured,
    Meter,
    Sample,
    Scale,
    Servers,
    check,
    interleaved,
    this_process,
)
from benchmarks.responses import WAVE, opened, responses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rapport_chassis.runtime import Runtime

FEW, MILLION, MANY = "read model, 100,000 answers", "read model, 1,000,000 answers", "read model, 10,000,000 answers"
AGGREGATED = "aggregation, 1,000,000 answers"
MEASURE, QUESTION, YES = "PPT-1a", "ppt.heard", "yes"
AT_ONCE = 5_000

GOALS = (
    Goal(
        "G10",
        "query of a measure",
        "itself with fewer answers; MongoDB aggregation on a covering index",
        (
            Bound("p50 at 10 million answers beside 100,000", "≤", 1.5, ratio(MANY, FEW, "p50")),
            Bound("times faster at 1 million, p50", "≥", 50, ratio(AGGREGATED, MILLION, "p50")),
        ),
    ),
)


async def measure(servers: Servers, scale: Scale) -> Measured:
    few = scale.size(20_000, 200)
    async with (
        reading.runtime(servers, SERVICE.unit, SERVICE.indexes) as small,
        reading.runtime(servers, SERVICE.unit, SERVICE.indexes) as middle,
        reading.runtime(servers, SERVICE.unit, SERVICE.indexes) as large,
        AsyncMongoClient[dict[str, Any]](servers.mongo_uri) as client,
    ):
        for running, times in ((small, 5), (middle, 50), (large, 500)):
            await _fold(running, few, times)
        raw = _Raw(client, f"bench-{uuid.uuid4().hex[:8]}")
        await raw.fill(scale.size(1_000_000, 1_000))
        expected = few * 50
        promise = "The figure with its verdict, freshness and versions, as of the last batch."
        found = await interleaved(
            (
                Contestant(FEW, _asked(servers, small, few * 5), promise),
                Contestant(MILLION, _asked(servers, middle, expected), promise),
                Contestant(MANY, _asked(servers, large, few * 500), promise),
                Contestant(
                    AGGREGATED,
                    raw.asked(servers),
                    "The share as of now, from a covering index.",
                    "Verdict, weights of groups, freshness and evidence.",
                    share=0.02,
                ),
            ),
            scale,
            scale.size(400, 50),
        )
        await client.drop_database(raw.name)
    return found


async def _fold(running: Runtime, count: int, times: int) -> None:
    """`count` responses through the service's use cases, then every integer as many times."""
    await running.perform(lambda unit: load_definitions(LoadDefinitions(), unit))
    await running.perform(lambda unit: note_opened_wave(opened(), unit))
    told = list(responses(count))
    for start in range(0, count, AT_ONCE):

        async def batch(unit: Any, start: int = start) -> None:
            for response in told[start : start + AT_ONCE]:
                await fold_response(response, unit)
            await judge_touched(unit)

        await running.perform(batch)

    async def multiply(unit: Any) -> None:
        for answers in await unit.answers.find({"wave_id": WAVE}):
            answers.cells = {
                cell: {code: [integer * times for integer in tally] for code, tally in codes.items()}
                for cell, codes in answers.cells.items()
            }
            answers.through *= times
            unit.answers.save(answers)
        for intake in await unit.intakes.find({"wave_id": WAVE}):
            intake.responses *= times
            unit.intakes.save(intake)

    await running.perform(multiply)

    async def judge(unit: Any) -> None:
        unit.noted_waves[WAVE] = await unit.waves.get(WAVE)
        await judge_touched(unit)

    await running.perform(judge)


def _asked(servers: Servers, running: Runtime, expected: int) -> Callable[[int], Awaitable[Sample]]:
    async def run(size: int) -> Sample:
        latencies = []
        with Meter(this_process(), servers.pids) as meter:
            for _ in range(size):
                began = time.perf_counter()
                unit = running.unit(Circumstances(source="urn:rapport:benchmark", actor="benchmark"))
                standing = await read_measure(ReadMeasure(measure=MEASURE, synthetic=True), unit)
                latencies.append(time.perf_counter() - began)
        figure = standing.figure
        check(figure is not None and figure.through == expected, f"the figure rests on {figure}, not on {expected}")
        return meter.sample(size, latencies)

    return run


@dataclass(slots=True)
class _Raw:
    """One document a response and question, as one would keep answers without a read model."""

    client: AsyncMongoClient[dict[str, Any]]
    name: str
    count: int = 0

    async def fill(self, count: int) -> None:
        self.count = count
        answers = self.client[self.name]["answers"]
        dice = list(responses(min(count, 20_000)))
        for start in range(0, count, len(dice)):
            await answers.insert_many(
                [
                    {
                        "_id": start + place,
                        "wave": WAVE,
                        "question": QUESTION,
                        "answer": response.answers[QUESTION],
                        "weight": response.weight,
                        "region": response.region,
                    }
                    for place, response in enumerate(dice)
                ],
                ordered=False,
            )
        await answers.create_index(
            [("wave", ASCENDING), ("question", ASCENDING), ("answer", ASCENDING), ("weight", ASCENDING)]
        )

    def asked(self, servers: Servers) -> Callable[[int], Awaitable[Sample]]:
        pipeline = [
            {"$match": {"wave": WAVE, "question": QUESTION}},
            {"$group": {"_id": "$answer", "n": {"$sum": 1}, "w": {"$sum": "$weight"}}},
        ]

        async def run(size: int) -> Sample:
            latencies = []
            with Meter(this_process(), servers.pids) as meter:
                for _ in range(size):
                    began = time.perf_counter()
                    found = await (await self.client[self.name]["answers"].aggregate(pipeline)).to_list()
                    latencies.append(time.perf_counter() - began)
            counted = sum(group["n"] for group in found)
            check(counted == self.count, f"{counted} of {self.count} answers were aggregated")
            return meter.sample(size, latencies)

        return run
