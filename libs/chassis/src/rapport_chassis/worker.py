"""The background half of a service: relay, consumer, clocks, loops."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import structlog
from rapport_events.catalog import TOPICS

from rapport_chassis.brokers import KafkaLog, ensure_topics
from rapport_chassis.consumer import Consumer
from rapport_chassis.ending import end
from rapport_chassis.journal import Partition
from rapport_chassis.relay import Relay
from rapport_chassis.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rapport_chassis.runtime import Runtime
    from rapport_chassis.service import Service

log = structlog.get_logger(__name__)

STALLED = 60.0
"""Seconds without any turn of a worker's loops after which it is no longer alive."""


@dataclass(slots=True)
class Worker:
    """Loops get it: `run` commits as a request would."""

    service: Service
    settings: Any
    runtime: Runtime
    relay: Relay = field(init=False)
    consumer: Consumer | None = None
    beat: float = field(default_factory=time.monotonic)
    _subscription: Subscription | None = None
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        emitted = sorted({event.topic for event in self.service.emits})
        self.relay = Relay(
            self.runtime.journal,
            lambda: KafkaLog.connect(self.settings, emitted),
            [Partition(topic, number) for topic in emitted for number in range(TOPICS[topic].partitions)],
            limit=self.settings.relay_batch,
            poll=self.settings.relay_poll_seconds,
        )
        self.runtime.committer.committed = lambda _: self.relay.bell.set()

    async def run(self, use_case: Callable[[Any, Any], Awaitable[Any]], command: Any) -> Any:
        """Run a use case with a command, and commit."""
        return await self.runtime.perform(lambda unit: use_case(command, unit))

    async def limit(self, rule: str, actor: str) -> None:
        """Raises TooManyRequests where it would be one too many: see `allowances`."""
        await self.runtime.allowances.take(rule, actor)

    async def __aenter__(self) -> Self:
        self._start(self.runtime.watch(), "runtime-watch")
        self._start(self.relay.run(), "relay")
        self._start(self._ring(), "relay-bell")
        if self.service.consumes:
            self._start(self._subscribe(), "subscribe")
        for use_case, every in self.service.clocks.items():
            self._start(self._clock(use_case, every), f"clock-{use_case.__name__}")
        for loop in self.service.loops:
            self._start(self._for_ever(loop), f"loop-{loop.__name__}")
        self._start(self._heart(), "heart")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subscription is not None:
            await self._subscription.stop()
        for task in reversed(self._tasks):
            await end([task])
        await self.relay.disconnect()

    def live(self) -> bool:
        """Alive is who still turns; Kafka and MongoDB being away does not make a restart useful."""
        return time.monotonic() - self.beat < STALLED

    def ready(self) -> str | None:
        """None, or why this worker cannot do its work now."""
        reason = self.runtime.ready()
        if reason is None and self.consumer is not None:
            if self.consumer.lost:
                reason = f"the cursor is lost of {', '.join(self.consumer.lost)}"
            elif self.consumer.halted:
                reason = "the consumer halted: too many dead letters in a row"
            elif self._subscription is None:
                reason = "not subscribed yet"
        if reason is None and self.relay.failing:
            reason = "the relay does not reach Kafka"
        return reason

    async def status(self) -> dict[str, Any]:
        """What an operator wants to see of this worker."""
        consumer = self.consumer
        return {
            "service": self.service.name,
            "process": "worker",
            "ready": self.ready() is None,
            "reason": self.ready(),
            "unsent": self.runtime.gate.unsent,
            "unsent_age_seconds": self.runtime.gate.age,
            "letters": await self.runtime.letters.counts(),
            "positions": {str(p): {"offset": c.offset, "number": c.number} for p, c in consumer.positions.items()}
            if consumer
            else {},
            "gaps": {str(p): g.missing for p, g in consumer.gaps.items()} if consumer else {},
        }

    def _start(self, work: Any, name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"{self.service.name}-{name}"))

    async def _subscribe(self) -> None:
        topics = {event.topic for event in self.service.consumes}
        pause = 0.2
        while True:
            try:
                await ensure_topics(self.settings, topics)
                self.consumer = Consumer(
                    group=self.service.name,
                    handlers=self.service.consumes,
                    new_unit=self.runtime.unit,
                    commit=self.runtime.commit,
                    documents=self.runtime.documents,
                    after_batch=self.service.after_batch,
                    renew=self.runtime.renew,
                )
                subscription = Subscription(self.settings, self.consumer, topics)
                await subscription.start()
            except Exception as error:  # noqa: BLE001 - Kafka may come later
                log.warning("not subscribed yet", error=type(error).__name__, pause_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                self._subscription = subscription
                return

    async def _ring(self) -> None:
        """A change stream as a doorbell: the API process commits, this one hears of it. Without it the poll does."""
        while True:
            try:
                only_new = [{"$match": {"operationType": "insert"}}, {"$project": {"_id": 1}}]
                async with await self.runtime.database["journal"].watch(only_new, max_await_time_ms=5_000) as stream:
                    while stream.alive:
                        if await stream.try_next() is not None:
                            self.relay.bell.set()
            except Exception as error:  # noqa: BLE001 - the poll goes on meanwhile
                log.info("the relay's bell is rung anew", error=type(error).__name__)
                await asyncio.sleep(1)

    async def _clock(self, use_case: Callable[[Any], Awaitable[Any]], every: float) -> None:
        while True:
            try:
                await self.runtime.perform(use_case)
            except Exception as error:  # noqa: BLE001 - a clock strikes again
                log.warning("clock failed", clock=use_case.__name__, error=type(error).__name__)
            await asyncio.sleep(every)

    async def _for_ever(self, loop: Callable[[Worker], Awaitable[None]]) -> None:
        pause = 0.2
        while True:
            try:
                await loop(self)
                pause = 0.2
            except Exception as error:  # noqa: BLE001 - a loop is for ever
                log.warning("loop starts anew", loop=loop.__name__, error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _heart(self) -> None:
        while True:
            self.beat = time.monotonic()
            await asyncio.sleep(1)
