"""G8, G9, part of G13: the measures service's consumer, with everything it keeps, beside peers and the fold alone.

Every contestant is a process of its own on uvloop and with the services' garbage collection (quixstreams brings its own loop).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from measures.domain.answers import Answers, Counting, Intake, Row
from measures.main import SERVICE
from measures.usecases.load_definitions import LoadDefinitions, load_definitions
from measures.usecases.note_wave import note_opened_wave
from pydantic_core import from_json
from pymongo import AsyncMongoClient
from rapport_chassis import telemetry
from rapport_chassis.service import collect_rarely
from rapport_chassis.unit_of_work import new_id
from rapport_stack import Endpoints, spawn, stop

from benchmarks import reading
from benchmarks.consumer import Measuring, ratio
from benchmarks.harness import Bound, Contestant, Goal, Measured, Sample, Scale, Servers, check, interleaved
from benchmarks.peers import faststream_single
from benchmarks.processes import processes, without_topics
from benchmarks.reading import Stretch
from benchmarks.responses import ANSWERS, WAVE, fill, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

BY_500, BACKLOG = "measures, batches of 500", "measures, backlog"
TRACED, UNTRACED = "measures, tracing at 10 %", "measures, tracing off"
SINGLE = "FastStream single handler, transaction and inbox"
FOLD = "fold in memory"
QUIX = "quixstreams keyed state"
PATIENCE = 150.0

GOALS = (
    Goal(
        "G8",
        "measures kept with exactly-once effect",
        "FastStream single handler, transaction and inbox row per event",
        (
            Bound("rate, batches of 500", "≥", 60, ratio(BY_500, SINGLE)),
            Bound("rate, backlog", "≥", 150, ratio(BACKLOG, SINGLE)),
            Bound("CPU per event, backlog", "≤", None, ratio(BACKLOG, SINGLE, "cpu")),
        ),
    ),
    Goal(
        "G9",
        "the same on a backlog",
        "fold in memory; quixstreams keyed state with changelog",
        (
            Bound("rate beside the fold in memory", "≥", 0.3, ratio(BACKLOG, FOLD)),
            Bound("rate beside quixstreams", "≥", 1.5, ratio(BACKLOG, QUIX)),
        ),
    ),
    Goal(
        "G13",
        "tracing at 10 %, measures consumer",
        "the same with tracing off",
        (Bound("rate", "≥", 0.95, ratio(TRACED, UNTRACED)),),
    ),
)

OURS = "Exactly one effect per event, in order, loss and doubles noticed; evidence and verdicts with every batch."


async def measure(servers: Servers, scale: Scale) -> Measured:
    count = scale.size(60_000, 600)
    topic, by_region = (f"bench.{name}-{uuid.uuid4().hex[:8]}" for name in ("responses", "by-region"))
    await fill(servers.kafka, topic, count)
    await fill(servers.kafka, by_region, count, by_region=True)

    def contestant(name: str, guarantees: str, lacks: str = "", share: float = 1.0) -> Contestant:
        where = by_region if name == QUIX else topic

        async def run(size: int) -> Sample:
            return await _in_a_process(servers, Job(name, where, size, endpoint))

        return Contestant(name, run, guarantees, lacks, share)

    async with processes(servers) as beside:
        endpoint = beside.bench.url
        found = await interleaved(
            (
                contestant(BY_500, OURS),
                contestant(BACKLOG, OURS),
                contestant(
                    SINGLE,
                    "Exactly one effect per event by its inbox row.",
                    "A loss is not noticed; neither evidence nor verdicts; the inbox grows for ever.",
                    share=0.01,
                ),
                contestant(FOLD, "Nothing: a process that ends forgets.", "Everything but the counting."),
                contestant(
                    QUIX,
                    "At least once; state and changelog.",
                    "Counts twice after a crash; neither numbers, evidence nor verdicts; its topic is keyed to suit it.",
                    share=0.3,
                ),
            ),
            scale,
            count,
            warmup=None,
        )
        found.add(await interleaved((contestant(TRACED, OURS), contestant(UNTRACED, OURS)), scale, count, warmup=None))
    await without_topics(servers, [topic, by_region])
    return found


@dataclass(frozen=True, slots=True)
class Job:
    """What a contestant's process is told; `endpoint` is that of the receiver of spans."""

    name: str
    topic: str
    count: int
    endpoint: str


JOB = "RAPPORT_BENCH_JOB"
"""What a process is to do, and the password to do it with: not for a command line, which everybody can read."""


