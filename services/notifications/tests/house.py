"""The service over memory, and what other services tell it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from notifications.channels import channel_for
from notifications.contract import CONSUMES
from notifications.domain.subscription import Subscription
from notifications.settings import EmailSettings, Settings, WebhookSettings
from notifications.store import Notifications
from notifications.usecases.subscribe import Subscribe, subscribe
from rapport_chassis.memory import Memory
from rapport_chassis.sealing import seal
from rapport_chassis.unit_of_work import new_id
from rapport_events.engagement import ContactLogged, ExerciseOpened, PromiseBroken, ReplyPublished
from rapport_events.envelope import Envelope
from rapport_events.event import Event, Sealed
from rapport_events.measures import VerdictChanged
from rapport_events.registry import ConsentGranted, ConsentWithdrawn, StakeholderErased
from rapport_stack import mailbox

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = date(2026, 1, 5)
EXERCISE = "01906a7e-f1ed-79f1-9c2f-000000000001"
SOMEBODY = "0190e954-fbfd-7c4e-aeed-000000000001"
SOMEBODY_ELSE = "0190e954-fbfd-7c4e-aeed-000000000002"

VERDICTS = "measures.measure.verdict-changed"
REPLIES = "engagement.exercise.reply-published"
BROKEN = "engagement.exercise.promise-broken"
CONTACTS = "engagement.contact.logged"


def verdict(**changes) -> VerdictChanged:
    facts = {
        "measure_id": "PPT-1a",
        "subject_key": "all",
        "wave_id": "wave-1",
        "ordinal": 1,
        "verdict": "not_met",
        "previous": "cannot_tell",
        "provisional": True,
        "share": 0.4567,
        "base": 812,
        "definition_version": 1,
        "settings_version": 2,
        "synthetic": False,
    }
    return VerdictChanged(**{**facts, **changes})


def opened(*, synthetic: bool = False) -> ExerciseOpened:
    return ExerciseOpened(
        exercise_id=EXERCISE,
        level="consult",
        method="survey",
        decision_maker="chief-officer",
        reply_due=DAY,
        title=Sealed.of(EXERCISE, "Safer streets"),
        synthetic=synthetic,
    )


def reply(*participants: str, title: str = "Safer streets", words: str = "We will do it.") -> ReplyPublished:
    return ReplyPublished(
        exercise_id=EXERCISE,
        title=Sealed.of(EXERCISE, title),
        reply=Sealed.of(EXERCISE, words),
        published_on=DAY,
        participants=participants,
    )


def broken() -> PromiseBroken:
    return PromiseBroken(
        exercise_id=EXERCISE,
        title=Sealed.of(EXERCISE, "Safer streets"),
        reply_due=DAY,
        broken_on=DAY,
        decision_maker="chief-officer",
    )


def contact(*participants: str, **changes) -> ContactLogged:
    facts = {
        "contact_id": "contact-1",
        "stakeholder_ids": participants,
        "level": "involve",
        "nature": "both",
        "mode": "proactive",
        "method": "citizen-jury",
        "held_on": DAY,
        "notes": Sealed.of("contact-1", "Nobody outside may read this."),
        "synthetic": False,
    }
    return ContactLogged(**{**facts, **changes})


def granted(stakeholder: str, *, channel: str = "email", purpose: str = "updates") -> ConsentGranted:
    return ConsentGranted(stakeholder_id=stakeholder, purpose=purpose, channel=channel, proof="form", granted_at=NOW)


def withdrawn(stakeholder: str, *, channel: str = "email", purpose: str = "updates") -> ConsentWithdrawn:
    return ConsentWithdrawn(stakeholder_id=stakeholder, purpose=purpose, channel=channel, withdrawn_at=NOW)


def erased(stakeholder: str) -> StakeholderErased:
    return StakeholderErased(stakeholder_id=stakeholder, erased_on=DAY)


async def until(condition: Callable[[], Awaitable[bool] | bool], *, seconds: float = 10.0) -> None:
    """Waits for a condition, and fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(0.01)


@dataclass(slots=True)
class House:
    """The service over memory. Also what its delivery loop needs of a worker."""

    memory: Memory[Notifications]
    settings: Settings

    async def limit(self, rule: str, actor: str) -> None:
        """There is none."""

    async def run(self, use_case: Callable[..., Awaitable[object]], command: object) -> object:
        return await self.memory.run(use_case, command)

    async def hear(self, *events: Event, id_: str | None = None) -> str:
        """Apply events as one batch of the consumer, their sealed words sealed as their owner would have."""
        unit = self.memory.unit(actor="consumer")
        for event in events:
            id_ = id_ or new_id()
            unit.consumed = Envelope.of(
                await self._sealed(event, id_),
                id=id_,
                source="urn:rapport:test",
                time=NOW,
                correlationid="test",
                traceparent="00-34173cb38f07f89ddbebc2ac9128303f-d648e0c45508175f-01",
            )
            await CONSUMES[type(event)](type(event).model_validate(unit.consumed.data), unit)
            heard, id_ = id_, None
        unit.consumed = None
        await self.memory.commit(unit)
        return heard

    async def subscribe(
        self, address: str, *event_types: str, stakeholder: str | None = None, channel: str = "email"
    ) -> Subscription:
        command = Subscribe(event_types=list(event_types), channel=channel, address=address, stakeholder_id=stakeholder)
        secret = channel_for(channel, address, self.settings).new_secret()
        return await self.memory.run(subscribe, command.signed_with(secret))

    async def messages(self, **where):
        return await self.memory.unit().messages.find(where, sort="queued")

    def destroy_key(self, subject: str) -> None:
        self.memory.keyring.documents[subject] = self.memory.keyring.tombstone(subject)
        self.memory.keyring.forget(subject)

    async def _sealed(self, event: Event, id_: str) -> Event:
        sealed = {}
        for path, words in event.sealed_fields():
            if words.token:
                continue
            key, document = await self.memory.keyring.fresh(words.subject)
            if document is not None:
                self.memory.keyring.documents[words.subject] = document
                self.memory.keyring.remember(words.subject, key)
            token = seal(key, words.clear, subject=words.subject, owner=id_, path=path)
            sealed[path] = Sealed(subject=words.subject, token=token)
        return event.with_sealed(sealed)


@dataclass(frozen=True, slots=True)
class Inbox:
    """Both servers, and the settings by which the channels reach them."""

    box: mailbox.Mailbox
    email: EmailSettings
    webhook: WebhookSettings
    hooks: str
    """Base URL of the web hooks; a hook's name comes behind it."""
