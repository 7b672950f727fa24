"""What every benchmark is made of: contestants that take turns, samples of what they did, ratios round by round.

The machine is never quiet, so absolute rates say little. Contestants therefore run in turn, in another order each
round, and a ratio is taken between samples of the same round; the table shows its median and its smallest and largest
value.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import psutil
from rapport_stack import Endpoints, Stack

FOLDER = Path(".rapport/bench")


class WrongOutcomeError(Exception):
    """A contestant did not do what it was measured for."""


def check(right: bool, what: str) -> None:  # noqa: FBT001 - as assert, but never optimised away
    """Every contestant's outcome is checked in every run: a figure of work that was not done is no figure."""
    if not right:
        raise WrongOutcomeError(what)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one contestant.

    `cpu_seconds` is that of the contestant's own Python processes; `beside` has the CPU seconds of what it shares with
    the others, such as "mongod", "kafka" and "client". `p50` and `p99` are seconds. `figures` is anything else a bound
    or a reader asks for.
    """

    operations: int
    seconds: float
    cpu_seconds: float
    p50: float | None = None
    p99: float | None = None
    rss_mib: dict[str, float] = field(default_factory=dict)
    beside: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    @property
    def cpu(self) -> float:
        """Microseconds of CPU an operation."""
        return self.cpu_seconds / self.operations * 1e6


Round = Mapping[str, Sample]
"""Contestant -> its sample of this round."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work. `run` is given how many operations to do.

    `share`: part of the common size that this one is given, for ways so slow that they need fewer to be timed.
    """

    name: str
    run: Callable[[int], Awaitable[Sample]]
    guarantees: str
    lacks: str = ""
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Bound:
    """A part of a goal: a ratio within one round, and what it must reach. `limit` None: shown, not judged."""

    text: str
    relation: Literal["≥", "≤"]
    limit: float | None
    ratio: Callable[[Round], float]

    def met(self, median: float) -> bool:
        if self.limit is None:
            return True
        return median >= self.limit if self.relation == "≥" else median <= self.limit


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table of goals."""

    id: str
    text: str
    beside: str
    bounds: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. `quick` is a smoke test: outcomes are checked, speed is not looked at."""

    repeats: int = 5
    quick: bool = False
    progress: Callable[[str], None] = lambda _: None

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(slots=True)
class Measured:
    """What a benchmark found: the samples of its contestants, and how these describe themselves."""

    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    described: dict[str, dict[str, str]] = field(default_factory=dict)

    def rounds(self) -> list[dict[str, Sample]]:
        """Round by round; contestants of blocks that were measured one after another stand side by side."""
        count = max(map(len, self.samples.values()), default=0)
        return [{name: samples[n] for name, samples in self.samples.items() if n < len(samples)} for n in range(count)]

    def add(self, other: Measured) -> None:
        self.samples.update(other.samples)
        self.described.update(other.described)

    def to_json(self) -> dict[str, Any]:
        return {
            "samples": {name: [asdict(sample) for sample in samples] for name, samples in self.samples.items()},
            "described": self.described,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Measured:
        samples = {name: [Sample(**each) for each in samples] for name, samples in found["samples"].items()}
        return cls(samples, dict(found["described"]))


async def interleaved(
    contestants: Sequence[Contestant], scale: Scale, size: int, *, warmup: float | None = 0.2
) -> Measured:
    """All contestants in turn, `scale.repeats` rounds, each round beginning with another one.

    Args:
        size: operations of a contestant whose share is 1.
        warmup: part of `size` that each does before the first round, thrown away; None for no warm-up.
    """
    found = Measured()
    repeats = 1 if scale.quick else scale.repeats
    for contestant in contestants:
        found.described[contestant.name] = {"guarantees": contestant.guarantees, "lacks": contestant.lacks}
        if warmup is not None and not scale.quick:
            scale.progress(f"{contestant.name}: warming up")
            await contestant.run(max(1, int(size * contestant.share * warmup)))
    for number in range(repeats):
        first = number % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            scale.progress(f"{contestant.name}: round {number + 1} of {repeats}")
            sample = await contestant.run(max(1, int(size * contestant.share)))
            found.samples[contestant.name].append(sample)
    return found


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@dataclass(slots=True)
class Meter:
    """Wall clock, and CPU and memory of processes (with their children), between entering and leaving.

    Args:
        own: name -> process id of what the contestant consists of.
        beside: the same of what all contestants share.
    """

    own: Mapping[str, int]
    beside: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    cpu_beside: dict[str, float] = field(default_factory=dict)
    rss_mib: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0
    _cpu: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._cpu = {name: cpu_of(pid) for name, pid in (*self.own.items(), *self.beside.items())}
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        used = {name: cpu_of(pid) - self._cpu[name] for name, pid in (*self.own.items(), *self.beside.items())}
        self.cpu_seconds = sum(used[name] for name in self.own)
        self.cpu_beside = {name: used[name] for name in self.beside}
        self.rss_mib = {name: psutil.Process(pid).memory_info().rss / 2**20 for name, pid in self.own.items()}

    def sample(
        self,
        operations: int,
        latencies: Sequence[float] = (),
        *,
        seconds: float | None = None,
        figures: Mapping[str, float] | None = None,
    ) -> Sample:
        """As it was; `latencies` in seconds; `seconds` where the work ended before the meter was left."""
        return Sample(
            operations,
            self.seconds if seconds is None else seconds,
            self.cpu_seconds,
            percentile(latencies, 0.5) if latencies else None,
            percentile(latencies, 0.99) if latencies else None,
            self.rss_mib,
            self.cpu_beside,
            dict(figures or {}),
        )


def cpu_of(pid: int) -> float:
    """CPU seconds that a process and its children have used, user and system; /proc counts in hundredths."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def this_process() -> dict[str, int]:
    """For contestants that run in this process."""
    return {"python": os.getpid()}


@dataclass(frozen=True, slots=True)
class Servers:
    """Real MongoDB (a replica set, majority and journalled) and real Kafka, of this run alone."""

    endpoints: Endpoints
    """As the administrator: what is measured has no rights of its own."""
    pids: dict[str, int]
    """Of "mongod" and "kafka", for `Meter.beside`; empty where the servers are somebody else's."""

    @property
    def mongo_uri(self) -> str:
        return self.endpoints.mongo_uri

    @property
    def kafka(self) -> dict[str, Any]:
        """aiokafka's connection arguments."""
        return self.endpoints.kafka

    @property
    def settings(self) -> dict[str, Any]:
        """A service's settings to connect."""
        settings = asdict(self.endpoints)
        return {**settings, "kafka_sasl_mechanism": settings.pop("kafka_mechanism")}


@contextmanager
def servers(mode: Literal["embedded", "external"] = "embedded") -> Iterator[Servers]:
    """Empty ones, started and ended with the block; they die with this process."""
    logging.getLogger("aiokafka.conn").setLevel(logging.ERROR)  # each connection tells that its password goes in clear
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="data-") as data, Stack(mode, Path(data).absolute()) as stack:
        found = {"mongod": stack.mongo.pids, "kafka": stack.kafka.pids}
        yield Servers(
            stack.endpoints,
            {name: pids[0] for name, pids in found.items() if pids},
        )
