"""Receipts: proof that those who took part were told (demand D10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a message in the end."""

    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


@dataclass(slots=True, kw_only=True)
class Receipt:
    """The end of one message; `id` is the message's."""

    id: str
    version: int = 0
    cause: str
    """Id of the event that the message told of."""
    cause_type: str
    stakeholder_id: str | None
    channel: str
    outcome: Outcome
    reason: str | None
    """Why not, as a code of the notifications service."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known of who heard of the reply to an exercise. Each participant is in one of the three lists."""

    exercise_id: str
    reply_event: str | None
    """None while there is no reply, and so nothing to be told."""
    told: tuple[str, ...]
    """Participants whom at least one message reached."""
    not_told: tuple[str, ...]
    """Participants whom none reached, with the reason in their receipts."""
    waiting: tuple[str, ...]
    """Participants without any receipt yet, subscribed or not."""
    receipts: tuple[Receipt, ...]
    """All of them, those of subscribers who did not take part included."""


def prove(exercise_id: str, reply_event: str | None, participants: Sequence[str], receipts: Sequence[Receipt]) -> Proof:
    reached = {receipt.stakeholder_id for receipt in receipts if receipt.outcome is Outcome.SENT}
    tried = {receipt.stakeholder_id for receipt in receipts}
    return Proof(
        exercise_id=exercise_id,
        reply_event=reply_event,
        told=tuple(id_ for id_ in participants if id_ in reached),
        not_told=tuple(id_ for id_ in participants if id_ in tried - reached),
        waiting=tuple(id_ for id_ in participants if id_ not in tried),
        receipts=tuple(receipts),
    )