async def _in_a_process(servers: Servers, job: Job) -> Sample:
    """Raises WrongOutcomeError with the words of a process that failed."""
    with tempfile.TemporaryDirectory(prefix="rapport-bench-") as folder:
        log, found = Path(folder, "log"), Path(folder, "sample.json")
        told = json.dumps([asdict(servers), asdict(job), str(found)])
        process = spawn([sys.executable, "-m", "benchmarks.measures_store"], log=log, env={**os.environ, JOB: told})
        try:
            async with asyncio.timeout(PATIENCE):
                while process.poll() is None:
                    await asyncio.sleep(0.05)
        finally:
            stop(process)
        check(found.exists(), f"{job.name}: {log.read_text()[-2_000:]}")
        return Sample(**json.loads(found.read_text()))


def _child(told: str) -> None:
    servers, job, found = json.loads(told)
    servers["endpoints"] = Endpoints(**servers["endpoints"])
    collect_rarely()
    stretch = Stretch(Servers(**servers), job["count"])
    work = Job(**job)
    match work.name:
        case name if name == QUIX:
            from benchmarks.peers import quix  # noqa: PLC0415 - slow to import, and nobody else needs it

            with tempfile.TemporaryDirectory(prefix="quix-") as folder:
                counted = quix.fold(stretch.servers.endpoints, work.topic, Path(folder), stretch)
            check(counted == work.count, f"quixstreams counted {counted} of {work.count}")
            sample = stretch.meter.sample(work.count)
        case name if name == FOLD:
            sample = uvloop.run(_fold(work, stretch))
        case name if name == SINGLE:
            sample = uvloop.run(_single(work, stretch))
        case name:
            sample = uvloop.run(_ours(work, stretch, 500 if name == BY_500 else reading.WHOLE))
    Path(found).write_text(json.dumps(asdict(sample)))


async def _ours(job: Job, stretch: Stretch, batch: int) -> Sample:
    traces = None
    if job.name != UNTRACED:
        traces = telemetry.configure("measures", endpoint=job.endpoint, sampling=0.1, instance_id=new_id())
    settings: dict[str, Any] = {"consumer_batch": batch}
    async with reading.runtime(stretch.servers, SERVICE.unit, SERVICE.indexes, **settings) as running:
        await running.perform(lambda unit: load_definitions(LoadDefinitions(), unit))
        await running.perform(lambda unit: note_opened_wave(opened(), unit))
        consumer = Measuring(
            group=running.name,
            handlers=SERVICE.consumes,
            new_unit=running.unit,
            commit=running.commit,
            documents=running.documents,
            after_batch=SERVICE.after_batch,
        )
        consumer.stretch = stretch
        sample = await reading.subscribed(running, consumer, job.topic, stretch.over)
        kept = await running.documents.find("answers", {"wave_id": WAVE})
        counted = {each["question"]: sum(codes[0] for codes in each["cells"]["all"].values()) for each in kept}
        numbers = sum(cursor.number for cursor in consumer.positions.values())
        check(counted == dict.fromkeys(ANSWERS, numbers), f"{counted} of {numbers} answers are in the tallies")
    if traces is not None:
        await asyncio.to_thread(traces.shutdown)
    return sample


async def _single(job: Job, stretch: Stretch) -> Sample:
    async with AsyncMongoClient[dict[str, Any]](stretch.servers.mongo_uri) as client:
        store = faststream_single.TalliesWithInbox(client, f"bench-{uuid.uuid4().hex[:8]}")
        await store.prepare()
        try:
            sample = await faststream_single.consume(job.topic, stretch, store)
            held = await store.responses()
            check(held >= job.count, f"{held} of {job.count} responses are in the store")
        finally:
            await client.drop_database(store.database)
    return sample


async def _fold(job: Job, stretch: Stretch) -> Sample:
    counting = Counting(Intake(id=WAVE, wave_id=WAVE, synthetic=True))
    held = counting.answers
    for question in ANSWERS:
        held[question] = Answers(id=question, wave_id=WAVE, synthetic=True, question=question)

    def fold(records: Sequence[Any]) -> None:
        for record in records:
            data = from_json(record.value)
            counting.count(Row("", data["answers"], data["weight"], tuple(data["groups"]), data["region"]))

    sample = await reading.polled(stretch, job.topic, fold)
    counted = {question: sum(codes[0] for codes in each.cells["all"].values()) for question, each in held.items()}
    check(all(count >= job.count for count in counted.values()), f"{counted} answers were folded")
    return sample


if __name__ == "__main__":
    _child(os.environ[JOB])
