"""One message of one event to one subscription: queued -> sending -> sent, failed or suppressed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

_NAMESPACE = UUID("5d3c1f0e-8c0b-5e0a-9a43-6f5b0f6f2d11")


class MessageState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


OPEN = (MessageState.QUEUED, MessageState.SENDING)


class WrongState(RuntimeError):
    """The message is not in a state from which this may happen."""


@dataclass(slots=True, kw_only=True)
class Message:
    """`due` is when a worker may take it, in Unix milliseconds: the next attempt of a queued message, the end of the
    lease of one that is being sent (its worker died, its outcome is unknown), None once it is final.

    `facts` is the JSON of what the subscriber may be told, sealed under `recipient`; it is dropped with the final state.
    """

    id: str
    subscription_id: str
    stakeholder_id: str | None
    recipient: str
    channel: str
    cause: str
    cause_type: str
    event_type: str
    occurred_at: datetime
    template: str
    template_version: int
    facts: str | None
    synthetic: bool
    queued: int
    due: int | None
    state: MessageState = MessageState.QUEUED
    attempts: int = 0
    reason: str | None = None
    settled_at: datetime | None = None
    trace: str | None = None
    version: int = 0

    @property
    def queued_at(self) -> datetime:
        return datetime.fromtimestamp(self.queued / 1000, UTC)

    def claim(self, now: datetime, lease_seconds: float, template_version: int) -> None:
        """Begin an attempt. Whoever claims renders, so the version of the template is the claimer's."""
        if self.state not in OPEN or self.due is None or self.due > milliseconds(now):
            raise WrongState(f"a message that is {self.state} cannot be taken now")
        self.state = MessageState.SENDING
        self.attempts += 1
        self.template_version = template_version
        self.due = milliseconds(now + timedelta(seconds=lease_seconds))

    def sending(self, attempt: int) -> bool:
        """Whether this very attempt is under way: after a lost lease the message belongs to a later one."""
        return self.state is MessageState.SENDING and self.attempts == attempt

    def try_again(self, now: datetime, pause_seconds: float, reason: str) -> None:
        if self.state is not MessageState.SENDING:
            raise WrongState(f"a message that is {self.state} is not tried again")
        self.state = MessageState.QUEUED
        self.reason = reason
        self.due = milliseconds(now + timedelta(seconds=pause_seconds))

    def put_off(self, now: datetime, seconds: float, reason: str) -> None:
        """Not now, and no fault of the receiver's: it does not count as an attempt."""
        self.try_again(now, seconds, reason)
        self.attempts -= 1

    def settle(self, state: MessageState, now: datetime, reason: str | None = None) -> None:
        """The end: sent, failed or suppressed."""
        if self.state not in OPEN or state in OPEN:
            raise WrongState(f"a message that is {self.state} cannot become {state}")
        self.state = state
        self.reason = reason
        self.settled_at = now
        self.due = None
        self.facts = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message on its way out: all that a channel needs, in clear. It is never stored, and its repr shows no content."""

    id: str
    attempt: int
    channel: str
    event_type: str
    cause: str
    occurred_at: datetime
    synthetic: bool
    address: str = field(repr=False)
    secret: str | None = field(repr=False)
    facts: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What people read: a subject of one line, and a text."""

    subject: str
    text: str


def message_id(event_id: str, subscription_id: str) -> str:
    """The same for the same event and subscription, so that a replayed event makes no second message."""
    return str(uuid5(_NAMESPACE, f"{event_id}/{subscription_id}"))


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
