"""The delivery loop: takes due messages, asks the gate, sends, and notes what came of it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanKind, set_span_in_context
from rapport_chassis import telemetry
from rapport_chassis.ending import end
from rapport_chassis.errors import TooManyRequests

from notifications.channels import CHANNELS
from notifications.channels.channel import Channel, Refused, Retry
from notifications.templates import render
from notifications.usecases.claim_messages import ClaimMessages, claim_messages
from notifications.usecases.put_off_message import PutOffMessage, put_off_message
from notifications.usecases.release_message import ReleaseMessage, release_message
from notifications.usecases.settle_message import Outcome, SettleMessage, settle_message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from notifications.domain.message import Message
    from notifications.settings import Settings
    from notifications.usecases import Unit

log = structlog.get_logger(__name__)

C = TypeVar("C")
R = TypeVar("R")


class Worker(Protocol):
    """The part of the chassis' worker that delivery needs."""

    @property
    def settings(self) -> Settings: ...

    async def run(self, use_case: Callable[[C, Unit], Awaitable[R]], command: C) -> R: ...

    async def limit(self, rule: str, actor: str) -> None: ...


async def deliver(worker: Worker) -> None:
    """Runs until cancelled; what is under way then is taken again after its lease, with the same id."""
    postman = Postman(worker, {code: make(worker.settings) for code, make in CHANNELS.items()})
    try:
        while True:
            await postman.round()
    finally:
        await postman.close()


@dataclass(slots=True)
class Postman:
    """Carries up to `delivery.concurrency` messages at once, so that one slow receiver holds up nobody else."""

    worker: Worker
    channels: Mapping[str, Channel]
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def round(self) -> None:
        """Take what is due and there are hands for; then wait for a free hand, or a moment if there was nothing."""
        settings = self.worker.settings.delivery
        free = settings.concurrency - len(self._under_way)
        if free:
            for message in await self.worker.run(
                claim_messages,
                ClaimMessages(limit=free, lease_seconds=settings.lease_seconds, attempts=settings.attempts),
            ):
                self._under_way.add(asyncio.create_task(self.carry(message), name=f"carry-{message.channel}"))
        if self._under_way:
            done, self._under_way = await asyncio.wait(
                self._under_way, timeout=settings.poll_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                _log_failure(task)
        else:
            await asyncio.sleep(settings.poll_seconds)

    async def carry(self, message: Message) -> None:
        """One attempt of one message, in the trace of the event it tells of."""
        cause = telemetry.context_of(message.trace)
        parent = set_span_in_context(NonRecordingSpan(cause), Context()) if cause is not None else Context()
        with telemetry.span(f"send {message.channel}", kind=SpanKind.CLIENT, context=parent) as span:
            settled = await self._attempt(message)
            span.set_attribute("rapport.outcome", settled)

    async def close(self) -> None:
        await end(self._under_way)
        for channel in self.channels.values():
            await channel.close()

    async def _attempt(self, message: Message) -> str:
        """The state of the message afterwards."""
        letter = await self.worker.run(release_message, ReleaseMessage(message_id=message.id, attempt=message.attempts))
        if letter is None:
            return "withheld"
        try:  # by the address: however many subscriptions lead to it, it is one person's inbox
            await self.worker.limit("telling", f"{letter.channel}\x00{letter.address.lower()}")
        except TooManyRequests as error:
            later = PutOffMessage(message_id=letter.id, attempt=letter.attempt, seconds=error.retry_after)
            await self.worker.run(put_off_message, later)
            return "put-off"
        outcome, reason, after = Outcome.SENT, None, None
        try:
            await self.channels[letter.channel].send(letter, render(letter))
        except Refused as refused:
            outcome, reason = Outcome.REFUSED, refused.reason
        except Retry as retry:
            outcome, reason, after = Outcome.RETRY, retry.reason, retry.after
        except Exception as error:  # noqa: BLE001 - a fault of ours in one message must not stop the others
            # Without traceback: it may quote an address.
            log.error("message cannot be sent", message=letter.id, error=type(error).__name__)  # noqa: TRY400
            outcome, reason = Outcome.RETRY, "internal-error"
        settled = await self.worker.run(
            settle_message,
            SettleMessage(
                message_id=letter.id,
                attempt=letter.attempt,
                outcome=outcome,
                reason=reason,
                retry_after=after,
                spread=random.random(),  # noqa: S311 - spreads load, guards nothing
                back_off=self.worker.settings.delivery.back_off,
            ),
        )
        return settled.state if settled is not None else "lost-lease"


def _log_failure(task: asyncio.Task[None]) -> None:
    """An attempt without outcome: the store was away. Its lease runs out and it is made again."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("attempt without outcome", error=type(error).__name__)
